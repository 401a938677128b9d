//! How much each feature contributes, read from the trees alone: no permutation, no data.

use super::ensemble::{Ensemble, Link, Tree};

impl Ensemble {
    /// Importance of each feature: `n_features` numbers of at least 0 that sum to 1, or all 0 for
    /// a model without a useful split.
    ///
    /// - Boosting and random forest: total gain of the splits by the feature. For a forest that is
    ///   the mean decrease in impurity, scikit-learn's `feature_importances_` up to the weight of
    ///   each tree; for boosting XGBoost's `total_gain`.
    /// - Isolation forest, whose splits have no gain: each split by the feature counts
    ///   `1 / (1 + depth)`. A feature that isolates rows is found near the roots.
    #[must_use]
    pub fn feature_importance(&self) -> Vec<f64> {
        let mut importance = vec![0.0; self.n_features];
        let by_depth = matches!(self.link, Link::AnomalyScore { .. });
        for tree in &self.trees {
            tree.visit_splits(|node, depth| {
                let weight = if by_depth { 1.0 / f64::from(1 + depth) } else { f64::from(tree.gain[node]) };
                importance[tree.feature[node] as usize] += weight.max(0.0);
            });
        }
        let total: f64 = importance.iter().sum();
        if total > 0.0 {
            importance.iter_mut().for_each(|weight| *weight /= total);
        }
        importance
    }
}

impl Tree {
    /// Calls `visit(node, depth)` for each inner node that a path reaches.
    fn visit_splits(&self, mut visit: impl FnMut(usize, u32)) {
        let mut pending = vec![(0, 0)];
        while let Some((node, depth)) = pending.pop() {
            if !self.is_leaf(node) {
                visit(node, depth);
                pending.extend([self.left[node], self.right[node]].map(|child| (child as usize, depth + 1)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forest::ensemble::{Combine, LEAF};

    /// Root by feature 1 (gain 6), its left child by feature 0 (gain 2); feature 2 unused.
    fn ensemble(link: Link) -> Ensemble {
        let tree = Tree {
            feature: vec![1, 0, 0, 0, 0],
            threshold: vec![0.0; 5],
            left: vec![1, 3, LEAF, LEAF, LEAF],
            right: vec![2, 4, LEAF, LEAF, LEAF],
            default_left: vec![false; 5],
            value: vec![0.0; 5],
            cover: vec![1.0; 5],
            gain: vec![6.0, 2.0, 0.0, 0.0, 0.0],
            categories: vec![],
        };
        Ensemble { n_features: 3, combine: Combine::Mean, base_score: 0.0, link, trees: vec![tree] }
    }

    #[test]
    fn gain_is_shared_out() {
        assert_eq!(ensemble(Link::Identity).feature_importance(), [0.25, 0.75, 0.0]);
    }

    #[test]
    fn isolation_counts_splits_by_depth() {
        let link = Link::AnomalyScore { average_path_length: 1.0, offset: -0.5 };
        let importance = ensemble(link).feature_importance();
        assert!((importance[0] - 1.0 / 3.0).abs() < 1e-15 && (importance[1] - 2.0 / 3.0).abs() < 1e-15);
    }

    #[test]
    fn without_splits_nothing_is_important() {
        let mut ensemble = ensemble(Link::Identity);
        ensemble.trees[0].gain.fill(0.0);
        assert_eq!(ensemble.feature_importance(), [0.0; 3]);
    }
}
