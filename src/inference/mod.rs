//! Use case: resolve model -> features -> predict -> record.

pub mod predictor;
pub mod request;

pub use predictor::Predictor;
pub use request::{PredictOutcome, PredictRequest, VersionSelector};
