//! Quality of predictions, with scikit-learn's definitions.

pub mod classification;
pub mod curves;
pub mod regression;

pub use classification::{Confusion, auc_roc, log_loss};
pub use curves::{Ranking, brier_score, calibration_curve};
pub use regression::{mae, r2, rmse};
