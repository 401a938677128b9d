//! Which child a row goes to: the one rule that prediction and explanation share.

use super::ensemble::Tree;

/// Codes from here on are no category (the first integer that an `f32` cannot tell from its
/// successor), as in libxgboost.
pub const CATEGORY_LIMIT: u32 = 1 << 24;

/// What an inner node asks of a value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Split<'a> {
    /// Left when `x < threshold`.
    Threshold(f32),
    /// Left when the code of `x` is **not** among these ascending codes.
    Categories(&'a [u32]),
}

/// Whether a row with value `x` goes to the left child.
///
/// A missing value goes where `default_left` says. At a categorical node a code that no training
/// row had (negative, out of range, unseen) is not in the set and goes left.
#[must_use]
pub fn goes_left(x: f32, split: Split<'_>, default_left: bool) -> bool {
    if x.is_nan() {
        return default_left;
    }
    match split {
        Split::Threshold(threshold) => x < threshold,
        Split::Categories(right) => category(x).is_none_or(|code| right.binary_search(&code).is_err()),
    }
}

/// The category code of a value: its integer part, or none when that is no code.
#[must_use]
pub fn category(x: f32) -> Option<u32> {
    (0.0..CATEGORY_LIMIT as f32).contains(&x).then_some(x as u32)
}

impl Tree {
    /// The question of inner node `i`.
    #[must_use]
    pub fn split(&self, i: usize) -> Split<'_> {
        match self.categories.binary_search_by_key(&i, |(node, _)| *node as usize) {
            Ok(found) => Split::Categories(&self.categories[found].1),
            Err(_) => Split::Threshold(self.threshold[i]),
        }
    }

    /// The child of inner node `i` that a row goes to.
    #[must_use]
    pub fn child_of(&self, i: usize, row: &[f32]) -> usize {
        let x = row[self.feature[i] as usize];
        let left = goes_left(x, self.split(i), self.default_left[i]);
        (if left { self.left[i] } else { self.right[i] }) as usize
    }

    /// The leaf that a row ends in; the reference walk that [`Evaluator`](super::Evaluator) must
    /// agree with. The tree must be valid ([`validate`](super::validate)).
    #[must_use]
    pub fn leaf_of(&self, row: &[f32]) -> usize {
        let mut node = 0;
        while !self.is_leaf(node) {
            node = self.child_of(node, row);
        }
        node
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_threshold_sends_smaller_values_left_and_equal_ones_right() {
        let left = |x, default| goes_left(x, Split::Threshold(0.0), default);
        assert!(left(-1.0, false) && left(f32::NEG_INFINITY, false));
        assert!(!left(0.0, true) && !left(-0.0, true) && !left(f32::INFINITY, true));
        assert!(left(f32::NAN, true) && !left(f32::NAN, false));
    }

    #[test]
    fn a_category_in_the_set_goes_right_and_all_else_left() {
        let left = |x, default| goes_left(x, Split::Categories(&[0, 3]), default);
        assert!(!left(0.0, true) && !left(-0.0, true) && !left(3.0, true) && !left(3.7, true));
        assert!(left(1.0, false) && left(-0.5, false) && left(1e9, false) && left(f32::INFINITY, false));
        assert!(left(f32::NAN, true) && !left(f32::NAN, false));
    }
}
