//! Feature values as integers that compare like the values and place the missing ones.

use super::super::order::order_key;
use super::super::routing::category;

/// Below the key of every number: a missing value that goes left.
const MISSING_LEFT: i32 = i32::MIN;
/// Above the key of every number: a missing value that goes right.
pub(super) const MISSING_RIGHT: i32 = i32::MAX - 1;
/// The threshold that no key reaches, not even [`MISSING_RIGHT`].
pub(super) const UNREACHABLE: i32 = i32::MAX;

/// One column of keys: a feature as one kind of split sees it.
///
/// A feature has up to four slots; only those that the model asks for exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Slot {
    pub(super) feature: u32,
    pub(super) default_left: bool,
    pub(super) categorical: bool,
}

impl Slot {
    pub(super) fn key(self, x: f32) -> i32 {
        if x.is_nan() {
            return if self.default_left { MISSING_LEFT } else { MISSING_RIGHT };
        }
        if self.categorical {
            // What is no category goes left, as a missing value may.
            return category(x).map_or(MISSING_LEFT, |code| code as i32);
        }
        order_key(x)
    }

    /// The keys of one row a lane; lanes without a row keep what they hold.
    pub(super) fn fill(self, column: &[f32], lanes: &mut [i32]) {
        for (key, &x) in lanes.iter_mut().zip(column) {
            *key = self.key(x);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_values_lie_beyond_all_numbers() {
        assert!(MISSING_LEFT < order_key(f32::NEG_INFINITY));
        assert!(order_key(f32::INFINITY) < MISSING_RIGHT);
    }
}
