//! Genuine scikit-learn estimators, as pickles that `pickle.load`, `joblib.load` and
//! `mlflow.sklearn.load_model` read under scikit-learn 1.3 to 1.9, with numpy 1 and 2.
//!
//! An estimator is its class and a dict of attributes; a tree is scikit-learn's `Tree` with an
//! array of nodes of 64 bytes and an array of values. Both have been the same since 1.3, but for
//! attributes that one version has and the other does not: those are written and the other ignores
//! them.
//!
//! What stands for what:
//! - A split `x < t` becomes `x <= t.next_down()`, the same question for every f32.
//! - A missing value goes where the node says (`missing_go_to_left`). scikit-learn asks that of
//!   every node since 1.3, but its `RandomForestClassifier.predict` lets missing values in
//!   since 1.4 only, and its `IsolationForest` later still; before, wrap the call in
//!   `sklearn.config_context(assume_finite=True)`.
//! - `values` are class fractions, which every version normalises; 1.3 itself kept counts there.
//! - `n_node_samples`, in scikit-learn the distinct rows of a node, is the number of draws, for
//!   our trees do not keep the other. Predictions and importances do not look at it.
//! - `_sklearn_version` names the version of the reader (`sklearn.__version__`): this state is
//!   valid for all of them, and any fixed version would warn under all others.
//! - What only fitting leaves behind (`_seeds`, `_n_samples`) is absent, so that
//!   `estimators_samples_` is an error rather than a wrong answer.
//!
//! # Whom a reader trusts
//! A pickle can run code. Ours name nothing but the classes below, `sklearn.__version__`,
//! `numpy.ndarray` and `numpy.array` (a test takes them apart), but a reader cannot see that
//! from the file's name: load pickles from a tracking server whose writers you trust, or take the
//! ONNX file beside, which is data only.

mod isolation_forest;
mod random_forest;

pub use isolation_forest::isolation_forest;
pub use random_forest::random_forest;

use super::ExportError;
use super::pickle::{Entries, Global, Pickle, Pickler, Record, array, record_array};
use crate::forest::{Ensemble, Tree};

/// Everything that our pickles name beside the two estimators and their trees.
const TREE: Global = Global { module: "sklearn.tree._tree", name: "Tree" };
const VERSION: Global = Global { module: "sklearn", name: "__version__" };
const NUMPY_ARRAY: Global = Global { module: "numpy", name: "array" };

/// `sklearn.tree._tree.NODE_DTYPE` since 1.3.
const NODE: Record = Record {
    fields: &[
        ("left_child", "<i8", 0),
        ("right_child", "<i8", 8),
        ("feature", "<i8", 16),
        ("threshold", "<f8", 24),
        ("impurity", "<f8", 32),
        ("n_node_samples", "<i8", 40),
        ("weighted_n_node_samples", "<f8", 48),
        ("missing_go_to_left", "|u1", 56),
    ],
    size: 64,
};

/// Children of a leaf.
const TREE_LEAF: i64 = -1;
/// Feature and threshold of a leaf.
const TREE_UNDEFINED: i64 = -2;

/// Whether scikit-learn can hold the trees, under these names.
fn check(forest: &Ensemble, names: &[String]) -> Result<(), ExportError> {
    if names.len() != forest.n_features {
        return Err(ExportError::Names { names: names.len(), features: forest.n_features });
    }
    match forest.trees.iter().position(|tree| !tree.categories.is_empty()) {
        Some(tree) => Err(ExportError::CategoricalSplit { tree }),
        None => Ok(()),
    }
}

/// An estimator with its state, to which the version is added.
fn estimator(out: &mut Pickler, class: Global, state: impl FnOnce(&mut Entries<'_>)) {
    out.object(class, |entries| {
        state(entries);
        entries.set("_sklearn_version", VERSION);
    });
}

/// `feature_names_in_`: an array of objects, as a fit on a data frame leaves it.
fn feature_names(out: &mut Pickler, names: &[String]) {
    out.call(NUMPY_ARRAY, |arguments| {
        arguments.push(|out: &mut Pickler| {
            out.list(|list| names.iter().for_each(|name| list.push(name.as_str())));
        });
        arguments.push("O");
    });
}

/// The parameters that every estimator over trees has, at their defaults.
fn tree_defaults(state: &mut Entries<'_>) {
    state.set("min_weight_fraction_leaf", 0.0);
    state.set("max_leaf_nodes", None::<u32>);
    state.set("min_impurity_decrease", 0.0);
    state.set("ccp_alpha", 0.0);
    state.set("monotonic_cst", None::<u32>);
}

/// A tree with what scikit-learn wants to know of each node beyond ours.
struct SklearnTree<'a, V, I> {
    tree: &'a Tree,
    n_features: usize,
    n_classes: i64,
    /// `n_classes` values of node `i`.
    values: V,
    /// Impurity of node `i`.
    impurity: I,
}

impl<V, I> Pickle for SklearnTree<'_, V, I>
where
    V: Fn(usize) -> [f64; 2],
    I: Fn(usize) -> f64,
{
    fn pickle(&self, out: &mut Pickler) {
        let (tree, n_classes) = (self.tree, self.n_classes as usize);
        out.call(TREE, |arguments| {
            arguments.push(self.n_features);
            arguments.push(|out: &mut Pickler| array(out, &[1], [self.n_classes]));
            arguments.push(1_i64);
        });
        out.state(|state| {
            state.set("max_depth", depths(tree).into_iter().max().unwrap_or(0));
            state.set("node_count", tree.len());
            state.set("nodes", |out: &mut Pickler| {
                record_array(out, NODE, tree.len(), |i, bytes| {
                    write_node(tree, i, (self.impurity)(i), bytes)
                });
            });
            state.set("values", |out: &mut Pickler| {
                let values = (0..tree.len()).flat_map(|i| (self.values)(i).into_iter().take(n_classes));
                array(out, &[tree.len(), 1, n_classes], values);
            });
        });
    }
}

fn write_node(tree: &Tree, i: usize, impurity: f64, out: &mut Vec<u8>) {
    let (children, feature, threshold) = if tree.is_leaf(i) {
        ([TREE_LEAF; 2], TREE_UNDEFINED, TREE_UNDEFINED as f64)
    } else {
        let children = [tree.left[i], tree.right[i]].map(i64::from);
        (children, i64::from(tree.feature[i]), f64::from(tree.threshold[i].next_down()))
    };
    let cover = f64::from(tree.cover[i]);
    out.extend(children.into_iter().chain([feature]).flat_map(i64::to_le_bytes));
    out.extend([threshold, impurity].into_iter().flat_map(f64::to_le_bytes));
    out.extend((cover.round() as i64).to_le_bytes());
    out.extend(cover.to_le_bytes());
    out.push(u8::from(!tree.is_leaf(i) && tree.default_left[i]));
}

/// Depth of every node, the root's is 0.
fn depths(tree: &Tree) -> Vec<u32> {
    let mut depths = vec![0; tree.len()];
    let mut pending = vec![0];
    while let Some(node) = pending.pop() {
        if !tree.is_leaf(node) {
            for child in [tree.left[node], tree.right[node]] {
                depths[child as usize] = depths[node] + 1;
                pending.push(child as usize);
            }
        }
    }
    depths
}
