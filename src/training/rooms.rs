//! What a training works with.

use std::time::Duration;

use super::Sources;
use crate::{
    config::PromotionConfig, inference::ModelCache, outbox::Outbox, registry::Registry, storage::Database,
    xgboost::LazyLibrary,
};

/// The rooms that a training passes through.
#[derive(Debug)]
pub struct Rooms {
    /// Where jobs are noted.
    pub database: Database,
    /// Where the rows come from.
    pub sources: Sources,
    /// Where versions are kept.
    pub registry: Registry,
    /// What predictions find in memory.
    pub cache: ModelCache,
    /// Which new versions are served.
    pub promotion: PromotionConfig,
    /// Where runs are logged.
    pub outbox: Outbox,
    /// How long an answer waits for its run.
    pub tracking_wait: Duration,
    /// What boosting needs.
    pub library: LazyLibrary,
}
