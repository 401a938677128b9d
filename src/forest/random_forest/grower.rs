//! One tree, grown node by node over a stack.

use super::super::ensemble::Tree;
use super::super::fit::{Checked, FitError, Meter, Progress};
use super::super::rng::Rng;
use super::super::routing::{self, goes_left};
use super::binning::BinnedMatrix;
use super::bootstrap::Sample;
use super::counts::{ClassWeights, Counts};
use super::params::RandomForestParams;
use super::split::{Split, Splitter};

/// Grows trees one after another in the same buffers.
pub(super) struct Grower<'a> {
    binned: &'a BinnedMatrix<'a>,
    weights: ClassWeights,
    params: &'a RandomForestParams,
    max_features: usize,
    splitter: Splitter<'a>,
    /// In-bag rows; a node owns a range of them.
    samples: Vec<Sample>,
    /// Where the right child's samples wait during a partition.
    right_samples: Vec<Sample>,
    /// All features in some order; a draw is a prefix.
    features: Vec<u32>,
    meter: Meter<'a>,
}

/// A node whose samples stand in `start..end`, still a leaf.
#[derive(Debug, Clone, Copy)]
struct Pending {
    node: u32,
    depth: u32,
    start: usize,
    end: usize,
    counts: Counts,
}

impl<'a> Grower<'a> {
    pub(super) fn new(
        binned: &'a BinnedMatrix<'a>,
        weights: ClassWeights,
        params: &'a Checked<RandomForestParams>,
        progress: &'a Progress<'a>,
    ) -> Self {
        Self {
            binned,
            weights,
            params,
            max_features: params.max_features.resolve(binned.n_features()),
            splitter: Splitter::new(binned, weights, params.min_samples_leaf),
            samples: Vec::new(),
            right_samples: Vec::new(),
            features: Vec::new(),
            meter: Meter::new(progress),
        }
    }

    /// The in-bag rows, for [`Bootstrap`](super::bootstrap::Bootstrap) to fill before each tree.
    pub(super) fn samples_mut(&mut self) -> &mut Vec<Sample> {
        &mut self.samples
    }

    pub(super) fn grow(&mut self, rng: &mut Rng) -> Result<Tree, FitError> {
        // Afresh for each tree: which trees a thread grew before must not matter.
        self.features.clear();
        self.features.extend(0..self.binned.n_features() as u32);
        self.right_samples.resize(self.samples.len(), Sample::default());

        let mut tree = Tree::default();
        let counts = self.samples.iter().map(|sample| sample.counts()).sum();
        let node = self.push_leaf(&mut tree, counts);
        let mut pending = vec![Pending { node, depth: 0, start: 0, end: self.samples.len(), counts }];
        while let Some(parent) = pending.pop() {
            let Some(split) = self.best_split(parent, rng)? else { continue };
            let [left, right] = self.apply(&mut tree, parent, &split);
            if self.may_split(left.depth, left.counts) || self.may_split(right.depth, right.counts) {
                let middle = self.partition(parent.start, parent.end, &split);
                pending.push(Pending { start: middle, ..right });
                pending.push(Pending { end: middle, ..left });
            }
        }
        Ok(tree)
    }

    /// Whether depth and classes leave anything to split.
    fn may_split(&self, depth: u32, counts: Counts) -> bool {
        self.params.max_depth.is_none_or(|max| depth < max) && !counts.is_pure()
    }

    /// Looks at `max_features` random features, and at more while none can be split.
    fn best_split(&mut self, node: Pending, rng: &mut Rng) -> Result<Option<Split>, FitError> {
        let n_rows = node.end - node.start;
        let too_few = n_rows < self.params.min_samples_split as usize
            || n_rows < 2 * self.params.min_samples_leaf as usize;
        if too_few || !self.may_split(node.depth, node.counts) {
            return Ok(None);
        }
        let samples = &self.samples[node.start..node.end];
        let n_features = self.features.len();
        let mut best = None;
        for drawn in 0..n_features {
            if drawn >= self.max_features && best.is_some() {
                break;
            }
            let pick = drawn + rng.below((n_features - drawn) as u32) as usize;
            self.features.swap(drawn, pick);
            self.meter.add(n_rows)?;
            best = self.splitter.improve(best, samples, node.counts, self.features[drawn] as usize);
        }
        Ok(best)
    }

    /// Turns the parent from a leaf into an inner node; both children still own all its samples.
    fn apply(&self, tree: &mut Tree, parent: Pending, split: &Split) -> [Pending; 2] {
        let i = parent.node as usize;
        tree.feature[i] = split.feature as u32;
        tree.threshold[i] = split.threshold;
        tree.default_left[i] = split.default_left;
        tree.gain[i] = split.gain(self.weights.weigh(parent.counts).0) as f32;
        let children = [split.left, parent.counts.minus(split.left)].map(|counts| Pending {
            node: self.push_leaf(tree, counts),
            depth: parent.depth + 1,
            counts,
            ..parent
        });
        (tree.left[i], tree.right[i]) = (children[0].node, children[1].node);
        children
    }

    fn push_leaf(&self, tree: &mut Tree, counts: Counts) -> u32 {
        let (total, positive) = self.weights.weigh(counts);
        tree.push_leaf(positive / total, total as f32)
    }

    /// Moves the samples that go left before those that go right, both in their old order, so
    /// that rows stay ascending and memory is read forward. Returns where the right ones start.
    fn partition(&mut self, start: usize, end: usize, split: &Split) -> usize {
        let samples = &mut self.samples[start..end];
        let waiting = &mut self.right_samples[..];
        let n_left = match split.last_bin {
            Some(last) => {
                let bins = &self.binned.column(split.feature).bins[..];
                // The bin of missing values is the greatest; one up, it wraps round to the least.
                let shift = u8::from(split.default_left);
                stable_partition(samples, waiting, |row| bins[row].wrapping_add(shift) <= last + shift)
            }
            None => {
                let values = self.binned.values(split.feature);
                let threshold = routing::Split::Threshold(split.threshold);
                stable_partition(samples, waiting, |row| {
                    goes_left(values[row], threshold, split.default_left)
                })
            }
        };
        start + n_left
    }
}

/// Without branches on the outcome; `waiting` is at least as long as `samples`.
fn stable_partition(
    samples: &mut [Sample],
    waiting: &mut [Sample],
    is_left: impl Fn(usize) -> bool,
) -> usize {
    let (mut n_left, mut n_right) = (0, 0);
    for i in 0..samples.len() {
        let sample = samples[i];
        let left = is_left(sample.row as usize);
        samples[n_left] = sample;
        waiting[n_right] = sample;
        n_left += usize::from(left);
        n_right += usize::from(!left);
    }
    samples[n_left..].copy_from_slice(&waiting[..n_right]);
    n_left
}
