//! Stands in until the use case's own branch is merged.

use super::{TrainOutcome, TrainRequest};
use crate::{Error, Result, auth::Caller};

/// Use case: train a model.
#[derive(Debug)]
pub struct Trainer;

impl Trainer {
    /// Trains on behalf of the tenant of the open scope.
    ///
    /// # Errors
    /// Always, in this branch.
    pub async fn train(&self, _caller: &Caller, _request: TrainRequest) -> Result<TrainOutcome> {
        Err(Error::internal("training is not part of this branch"))
    }
}
