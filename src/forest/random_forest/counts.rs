//! Rows counted by class, and what they weigh.

use std::iter::Sum;
use std::ops::{Add, AddAssign};

use super::params::ClassWeight;

/// Weight of a row by class.
#[derive(Debug, Clone, Copy)]
pub(super) struct ClassWeights {
    negative: f64,
    positive: f64,
}

impl ClassWeights {
    pub(super) fn new(kind: ClassWeight, labels: &[u8]) -> Self {
        let n = labels.len() as f64;
        let n_positive = labels.iter().filter(|&&label| label == 1).count() as f64;
        match kind {
            // One class only: nothing to balance.
            ClassWeight::Balanced if n_positive > 0.0 && n_positive < n => {
                Self { negative: n / (2.0 * (n - n_positive)), positive: n / (2.0 * n_positive) }
            }
            _ => Self { negative: 1.0, positive: 1.0 },
        }
    }

    /// `(total, class 1)`.
    pub(super) fn weigh(self, counts: Counts) -> (f64, f64) {
        let positive = f64::from(counts.positive()) * self.positive;
        (positive + f64::from(counts.total() - counts.positive()) * self.negative, positive)
    }
}

/// How many draws, and how many of class 1, in the high and the low half: both are added at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Counts(u64);

impl Counts {
    pub(super) const NONE: Self = Self(0);

    /// The counts of one sample, given as `times << 1 | label`.
    pub(super) fn of_payload(times_and_label: u32) -> Self {
        let times = times_and_label >> 1;
        let all_if_positive = (times_and_label & 1).wrapping_neg();
        Self(u64::from(times) << 32 | u64::from(times & all_if_positive))
    }

    pub(super) fn minus(self, other: Self) -> Self {
        Self(self.0 - other.0)
    }

    pub(super) fn is_pure(self) -> bool {
        self.positive() == 0 || self.positive() == self.total()
    }

    pub(super) fn total(self) -> u32 {
        (self.0 >> 32) as u32
    }

    pub(super) fn positive(self) -> u32 {
        self.0 as u32
    }
}

impl Add for Counts {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sum for Counts {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::NONE, Add::add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_classes_are_counted_at_once() {
        let counts: Counts = [2 << 1 | 1, 3 << 1, 1 << 1 | 1].map(Counts::of_payload).into_iter().sum();
        assert_eq!((counts.total(), counts.positive(), counts.is_pure()), (6, 3, false));
        assert!(counts.minus(Counts::of_payload(3 << 1)).is_pure());
    }

    #[test]
    fn balanced_classes_weigh_half_the_rows_each() {
        let labels = [1u8, 0, 0, 0];
        let counts = labels.map(|label| Counts::of_payload(1 << 1 | u32::from(label))).into_iter().sum();
        assert_eq!(ClassWeights::new(ClassWeight::Balanced, &labels).weigh(counts), (4.0, 2.0));
        assert_eq!(ClassWeights::new(ClassWeight::Uniform, &labels).weigh(counts), (4.0, 1.0));
    }
}
