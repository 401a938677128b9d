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
//! | [`dataset`], [`params`] | what training takes, checked |
//! | [`train`](mod@train) | the boosting loop: learning curves, early stopping, cancellation |
//! | `base_score` | model files that every XGBoost since 2.0 reads alike |
//!
//! There is no global state of ours: a [`Library`] is a value, and may be shared between threads.
//! A training keeps to the thread that called [`train()`] and to OpenMP workers of its own.

mod api;
mod base_score;
mod booster;
pub mod dataset;
mod dmatrix;
pub mod error;
pub mod lazy;
pub mod library;
pub mod params;
pub mod train;

pub use dataset::Dataset;
pub use error::TrainError;
pub use lazy::LazyLibrary;
pub use library::{Library, Search, prepare_environment};
pub use params::Params;
pub use train::{Round, Trained, train};
