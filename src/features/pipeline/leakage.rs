//! Features that give the target away: they are the target in disguise, or were written down after it
//! was known. Such a model looks perfect and is useless; the caller is told, and the training goes on.
//!
//! Measured over all usable rows, suspicious above `LIMIT`:
//! - a number: Pearson's correlation with the target, over the rows that have the number;
//! - a number beside two classes: whether one value separates them without an error (AUC 0 or 1),
//!   which a correlation does not see;
//! - a category: the correlation ratio, corrected for the number of categories (the root of epsilon
//!   squared: Kelley 1935, "An unbiased correlation ratio measure"). A missing category is one more;
//! - missing values of a number: the same ratio, of the two groups of rows with and without.

use rayon::prelude::*;

use super::moments::CoMoments;
use crate::{
    error::MAX_FAULTS,
    features::{FeatureKind, FeatureSchema},
    forest::Matrix,
};

/// Figures above this are told, of a correlation by its size.
const LIMIT: f64 = 0.999;

/// Fewest pairs of values that say anything; for groups, fewest rows beyond one a group.
const MIN_PAIRS: f64 = 20.0;

/// Fewest values of each class: of one rare row any feature may be the extreme.
const MIN_OF_CLASS: usize = 5;

/// A suspicious feature: what is too close to the target, and by which figure.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Leak {
    Correlation(f64),
    Separation,
    CategoryRatio(f64),
    MissingRatio(f64),
}

/// One sentence a suspicious feature, with the figure; the first [`MAX_FAULTS`] and the number of the rest.
/// None for an unsupervised model.
#[must_use]
pub fn warnings(schema: &FeatureSchema, features: &Matrix, target: &[f64]) -> Vec<String> {
    let Some(name) = schema.target.as_deref().filter(|_| !target.is_empty()) else { return vec![] };
    let target = Target::new(target);
    let leaks: Vec<_> = schema
        .features
        .par_iter()
        .enumerate()
        .filter_map(|(j, feature)| {
            let leak = match &feature.kind {
                FeatureKind::Numeric => target.numeric_leak(features.column(j)),
                FeatureKind::Categorical { categories, .. } => {
                    target.categorical_leak(features.column(j), categories.len())
                }
            };
            leak.map(|leak| (feature.name.as_str(), leak))
        })
        .collect();
    let mut warnings: Vec<_> =
        leaks.iter().take(MAX_FAULTS).map(|(feature, leak)| leak.sentence(feature, name)).collect();
    if let more @ 1.. = leaks.len().saturating_sub(MAX_FAULTS) {
        warnings.push(format!("{more} more features may give the target '{name}' away"));
    }
    warnings
}

impl Leak {
    fn sentence(self, feature: &str, target: &str) -> String {
        let what = match self {
            Self::Correlation(r) => format!("its correlation with it is {r:.5}"),
            Self::Separation => "one value of it separates the classes without an error (AUC 1)".to_owned(),
            Self::CategoryRatio(eta) => format!("its correlation ratio with it is {eta:.5}"),
            Self::MissingRatio(eta) => {
                format!("where its values are missing tells it (correlation ratio {eta:.5})")
            }
        };
        format!("'{feature}' may give the target '{target}' away: {what}")
    }
}

/// The target with what all columns need of it.
struct Target<'a> {
    values: &'a [f64],
    mean: f64,
    /// Sum of squared deviations from the mean.
    squares: f64,
    is_binary: bool,
}

impl<'a> Target<'a> {
    fn new(values: &'a [f64]) -> Self {
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let squares = values.iter().map(|value| (value - mean).powi(2)).sum();
        let is_binary = values.iter().all(|&value| value == 0.0 || value == 1.0);
        Self { values, mean, squares, is_binary }
    }

    fn numeric_leak(&self, column: &[f32]) -> Option<Leak> {
        let moments = CoMoments::of(column, self.values);
        if moments.n() >= MIN_PAIRS {
            if let Some(r) = moments.correlation().filter(|r| r.abs() > LIMIT) {
                return Some(Leak::Correlation(r));
            }
            if self.is_binary && self.separates(column) {
                return Some(Leak::Separation);
            }
        }
        if moments.n() == column.len() as f64 {
            return None;
        }
        let ratio = self.ratio(column.iter().map(|value| usize::from(value.is_nan())), 2);
        ratio.filter(|&ratio| ratio > LIMIT).map(Leak::MissingRatio)
    }

    fn categorical_leak(&self, column: &[f32], n_categories: usize) -> Option<Leak> {
        let group = |&code: &f32| if code.is_nan() { n_categories } else { code as usize };
        let ratio = self.ratio(column.iter().map(group), n_categories + 1);
        ratio.filter(|&ratio| ratio > LIMIT).map(Leak::CategoryRatio)
    }

    /// Whether all values of one class lie beyond all of the other.
    fn separates(&self, column: &[f32]) -> bool {
        let mut ranges = [(f32::INFINITY, f32::NEG_INFINITY, 0); 2];
        for (&value, &class) in column.iter().zip(self.values).filter(|(value, _)| !value.is_nan()) {
            let (low, high, count) = &mut ranges[usize::from(class == 1.0)];
            (*low, *high, *count) = (low.min(value), high.max(value), *count + 1);
        }
        let [(low_0, high_0, count_0), (low_1, high_1, count_1)] = ranges;
        count_0.min(count_1) >= MIN_OF_CLASS && (high_0 < low_1 || high_1 < low_0)
    }

    /// Correlation ratio of the groups with the target, corrected for their number: `1 -
    /// (within / (n - k)) / (all / (n - 1))`, of which the root. `None` where hardly a group
    /// has two rows: those few would decide.
    fn ratio(&self, groups: impl Iterator<Item = usize>, n_groups: usize) -> Option<f64> {
        let mut sums = vec![(0.0, 0.0); n_groups];
        for (group, value) in groups.zip(self.values) {
            sums[group].0 += 1.0;
            sums[group].1 += value - self.mean;
        }
        sums.retain(|&(count, _)| count > 0.0);
        let between: f64 = sums.iter().map(|(count, sum)| sum * sum / count).sum();
        let (n, k) = (self.values.len() as f64, sums.len() as f64);
        if n - k < MIN_PAIRS || self.squares == 0.0 {
            return None;
        }
        let unexplained = ((self.squares - between).max(0.0) / (n - k)) / (self.squares / (n - 1.0));
        Some((1.0 - unexplained).max(0.0).sqrt())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by_class(f: impl Fn(usize, bool) -> f32) -> (Vec<f32>, Vec<f64>) {
        let class = |i: usize| i * 7 % 10 < 3;
        (
            (0..200).map(|i| f(i, class(i))).collect(),
            (0..200).map(|i| f64::from(u8::from(class(i)))).collect(),
        )
    }

    #[test]
    fn a_value_beyond_which_all_are_of_one_class_is_a_leak() {
        // Correlation 0.76: a power law of the days since default, for instance.
        let (column, target) =
            by_class(|i, class| if class { 10.0 + (i % 17) as f32 } else { (i % 10) as f32 });
        assert_eq!(Target::new(&target).numeric_leak(&column), Some(Leak::Separation));
        let (column, target) = by_class(|i, class| (i % 17) as f32 + if class { 9.0 } else { 0.0 });
        assert_eq!(Target::new(&target).numeric_leak(&column), None);
    }

    #[test]
    fn what_is_only_known_of_one_class_is_a_leak() {
        let (column, target) = by_class(|i, class| if class { (i % 5) as f32 } else { f32::NAN });
        let leak = Target::new(&target).numeric_leak(&column);
        assert!(matches!(leak, Some(Leak::MissingRatio(eta)) if (eta - 1.0).abs() < 1e-12), "{leak:?}");
        let (column, target) = by_class(|i, _| if i % 3 == 0 { f32::NAN } else { (i % 5) as f32 });
        assert_eq!(Target::new(&target).numeric_leak(&column), None);
    }

    #[test]
    fn a_category_of_its_own_for_every_row_is_no_leak() {
        let target: Vec<f64> = (0..40).map(f64::from).collect();
        let own: Vec<f32> = (0..40u8).map(f32::from).collect();
        assert_eq!(Target::new(&target).categorical_leak(&own, 40), None);
        let decades: Vec<f32> = (0..40u8).map(|i| f32::from(i / 10)).collect();
        assert_eq!(Target::new(&target).categorical_leak(&decades, 4), None, "0.97 explains much, not all");
        let target: Vec<f64> = (0..40).map(|i| f64::from(i / 10 * 100 + i % 2)).collect();
        let Some(Leak::CategoryRatio(eta)) = Target::new(&target).categorical_leak(&decades, 4) else {
            panic!("a leak")
        };
        assert!(eta > 0.9999, "{eta}");
    }
}
