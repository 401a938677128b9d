//! The numeric core: one tree ensemble for gradient boosting, random forest and isolation forest.
//!
//! Pure by promise: no IO, no async, no clock, no tenant, nothing of ours outside this folder.
//! Rows are `f32`, a missing value is NaN, and one rule routes every row through every tree
//! ([`ensemble::Node`]).

pub mod codec;
pub mod ensemble;
pub mod matrix;

pub use ensemble::{Combine, Ensemble, Link, Tree};
pub use matrix::Matrix;
