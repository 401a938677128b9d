//! The best split of one node by one feature after another.
//!
//! Gini impurity of a node with weight `T` and class-1 weight `P` is `2 (P/T) (1 - P/T)`. Splitting
//! off a left child `(t, p)` lowers the weighted impurity by `2 d^2 / (T t (T - t))` with
//! `d = p T - t P`. Within a node `T` is constant: the best split has the greatest
//! `d^2 / (t (T - t))`, compared without dividing.

use super::super::order::{from_order_key, order_key};
use super::binning::{BinnedMatrix, MISSING_BIN, threshold_between};
use super::bootstrap::Sample;
use super::counts::{ClassWeights, Counts};

/// Nodes with fewer rows look at every threshold; sorting them costs less than scanning bins.
const EXACT_BELOW: usize = 64;

/// A split that can be carried out.
#[derive(Debug, Clone, Copy)]
pub(super) struct Split {
    pub(super) feature: usize,
    pub(super) threshold: f32,
    pub(super) default_left: bool,
    pub(super) left: Counts,
    /// The last bin that goes left, where bins decide as the threshold does.
    pub(super) last_bin: Option<u8>,
    score: Score,
}

impl Split {
    /// Weighted decrease of impurity, in rows; `total` is the node's weight.
    pub(super) fn gain(&self, total: f64) -> f64 {
        2.0 * self.score.numerator / (total * self.score.denominator)
    }
}

/// A boundary between the values that go left and those that go right.
#[derive(Debug, Clone, Copy)]
struct Boundary {
    /// Number of groups (bins or samples) on the left of it.
    end: usize,
    default_left: bool,
    left: Counts,
    score: Score,
}

/// Searches one node, feature by feature; its buffers serve all nodes.
pub(super) struct Splitter<'a> {
    binned: &'a BinnedMatrix<'a>,
    weights: ClassWeights,
    min_samples_leaf: usize,
    /// [`Counts`] by bin.
    histogram: [Counts; 256],
    /// Distinct rows by bin; filled only where the leaf minimum asks for them.
    rows: [u32; 256],
    /// Order key of the value above, [`Sample::payload`] below.
    sorted: Vec<u64>,
}

impl<'a> Splitter<'a> {
    pub(super) fn new(binned: &'a BinnedMatrix<'a>, weights: ClassWeights, min_samples_leaf: u32) -> Self {
        let min_samples_leaf = min_samples_leaf as usize;
        Self {
            binned,
            weights,
            min_samples_leaf,
            histogram: [Counts::NONE; 256],
            rows: [0; 256],
            sorted: Vec::new(),
        }
    }

    /// Whatever is better: `best`, or the best split of these samples by `feature`.
    pub(super) fn improve(
        &mut self,
        best: Option<Split>,
        samples: &[Sample],
        node: Counts,
        feature: usize,
    ) -> Option<Split> {
        let bar = best.map_or(Score::NONE, |split| split.score);
        let found = if samples.len() < EXACT_BELOW {
            self.search_values(samples, node, feature, bar)
        } else if self.min_samples_leaf == 1 {
            self.search_bins::<false>(samples, node, feature, bar)
        } else {
            self.search_bins::<true>(samples, node, feature, bar)
        };
        found.or(best)
    }

    /// Every bin of the column is a candidate. `LEAF_MINIMUM`: count distinct rows as well.
    fn search_bins<const LEAF_MINIMUM: bool>(
        &mut self,
        samples: &[Sample],
        node: Counts,
        feature: usize,
        bar: Score,
    ) -> Option<Split> {
        let column = self.binned.column(feature);
        let n_bins = column.n_bins();
        self.histogram = [Counts::NONE; 256];
        if LEAF_MINIMUM {
            self.rows = [0; 256];
        }
        for sample in samples {
            let bin = column.bins[sample.row as usize] as usize;
            self.histogram[bin] += sample.counts();
            if LEAF_MINIMUM {
                self.rows[bin] += 1;
            }
        }
        let missing = (self.histogram[MISSING_BIN as usize], self.rows[MISSING_BIN as usize] as usize);
        let groups = || {
            let rows = self.rows.iter().map(|&rows| rows as usize);
            self.histogram[..n_bins].iter().copied().zip(rows)
        };
        let search = Search { weights: self.weights, node, n_rows: samples.len() };
        let minimum = if LEAF_MINIMUM { self.min_samples_leaf } else { 0 };
        let mut found = search.boundary(groups(), (Counts::NONE, 0), false, minimum, bar);
        if missing.0.total() > 0 {
            let bar = found.map_or(bar, |boundary| boundary.score);
            found = search.boundary(groups(), missing, true, minimum, bar).or(found);
        }
        let boundary = found?;
        let last = boundary.end - 1;
        // The winner is the first of equals, hence its last bin is not empty; its successor may be.
        let next = (boundary.end..n_bins).find(|&bin| self.histogram[bin] != Counts::NONE);
        let threshold = next.map_or(f32::INFINITY, |next| column.threshold_between(last, next));
        Some(self.split(feature, threshold, boundary, Some(last as u8), node, missing.0))
    }

    /// Every pair of neighbouring values is a candidate.
    fn search_values(
        &mut self,
        samples: &[Sample],
        node: Counts,
        feature: usize,
        bar: Score,
    ) -> Option<Split> {
        let values = self.binned.values(feature);
        let mut missing = (Counts::NONE, 0);
        self.sorted.clear();
        for sample in samples {
            let x = values[sample.row as usize];
            if x.is_nan() {
                missing = (missing.0 + sample.counts(), missing.1 + 1);
            } else {
                // Flipping the sign bit makes unsigned order the signed one.
                let key = order_key(x) as u32 ^ (1 << 31);
                self.sorted.push(u64::from(key) << 32 | u64::from(sample.payload()));
            }
        }
        self.sorted.sort_unstable();
        let search = Search { weights: self.weights, node, n_rows: samples.len() };
        let mut found = None;
        let mut bar = bar;
        let directions: &[bool] = if missing.1 == 0 { &[false] } else { &[false, true] };
        for &default_left in directions {
            let start = if default_left { missing } else { (Counts::NONE, 0) };
            if let Some(boundary) =
                search.value_boundary(&self.sorted, start, default_left, self.min_samples_leaf, bar)
            {
                bar = boundary.score;
                found = Some(boundary);
            }
        }
        let boundary: Boundary = found?;
        let value = |packed: u64| from_order_key(((packed >> 32) as u32 ^ (1 << 31)) as i32);
        let low = value(self.sorted[boundary.end - 1]);
        let next = self.sorted.get(boundary.end);
        let threshold = next.map_or(f32::INFINITY, |&next| threshold_between(low, value(next)));
        Some(self.split(feature, threshold, boundary, None, node, missing.0))
    }

    fn split(
        &self,
        feature: usize,
        threshold: f32,
        boundary: Boundary,
        last_bin: Option<u8>,
        node: Counts,
        missing: Counts,
    ) -> Split {
        let Boundary { left, score, .. } = boundary;
        let left_is_larger = left.total() > node.minus(left).total();
        let default_left = if missing.total() > 0 { boundary.default_left } else { left_is_larger };
        Split { feature, threshold, default_left, left, last_bin, score }
    }
}

/// How good a split is, as a fraction: `d^2` over `t (T - t)`, see the module.
#[derive(Debug, Clone, Copy)]
struct Score {
    numerator: f64,
    denominator: f64,
}

impl Score {
    /// Below every split, also one that gains nothing.
    const NONE: Self = Self { numerator: -1.0, denominator: 1.0 };

    /// A child without rows has denominator 0 and is never better.
    fn is_better_than(self, other: Self) -> bool {
        self.numerator * other.denominator > other.numerator * self.denominator
    }
}

/// What all boundaries of a node are measured against.
struct Search {
    weights: ClassWeights,
    node: Counts,
    n_rows: usize,
}

impl Search {
    /// The best boundary behind a group, better than `bar`; the first of equals.
    ///
    /// Groups come in ascending order of value as (counts, distinct rows); `start` is what goes
    /// left of all of them. With `minimum` 0 distinct rows are not looked at.
    #[inline(always)]
    fn boundary(
        &self,
        groups: impl Iterator<Item = (Counts, usize)>,
        start: (Counts, usize),
        default_left: bool,
        minimum: usize,
        bar: Score,
    ) -> Option<Boundary> {
        let (mut left, mut rows) = start;
        let mut best = bar;
        let mut found = None;
        for (i, (counts, group_rows)) in groups.enumerate() {
            left += counts;
            rows += group_rows;
            let score = self.score(left);
            if score.is_better_than(best) && (minimum == 0 || self.keeps(rows, minimum)) {
                best = score;
                found = Some((i + 1, left));
            }
        }
        found.map(|(end, left)| Boundary { end, default_left, left, score: best })
    }

    /// Like [`boundary`](Self::boundary), over sorted samples: only between different values.
    fn value_boundary(
        &self,
        sorted: &[u64],
        start: (Counts, usize),
        default_left: bool,
        minimum: usize,
        bar: Score,
    ) -> Option<Boundary> {
        let (mut left, start_rows) = start;
        let mut best = bar;
        let mut found = None;
        for (i, &packed) in sorted.iter().enumerate() {
            left += Counts::of_payload(packed as u32);
            let end = i + 1;
            let within_a_value = sorted.get(end).is_some_and(|next| next >> 32 == packed >> 32);
            if within_a_value || !self.keeps(start_rows + end, minimum) {
                continue;
            }
            let score = self.score(left);
            if score.is_better_than(best) {
                best = score;
                found = Some((end, left));
            }
        }
        found.map(|(end, left)| Boundary { end, default_left, left, score: best })
    }

    #[inline(always)]
    fn score(&self, left: Counts) -> Score {
        let (total, positive) = self.weights.weigh(self.node);
        let (left_total, left_positive) = self.weights.weigh(left);
        let d = left_positive * total - left_total * positive;
        Score { numerator: d * d, denominator: left_total * (total - left_total) }
    }

    /// Whether both children keep their minimum.
    fn keeps(&self, left_rows: usize, minimum: usize) -> bool {
        left_rows >= minimum && self.n_rows - left_rows >= minimum
    }
}
