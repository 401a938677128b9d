//! What the rows of a model looked like: the reference against which later rows are compared.
//!
//! Kept with the model as a file of its own, since only comparisons read it: about 0.7 kB a number,
//! at most 2 kB a category.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{
    features::{FeatureKind, FeatureSchema},
    forest::Matrix,
};

/// Shares of the rows at which a profile has quantiles.
pub const QUANTILES: [f64; 7] = [0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99];

/// Bins of a histogram, of equal shares of the rows as far as the values allow.
const BINS: usize = 20;

/// Summary of the rows of a model, training and validation rows alike.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DataProfile {
    /// Number of rows.
    pub n_rows: u64,
    /// In model order.
    pub features: Vec<FeatureProfile>,
    /// Of the target; `None` for an unsupervised model.
    pub target: Option<NumericProfile>,
}

/// Summary of one feature.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FeatureProfile {
    /// The feature's name.
    pub name: String,
    /// Rows with a value.
    pub count: u64,
    /// Rows without.
    pub missing: u64,
    /// What the values are like.
    #[serde(flatten)]
    pub values: ValuesProfile,
}

/// Summary of the values of one feature.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ValuesProfile {
    /// Of numbers.
    Numeric(NumericProfile),
    /// Of categories.
    Categorical {
        /// Rows by category, in the order of the schema's `categories`.
        counts: Vec<u64>,
    },
}

/// Summary of numbers. Missing values do not count.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NumericProfile {
    /// Arithmetic mean.
    pub mean: f64,
    /// Standard deviation of a sample (divided by n - 1); `None` of a single value.
    pub std: Option<f64>,
    /// Least value.
    pub min: f64,
    /// Greatest value.
    pub max: f64,
    /// Share of the values and quantile, at [`QUANTILES`], interpolated as numpy's default `linear` does.
    pub quantiles: Vec<(f64, f64)>,
    /// For the population stability index and the Kolmogorov-Smirnov distance.
    pub histogram: Histogram,
}

/// Counts of values between edges that were chosen so that the bins hold about equal shares.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Histogram {
    /// Ascending and distinct. Bin `i` holds the values above `edges[i - 1]` up to and with `edges[i]`;
    /// the first and the last bin are open.
    pub edges: Vec<f64>,
    /// Values by bin, one more than edges.
    pub counts: Vec<u64>,
}

impl DataProfile {
    /// Of a model's rows.
    ///
    /// # Panics
    /// If a number has no value in any row; the pipeline leaves such columns out before.
    #[must_use]
    pub fn of(schema: &FeatureSchema, features: &Matrix, target: &[f64]) -> Self {
        let profile = |(j, feature): (usize, &crate::features::Feature)| {
            let column = features.column(j);
            let count = column.iter().filter(|value| !value.is_nan()).count() as u64;
            let values = match &feature.kind {
                FeatureKind::Numeric => ValuesProfile::Numeric(NumericProfile::of_sorted(&sorted(column))),
                FeatureKind::Categorical { categories, .. } => {
                    ValuesProfile::Categorical { counts: counts(column, categories.len()) }
                }
            };
            FeatureProfile { name: feature.name.clone(), count, missing: column.len() as u64 - count, values }
        };
        let (features_profile, target_profile) = rayon::join(
            || schema.features.par_iter().enumerate().map(profile).collect(),
            || {
                let mut target = target.to_vec();
                target.par_sort_unstable_by(f64::total_cmp);
                (!target.is_empty()).then(|| NumericProfile::of_sorted(&target))
            },
        );
        Self { n_rows: features.n_rows() as u64, features: features_profile, target: target_profile }
    }
}

impl NumericProfile {
    /// Of one or more ascending finite values.
    fn of_sorted<T: Copy + Into<f64>>(sorted: &[T]) -> Self {
        let value = |i: usize| -> f64 { sorted[i].into() };
        let n = sorted.len() as f64;
        let mean = sorted.iter().map(|&value| value.into()).sum::<f64>() / n;
        // Two passes, corrected for the rounding of the mean (Chan, Golub & LeVeque 1983, 1.7).
        let (sum, squares) = sorted.iter().fold((0.0, 0.0), |(sum, squares), &value| {
            let deviation = value.into() - mean;
            (sum + deviation, squares + deviation * deviation)
        });
        let variance = ((squares - sum * sum / n) / (n - 1.0)).max(0.0);
        Self {
            mean,
            std: (sorted.len() > 1).then(|| variance.sqrt()),
            min: value(0),
            max: value(sorted.len() - 1),
            quantiles: QUANTILES.map(|share| (share, quantile(sorted, share))).to_vec(),
            histogram: Histogram::of_sorted(sorted),
        }
    }
}

impl Histogram {
    fn of_sorted<T: Copy + Into<f64>>(sorted: &[T]) -> Self {
        let mut edges: Vec<f64> = (1..BINS).map(|bin| quantile(sorted, bin as f64 / BINS as f64)).collect();
        edges.dedup();
        let up_to = edges.iter().map(|&edge| sorted.partition_point(|&value| value.into() <= edge) as u64);
        let mut below = 0;
        let counts = up_to
            .chain([sorted.len() as u64])
            .map(|up_to| up_to - std::mem::replace(&mut below, up_to))
            .collect();
        Self { edges, counts }
    }
}

/// The value below which that share of the ascending values lies: between the two nearest, weighted
/// as numpy's `quantile(method="linear")` does.
fn quantile<T: Copy + Into<f64>>(sorted: &[T], share: f64) -> f64 {
    let position = (sorted.len() - 1) as f64 * share;
    let below = position.floor() as usize;
    let (a, b): (f64, f64) = (sorted[below].into(), sorted[(below + 1).min(sorted.len() - 1)].into());
    let weight = position - position.floor();
    // From the nearer end, so that the ends are exact.
    if weight < 0.5 { a + (b - a) * weight } else { b - (b - a) * (1.0 - weight) }
}

/// The values that are not missing, ascending.
fn sorted(column: &[f32]) -> Vec<f32> {
    // Integers in the order of the numbers (sign and magnitude to two's complement) sort faster.
    let key = |value: f32| {
        let bits = value.to_bits();
        bits ^ if bits >> 31 == 1 { u32::MAX } else { 1 << 31 }
    };
    let number = |key: u32| f32::from_bits(key ^ if key >> 31 == 1 { 1 << 31 } else { u32::MAX });
    let mut keys: Vec<u32> = column.iter().filter(|value| !value.is_nan()).map(|&value| key(value)).collect();
    keys.sort_unstable();
    keys.into_iter().map(number).collect()
}

fn counts(column: &[f32], n_categories: usize) -> Vec<u64> {
    let mut counts = vec![0; n_categories];
    for code in column.iter().filter(|code| !code.is_nan()) {
        counts[*code as usize] += 1;
    }
    counts
}
