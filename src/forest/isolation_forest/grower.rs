//! One tree over a small copy of its sample: only the sampled rows are ever touched.

use super::super::ensemble::Tree;
use super::super::fit::{FitError, Meter, Progress};
use super::super::matrix::Matrix;
use super::super::rng::Rng;
use super::super::routing::{Split, goes_left};
use super::average_path_length;

/// Grows trees one after another in the same buffers.
pub(super) struct Grower<'a> {
    rows: &'a Matrix,
    max_samples: usize,
    /// `ceil(log2(max_samples))`: deeper than the average tree no row is an anomaly.
    max_depth: u32,
    /// One bit a row: whether it is in the sample.
    drawn: Vec<u64>,
    /// Sampled values, column by column.
    values: Vec<f32>,
    /// Positions in a column; a node owns a range of them.
    positions: Vec<u32>,
    features: Vec<u32>,
    meter: Meter<'a>,
}

/// A node whose positions stand in `start..end`, still a leaf.
struct Pending {
    node: usize,
    depth: u32,
    start: usize,
    end: usize,
}

/// What a node sees of one feature.
struct Range {
    low: f32,
    high: f32,
    has_missing: bool,
}

impl<'a> Grower<'a> {
    pub(super) fn new(rows: &'a Matrix, max_samples: usize, progress: &'a Progress<'a>) -> Self {
        Self {
            rows,
            max_samples,
            max_depth: max_samples.next_power_of_two().ilog2().max(1),
            drawn: vec![0; rows.n_rows().div_ceil(64)],
            values: Vec::new(),
            positions: Vec::new(),
            features: Vec::new(),
            meter: Meter::new(progress),
        }
    }

    pub(super) fn grow(&mut self, rng: &mut Rng) -> Result<Tree, FitError> {
        self.draw_sample(rng)?;
        // Afresh for each tree: which trees a thread grew before must not matter.
        self.features.clear();
        self.features.extend(0..self.rows.n_cols() as u32);

        let mut tree = Tree::default();
        push_leaf(&mut tree, 0, self.max_samples);
        let mut pending = vec![Pending { node: 0, depth: 0, start: 0, end: self.max_samples }];
        while let Some(Pending { node, depth, start, end }) = pending.pop() {
            if depth == self.max_depth || end - start <= 1 {
                continue;
            }
            let Some((feature, range)) = self.draw_feature(start, end, rng)? else { continue };
            let threshold = draw_threshold(&range, rng);
            let missing_left = range.has_missing && threshold < f32::INFINITY && rng.below(2) == 0;
            let middle = self.partition(start, end, feature, threshold, missing_left);
            let left_is_larger = middle - start > end - middle;

            tree.feature[node] = feature as u32;
            tree.threshold[node] = threshold;
            tree.default_left[node] = if range.has_missing { missing_left } else { left_is_larger };
            let left = push_leaf(&mut tree, depth + 1, middle - start);
            let right = push_leaf(&mut tree, depth + 1, end - middle);
            (tree.left[node], tree.right[node]) = (left, right);
            pending.push(Pending { node: right as usize, depth: depth + 1, start: middle, end });
            pending.push(Pending { node: left as usize, depth: depth + 1, start, end: middle });
        }
        Ok(tree)
    }

    /// Draws `max_samples` distinct rows by Floyd's algorithm (Bentley, Floyd, 1987) and copies
    /// their values in ascending order of rows.
    fn draw_sample(&mut self, rng: &mut Rng) -> Result<(), FitError> {
        let n = self.rows.n_rows();
        self.drawn.fill(0);
        for last in n - self.max_samples..n {
            let row = rng.below(last as u32 + 1) as usize;
            let taken = self.drawn[row / 64] >> (row % 64) & 1 == 1;
            let row = if taken { last } else { row };
            self.drawn[row / 64] |= 1 << (row % 64);
        }
        self.positions.clear();
        for (word, &bits) in self.drawn.iter().enumerate() {
            let mut bits = bits;
            while bits != 0 {
                self.positions.push(word as u32 * 64 + bits.trailing_zeros());
                bits &= bits - 1;
            }
        }
        self.values.clear();
        for j in 0..self.rows.n_cols() {
            let column = self.rows.column(j);
            self.meter.add(self.max_samples)?;
            self.values.extend(self.positions.iter().map(|&row| column[row as usize]));
        }
        self.positions.clear();
        self.positions.extend(0..self.max_samples as u32);
        Ok(())
    }

    fn column(&self, feature: usize) -> &[f32] {
        &self.values[feature * self.max_samples..][..self.max_samples]
    }

    /// A random feature that is not constant in the node; none if all are.
    fn draw_feature(
        &mut self,
        start: usize,
        end: usize,
        rng: &mut Rng,
    ) -> Result<Option<(usize, Range)>, FitError> {
        let n = self.features.len();
        for drawn in 0..n {
            let pick = drawn + rng.below((n - drawn) as u32) as usize;
            self.features.swap(drawn, pick);
            let feature = self.features[drawn] as usize;
            self.meter.add(end - start)?;
            let range = range(self.column(feature), &self.positions[start..end]);
            let has_present = range.low <= range.high;
            if has_present && (range.low < range.high || range.has_missing) {
                return Ok(Some((feature, range)));
            }
        }
        Ok(None)
    }

    /// Moves the positions that go left to the front; returns where the others start.
    fn partition(
        &mut self,
        start: usize,
        end: usize,
        feature: usize,
        threshold: f32,
        default_left: bool,
    ) -> usize {
        let column = &self.values[feature * self.max_samples..][..self.max_samples];
        let positions = &mut self.positions[start..end];
        let mut n_left = 0;
        for i in 0..positions.len() {
            let left = goes_left(column[positions[i] as usize], Split::Threshold(threshold), default_left);
            positions.swap(i, n_left);
            n_left += usize::from(left);
        }
        start + n_left
    }
}

/// Smallest and greatest present value; `low > high` when there is none.
fn range(column: &[f32], positions: &[u32]) -> Range {
    let mut range = Range { low: f32::INFINITY, high: f32::NEG_INFINITY, has_missing: false };
    for &position in positions {
        let x = column[position as usize];
        // `min` and `max` pass over NaN.
        range.low = range.low.min(x);
        range.high = range.high.max(x);
        range.has_missing |= x.is_nan();
    }
    range
}

/// Uniform in `(low, high)`; beyond all numbers when only missing can be told from present.
fn draw_threshold(range: &Range, rng: &mut Rng) -> f32 {
    if range.low == range.high {
        return f32::INFINITY;
    }
    let [low, high] = [range.low, range.high].map(|x| f64::from(x.clamp(f32::MIN, f32::MAX)));
    let threshold = (low + rng.unit() * (high - low)) as f32;
    // scikit-learn sends `x <= threshold` left, and never the greatest value with it.
    let threshold = if threshold >= range.high { range.low } else { threshold };
    threshold.next_up()
}

/// A leaf's value is the expected path length of its rows.
fn push_leaf(tree: &mut Tree, depth: u32, n_rows: usize) -> u32 {
    tree.push_leaf(f64::from(depth) + average_path_length(n_rows), n_rows as f32)
}
