//! Ensembles as bytes: our own format, and XGBoost's.

pub mod native;
pub mod xgboost_json;
