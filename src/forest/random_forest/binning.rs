//! Columns in 256 classes, made once for all trees.

use rayon::prelude::*;

use super::super::fit::{FitError, Progress};
use super::super::matrix::Matrix;
use super::super::order::{from_order_key, order_key};

/// The bin of missing values.
pub(super) const MISSING_BIN: u8 = u8::MAX;
/// Bins of present values, `0..MAX_BINS`.
const MAX_BINS: usize = MISSING_BIN as usize;

/// A table with the bin of each value.
pub(super) struct BinnedMatrix<'a> {
    values: &'a Matrix,
    columns: Vec<BinnedColumn>,
}

/// The bins of one feature, ascending. Bins never share a value.
pub(super) struct BinnedColumn {
    /// Bin of each row.
    pub(super) bins: Vec<u8>,
    /// Smallest and greatest value of each bin.
    bounds: Vec<(f32, f32)>,
}

impl<'a> BinnedMatrix<'a> {
    pub(super) fn new(values: &'a Matrix, progress: &Progress<'_>) -> Result<Self, FitError> {
        let bin = |j| progress.check().map(|()| BinnedColumn::new(values.column(j)));
        let columns = (0..values.n_cols()).into_par_iter().map(bin).collect::<Result<_, _>>()?;
        Ok(Self { values, columns })
    }

    pub(super) fn n_features(&self) -> usize {
        self.columns.len()
    }

    pub(super) fn values(&self, feature: usize) -> &[f32] {
        self.values.column(feature)
    }

    pub(super) fn column(&self, feature: usize) -> &BinnedColumn {
        &self.columns[feature]
    }
}

impl BinnedColumn {
    fn new(values: &[f32]) -> Self {
        let mut keys: Vec<i32> = values.iter().filter(|x| !x.is_nan()).map(|&x| order_key(x)).collect();
        keys.sort_unstable();
        let bounds = key_bounds(&keys);
        let upper: Vec<i32> = bounds.iter().map(|&(_, high)| high).collect();
        let bin_of = |&x: &f32| {
            if x.is_nan() { MISSING_BIN } else { upper.partition_point(|&high| high < order_key(x)) as u8 }
        };
        Self {
            bins: values.iter().map(bin_of).collect(),
            bounds: bounds.iter().map(|&(low, high)| (from_order_key(low), from_order_key(high))).collect(),
        }
    }

    /// Number of bins of present values.
    pub(super) fn n_bins(&self) -> usize {
        self.bounds.len()
    }

    /// The threshold between two bins that are neighbours in a node.
    pub(super) fn threshold_between(&self, lower: usize, upper: usize) -> f32 {
        threshold_between(self.bounds[lower].1, self.bounds[upper].0)
    }
}

/// Cuts ascending keys into at most [`MAX_BINS`] runs: each distinct key its own if they are few,
/// else runs of about equal length.
fn key_bounds(sorted: &[i32]) -> Vec<(i32, i32)> {
    let n_distinct = sorted.chunk_by(|a, b| a == b).count();
    let mut bounds: Vec<(i32, i32)> = Vec::with_capacity(n_distinct.min(MAX_BINS));
    let mut remaining = sorted.len();
    let mut in_last = usize::MAX;
    let mut target = 0;
    for run in sorted.chunk_by(|a, b| a == b) {
        if n_distinct <= MAX_BINS || in_last >= target {
            // The keys left, shared among the bins left: a long run does not starve its successors.
            target = remaining.div_ceil(MAX_BINS - bounds.len());
            bounds.push((run[0], run[0]));
            in_last = 0;
        }
        if let Some(last) = bounds.last_mut() {
            last.1 = run[0];
        }
        in_last += run.len();
        remaining -= run.len();
    }
    bounds
}

/// A threshold `t` with `low < t <= high`, the successor of their middle: so that `x < t` says
/// what scikit-learn's `x <= middle` says.
pub(super) fn threshold_between(low: f32, high: f32) -> f32 {
    let middle = low / 2.0 + high / 2.0;
    // Rounding may reach either end, and an infinite end has no middle.
    let middle = if low <= middle && middle < high { middle } else { low };
    middle.next_up()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn few_distinct_values_keep_a_bin_each() {
        let column = BinnedColumn::new(&[3.0, f32::NAN, -1.0, 3.0, 0.0, -0.0]);
        assert_eq!(column.bins, [2, MISSING_BIN, 0, 2, 1, 1]);
        assert_eq!(column.threshold_between(0, 2), 1.0f32.next_up());
    }

    #[test]
    fn many_distinct_values_fill_the_bins_evenly() {
        let values: Vec<f32> = (0..10_000).map(|i| (i as f32).sin()).collect();
        let column = BinnedColumn::new(&values);
        assert_eq!(column.n_bins(), MAX_BINS);
        let mut counts = [0; MAX_BINS];
        column.bins.iter().for_each(|&bin| counts[bin as usize] += 1);
        assert!(counts.iter().all(|count| (35..=45).contains(count)), "{counts:?}");
    }

    #[test]
    fn one_frequent_value_leaves_bins_for_the_others() {
        let mut values = vec![0.0; 9_000];
        values.extend((1..=1_000).map(|i| i as f32));
        assert!(BinnedColumn::new(&values).n_bins() > 200);
    }

    proptest! {
        #[test]
        fn a_threshold_divides_its_neighbours(a in any::<f32>(), b in any::<f32>()) {
            prop_assume!(!a.is_nan() && !b.is_nan() && a != b);
            let (low, high) = if a < b { (a, b) } else { (b, a) };
            let threshold = threshold_between(low, high);
            prop_assert!(low < threshold && threshold <= high);
        }

        #[test]
        fn bins_order_as_values(values in prop::collection::vec(-5.0f32..5.0, 1..2_000)) {
            let column = BinnedColumn::new(&values);
            let mut pairs: Vec<(f32, u8)> = values.iter().copied().zip(column.bins).collect();
            pairs.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
            for pair in pairs.windows(2) {
                prop_assert!(pair[0].1 <= pair[1].1, "{pair:?}");
            }
            prop_assert_eq!(column.bounds[0].0, pairs[0].0);
        }
    }
}
