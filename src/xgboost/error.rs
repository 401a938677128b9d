//! What can go wrong while training.

use crate::forest::codec::xgboost_json::DecodeError;

use super::base_score::BaseScoreError;
use super::dataset::DatasetError;
use super::params::OutOfRange;
use super::ubjson::MalformedModel;

/// Why [`train()`](super::train()) returned no model.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// One or more hyperparameters are out of range.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Params(Vec<OutOfRange>),
    /// `early_stopping_rounds` was given without validation rows.
    #[error("early_stopping_rounds needs validation rows")]
    EarlyStoppingWithoutValidation,
    /// Training or validation rows cannot be used.
    #[error("{set} rows: {error}")]
    Dataset {
        /// `training` or `validation`.
        set: &'static str,
        /// What is wrong with them.
        #[source]
        error: DatasetError,
    },
    /// The checkpoint belongs to other rows, parameters, another seed or another libxgboost.
    #[error("the checkpoint is one of another training")]
    ForeignCheckpoint,
    /// A callback asked to stop.
    #[error("the training was cancelled")]
    Cancelled,
    /// libxgboost reported an error.
    #[error(transparent)]
    Call(#[from] CallError),
    /// libxgboost wrote a model that has no single base score.
    #[error(transparent)]
    BaseScore(#[from] BaseScoreError),
    /// libxgboost wrote a model that cannot be cut into trees.
    #[error(transparent)]
    Malformed(#[from] MalformedModel),
    /// A checkpoint could not be compressed.
    #[error("a checkpoint cannot be compressed")]
    Compression(#[from] std::io::Error),
    /// libxgboost wrote a model that the codec does not read.
    #[error("libxgboost's model cannot be decoded")]
    Decode(#[from] DecodeError),
}

impl From<TrainError> for crate::Error {
    /// Inputs are checked by the caller before a training is started: what is left is a
    /// cancellation or a defect.
    fn from(error: TrainError) -> Self {
        match error {
            TrainError::Cancelled => Self::Cancelled,
            other => Self::internal(other),
        }
    }
}

/// An error in libxgboost's own words, without its stack trace.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("libxgboost: {0}")]
pub struct CallError(String);

impl CallError {
    pub(super) fn new(message: &str) -> Self {
        let reason = message.split("\nStack trace").next().unwrap_or(message).trim();
        Self(if reason.is_empty() { "unknown error".to_owned() } else { reason.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_error_keeps_the_reason_and_drops_the_trace() {
        let error =
            CallError::new("[10:00:00] src/x.cc:1: Check failed: a == b\nStack trace:\n  [bt] (0) ...");
        assert_eq!(error.to_string(), "libxgboost: [10:00:00] src/x.cc:1: Check failed: a == b");
        assert_eq!(CallError::new("").to_string(), "libxgboost: unknown error");
    }

    #[test]
    fn a_cancelled_training_is_a_cancellation_for_the_service() {
        assert_eq!(crate::Error::from(TrainError::Cancelled).code(), "cancelled");
        assert_eq!(crate::Error::from(TrainError::Call(CallError::new("x"))).code(), "internal");
    }
}
