//! Random forest for binary classification (Breiman, 2001), with scikit-learn's parameters.
//!
//! Each tree sees a bootstrap sample of the rows and, at each node, a random draw of the features.
//! A prediction is the mean over trees of the fraction of class 1 in the leaf.
//!
//! Like scikit-learn: Gini impurity, leaf and split minima counted in distinct in-bag rows,
//! thresholds halfway between neighbours, further features drawn while no valid split is found.
//! Unlike it: a node of many rows looks at no more than 255 candidate thresholds a feature, all of
//! them quantiles or distinct values of the column. A node of few rows looks at every threshold.
//! Categorical columns are taken by the order of their codes.
//!
//! Missing values: both directions are tried at each candidate, as well as the split of missing
//! from present. Where a node's training rows lack none, a missing value later goes to the child
//! with more rows.
//!
//! The flow: [`params`] -> `binning` once -> per tree `bootstrap`, then `grower`, which asks
//! `split` for the best split of each node.

mod binning;
mod bootstrap;
mod counts;
mod grower;
pub mod params;
mod split;

use super::ensemble::{Combine, Ensemble, Link};
use super::fit::{Checked, FitError, OnTree, Progress, check_shape, grow_trees};
use super::matrix::Matrix;
use super::rng::Rng;
use binning::BinnedMatrix;
use bootstrap::Bootstrap;
use counts::ClassWeights;
use grower::Grower;
pub use params::{ClassWeight, MaxFeatures, RandomForestParams};

/// Fits a forest on the current rayon pool.
///
/// `labels` holds 0 or 1 for each row. `on_tree` hears the number of trees done and may cancel. The result depends on rows, parameters and `seed` alone, not on the
/// number of threads. Rows of one class only give a constant forest.
///
/// # Errors
/// [`FitError`] for a table without rows or columns, labels that do not fit it, or cancellation.
pub fn fit(
    rows: &Matrix,
    labels: &[u8],
    params: &Checked<RandomForestParams>,
    seed: u64,
    on_tree: OnTree<'_>,
) -> Result<Ensemble, FitError> {
    check_shape(rows.n_rows(), rows.n_cols())?;
    check_labels(rows.n_rows(), labels)?;
    let progress = Progress::new(on_tree);
    let binned = BinnedMatrix::new(rows, &progress)?;
    let class_weights = ClassWeights::new(params.class_weight, labels);
    let new_scratch = || (Bootstrap::default(), Grower::new(&binned, class_weights, params, &progress));
    let grow = |(bootstrap, grower): &mut (Bootstrap, Grower<'_>), tree: u32| {
        let mut rng = Rng::for_stream(seed, u64::from(tree));
        bootstrap.draw(labels, params.bootstrap, &mut rng, grower.samples_mut());
        grower.grow(&mut rng)
    };
    Ok(Ensemble {
        n_features: rows.n_cols(),
        combine: Combine::Mean,
        base_score: 0.0,
        link: Link::Identity,
        trees: grow_trees(params.n_estimators, new_scratch, grow, &progress)?,
    })
}

fn check_labels(n_rows: usize, labels: &[u8]) -> Result<(), FitError> {
    if labels.len() != n_rows {
        return Err(FitError::LabelCount { rows: n_rows, labels: labels.len() });
    }
    match labels.iter().position(|&label| label > 1) {
        Some(row) => Err(FitError::BadLabel(row)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
