//! Bringing a booster back to where a checkpoint left it, draws included.
//!
//! libxgboost's generator of `colsample_bytree` is seeded in the first round, lives in the booster and is
//! not saved; a booster that loads a model starts a new one. So a new booster goes through the earlier
//! rounds once more, on a table of one row that its base score fits: it draws as it did, in 0.04 ms a
//! round, and each tree is a lone leaf of 0. The rows start from what the earlier trees sum to
//! (`base_margin`), added up by libxgboost in the order in which it added them before. In the model file
//! that is written at the end, the earlier trees take the places of the stand-ins.

use std::num::NonZeroUsize;
use std::ops::{ControlFlow, Range};

use crate::forest::Matrix;

use super::api::Api;
use super::base_score;
use super::booster::Booster;
use super::dataset::Dataset;
use super::dmatrix::DMatrix;
use super::error::TrainError;
use super::ubjson::{MalformedModel, elements_at, integer, number_at};

/// Where the trees stand in a model file.
const TREES: [&str; 4] = ["learner", "gradient_booster", "model", "trees"];

/// Where a tree holds its place among the others.
const TREE_ID: [&str; 1] = ["id"];

/// Rounds that rows catch up with in one call: seconds at most for ten million rows.
const ROUNDS_AT_A_TIME: usize = 32;

/// Asked between such calls.
pub(super) type GoOn<'a> = &'a mut dyn FnMut() -> ControlFlow<()>;

/// The trees of before a checkpoint.
pub(super) struct EarlierTrees {
    /// Models with the trees of some rounds each, in their order, and where each tree stands in its model.
    models: Vec<(Vec<u8>, Vec<Range<usize>>)>,
    n_trees: u32,
}

impl EarlierTrees {
    /// The trees of models in UBJSON, of which there must be so many.
    pub(super) fn new(models: Vec<Vec<u8>>, n_trees: usize) -> Result<Self, MalformedModel> {
        let with_trees = |model: Vec<u8>| elements_at(&model, &TREES).map(|trees| (model, trees));
        let models = models.into_iter().map(with_trees).collect::<Result<Vec<_>, _>>()?;
        if models.is_empty() || models.iter().map(|(_, trees)| trees.len()).sum::<usize>() != n_trees {
            return Err(MalformedModel);
        }
        Ok(Self { models, n_trees: n_trees as u32 })
    }

    /// Lets rows start from the sums of these trees.
    pub(super) fn set_margins<'lib>(
        &self,
        api: &'lib Api,
        rows: &mut [&mut DMatrix<'lib>],
        n_threads: NonZeroUsize,
        go_on: GoOn<'_>,
    ) -> Result<(), TrainError> {
        for (model, _) in &self.models {
            let mut booster = Booster::loaded(api, model)?;
            booster.set_threads(n_threads)?;
            for matrix in &mut *rows {
                // The first model starts from its base score, every other one from the margins before.
                let margins = booster.margins(matrix)?.to_vec();
                matrix.set_base_margin(&margins)?;
            }
            ask(go_on)?;
        }
        Ok(())
    }

    /// Takes a new booster that has `rows` in its cache through the rounds of these trees; `training` has
    /// the columns.
    pub(super) fn replay<'lib>(
        &self,
        api: &'lib Api,
        booster: &mut Booster<'lib>,
        rows: &[&DMatrix<'lib>],
        training: &Dataset<'_>,
        n_threads: NonZeroUsize,
        go_on: GoOn<'_>,
    ) -> Result<(), TrainError> {
        let features = Matrix::from_columns(vec![vec![0.0]; training.features.n_cols()]);
        let (first, _) = self.models.first().ok_or(MalformedModel)?;
        let target = [base_score::of_ubj(first)?];
        let row = DMatrix::new(api, &Dataset { features: &features, target: &target, ..*training }, 1)?;
        for begin in (0..self.n_trees).step_by(ROUNDS_AT_A_TIME) {
            // For one row threads cost more than they bring.
            booster.set_threads(NonZeroUsize::MIN)?;
            for round in (begin..self.n_trees).take(ROUNDS_AT_A_TIME) {
                booster.update(round, &row)?;
            }
            booster.set_threads(n_threads)?;
            for matrix in rows {
                booster.margins(matrix)?;
            }
            ask(go_on)?;
        }
        Ok(())
    }

    /// Puts these trees in the places of their stand-ins, as far as the model has them.
    pub(super) fn put_into(&self, model: &[u8]) -> Result<Vec<u8>, MalformedModel> {
        let stand_ins = elements_at(model, &TREES)?;
        let trees =
            self.models.iter().flat_map(|(model, trees)| trees.iter().map(|tree| &model[tree.clone()]));
        let Some(first) = stand_ins.first() else { return Err(MalformedModel) };
        let mut whole = model[..first.start].to_vec();
        let mut end = first.start;
        for (id, (tree, stand_in)) in trees.zip(&stand_ins).enumerate() {
            // In its own model it was counted from 0.
            let number = number_at(tree, &TREE_ID)?;
            whole.extend(&tree[..number.start]);
            whole.extend(integer(id as i64));
            whole.extend(&tree[number.end..]);
            end = stand_in.end;
        }
        whole.extend(&model[end..]);
        Ok(whole)
    }
}

fn ask(go_on: GoOn<'_>) -> Result<(), TrainError> {
    match go_on() {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(TrainError::Cancelled),
    }
}
