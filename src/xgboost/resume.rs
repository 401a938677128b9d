//! Bringing a booster back to where a checkpoint left it, draws included.
//!
//! libxgboost's generator of `colsample_bytree` is seeded in the first round, lives in the booster and is
//! not saved; a booster that loads a model starts a new one. So a new booster goes through the earlier
//! rounds once more, on a table of one row that its base score fits: it draws as it did, in 0.04 ms a
//! round, and each tree is a lone leaf of 0. The rows start from what the earlier trees sum to
//! (`base_margin`), added up by libxgboost in the order in which it added them before. In every model
//! file that is written later, the earlier trees take the places of the stand-ins, byte for byte.

use std::num::NonZeroUsize;
use std::ops::{ControlFlow, Range};

use crate::forest::Matrix;

use super::api::Api;
use super::base_score;
use super::booster::Booster;
use super::dataset::Dataset;
use super::dmatrix::DMatrix;
use super::error::TrainError;
use super::ubjson::{MalformedModel, elements_at};

/// Where the trees stand in a model file.
const TREES: [&str; 4] = ["learner", "gradient_booster", "model", "trees"];

/// Rounds that rows catch up with in one call: seconds at most for ten million rows.
const ROUNDS_AT_A_TIME: u32 = 32;

/// Asked between such calls.
pub(super) type GoOn<'a> = &'a mut dyn FnMut() -> ControlFlow<()>;

/// The trees of before a checkpoint.
pub(super) struct EarlierTrees {
    model: Vec<u8>,
    trees: Vec<Range<usize>>,
}

impl EarlierTrees {
    /// The trees of a model in UBJSON, which must be so many.
    pub(super) fn new(model: Vec<u8>, n_trees: usize) -> Result<Self, MalformedModel> {
        let trees = elements_at(&model, &TREES)?;
        if trees.len() == n_trees { Ok(Self { model, trees }) } else { Err(MalformedModel) }
    }

    /// Lets rows start from the sums of these trees.
    pub(super) fn set_margins<'lib>(
        &self,
        api: &'lib Api,
        rows: &mut [&mut DMatrix<'lib>],
        n_threads: NonZeroUsize,
        go_on: GoOn<'_>,
    ) -> Result<(), TrainError> {
        let mut booster = Booster::loaded(api, &self.model)?;
        booster.set_threads(n_threads)?;
        for end in self.ends() {
            for matrix in &*rows {
                booster.margins_of_first(end, matrix)?;
            }
            ask(go_on)?;
        }
        for matrix in rows {
            let margins = booster.margins(matrix)?.to_vec();
            matrix.set_base_margin(&margins)?;
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
        let target = [base_score::of_ubj(&self.model)?];
        let row = DMatrix::new(api, &Dataset { features: &features, target: &target, ..*training }, 1)?;
        let mut round = 0;
        for end in self.ends() {
            // For one row threads cost more than they bring.
            booster.set_threads(NonZeroUsize::MIN)?;
            while round < end {
                booster.update(round, &row)?;
                round += 1;
            }
            booster.set_threads(n_threads)?;
            for matrix in rows {
                booster.margins(matrix)?;
            }
            ask(go_on)?;
        }
        Ok(())
    }

    /// After which rounds rows catch up.
    fn ends(&self) -> impl Iterator<Item = u32> {
        let all = self.trees.len() as u32;
        (1..=all).filter(move |&rounds| rounds.is_multiple_of(ROUNDS_AT_A_TIME) || rounds == all)
    }

    /// Puts these trees in the places of their stand-ins, as far as the model has them.
    pub(super) fn put_into(&self, model: &[u8]) -> Result<Vec<u8>, MalformedModel> {
        let stand_ins = elements_at(model, &TREES)?;
        let n = stand_ins.len().min(self.trees.len());
        let (Some(first), Some(last)) = (stand_ins.first(), stand_ins[..n].last()) else {
            return Err(MalformedModel);
        };
        let earlier = &self.model[self.trees[0].start..self.trees[n - 1].end];
        Ok([&model[..first.start], earlier, &model[last.end..]].concat())
    }
}

fn ask(go_on: GoOn<'_>) -> Result<(), TrainError> {
    match go_on() {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(TrainError::Cancelled),
    }
}
