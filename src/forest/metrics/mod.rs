//! Quality of predictions, with scikit-learn's definitions.

pub mod classification;
pub mod regression;

pub use classification::{Confusion, auc_roc, log_loss};
pub use regression::{mae, r2, rmse};
