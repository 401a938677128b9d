//! The attributes of a `TreeEnsembleRegressor`: all trees as parallel lists of nodes.

use super::graph::Attribute;
use crate::forest::routing::Split;
use crate::forest::{Combine, Ensemble, Tree};

/// The operator's node lists and leaf lists.
#[derive(Default)]
struct Lists {
    tree: Vec<i64>,
    node: Vec<i64>,
    feature: Vec<i64>,
    threshold: Vec<f32>,
    mode: Vec<&'static str>,
    if_true: Vec<i64>,
    if_false: Vec<i64>,
    missing_is_true: Vec<i64>,
    leaf_tree: Vec<i64>,
    leaf_node: Vec<i64>,
    leaf_value: Vec<f32>,
}

/// A node that is true for `x < threshold`: one of ours, or one step of a split by categories.
struct Branch {
    threshold: f32,
    if_true: i64,
    if_false: i64,
    missing_is_true: bool,
}

pub(super) fn attributes(ensemble: &Ensemble) -> Vec<(&'static str, Attribute)> {
    let mut lists = Lists::default();
    let sums = ensemble.combine == Combine::Sum;
    for (t, tree) in ensemble.trees.iter().enumerate() {
        // A sum of floats depends on its order, and libxgboost's starts from the base score.
        let start = if sums && t == 0 { ensemble.base_score } else { 0.0 };
        lists.add(t as i64, tree, start);
    }
    if ensemble.trees.is_empty() {
        let mut constant = Tree::default();
        constant.push_leaf(0.0, 0.0);
        lists.add(0, &constant, ensemble.base_score);
    }
    let n_leaves = lists.leaf_node.len();
    vec![
        ("n_targets", Attribute::Int(1)),
        ("aggregate_function", Attribute::Text("SUM")),
        ("post_transform", Attribute::Text("NONE")),
        ("nodes_treeids", Attribute::Ints(lists.tree)),
        ("nodes_nodeids", Attribute::Ints(lists.node)),
        ("nodes_featureids", Attribute::Ints(lists.feature)),
        ("nodes_values", Attribute::Floats(lists.threshold)),
        ("nodes_modes", Attribute::Texts(lists.mode)),
        ("nodes_truenodeids", Attribute::Ints(lists.if_true)),
        ("nodes_falsenodeids", Attribute::Ints(lists.if_false)),
        ("nodes_missing_value_tracks_true", Attribute::Ints(lists.missing_is_true)),
        ("target_treeids", Attribute::Ints(lists.leaf_tree)),
        ("target_nodeids", Attribute::Ints(lists.leaf_node)),
        ("target_ids", Attribute::Ints(vec![0; n_leaves])),
        ("target_weights", Attribute::Floats(lists.leaf_value)),
    ]
}

impl Lists {
    /// Adds a tree; `start` is added to all its leaves, in float.
    fn add(&mut self, t: i64, tree: &Tree, start: f32) {
        // Steps of categorical splits that have no node of ours come behind them all.
        let mut steps: Vec<(u32, Branch)> = vec![];
        for i in 0..tree.len() {
            if tree.is_leaf(i) {
                self.leaf_tree.push(t);
                self.leaf_node.push(i as i64);
                self.leaf_value.push(start + tree.value[i] as f32);
                self.push(t, i as i64, None);
                continue;
            }
            let (left, right) = (i64::from(tree.left[i]), i64::from(tree.right[i]));
            let default_left = tree.default_left[i];
            let branch = match tree.split(i) {
                Split::Threshold(threshold) => {
                    Branch { threshold, if_true: left, if_false: right, missing_is_true: default_left }
                }
                Split::Categories(codes) => {
                    let next = (tree.len() + steps.len()) as i64;
                    let mut chain = chain(codes, [left, right], default_left, next).into_iter();
                    let first = chain.next().expect("a valid set holds a code");
                    steps.extend(chain.map(|step| (tree.feature[i], step)));
                    first
                }
            };
            self.push(t, i as i64, Some((tree.feature[i], branch)));
        }
        for (k, (feature, step)) in steps.into_iter().enumerate() {
            self.push(t, (tree.len() + k) as i64, Some((feature, step)));
        }
    }

    fn push(&mut self, tree: i64, node: i64, branch: Option<(u32, Branch)>) {
        self.tree.push(tree);
        self.node.push(node);
        self.mode.push(if branch.is_some() { "BRANCH_LT" } else { "LEAF" });
        let leaf = Branch { threshold: 0.0, if_true: 0, if_false: 0, missing_is_true: false };
        let (feature, branch) = branch.unwrap_or((0, leaf));
        self.feature.push(i64::from(feature));
        self.threshold.push(branch.threshold);
        self.if_true.push(branch.if_true);
        self.if_false.push(branch.if_false);
        self.missing_is_true.push(i64::from(branch.missing_is_true));
    }
}

/// A split by a set of codes as a chain of thresholds: a category is the integer part of `x`, so
/// that the set is a union of intervals, and each end of one is a step. Steps but the first have the
/// ids `next`, `next + 1`, ...
///
/// Children are shared by several steps. onnxruntime allows that of true branches, as for the
/// chains that LightGBM's converter writes; the last step alone is false to a child.
fn chain(codes: &[u32], [left, right]: [i64; 2], default_left: bool, next: i64) -> Vec<Branch> {
    let mut ends = vec![];
    for run in codes.chunk_by(|a, b| a + 1 == *b) {
        ends.extend([run[0], run[run.len() - 1] + 1]);
    }
    let last = ends.len() - 1;
    let step = |(k, &end): (usize, &u32)| Branch {
        threshold: end as f32,
        // Below the start of an interval is left, below its end right.
        if_true: if k % 2 == 0 { left } else { right },
        if_false: if k == last { left } else { next + k as i64 },
        missing_is_true: if k == 0 { default_left } else { k == 1 && !default_left },
    };
    ends.iter().enumerate().map(step).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forest::routing::goes_left;

    #[test]
    fn a_chain_asks_what_the_set_asks() {
        const LEFT: i64 = -1;
        const RIGHT: i64 = -2;
        for (codes, default_left) in [
            (vec![0], true),
            (vec![0], false),
            (vec![0, 1, 2, 5, 7, 8], true),
            (vec![3, 5], false),
            (vec![(1 << 24) - 1], false),
        ] {
            let steps = chain(&codes, [LEFT, RIGHT], default_left, 1);
            let whole = (0..12).map(|x| x as f32);
            let others =
                [-1.0, -0.5, -0.0, 0.5, 5.9, 1e9, f32::INFINITY, f32::NAN, 16_777_215.0, 16_777_216.0];
            for x in whole.chain(others) {
                let mut at = 0;
                while at >= 0 {
                    let step = &steps[at as usize];
                    let is_true = if x.is_nan() { step.missing_is_true } else { x < step.threshold };
                    at = if is_true { step.if_true } else { step.if_false };
                }
                let left = goes_left(x, Split::Categories(&codes), default_left);
                assert_eq!(at == LEFT, left, "{x} in {codes:?}");
            }
        }
    }
}
