//! `sklearn.ensemble.RandomForestClassifier` of two classes, 0 and 1.

use super::super::ExportError;
use super::super::pickle::{Entries, Global, Pickle, Pickler, array, dump};
use super::{SklearnTree, check, estimator, feature_names, tree_defaults};
use crate::forest::random_forest::{ClassWeight, MaxFeatures};
use crate::forest::{Combine, Ensemble, Link, RandomForestParams, Tree};

const FOREST: Global = Global { module: "sklearn.ensemble._forest", name: "RandomForestClassifier" };
const TREE: Global = Global { module: "sklearn.tree._classes", name: "DecisionTreeClassifier" };

/// Parameters that a forest hands to its trees, in every version since 1.3.
const ESTIMATOR_PARAMS: [&str; 10] = [
    "criterion",
    "max_depth",
    "min_samples_split",
    "min_samples_leaf",
    "min_weight_fraction_leaf",
    "max_features",
    "max_leaf_nodes",
    "min_impurity_decrease",
    "random_state",
    "ccp_alpha",
];

/// The pickle of a random forest: `predict_proba` is `[1 - p, p]` with `p` our prediction.
///
/// `names` are the features' names in model order; `params` and `seed` are what it was fitted
/// with and show in `get_params` (a refit by scikit-learn draws other numbers from the seed).
///
/// # Errors
/// [`ExportError`] for an ensemble of another family or as many names as do not fit.
pub fn random_forest(
    forest: &Ensemble,
    names: &[String],
    params: &RandomForestParams,
    seed: u64,
) -> Result<Vec<u8>, ExportError> {
    check(forest, names)?;
    if forest.combine != Combine::Mean || forest.link != Link::Identity {
        return Err(ExportError::Family("random forest"));
    }
    // scikit-learn takes seeds of 32 bits.
    let seed = u32::try_from(seed).ok();
    Ok(dump(|out: &mut Pickler| {
        estimator(out, FOREST, |state| {
            state.set("estimator", template);
            // Asked for by 1.3 alone.
            state.set("base_estimator", "deprecated");
            state.set("estimator_", template);
            state.set("estimator_params", |out: &mut Pickler| {
                out.tuple(|names| ESTIMATOR_PARAMS.iter().for_each(|&name| names.push(name)));
            });
            state.set("n_estimators", forest.trees.len());
            state.set("bootstrap", params.bootstrap);
            state.set("oob_score", false);
            state.set("n_jobs", None::<u32>);
            state.set("verbose", 0_u32);
            state.set("warm_start", false);
            state.set("max_samples", None::<u32>);
            fitted_params(state, params, seed);
            let balanced = params.class_weight == ClassWeight::Balanced;
            state.set("class_weight", balanced.then_some("balanced"));
            state.set("feature_names_in_", |out: &mut Pickler| feature_names(out, names));
            fitted_shape(state, forest);
            state.set("classes_", |out: &mut Pickler| array(out, &[2], [0_i64, 1]));
            state.set("estimators_", |out: &mut Pickler| {
                out.list(|trees| {
                    for tree in &forest.trees {
                        trees.push(|out: &mut Pickler| fitted_tree(out, tree, forest, params));
                    }
                });
            });
        });
    }))
}

fn fitted_tree(out: &mut Pickler, tree: &Tree, forest: &Ensemble, params: &RandomForestParams) {
    estimator(out, TREE, |state| {
        fitted_params(state, params, None);
        tree_params(state);
        fitted_shape(state, forest);
        // A tree of a forest knows the classes by their positions.
        state.set("classes_", |out: &mut Pickler| array(out, &[2], [0.0, 1.0]));
        state.set("max_features_", params.max_features.resolve(forest.n_features));
        let tree = SklearnTree {
            tree,
            n_features: forest.n_features,
            n_classes: 2,
            values: |i: usize| [1.0 - tree.value[i], tree.value[i]],
            impurity: |i: usize| 2.0 * tree.value[i] * (1.0 - tree.value[i]),
        };
        state.set("tree_", |out: &mut Pickler| tree.pickle(out));
    });
}

/// The tree that a refit would clone: all defaults.
fn template(out: &mut Pickler) {
    estimator(out, TREE, |state| {
        let defaults = RandomForestParams { max_features: MaxFeatures::All, ..RandomForestParams::default() };
        fitted_params(state, &defaults, None);
        tree_params(state);
    });
}

/// Parameters that forest and tree share.
fn fitted_params(state: &mut Entries<'_>, params: &RandomForestParams, seed: Option<u32>) {
    tree_defaults(state);
    state.set("criterion", "gini");
    state.set("max_depth", params.max_depth);
    state.set("min_samples_split", params.min_samples_split);
    state.set("min_samples_leaf", params.min_samples_leaf);
    state.set("random_state", seed);
    match params.max_features {
        MaxFeatures::Sqrt => state.set("max_features", "sqrt"),
        MaxFeatures::Log2 => state.set("max_features", "log2"),
        MaxFeatures::All => state.set("max_features", None::<u32>),
        MaxFeatures::Count(count) => state.set("max_features", count),
    }
}

/// Parameters that a tree alone has.
fn tree_params(state: &mut Entries<'_>) {
    state.set("splitter", "best");
    state.set("class_weight", None::<u32>);
}

fn fitted_shape(state: &mut Entries<'_>, forest: &Ensemble) {
    state.set("n_features_in_", forest.n_features);
    state.set("n_outputs_", 1_u32);
    state.set("n_classes_", 2_u32);
}
