//! Checks on an ensemble that came from outside.

use super::ensemble::{Combine, Ensemble, LEAF, Link, Tree};
use super::routing::CATEGORY_LIMIT;

/// Why an ensemble cannot be evaluated.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum InvalidEnsemble {
    /// A mean over no trees has no value.
    #[error("a mean needs at least one tree")]
    NoTrees,
    /// Base score or a number of the link is not finite, or the average path length not positive.
    #[error("base score or link holds a number out of range")]
    BadConstant,
    /// More than `u32::MAX - 1` nodes in all.
    #[error("too many nodes")]
    TooManyNodes,
    /// One tree is broken.
    #[error("tree {tree}: {problem}")]
    Tree {
        /// Position in [`Ensemble::trees`].
        tree: usize,
        /// What is wrong with it.
        problem: InvalidTree,
    },
}

/// Why a tree cannot be evaluated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTree {
    /// There is not even a root.
    #[error("no nodes")]
    Empty,
    /// The parallel arrays differ in length.
    #[error("node arrays differ in length")]
    Lengths,
    /// A child index is out of range, the root, or set on one side only.
    #[error("node {0}: bad child")]
    Child(usize),
    /// Two ways lead to one node: a cycle, or no tree at all.
    #[error("node {0} is reached twice")]
    ReachedTwice(usize),
    /// An inner node asks for a feature that rows do not have.
    #[error("node {0}: no such feature")]
    Feature(usize),
    /// A threshold is NaN, a value is not finite, or a cover is negative or not finite.
    #[error("node {0}: number out of range")]
    Number(usize),
    /// Category sets are not in ascending order, or name a leaf or an impossible code.
    #[error("categories of entry {0} are malformed")]
    Categories(usize),
}

impl Ensemble {
    /// Checks everything that evaluation relies on. It then neither panics nor loops.
    ///
    /// Nodes that no path reaches are allowed: XGBoost leaves pruned ones in its files.
    ///
    /// # Errors
    /// The first [`InvalidEnsemble`] found.
    pub fn validate(&self) -> Result<(), InvalidEnsemble> {
        if self.trees.is_empty() && self.combine == Combine::Mean {
            return Err(InvalidEnsemble::NoTrees);
        }
        let link_is_sound = match self.link {
            Link::Identity | Link::Logistic => true,
            Link::AnomalyScore { average_path_length, offset } => {
                average_path_length.is_finite() && average_path_length > 0.0 && offset.is_finite()
            }
        };
        if !self.base_score.is_finite() || !link_is_sound {
            return Err(InvalidEnsemble::BadConstant);
        }
        if self.trees.iter().map(Tree::len).sum::<usize>() >= LEAF as usize {
            return Err(InvalidEnsemble::TooManyNodes);
        }
        for (tree, nodes) in self.trees.iter().enumerate() {
            nodes.validate(self.n_features).map_err(|problem| InvalidEnsemble::Tree { tree, problem })?;
        }
        Ok(())
    }
}

impl Tree {
    /// Checks one tree over rows of `n_features` values.
    ///
    /// # Errors
    /// The first [`InvalidTree`] found.
    pub fn validate(&self, n_features: usize) -> Result<(), InvalidTree> {
        let n = self.len();
        if n == 0 {
            return Err(InvalidTree::Empty);
        }
        let lengths = [
            self.feature.len(),
            self.threshold.len(),
            self.right.len(),
            self.default_left.len(),
            self.value.len(),
            self.cover.len(),
            self.gain.len(),
        ];
        if lengths.iter().any(|&len| len != n) {
            return Err(InvalidTree::Lengths);
        }
        for i in 0..n {
            self.validate_node(i, n_features)?;
        }
        self.validate_paths()?;
        self.validate_categories()
    }

    fn validate_node(&self, i: usize, n_features: usize) -> Result<(), InvalidTree> {
        let cover = self.cover[i];
        if self.threshold[i].is_nan() || !self.value[i].is_finite() || !cover.is_finite() || cover < 0.0 {
            return Err(InvalidTree::Number(i));
        }
        if self.is_leaf(i) {
            return if self.right[i] == LEAF { Ok(()) } else { Err(InvalidTree::Child(i)) };
        }
        let in_range = |child: u32| child != 0 && (child as usize) < self.len();
        if !in_range(self.left[i]) || !in_range(self.right[i]) {
            return Err(InvalidTree::Child(i));
        }
        if self.feature[i] as usize >= n_features {
            return Err(InvalidTree::Feature(i));
        }
        Ok(())
    }

    fn validate_paths(&self) -> Result<(), InvalidTree> {
        let mut reached = vec![false; self.len()];
        let mut pending = vec![0];
        while let Some(i) = pending.pop() {
            if std::mem::replace(&mut reached[i], true) {
                return Err(InvalidTree::ReachedTwice(i));
            }
            if !self.is_leaf(i) {
                pending.extend([self.left[i] as usize, self.right[i] as usize]);
            }
        }
        Ok(())
    }

    fn validate_categories(&self) -> Result<(), InvalidTree> {
        let mut previous_node = None;
        for (entry, (node, codes)) in self.categories.iter().enumerate() {
            let is_inner = (*node as usize) < self.len() && !self.is_leaf(*node as usize);
            let nodes_ascend = previous_node.is_none_or(|previous| previous < *node);
            let codes_ascend = codes.is_sorted_by(|a, b| a < b);
            if !is_inner || !nodes_ascend || !codes_ascend || codes.iter().any(|&c| c >= CATEGORY_LIMIT) {
                return Err(InvalidTree::Categories(entry));
            }
            previous_node = Some(*node);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stump() -> Tree {
        Tree {
            feature: vec![0, 0, 0],
            threshold: vec![0.5, 0.0, 0.0],
            left: vec![1, LEAF, LEAF],
            right: vec![2, LEAF, LEAF],
            default_left: vec![true, false, false],
            value: vec![0.0, -1.0, 1.0],
            cover: vec![2.0, 1.0, 1.0],
            gain: vec![1.0, 0.0, 0.0],
            categories: vec![],
        }
    }

    fn problem_after(change: impl FnOnce(&mut Tree)) -> InvalidTree {
        let mut tree = stump();
        assert_eq!(tree.validate(1), Ok(()));
        change(&mut tree);
        tree.validate(1).expect_err("a broken tree")
    }

    #[test]
    fn every_kind_of_broken_tree_is_found() {
        assert_eq!(problem_after(|t| *t = Tree::default()), InvalidTree::Empty);
        assert_eq!(problem_after(|t| t.gain.clear()), InvalidTree::Lengths);
        assert_eq!(problem_after(|t| t.left[0] = 3), InvalidTree::Child(0));
        assert_eq!(problem_after(|t| t.left[0] = 0), InvalidTree::Child(0));
        assert_eq!(problem_after(|t| t.right[0] = LEAF), InvalidTree::Child(0));
        assert_eq!(problem_after(|t| t.right[1] = 2), InvalidTree::Child(1));
        assert_eq!(problem_after(|t| t.right[0] = 1), InvalidTree::ReachedTwice(1));
        assert_eq!(problem_after(|t| t.feature[0] = 1), InvalidTree::Feature(0));
        assert_eq!(problem_after(|t| t.threshold[0] = f32::NAN), InvalidTree::Number(0));
        assert_eq!(problem_after(|t| t.value[2] = f64::INFINITY), InvalidTree::Number(2));
        assert_eq!(problem_after(|t| t.cover[1] = -1.0), InvalidTree::Number(1));
        assert_eq!(problem_after(|t| t.categories = vec![(1, vec![0])]), InvalidTree::Categories(0));
        assert_eq!(problem_after(|t| t.categories = vec![(0, vec![2, 1])]), InvalidTree::Categories(0));
        assert_eq!(
            problem_after(|t| t.categories = vec![(0, vec![]), (0, vec![])]),
            InvalidTree::Categories(1)
        );
        assert_eq!(
            problem_after(|t| t.categories = vec![(0, vec![CATEGORY_LIMIT])]),
            InvalidTree::Categories(0)
        );
    }

    #[test]
    fn constants_and_emptiness_are_checked() {
        let sound = Ensemble {
            n_features: 1,
            combine: Combine::Mean,
            base_score: 0.0,
            link: Link::AnomalyScore { average_path_length: 1.0, offset: -0.5 },
            trees: vec![stump()],
        };
        assert_eq!(sound.validate(), Ok(()));
        let zero_length = Link::AnomalyScore { average_path_length: 0.0, offset: -0.5 };
        let broken = |e: Ensemble| e.validate().expect_err("a broken ensemble");
        assert_eq!(broken(Ensemble { trees: vec![], ..sound.clone() }), InvalidEnsemble::NoTrees);
        assert_eq!(broken(Ensemble { base_score: f32::NAN, ..sound.clone() }), InvalidEnsemble::BadConstant);
        assert_eq!(broken(Ensemble { link: zero_length, ..sound.clone() }), InvalidEnsemble::BadConstant);
        let problem = InvalidTree::Feature(0);
        assert_eq!(broken(Ensemble { n_features: 0, ..sound }), InvalidEnsemble::Tree { tree: 0, problem });
    }
}
