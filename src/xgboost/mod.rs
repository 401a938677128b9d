//! Gradient boosting by the real XGBoost: a thin, safe wrapper over libxgboost's C API.
//!
//! Used for training only. What comes out is an [`Ensemble`](crate::forest::Ensemble) and model
//! files that Python reads; a replica that only predicts never opens the library.
//!
//! | file | concern |
//! |---|---|
//! | [`lazy`] | opening it on first use |
//! | [`library`] | finding, opening and checking `libxgboost.so`; the environment that it needs |
//! | `api` | the C functions, resolved once |
//! | `dmatrix`, `booster` | one owner per C handle; all `unsafe` calls stand in these and in `api`, `library` |
//! | [`dataset`], [`params`], [`inputs`] | what training takes, checked |
//! | [`train`](mod@train) | the boosting loop: learning curves, cancellation, checkpoints |
//! | `boosting` | a training while it runs: growing a round, early stopping, the finished model |
//! | [`checkpoint`] | a training in the middle, as bytes |
//! | `resume` | the booster as it was at a checkpoint |
//! | `ubjson` | cutting model files |
//! | `base_score` | model files that every XGBoost since 2.0 reads alike |
//!
//! There is no global state of ours: a [`Library`] is a value, and may be shared between threads.
//! A training keeps to the thread that called [`train()`] and to OpenMP workers of its own.

mod api;
mod base_score;
mod booster;
mod boosting;
pub mod checkpoint;
pub mod dataset;
mod dmatrix;
pub mod error;
pub mod inputs;
pub mod lazy;
pub mod library;
pub mod params;
mod resume;
pub mod train;
mod ubjson;

pub use checkpoint::{Checkpoint, CheckpointError, Checkpoints, Segment};
pub use dataset::Dataset;
pub use error::TrainError;
pub use inputs::Inputs;
pub use lazy::LazyLibrary;
pub use library::{Library, Search, prepare_environment};
pub use params::Params;
pub use train::{Round, Trained, train, train_resumable};
