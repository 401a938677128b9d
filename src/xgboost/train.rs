//! The boosting loop: one tree a round, learning curves, early stopping, cancellation.
//!
//! Same rows, parameters and seed give the same bytes at any thread count. The generator is seeded
//! anew from the seed and the round's number (`seed_per_iteration`), so that nothing else that
//! trains on this thread can move it; without drawing of rows or features the trees are those of
//! a plain run in Python, with it Python needs the same setting. The curves are summed here in row
//! order: libxgboost's own metric depends on the thread count in the last digit.
//!
//! A training may later be continued from saved bytes, by loading them into a new booster and
//! counting rounds on: the trees are then those of one go if nothing is drawn. The generator of
//! `colsample_bytree` lives in the booster and is not saved, so with drawing a checkpoint would
//! have to reload its bytes whether or not it was interrupted.

use std::num::NonZeroUsize;
use std::ops::ControlFlow;

use crate::forest::Ensemble;
use crate::forest::codec::xgboost_json;

use super::base_score::{scalar_in_json, scalar_in_ubj};
use super::booster::{Booster, Format};
use super::dataset::Dataset;
use super::dmatrix::{DMatrix, FeatureStrings};
use super::error::{CallError, TrainError};
use super::library::Library;
use super::params::Params;

/// What every training is set to, whatever its [`Params`].
///
/// A categorical feature of fewer than `max_cat_to_onehot` categories is split one category
/// against the rest; a larger one into two sets, looking at no more than `max_cat_threshold`
/// categories of one. Both are libxgboost's defaults, written out lest a new version moves them.
const FIXED: [(&str, &str); 8] = [
    ("verbosity", "0"),
    ("objective", "reg:squarederror"),
    ("tree_method", "hist"),
    ("device", "cpu"),
    ("seed_per_iteration", "true"),
    ("max_cat_to_onehot", "4"),
    ("max_cat_threshold", "64"),
    ("disable_default_eval_metric", "true"),
];

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
/// every round, on this thread; `Break` ends the training with [`TrainError::Cancelled`]. Of
/// `seed` the lower 63 bits count. Category codes that only validation rows hold go left at every
/// split, as any unknown code does.
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
    params.check().map_err(TrainError::Params)?;
    training.check().map_err(|error| TrainError::Dataset { set: "training", error })?;
    if let Some(validation) = &validation {
        validation
            .check()
            .and_then(|()| validation.check_columns_of(&training))
            .map_err(|error| TrainError::Dataset { set: "validation", error })?;
    } else if params.early_stopping_rounds.is_some() {
        return Err(TrainError::EarlyStoppingWithoutValidation);
    }

    let api = library.api();
    let train_matrix = DMatrix::new(api, &training, n_threads.get())?;
    let validation = match validation {
        Some(dataset) => Some((DMatrix::new(api, &dataset, n_threads.get())?, dataset.target)),
        None => None,
    };
    let cached: Vec<_> = std::iter::once(&train_matrix).chain(validation.iter().map(|(m, _)| m)).collect();
    let mut booster = Booster::new(api, &cached)?;
    configure(&mut booster, params, seed, n_threads)?;
    booster.set_features(&FeatureStrings::new(&training)?)?;

    let (mut train_curve, mut validation_curve) = (Vec::new(), Vec::new());
    let mut best_iteration = 0;
    for index in 0..params.n_estimators {
        booster.update(index, &train_matrix)?;
        let train_rmse = rmse(booster.margins(&train_matrix)?, training.target);
        train_curve.push(train_rmse);
        let validation_rmse = match &validation {
            Some((matrix, target)) => Some(rmse(booster.margins(matrix)?, target)),
            None => None,
        };
        validation_curve.extend(validation_rmse);
        if on_round(Round { index, train_rmse, validation_rmse }).is_break() {
            return Err(TrainError::Cancelled);
        }
        match (params.early_stopping_rounds, validation_rmse) {
            (Some(patience), Some(rmse)) => {
                if rmse < validation_curve[best_iteration as usize] {
                    best_iteration = index;
                }
                if index - best_iteration >= patience {
                    break;
                }
            }
            _ => best_iteration = index,
        }
    }

    if (best_iteration as usize) + 1 < train_curve.len() {
        booster = booster.first(best_iteration + 1)?;
    }
    let model_json = scalar_in_json(booster.save(Format::Json)?)?;
    let model_ubj = scalar_in_ubj(booster.save(Format::Ubj)?)?;
    let ensemble = xgboost_json::decode(&model_json)?.ensemble;
    Ok(Trained { model_json, model_ubj, ensemble, train_curve, validation_curve, best_iteration })
}

fn configure(
    booster: &mut Booster<'_>,
    params: &Params,
    seed: u64,
    n_threads: NonZeroUsize,
) -> Result<(), CallError> {
    for (name, value) in FIXED {
        booster.set_param(name, value)?;
    }
    // libxgboost's seed is a signed 64-bit integer.
    booster.set_param("seed", &(seed & i64::MAX as u64).to_string())?;
    booster.set_param("nthread", &n_threads.to_string())?;
    for (name, value) in params.settings() {
        booster.set_param(name, &value)?;
    }
    Ok(())
}

/// Root mean squared error with libxgboost's rounding: the square of each row in f32, their sum
/// in f64.
fn rmse(predictions: &[f32], target: &[f32]) -> f64 {
    let squares: f64 = predictions.iter().zip(target).map(|(p, y)| f64::from((y - p) * (y - p))).sum();
    (squares / target.len() as f64).sqrt()
}
