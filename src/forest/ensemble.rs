//! The one representation of a fitted model.

/// A fitted ensemble of decision trees.
///
/// The prediction of a row is `link(combine(base_score, leaf values))`; see [`Combine`] and
/// [`Link`] for what each family uses:
///
/// | family | combine | value of a leaf | link |
/// |---|---|---|---|
/// | gradient boosting (regression) | sum in f32, from `base_score`, in tree order | weight | identity |
/// | random forest (binary) | mean in f64 | fraction of class 1 | identity |
/// | isolation forest | mean in f64 | path length: depth + c(rows in leaf) | anomaly score |
#[derive(Debug, Clone, PartialEq)]
pub struct Ensemble {
    /// Number of features that a row must have.
    pub n_features: usize,
    /// How leaf values become one number.
    pub combine: Combine,
    /// Where a sum starts; 0 for a mean.
    pub base_score: f32,
    /// From that number to the answer.
    pub link: Link,
    /// The trees, in the order in which they were grown (a sum depends on it).
    pub trees: Vec<Tree>,
}

impl Ensemble {
    /// Memory that the trees take, in bytes.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.trees.iter().map(Tree::memory_bytes).sum()
    }
}

/// How the leaf values of all trees become one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Combine {
    /// `base_score + v_1 + v_2 + ...`, left to right in f32, bit-equal to libxgboost.
    Sum,
    /// `(v_1 + ... + v_n) / n` in f64.
    Mean,
}

/// From the combined number to the answer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Link {
    /// The number itself.
    Identity,
    /// `1 / (1 + exp(-x))`.
    Logistic,
    /// `-2^(-x / average_path_length)`, scikit-learn's `score_samples`, in `[-1, 0)`: lower is
    /// more abnormal. A row is an anomaly when `score - offset < 0`.
    AnomalyScore {
        /// `c(max_samples)`, Liu, Ting, Zhou (2008), eq. 1.
        average_path_length: f64,
        /// Threshold on the score: -0.5, or the contamination quantile of the training scores.
        offset: f64,
    },
}

/// One tree as parallel arrays, one entry a node; node 0 is the root.
///
/// An inner node sends a row left when `x < threshold`, right when not, and to
/// [`default_left`](Self::default_left)'s side when `x` is NaN. At a categorical node
/// ([`categories`](Self::categories) not empty) `x` is a category code, and a row goes **right**
/// when its code is in the set, else left, as in libxgboost.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Tree {
    /// Feature that an inner node asks for; 0 at a leaf.
    pub feature: Vec<u32>,
    /// Threshold of an inner node; 0 at a leaf and at a categorical node.
    pub threshold: Vec<f32>,
    /// Left child; [`LEAF`] marks a leaf. Never assume that `right == left + 1`.
    pub left: Vec<u32>,
    /// Right child; [`LEAF`] at a leaf.
    pub right: Vec<u32>,
    /// Whether a missing value goes left.
    pub default_left: Vec<bool>,
    /// Leaf value; at an inner node what a leaf there would have held (0 where unknown).
    pub value: Vec<f64>,
    /// Training rows (hessian sum for boosting) that reached the node.
    pub cover: Vec<f32>,
    /// Gain of the split (boosting: loss change; forest: impurity decrease weighted by rows; isolation: 0).
    pub gain: Vec<f32>,
    /// Category codes that go right, ascending, by node: `(node, codes)`, ascending by node. Empty for most trees.
    pub categories: Vec<(u32, Vec<u32>)>,
}

/// Child index that marks a leaf.
pub const LEAF: u32 = u32::MAX;

impl Tree {
    /// Number of nodes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.left.len()
    }

    /// Whether the tree has no node at all (a valid tree has at least a root).
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.left.is_empty()
    }

    fn memory_bytes(&self) -> usize {
        const A_NODE: usize =
            3 * size_of::<u32>() + 3 * size_of::<f32>() + size_of::<bool>() + size_of::<f64>();
        let codes =
            |(_, codes): &(u32, Vec<u32>)| size_of::<(u32, Vec<u32>)>() + size_of_val(codes.as_slice());
        size_of::<Self>() + self.len() * A_NODE + self.categories.iter().map(codes).sum::<usize>()
    }

    /// Adds a leaf and returns its index; whoever splits it later sets the other fields.
    pub fn push_leaf(&mut self, value: f64, cover: f32) -> u32 {
        self.feature.push(0);
        self.threshold.push(0.0);
        self.left.push(LEAF);
        self.right.push(LEAF);
        self.default_left.push(false);
        self.value.push(value);
        self.cover.push(cover);
        self.gain.push(0.0);
        self.len() as u32 - 1
    }

    /// Whether node `i` is a leaf.
    #[must_use]
    pub fn is_leaf(&self, i: usize) -> bool {
        self.left[i] == LEAF
    }
}
