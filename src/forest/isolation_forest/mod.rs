//! Isolation forest (Liu, Ting, Zhou, 2008), as scikit-learn's `IsolationForest`.
//!
//! Each tree splits a small sample of the rows by a random feature at a random threshold. Rows
//! that few splits isolate are abnormal: the score is `-2^(-E[h] / c(max_samples))`, with `h` the
//! depth of the row's leaf plus `c(rows in the leaf)`.
//!
//! Missing values: a node that meets some sends all of them to a random side; where all present
//! values are equal it splits the missing from the present. Where a node's training rows lack
//! none, a missing value later goes to the child with more rows.

mod grower;
pub mod params;

use super::ensemble::{Combine, Ensemble, Link};
use super::evaluator::Evaluator;
use super::fit::{Checked, FitError, OnTree, Progress, check_shape, grow_trees};
use super::matrix::Matrix;
use super::rng::Rng;
use grower::Grower;
pub use params::{Contamination, IsolationForestParams, MaxSamples};

/// The offset for contamination `Auto`: a score of -0.5 is what rows without structure get.
const AUTO_OFFSET: f64 = -0.5;

/// Fits an isolation forest on the current rayon pool.
///
/// `on_tree` hears the number of trees done and may cancel. The result depends on rows, parameters and
/// `seed` alone, not on the number of threads. A contamination other than `Auto` costs a score for every
/// training row.
///
/// # Errors
/// [`FitError`] for a table without rows or columns, or cancellation.
pub fn fit(
    rows: &Matrix,
    params: &Checked<IsolationForestParams>,
    seed: u64,
    on_tree: OnTree<'_>,
) -> Result<Ensemble, FitError> {
    check_shape(rows.n_rows(), rows.n_cols())?;
    let progress = Progress::new(on_tree);
    let max_samples = params.max_samples.resolve(rows.n_rows());
    let grow = |grower: &mut Grower<'_>, tree: u32| grower.grow(&mut Rng::for_stream(seed, u64::from(tree)));
    let new_scratch = || Grower::new(rows, max_samples, &progress);
    let trees = grow_trees(params.n_estimators, new_scratch, grow, &progress)?;
    // A sample of one row has no path to compare with; c(2) = 1 keeps the score finite.
    let average_path_length = average_path_length(max_samples).max(1.0);
    let mut forest = Ensemble {
        n_features: rows.n_cols(),
        combine: Combine::Mean,
        base_score: 0.0,
        link: Link::AnomalyScore { average_path_length, offset: AUTO_OFFSET },
        trees,
    };
    if let Contamination::Fraction(fraction) = params.contamination {
        let evaluator = Evaluator::new(&forest).expect("a grown forest is valid");
        let go_on = || on_tree(forest.trees.len());
        let scores = evaluator.predict_while(rows, &go_on).ok_or(FitError::Cancelled)?;
        forest.link = Link::AnomalyScore { average_path_length, offset: quantile(scores, fraction) };
    }
    Ok(forest)
}

/// Mean path length of an unsuccessful search in a binary search tree of `n` keys, eq. 1 of the
/// paper: `c(n) = 2 H(n - 1) - 2 (n - 1) / n`, the harmonic number taken as `ln(n - 1) + gamma`.
#[must_use]
pub fn average_path_length(n: usize) -> f64 {
    const EULER_GAMMA: f64 = 0.577_215_664_901_532_9;
    match n {
        0 | 1 => 0.0,
        2 => 1.0,
        _ => {
            let before = (n - 1) as f64;
            2.0 * (before.ln() + EULER_GAMMA) - 2.0 * before / n as f64
        }
    }
}

/// The `q` quantile, linear between neighbours, as numpy's `percentile(values, 100 q)`.
fn quantile(mut values: Vec<f64>, q: f64) -> f64 {
    let position = q * (values.len() - 1) as f64;
    let (_, &mut low, above) = values.select_nth_unstable_by(position as usize, f64::total_cmp);
    let high = above.iter().copied().reduce(f64::min).unwrap_or(low);
    low + (high - low) * position.fract()
}

#[cfg(test)]
mod tests;
