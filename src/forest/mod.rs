//! The numeric core: one tree ensemble for gradient boosting, random forest and isolation forest.
//!
//! Pure by promise: no IO, no async, no clock, no tenant, nothing of ours outside this folder.
//! Rows are `f32`, a missing value is NaN, and one rule routes every row through every tree
//! ([`routing::goes_left`]).
//!
//! | to | read |
//! |---|---|
//! | describe a fitted model | [`ensemble`], checked by [`validate`] |
//! | predict | [`evaluator`] |
//! | fit | [`random_forest`], [`isolation_forest`] |
//! | judge | [`metrics`], [`importance`] |
//! | store | [`codec`] |

pub mod codec;
pub mod ensemble;
pub mod evaluator;
pub mod fit;
pub mod importance;
pub mod isolation_forest;
pub mod matrix;
pub mod metrics;
mod order;
pub mod random_forest;
pub mod rng;
pub mod routing;
pub mod validate;

#[cfg(test)]
mod strategies;

pub use ensemble::{Combine, Ensemble, Link, Tree};
pub use evaluator::Evaluator;
pub use fit::{Checked, FitError, ParamError};
pub use isolation_forest::IsolationForestParams;
pub use matrix::Matrix;
pub use random_forest::RandomForestParams;
pub use validate::InvalidEnsemble;
