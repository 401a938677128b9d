//! Metrics of binary classifications. `labels` (0 or 1) and `scores` are equally long and not
//! empty; else these functions panic.

/// Area under the ROC curve: the probability that a row of class 1 scores above one of class 0,
/// ties counting half (Mann-Whitney U over the product of class sizes). None with one class only,
/// or when a score is NaN.
#[must_use]
pub fn auc_roc(labels: &[u8], scores: &[f64]) -> Option<f64> {
    check(labels, scores);
    if scores.iter().any(|score| score.is_nan()) {
        return None;
    }
    let mut ranked: Vec<(f64, u8)> = scores.iter().copied().zip(labels.iter().copied()).collect();
    ranked.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    let (mut negatives_below, mut positives, mut doubled_wins) = (0u64, 0u64, 0u64);
    for tied in ranked.chunk_by(|a, b| a.0 == b.0) {
        let positive = tied.iter().filter(|(_, label)| *label == 1).count() as u64;
        let negative = tied.len() as u64 - positive;
        doubled_wins += positive * (2 * negatives_below + negative);
        negatives_below += negative;
        positives += positive;
    }
    let pairs = positives * negatives_below;
    (pairs > 0).then(|| doubled_wins as f64 / (2 * pairs) as f64)
}

/// Mean negative log-likelihood, `-mean(ln p(label))`, where `scores` are probabilities of class 1,
/// clipped away from 0 and 1 by the spacing of `f64`.
#[must_use]
pub fn log_loss(labels: &[u8], scores: &[f64]) -> f64 {
    check(labels, scores);
    let loss = |(&label, &p): (&u8, &f64)| {
        let p = p.clamp(f64::EPSILON, 1.0 - f64::EPSILON);
        -(if label == 1 { p } else { 1.0 - p }).ln()
    };
    labels.iter().zip(scores).map(loss).sum::<f64>() / labels.len() as f64
}

/// How labels and predicted classes fall together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Confusion {
    /// Class 1, predicted 1.
    pub true_positive: u64,
    /// Class 0, predicted 1.
    pub false_positive: u64,
    /// Class 0, predicted 0.
    pub true_negative: u64,
    /// Class 1, predicted 0.
    pub false_negative: u64,
}

impl Confusion {
    /// Counts with class 1 predicted where the score is **above** `threshold`; 0.5 for
    /// probabilities, as scikit-learn's `predict` (an even vote is class 0).
    #[must_use]
    pub fn at(threshold: f64, labels: &[u8], scores: &[f64]) -> Self {
        check(labels, scores);
        let mut confusion = Self::default();
        for (&label, &score) in labels.iter().zip(scores) {
            *match (label == 1, score > threshold) {
                (true, true) => &mut confusion.true_positive,
                (false, true) => &mut confusion.false_positive,
                (false, false) => &mut confusion.true_negative,
                (true, false) => &mut confusion.false_negative,
            } += 1;
        }
        confusion
    }

    /// Share of rows predicted right, `(TP + TN) / n`.
    #[must_use]
    pub fn accuracy(&self) -> f64 {
        let right = self.true_positive + self.true_negative;
        ratio(right, right + self.false_positive + self.false_negative)
    }

    /// `TP / (TP + FP)`; 0 when nothing was predicted 1.
    #[must_use]
    pub fn precision(&self) -> f64 {
        ratio(self.true_positive, self.true_positive + self.false_positive)
    }

    /// `TP / (TP + FN)`; 0 when nothing is of class 1.
    #[must_use]
    pub fn recall(&self) -> f64 {
        ratio(self.true_positive, self.true_positive + self.false_negative)
    }

    /// Harmonic mean of precision and recall, `2 TP / (2 TP + FP + FN)`; 0 when undefined.
    #[must_use]
    pub fn f1(&self) -> f64 {
        let doubled = 2 * self.true_positive;
        ratio(doubled, doubled + self.false_positive + self.false_negative)
    }
}

fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

pub(super) fn check(labels: &[u8], scores: &[f64]) {
    assert_eq!(labels.len(), scores.len(), "a score for each label");
    assert!(!labels.is_empty(), "at least one label");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn auc_counts_pairs_in_the_right_order() {
        // The example of scikit-learn's documentation: 3 of 4 pairs.
        assert_eq!(auc_roc(&[0, 0, 1, 1], &[0.1, 0.4, 0.35, 0.8]), Some(0.75));
        assert_eq!(auc_roc(&[1, 0], &[0.0, 1.0]), Some(0.0));
        // Pairs (0.5, 0.5) tie, (0.5, 0.2) is won: (0.5 + 1) / 2. Both zeros are one score.
        assert_eq!(auc_roc(&[1, 0, 0], &[0.5, 0.5, 0.2]), Some(0.75));
        assert_eq!(auc_roc(&[1, 0], &[-0.0, 0.0]), Some(0.5));
        assert_eq!(auc_roc(&[1, 1], &[0.1, 0.2]), None);
        assert_eq!(auc_roc(&[1, 0], &[f64::NAN, 0.2]), None);
    }

    #[test]
    fn log_loss_is_the_mean_surprise() {
        let expected = -(0.9f64.ln() + 0.8f64.ln()) / 2.0;
        assert!((log_loss(&[1, 0], &[0.9, 0.2]) - expected).abs() < 1e-15);
        assert!(log_loss(&[1], &[0.0]).is_finite());
    }

    #[test]
    fn confusion_and_its_ratios() {
        let labels = [1, 1, 1, 0, 0, 0, 0, 1];
        let scores = [0.9, 0.6, 0.5, 0.7, 0.1, 0.2, 0.3, 0.8];
        let confusion = Confusion::at(0.5, &labels, &scores);
        let expected = Confusion { true_positive: 3, false_positive: 1, true_negative: 3, false_negative: 1 };
        assert_eq!(confusion, expected);
        let ratios = [confusion.accuracy(), confusion.precision(), confusion.recall(), confusion.f1()];
        assert_eq!(ratios, [0.75; 4]);
        assert_eq!(Confusion::at(0.5, &[0], &[0.1]).f1(), 0.0);
    }
}
