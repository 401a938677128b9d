//! Stands in until the use case's own branch is merged.

use super::{PredictOutcome, PredictRequest};
use crate::{Error, Result, auth::Caller};

/// Use case: predict with a model.
#[derive(Debug)]
pub struct Predictor;

impl Predictor {
    /// Predicts on behalf of the tenant of the open scope.
    ///
    /// # Errors
    /// Always, in this branch.
    pub async fn predict(&self, _caller: &Caller, _request: PredictRequest) -> Result<PredictOutcome> {
        Err(Error::internal("inference is not part of this branch"))
    }
}
