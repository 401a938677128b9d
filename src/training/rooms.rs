//! What a training works with.

use std::{sync::Arc, time::Duration};

use super::Sources;
use crate::{
    config::PromotionConfig, inference::ModelCache, jobs::Jobs, outbox::Outbox, registry::Registry,
    xgboost::LazyLibrary,
};

/// The rooms that a training passes through.
#[derive(Debug)]
pub struct Rooms {
    /// Where jobs come from and end.
    pub jobs: Jobs,
    /// Where the rows come from.
    pub sources: Arc<Sources>,
    /// Where versions are kept.
    pub registry: Registry,
    /// What predictions find in memory.
    pub cache: ModelCache,
    /// Which new versions are served.
    pub promotion: PromotionConfig,
    /// Where runs are logged.
    pub outbox: Outbox,
    /// How long a run may wait for its turn.
    pub tracking_wait: Duration,
    /// What boosting needs.
    pub library: LazyLibrary,
}
