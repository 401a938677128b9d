//! Prediction: an [`Ensemble`] laid out for speed.
//!
//! A walk down a tree is a chain of dependent loads, so one walk alone leaves a processor idle.
//! [`Evaluator`] therefore walks many chains at once, eight trees for one row or sixteen rows
//! for one tree, without a branch that depends on data:
//! - values become integers whose order also places missing ones (`keys`);
//! - children are neighbours, so that a comparison is added to an index, and a leaf is its own
//!   child, so that shorter paths simply wait (`layout`).
//!
//! The answers are bit-equal to the plain walk [`Tree::leaf_of`](super::Tree::leaf_of).

mod keys;
mod layout;

use std::cell::RefCell;
use std::ops::ControlFlow;

use rayon::prelude::*;

use super::ensemble::{Combine, Ensemble, Link};
use super::matrix::Matrix;
use super::validate::InvalidEnsemble;
use layout::{Forest, Root};

/// Trees that one row walks at a time.
const TREE_LANES: usize = 8;
/// Rows that walk one tree at a time.
const ROW_LANES: usize = 16;
/// Steps (rows x trees x depth) from which a second thread pays: about a millisecond of work.
const PARALLEL_STEPS: usize = 1 << 20;

thread_local! {
    /// Keys of the row at hand: a prediction allocates nothing after a thread's first one.
    static ROW_KEYS: RefCell<Vec<i32>> = const { RefCell::new(Vec::new()) };
}

/// A fitted model, ready to predict.
#[derive(Debug, Clone)]
pub struct Evaluator {
    n_features: usize,
    combine: Combine,
    base_score: f32,
    link: Link,
    forest: Forest,
}

impl Evaluator {
    /// Compiles an ensemble.
    ///
    /// # Errors
    /// [`InvalidEnsemble`] when [`Ensemble::validate`] finds a fault; what it returns can neither
    /// panic on a row of the right length nor loop.
    pub fn new(ensemble: &Ensemble) -> Result<Self, InvalidEnsemble> {
        ensemble.validate()?;
        Ok(Self {
            n_features: ensemble.n_features,
            combine: ensemble.combine,
            base_score: ensemble.base_score,
            link: ensemble.link,
            forest: Forest::new(&ensemble.trees),
        })
    }

    /// Number of values in a row.
    #[must_use]
    pub fn n_features(&self) -> usize {
        self.n_features
    }

    /// Memory that the model holds, in bytes.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        size_of::<Self>() + self.forest.heap_bytes()
    }

    /// The prediction of one row, on the calling thread and without allocation.
    ///
    /// # Panics
    /// If the row does not hold [`n_features`](Self::n_features) values.
    #[must_use]
    pub fn predict_row(&self, row: &[f32]) -> f64 {
        self.link.apply(self.predict_raw_row(row))
    }

    /// Like [`predict_row`](Self::predict_row), before the link: a margin, a mean probability or a
    /// mean path length.
    ///
    /// # Panics
    /// If the row does not hold [`n_features`](Self::n_features) values.
    #[must_use]
    pub fn predict_raw_row(&self, row: &[f32]) -> f64 {
        assert_eq!(row.len(), self.n_features, "a row of the model's features");
        ROW_KEYS.with_borrow_mut(|keys| {
            keys.clear();
            keys.extend(self.forest.slots.iter().map(|slot| slot.key(row[slot.feature as usize])));
            if self.forest.has_categories() {
                self.walk_row::<true>(keys)
            } else {
                self.walk_row::<false>(keys)
            }
        })
    }

    /// The prediction of every row; on the current rayon pool when there is work for more than
    /// one thread.
    ///
    /// # Panics
    /// If the table does not have [`n_features`](Self::n_features) columns.
    #[must_use]
    pub fn predict(&self, rows: &Matrix) -> Vec<f64> {
        self.predict_while(rows, &|| ControlFlow::Continue(())).unwrap_or_default()
    }

    /// Like [`predict`](Self::predict), asking before every few milliseconds of work, on any thread,
    /// whether to go on; none after a `Break`.
    ///
    /// # Panics
    /// If the table does not have [`n_features`](Self::n_features) columns.
    #[must_use]
    pub fn predict_while(
        &self,
        rows: &Matrix,
        go_on: &(dyn Fn() -> ControlFlow<()> + Sync),
    ) -> Option<Vec<f64>> {
        assert_eq!(rows.n_cols(), self.n_features, "a table of the model's features");
        let mut predictions = vec![0.0; rows.n_rows()];
        let steps_per_row = self.forest.steps_per_row().max(1);
        let chunk = (PARALLEL_STEPS / steps_per_row).next_multiple_of(ROW_LANES).max(ROW_LANES);
        let predict_chunk = |(i, out): (usize, &mut [f64])| {
            go_on()?;
            self.predict_rows(rows, i * chunk, out);
            ControlFlow::Continue(())
        };
        let done = if rows.n_rows() <= 2 * chunk {
            predictions.chunks_mut(chunk).enumerate().try_for_each(predict_chunk)
        } else {
            predictions.par_chunks_mut(chunk).enumerate().try_for_each(predict_chunk)
        };
        done.is_continue().then_some(predictions)
    }

    /// Predictions of the rows from `first` on, as many as `out` holds.
    fn predict_rows(&self, rows: &Matrix, first: usize, out: &mut [f64]) {
        let mut keys = vec![[0; ROW_LANES]; self.forest.slots.len()];
        for (i, out) in out.chunks_mut(ROW_LANES).enumerate() {
            let start = first + i * ROW_LANES;
            for (slot, lanes) in self.forest.slots.iter().zip(&mut keys) {
                let column = &rows.column(slot.feature as usize)[start..start + out.len()];
                slot.fill(column, lanes);
            }
            let values = if self.forest.has_categories() {
                self.walk_block::<true>(&keys)
            } else {
                self.walk_block::<false>(&keys)
            };
            out.iter_mut().zip(values).for_each(|(out, value)| *out = self.link.apply(value));
        }
    }

    /// One row through all trees, [`TREE_LANES`] at a time.
    fn walk_row<const CATEGORIES: bool>(&self, keys: &[i32]) -> f64 {
        let mut total = self.start();
        for roots in self.forest.roots.chunks(TREE_LANES) {
            // The lanes of an incomplete last group walk its first tree once more.
            let mut at = [roots[0].node; TREE_LANES];
            for (at, root) in at.iter_mut().zip(roots) {
                *at = root.node;
            }
            let depth = roots.iter().map(|r| r.depth).max().unwrap_or(0);
            self.forest.descend::<TREE_LANES, CATEGORIES>(&mut at, depth, |slot, _| keys[slot]);
            for &leaf in &at[..roots.len()] {
                total = self.add(total, self.forest.value(leaf));
            }
        }
        self.finish(total)
    }

    /// [`ROW_LANES`] rows through all trees, one tree at a time.
    fn walk_block<const CATEGORIES: bool>(&self, keys: &[[i32; ROW_LANES]]) -> [f64; ROW_LANES] {
        let mut totals = [self.start(); ROW_LANES];
        for &Root { node, depth } in &self.forest.roots {
            let mut at = [node; ROW_LANES];
            self.forest.descend::<ROW_LANES, CATEGORIES>(&mut at, depth, |slot, lane| keys[slot][lane]);
            for (total, &leaf) in totals.iter_mut().zip(&at) {
                *total = self.add(*total, self.forest.value(leaf));
            }
        }
        totals.map(|total| self.finish(total))
    }

    fn start(&self) -> f64 {
        match self.combine {
            Combine::Sum => f64::from(self.base_score),
            Combine::Mean => 0.0,
        }
    }

    /// A sum rounds to f32 after each tree, as libxgboost does.
    fn add(&self, total: f64, value: f64) -> f64 {
        match self.combine {
            Combine::Sum => f64::from(total as f32 + value as f32),
            Combine::Mean => total + value,
        }
    }

    fn finish(&self, total: f64) -> f64 {
        match self.combine {
            Combine::Sum => total,
            Combine::Mean => total / self.forest.roots.len() as f64,
        }
    }
}

impl Link {
    /// From the combined number to the answer.
    #[must_use]
    pub fn apply(self, raw: f64) -> f64 {
        match self {
            Self::Identity => raw,
            Self::Logistic => 1.0 / (1.0 + (-raw).exp()),
            Self::AnomalyScore { average_path_length, .. } => -(-raw / average_path_length).exp2(),
        }
    }
}

#[cfg(test)]
mod tests;
