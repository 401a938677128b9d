//! Model files: from bytes to an [`Ensemble`](crate::forest::Ensemble) and back.

pub mod xgboost_json;
