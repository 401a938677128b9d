//! The rows that a tree sees.

use super::super::rng::Rng;
use super::counts::Counts;

/// One distinct in-bag row, packed: how often it was drawn, and its class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Sample {
    pub(super) row: u32,
    /// `times << 1 | label`.
    times_and_label: u32,
}

impl Sample {
    fn new(row: u32, times: u32, label: u8) -> Self {
        Self { row, times_and_label: times << 1 | u32::from(label) }
    }

    pub(super) fn counts(self) -> Counts {
        Counts::of_payload(self.times_and_label)
    }

    /// What [`Counts::of_payload`] takes, for the low word of a sort key.
    pub(super) fn payload(self) -> u32 {
        self.times_and_label
    }
}

/// Draws bootstrap samples; keeps its counters between trees.
#[derive(Debug, Default)]
pub(super) struct Bootstrap {
    times: Vec<u32>,
}

impl Bootstrap {
    /// Replaces `samples` by this tree's rows, ascending: `n` draws with replacement out of `n`,
    /// or each row once.
    pub(super) fn draw(&mut self, labels: &[u8], bootstrap: bool, rng: &mut Rng, samples: &mut Vec<Sample>) {
        samples.clear();
        if !bootstrap {
            samples.extend((0..).zip(labels).map(|(row, &label)| Sample::new(row, 1, label)));
            return;
        }
        let n = labels.len();
        self.times.clear();
        self.times.resize(n, 0);
        for _ in 0..n {
            self.times[rng.below(n as u32) as usize] += 1;
        }
        let drawn = (0..).zip(&self.times).zip(labels).filter(|((_, times), _)| **times > 0);
        samples.extend(drawn.map(|((row, &times), &label)| Sample::new(row, times, label)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bootstrap_draws_as_many_rows_as_there_are() {
        let labels: Vec<u8> = (0..1000).map(|i| u8::from(i % 4 == 0)).collect();
        let mut samples = Vec::new();
        Bootstrap::default().draw(&labels, true, &mut Rng::new(3), &mut samples);
        let counts: Counts = samples.iter().map(|s| s.counts()).sum();
        assert_eq!(counts.total(), 1000);
        // A row stays out with probability 1/e: 632 distinct rows, standard deviation 10.
        assert!(samples.len().abs_diff(632) < 50, "{}", samples.len());
        assert!(samples.is_sorted_by(|a, b| a.row < b.row));
    }

    #[test]
    fn without_bootstrap_each_row_is_there_once() {
        let mut samples = Vec::new();
        Bootstrap::default().draw(&[0, 1], false, &mut Rng::new(3), &mut samples);
        let counts: Vec<_> =
            samples.iter().map(|s| (s.row, s.counts().total(), s.counts().positive())).collect();
        assert_eq!(counts, [(0, 1, 0), (1, 1, 1)]);
    }
}
