//! The boosting loop: one tree a round, learning curves, early stopping, cancellation.
//!
//! Same rows, parameters and seed give the same bytes at any thread count. The generator is seeded
//! anew from the seed and the round's number (`seed_per_iteration`), so that nothing else that
//! trains on this thread can move it; without drawing of rows or features the trees are those of
//! a plain run in Python, with it Python needs the same setting. The curves are summed here in row
//! order: libxgboost's own metric depends on the thread count in the last digit.
//!
//! A training can be continued from a [`Checkpoint`], and ends in the bytes that it
//! would have had without a break.

use std::num::NonZeroUsize;
use std::ops::ControlFlow;

use crate::forest::Ensemble;

use super::boosting::Boosting;
use super::checkpoint::{Checkpoint, Checkpoints};
use super::dataset::Dataset;
use super::error::TrainError;
use super::inputs::Inputs;
use super::library::Library;
use super::params::Params;

/// A round of boosting that has ended.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Round {
    /// Counted from 0.
    pub index: u32,
    /// Root mean squared error on the training rows, in the target's unit.
    pub train_rmse: f64,
    /// The same on the validation rows, if there are any.
    pub validation_rmse: Option<f64>,
}

/// A trained model.
#[derive(Debug, Clone, PartialEq)]
pub struct Trained {
    /// The model as XGBoost's JSON; Python's XGBoost 2.0 and later load it and predict the same.
    pub model_json: Vec<u8>,
    /// The same as UBJSON.
    pub model_ubj: Vec<u8>,
    /// The same for our evaluator: bit-equal to libxgboost's predictions.
    pub ensemble: Ensemble,
    /// RMSE on the training rows after each round that was trained, also those after the best.
    pub train_curve: Vec<f64>,
    /// RMSE on the validation rows after each round; empty without validation rows.
    pub validation_curve: Vec<f64>,
    /// The last round in the model, counted from 0: with early stopping the first of least
    /// validation RMSE, else the last.
    pub best_iteration: u32,
}

/// Trains a regression model of squared error.
///
/// Blocks for the whole training: never call it on an async thread. `on_round` is called after
/// every round, on this thread; `Break` ends the training with [`TrainError::Cancelled`]. What
/// decides the model is explained at [`Inputs`].
///
/// # Errors
/// When parameters or rows are unusable, `on_round` breaks off, or libxgboost fails.
pub fn train(
    library: &Library,
    training: Dataset<'_>,
    validation: Option<Dataset<'_>>,
    params: &Params,
    seed: u64,
    n_threads: NonZeroUsize,
    on_round: &mut dyn FnMut(Round) -> ControlFlow<()>,
) -> Result<Trained, TrainError> {
    let inputs = Inputs { training, validation, params, seed };
    inputs.check()?;
    let mut boosting = Boosting::new(library.api(), inputs, n_threads)?;
    while let Some(index) = boosting.next_round() {
        if on_round(boosting.grow(index)?).is_break() {
            return Err(TrainError::Cancelled);
        }
    }
    boosting.finish()
}

/// As [`train()`], and can be continued after the process has died.
///
/// The model is that of [`train()`] to the last byte, whatever is drawn, however often checkpoints are
/// taken, however often the training was interrupted, and at any numbers of threads. `on_round`
/// hears of the rounds that are trained now, not of those of the checkpoint.
///
/// # Errors
/// As [`train()`]; [`TrainError::ForeignCheckpoint`] when the last checkpoint is not one of these
/// inputs and this library, and the training has to start without it.
pub fn train_resumable(
    library: &Library,
    inputs: Inputs<'_>,
    n_threads: NonZeroUsize,
    checkpoints: Checkpoints<'_>,
    on_round: &mut dyn FnMut(Round) -> ControlFlow<()>,
) -> Result<Trained, TrainError> {
    inputs.check()?;
    let fingerprint = inputs.fingerprint(library.version());
    let Checkpoints { every, is_wanted, last, keep, go_on } = checkpoints;
    if last.as_ref().is_some_and(|last| last.fingerprint != fingerprint) {
        return Err(TrainError::ForeignCheckpoint);
    }
    let mut kept = last.as_ref().map_or(0, Checkpoint::rounds);
    let mut boosting = Boosting::resume(library.api(), inputs, n_threads, last, go_on)?;
    while let Some(index) = boosting.next_round() {
        if on_round(boosting.grow(index)?).is_break() {
            return Err(TrainError::Cancelled);
        }
        let is_due = (index + 1).is_multiple_of(every.get()) && boosting.next_round().is_some();
        if is_due && is_wanted() {
            if keep(boosting.segments(fingerprint, kept)?).is_break() {
                return Err(TrainError::Cancelled);
            }
            kept = index + 1;
        }
    }
    boosting.finish()
}
