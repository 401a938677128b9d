//! `sklearn.ensemble.IsolationForest`.

use super::super::ExportError;
use super::super::pickle::{Entries, Global, Pickle, Pickler, array, dump};
use super::{SklearnTree, check, depths, estimator, feature_names, tree_defaults};
use crate::forest::isolation_forest::{Contamination, MaxSamples, average_path_length};
use crate::forest::{Combine, Ensemble, IsolationForestParams, Link, Tree};

const FOREST: Global = Global { module: "sklearn.ensemble._iforest", name: "IsolationForest" };
const TREE: Global = Global { module: "sklearn.tree._classes", name: "ExtraTreeRegressor" };

/// The pickle of an isolation forest: `score_samples` is our prediction, `offset_` the link's
/// offset, and `predict` is -1 where the difference is negative.
///
/// `names` are the features' names in model order; `params`, `n_rows` (training rows) and `seed`
/// are what it was fitted with. A refit by scikit-learn draws other numbers from the seed.
///
/// # Errors
/// [`ExportError`] for an ensemble of another family or as many names as do not fit.
pub fn isolation_forest(
    forest: &Ensemble,
    names: &[String],
    params: &IsolationForestParams,
    n_rows: usize,
    seed: u64,
) -> Result<Vec<u8>, ExportError> {
    check(forest, names)?;
    let (Link::AnomalyScore { offset, .. }, Combine::Mean) = (forest.link, forest.combine) else {
        return Err(ExportError::Family("isolation forest"));
    };
    // Trees over one row have no path to compare with: scored as if there were two.
    let max_samples = params.max_samples.resolve(n_rows.max(1)).max(2);
    let max_depth = max_samples.next_power_of_two().ilog2();
    Ok(dump(|out: &mut Pickler| {
        estimator(out, FOREST, |state| {
            let template = |out: &mut Pickler| estimator(out, TREE, |state| tree_params(state, max_depth));
            state.set("estimator", None::<u32>);
            // Asked for by 1.3 alone.
            state.set("base_estimator", "deprecated");
            state.set("estimator_", template);
            state.set("estimator_params", |out: &mut Pickler| out.tuple(|_| ()));
            state.set("n_estimators", forest.trees.len());
            match params.max_samples {
                MaxSamples::Auto => state.set("max_samples", "auto"),
                MaxSamples::Count(count) => state.set("max_samples", count),
                MaxSamples::Fraction(share) => state.set("max_samples", share),
            }
            match params.contamination {
                Contamination::Auto => state.set("contamination", "auto"),
                Contamination::Fraction(share) => state.set("contamination", share),
            }
            state.set("max_features", 1.0);
            for flag in ["bootstrap", "bootstrap_features", "oob_score", "warm_start"] {
                state.set(flag, false);
            }
            state.set("n_jobs", None::<u32>);
            // scikit-learn takes seeds of 32 bits.
            state.set("random_state", u32::try_from(seed).ok());
            state.set("verbose", 0_u32);
            state.set("feature_names_in_", |out: &mut Pickler| feature_names(out, names));
            state.set("n_features_in_", forest.n_features);
            state.set("max_samples_", max_samples);
            state.set("_max_samples", max_samples);
            state.set("_max_features", forest.n_features);
            state.set("offset_", offset);
            set_trees(state, forest, max_depth);
        });
    }))
}

/// The trees, and for each what `score_samples` reads beside it.
fn set_trees(state: &mut Entries<'_>, forest: &Ensemble, max_depth: u32) {
    let trees = &forest.trees;
    state.set("estimators_", |out: &mut Pickler| {
        out.list(|list| {
            for tree in trees {
                list.push(|out: &mut Pickler| fitted_tree(out, tree, forest.n_features, max_depth));
            }
        });
    });
    let n_features = forest.n_features;
    state.set("estimators_features_", |out: &mut Pickler| {
        let all = |out: &mut Pickler| array(out, &[n_features], 0..n_features as i64);
        out.list(|list| trees.iter().for_each(|_| list.push(all)));
    });
    state.set("_average_path_length_per_tree", |out: &mut Pickler| {
        out.tuple(|tuple| {
            for tree in trees {
                let expected = || tree.cover.iter().map(|&cover| average_path_length(cover as usize));
                tuple.push(|out: &mut Pickler| array(out, &[tree.len()], expected()));
            }
        });
    });
    state.set("_decision_path_lengths", |out: &mut Pickler| {
        out.tuple(|tuple| {
            for tree in trees {
                // Nodes on the path, both ends counted.
                let lengths = || depths(tree).into_iter().map(|depth| i64::from(depth) + 1);
                tuple.push(|out: &mut Pickler| array(out, &[tree.len()], lengths()));
            }
        });
    });
}

fn fitted_tree(out: &mut Pickler, tree: &Tree, n_features: usize, max_depth: u32) {
    estimator(out, TREE, |state| {
        tree_params(state, max_depth);
        state.set("n_features_in_", n_features);
        state.set("n_outputs_", 1_u32);
        state.set("max_features_", 1_u32);
        let tree = SklearnTree {
            tree,
            n_features,
            n_classes: 1,
            // The expected path length; scikit-learn's own trees hold the mean of random targets.
            values: |i: usize| [tree.value[i], 0.0],
            impurity: |_: usize| 0.0,
        };
        state.set("tree_", |out: &mut Pickler| tree.pickle(out));
    });
}

fn tree_params(state: &mut Entries<'_>, max_depth: u32) {
    tree_defaults(state);
    state.set("criterion", "squared_error");
    state.set("splitter", "random");
    state.set("class_weight", None::<u32>);
    state.set("max_depth", max_depth);
    state.set("min_samples_split", 2_u32);
    state.set("min_samples_leaf", 1_u32);
    state.set("max_features", 1_u32);
    state.set("random_state", None::<u32>);
}
