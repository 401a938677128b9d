//! Use case: resolve model -> features -> predict -> record.

pub mod model;
pub mod predictor;
pub mod request;

pub use model::{LoadedModel, ModelCache};
pub use predictor::Predictor;
pub use request::{PredictOutcome, PredictRequest, VersionSelector};
