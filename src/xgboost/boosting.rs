//! One training while it runs: rows, booster and curves.

use std::num::NonZeroUsize;
use std::ops::ControlFlow;

use crate::forest::codec::xgboost_json;

use super::api::Api;
use super::base_score::{scalar_in_json, scalar_in_ubj};
use super::booster::{Booster, Format};
use super::checkpoint::{Checkpoint, Segment};
use super::dmatrix::{DMatrix, FeatureStrings};
use super::error::{CallError, TrainError};
use super::inputs::{Fingerprint, Inputs};
use super::resume::{EarlierTrees, GoOn};
use super::train::{Round, Trained};

/// What every training is set to, whatever its [`Params`].
///
/// A categorical feature of fewer than `max_cat_to_onehot` categories is split one category
/// against the rest; a larger one into two sets, looking at no more than `max_cat_threshold`
/// categories of one. Both are libxgboost's defaults, written out lest a new version moves them.
pub(super) const FIXED: [(&str, &str); 8] = [
    ("verbosity", "0"),
    ("objective", "reg:squarederror"),
    ("tree_method", "hist"),
    ("device", "cpu"),
    ("seed_per_iteration", "true"),
    ("max_cat_to_onehot", "4"),
    ("max_cat_threshold", "64"),
    ("disable_default_eval_metric", "true"),
];

/// Size that a segment of a checkpoint is to have, as far as those before tell it.
const SEGMENT_BYTES: usize = 256 << 10;

/// Rounds in the first one.
const FIRST_SEGMENT: u32 = 16;

/// A training after some rounds.
pub(super) struct Boosting<'lib, 'a> {
    api: &'lib Api,
    inputs: Inputs<'a>,
    training: DMatrix<'lib>,
    validation: Option<DMatrix<'lib>>,
    booster: Booster<'lib>,
    /// Trees that were grown before a break; others stand in for them in `booster`.
    earlier: Option<EarlierTrees>,
    train_curve: Vec<f64>,
    validation_curve: Vec<f64>,
    /// With early stopping the first round of least validation RMSE, else the last.
    best_iteration: u32,
    rounds_per_segment: u32,
}

impl<'lib, 'a> Boosting<'lib, 'a> {
    /// Copies the rows; the inputs must have been checked.
    pub(super) fn new(
        api: &'lib Api,
        inputs: Inputs<'a>,
        n_threads: NonZeroUsize,
    ) -> Result<Self, TrainError> {
        Self::resume(api, inputs, n_threads, None, &mut || ControlFlow::Continue(()))
    }

    /// Copies the rows and goes through the rounds of a checkpoint of the same inputs.
    pub(super) fn resume(
        api: &'lib Api,
        inputs: Inputs<'a>,
        n_threads: NonZeroUsize,
        last: Option<Checkpoint>,
        go_on: GoOn<'_>,
    ) -> Result<Self, TrainError> {
        let mut training = DMatrix::new(api, &inputs.training, n_threads.get())?;
        let mut validation = match &inputs.validation {
            Some(dataset) => Some(DMatrix::new(api, dataset, n_threads.get())?),
            None => None,
        };
        let (mut earlier, mut train_curve, mut validation_curve) = (None, Vec::new(), Vec::new());
        if let Some(last) = last {
            let trees = EarlierTrees::new(last.models, last.train_curve.len())?;
            let mut rows: Vec<_> = std::iter::once(&mut training).chain(&mut validation).collect();
            trees.set_margins(api, &mut rows, n_threads, go_on)?;
            earlier = Some(trees);
            (train_curve, validation_curve) = (last.train_curve, last.validation_curve);
        }
        let rows: Vec<_> = std::iter::once(&training).chain(&validation).collect();
        let mut booster = Booster::new(api, &rows)?;
        configure(&mut booster, &inputs, n_threads)?;
        if let Some(trees) = &earlier {
            trees.replay(api, &mut booster, &rows, &inputs.training, n_threads, go_on)?;
        }
        let best_iteration = match inputs.params.early_stopping_rounds {
            Some(_) => first_of_least(&validation_curve),
            None => train_curve.len().saturating_sub(1),
        };
        let best_iteration = best_iteration as u32;
        Ok(Self {
            api,
            inputs,
            training,
            validation,
            booster,
            earlier,
            train_curve,
            validation_curve,
            best_iteration,
            rounds_per_segment: FIRST_SEGMENT,
        })
    }

    /// The round to grow next, counted from 0; none when the training is over.
    pub(super) fn next_round(&self) -> Option<u32> {
        let next = self.train_curve.len() as u32;
        let patience = self.inputs.params.early_stopping_rounds.unwrap_or(u32::MAX);
        (next < self.inputs.params.n_estimators && next.saturating_sub(self.best_iteration) <= patience)
            .then_some(next)
    }

    /// Grows the tree of a round and measures it.
    pub(super) fn grow(&mut self, index: u32) -> Result<Round, TrainError> {
        self.booster.update(index, &self.training)?;
        let train_rmse = rmse(self.booster.margins(&self.training)?, self.inputs.training.target);
        self.train_curve.push(train_rmse);
        let validation_rmse = match (&self.validation, &self.inputs.validation) {
            (Some(matrix), Some(dataset)) => Some(rmse(self.booster.margins(matrix)?, dataset.target)),
            _ => None,
        };
        self.validation_curve.extend(validation_rmse);
        let is_best = match (self.inputs.params.early_stopping_rounds, validation_rmse) {
            (Some(_), Some(rmse)) => rmse < self.validation_curve[self.best_iteration as usize],
            _ => true,
        };
        if is_best {
            self.best_iteration = index;
        }
        Ok(Round { index, train_rmse, validation_rmse })
    }

    /// The rounds from `first_round` on; none of before a break.
    pub(super) fn segments(
        &mut self,
        fingerprint: Fingerprint,
        mut first_round: u32,
    ) -> Result<Vec<Segment>, TrainError> {
        let n_rounds = self.train_curve.len() as u32;
        let mut segments = vec![];
        while first_round < n_rounds {
            let end = n_rounds.min(first_round + self.rounds_per_segment);
            let model = self.booster.slice(first_round..end)?.save(Format::Ubj)?;
            let curves = [&self.train_curve, &self.validation_curve]
                .map(|curve| curve.get(first_round as usize..end as usize).unwrap_or_default());
            segments.push(Segment::encode(fingerprint, first_round, curves, &model)?);
            let bytes_per_round = model.len() / (end - first_round) as usize;
            self.rounds_per_segment = (SEGMENT_BYTES / bytes_per_round.max(1)).max(1) as u32;
            first_round = end;
        }
        Ok(segments)
    }

    /// The model up to the best round.
    pub(super) fn finish(self) -> Result<Trained, TrainError> {
        let Self { mut booster, train_curve, validation_curve, best_iteration, .. } = self;
        if (best_iteration as usize) + 1 < train_curve.len() {
            booster = booster.slice(0..best_iteration + 1)?;
        }
        if let Some(trees) = &self.earlier {
            booster = Booster::loaded(self.api, &trees.put_into(&booster.save(Format::Ubj)?)?)?;
        }
        let model_json = scalar_in_json(booster.save(Format::Json)?)?;
        let model_ubj = scalar_in_ubj(booster.save(Format::Ubj)?)?;
        let ensemble = xgboost_json::decode(&model_json)?.ensemble;
        Ok(Trained { model_json, model_ubj, ensemble, train_curve, validation_curve, best_iteration })
    }
}

fn configure(
    booster: &mut Booster<'_>,
    inputs: &Inputs<'_>,
    n_threads: NonZeroUsize,
) -> Result<(), CallError> {
    for (name, value) in FIXED {
        booster.set_param(name, value)?;
    }
    booster.set_param("seed", &inputs.seed().to_string())?;
    booster.set_threads(n_threads)?;
    for (name, value) in inputs.params.settings() {
        booster.set_param(name, &value)?;
    }
    booster.set_features(&FeatureStrings::new(&inputs.training)?)
}

/// Root mean squared error with libxgboost's rounding: the square of each row in f32, their sum
/// in f64.
fn rmse(predictions: &[f32], target: &[f32]) -> f64 {
    let squares: f64 = predictions.iter().zip(target).map(|(p, y)| f64::from((y - p) * (y - p))).sum();
    (squares / target.len() as f64).sqrt()
}

/// Position of the first of the least values; 0 if there are none.
fn first_of_least(values: &[f64]) -> usize {
    (1..values.len()).fold(0, |best, i| if values[i] < values[best] { i } else { best })
}
