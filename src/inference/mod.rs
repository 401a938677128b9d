//! Use case: resolve model -> features -> predict -> record.

pub mod request;

pub use request::{PredictOutcome, PredictRequest, VersionSelector};
