//! One handler a file, with its wire types and their conversions.

pub(super) mod docs;
pub(super) mod health;
pub(super) mod jobs;
pub(super) mod live;
pub(super) mod me;
pub(super) mod ml_health;
pub(super) mod model_metrics;
pub(super) mod models;
pub(super) mod openapi_json;
pub(super) mod predict;
pub(super) mod prometheus;
pub(super) mod ready;
pub(super) mod redoc;
pub(super) mod root;
pub(super) mod train;
