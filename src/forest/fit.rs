//! What both trainers share: checked parameters and the ways in which fitting fails.

use std::ops::{ControlFlow, Deref};
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;

use super::ensemble::Tree;

/// Hyperparameters that are known to be in range; the only kind that can be fitted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Checked<P>(P);

impl<P> Checked<P> {
    /// Only a `check` method may vouch for its parameters.
    pub(super) fn new(params: P) -> Self {
        Self(params)
    }
}

impl<P> Deref for Checked<P> {
    type Target = P;

    fn deref(&self) -> &P {
        &self.0
    }
}

/// A hyperparameter out of range.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{parameter} must be {requirement}, got {got}")]
pub struct ParamError {
    /// Its name, as in scikit-learn.
    pub parameter: &'static str,
    /// What it must be, in words.
    pub requirement: &'static str,
    /// What it was.
    pub got: f64,
}

impl ParamError {
    /// `Ok` when the requirement holds.
    pub(super) fn require(
        holds: bool,
        parameter: &'static str,
        requirement: &'static str,
        got: impl Into<f64>,
    ) -> Result<(), Self> {
        if holds { Ok(()) } else { Err(Self { parameter, requirement, got: got.into() }) }
    }
}

/// Why no model was fitted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FitError {
    /// No rows or no columns.
    #[error("no training rows or no features")]
    Empty,
    /// Row numbers must fit in 31 bits.
    #[error("{0} rows are too many")]
    TooManyRows(usize),
    /// One label a row is needed.
    #[error("{labels} labels for {rows} rows")]
    LabelCount {
        /// Rows of the table.
        rows: usize,
        /// Labels given.
        labels: usize,
    },
    /// A label is neither 0 nor 1.
    #[error("label of row {0} is neither 0 nor 1")]
    BadLabel(usize),
    /// The caller's progress callback asked to stop.
    #[error("cancelled")]
    Cancelled,
}

/// Checks the shape of a training table.
pub(super) fn check_shape(rows: usize, columns: usize) -> Result<(), FitError> {
    if rows == 0 || columns == 0 {
        return Err(FitError::Empty);
    }
    if i32::try_from(rows).is_err() {
        return Err(FitError::TooManyRows(rows));
    }
    Ok(())
}

/// Called with the number of trees done, from any thread: after each one, and now and then in
/// between, when a step takes long on many rows; `Break` cancels.
pub type OnTree<'a> = &'a (dyn Fn(usize) -> ControlFlow<()> + Sync);

/// How far a fit has come, and whether its caller still wants it.
pub(super) struct Progress<'a> {
    trees_done: AtomicUsize,
    on_tree: OnTree<'a>,
}

impl<'a> Progress<'a> {
    pub(super) fn new(on_tree: OnTree<'a>) -> Self {
        Self { trees_done: AtomicUsize::new(0), on_tree }
    }

    /// Asks whether to go on.
    pub(super) fn check(&self) -> Result<(), FitError> {
        self.tell(self.trees_done.load(Ordering::Relaxed))
    }

    fn tree_done(&self) -> Result<(), FitError> {
        self.tell(self.trees_done.fetch_add(1, Ordering::Relaxed) + 1)
    }

    fn tell(&self, trees_done: usize) -> Result<(), FitError> {
        match (self.on_tree)(trees_done) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(FitError::Cancelled),
        }
    }
}

/// Values that one thread looks at before it asks whether to go on: less than a millisecond, for who is asked may also
/// let others go first.
const VALUES_BETWEEN_CHECKS: usize = 1 << 17;

/// The work of one thread within trees.
pub(super) struct Meter<'a> {
    progress: &'a Progress<'a>,
    values: usize,
}

impl<'a> Meter<'a> {
    pub(super) fn new(progress: &'a Progress<'a>) -> Self {
        Self { progress, values: 0 }
    }

    /// Notes that so many values will be looked at, and asks whether to go on when it is time.
    pub(super) fn add(&mut self, values: usize) -> Result<(), FitError> {
        self.values += values;
        if self.values < VALUES_BETWEEN_CHECKS {
            return Ok(());
        }
        self.values = 0;
        self.progress.check()
    }
}

/// Grows trees `0..n` on the current rayon pool, each with a scratch space that its thread reuses.
pub(super) fn grow_trees<S>(
    n: u32,
    scratch: impl Fn() -> S + Sync + Send,
    grow: impl Fn(&mut S, u32) -> Result<Tree, FitError> + Sync + Send,
    progress: &Progress<'_>,
) -> Result<Vec<Tree>, FitError> {
    (0..n)
        .into_par_iter()
        .map_init(scratch, |scratch, index| {
            let tree = grow(scratch, index)?;
            progress.tree_done()?;
            Ok(tree)
        })
        .collect()
}
