//! Curves of binary classifications, point for point scikit-learn's. `labels` (0 or 1) and `scores` are equally
//! long and not empty; else these functions panic.

use super::classification::check;

/// How many rows of each class score at or above a threshold.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Counts {
    threshold: f64,
    true_positives: u64,
    false_positives: u64,
}

/// Rows by their scores, descending, one entry a distinct score. What `roc_curve` and
/// `precision_recall_curve` are made of: the sorting is the costly part.
#[derive(Debug, Clone, PartialEq)]
pub struct Ranking {
    counts: Vec<Counts>,
    positives: u64,
    negatives: u64,
}

/// Receiver operating characteristic: one point a threshold, from nothing predicted 1 to everything.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RocCurve {
    /// Share of class 0 that is predicted 1.
    pub false_positive_rate: Vec<f64>,
    /// Share of class 1 that is predicted 1, the recall.
    pub true_positive_rate: Vec<f64>,
    /// Class 1 is predicted at and above; the first is infinite.
    pub thresholds: Vec<f64>,
}

/// Precision against recall: one point a threshold, ascending, then the point (recall 0, precision 1), which
/// has none.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PrecisionRecallCurve {
    /// Share of the rows predicted 1 that are of class 1.
    pub precision: Vec<f64>,
    /// Share of class 1 that is predicted 1.
    pub recall: Vec<f64>,
    /// One fewer than points.
    pub thresholds: Vec<f64>,
}

/// One bin of predicted probabilities.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CalibrationBin {
    /// Mean predicted probability of its rows.
    pub predicted: f64,
    /// Share of class 1 among them.
    pub observed: f64,
    /// Number of rows, at least 1.
    pub rows: u64,
}

impl Ranking {
    /// None with one class only, or when a score is NaN.
    #[must_use]
    pub fn new(labels: &[u8], scores: &[f64]) -> Option<Self> {
        check(labels, scores);
        if scores.iter().any(|score| score.is_nan()) {
            return None;
        }
        let mut ranked: Vec<(f64, u8)> = scores.iter().copied().zip(labels.iter().copied()).collect();
        ranked.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
        let (mut true_positives, mut false_positives) = (0, 0);
        let counts = ranked.chunk_by(|a, b| a.0 == b.0).map(|tied| {
            let positive = tied.iter().filter(|(_, label)| *label == 1).count() as u64;
            true_positives += positive;
            false_positives += tied.len() as u64 - positive;
            Counts { threshold: tied[0].0, true_positives, false_positives }
        });
        let counts: Vec<_> = counts.collect();
        let (positives, negatives) = (true_positives, false_positives);
        (positives > 0 && negatives > 0).then_some(Self { counts, positives, negatives })
    }

    /// All points, as scikit-learn's `roc_curve(drop_intermediate=False)`.
    #[must_use]
    pub fn roc_curve(&self) -> RocCurve {
        let rate = |count, all: u64| count as f64 / all as f64;
        let mut curve = RocCurve {
            false_positive_rate: vec![0.0],
            true_positive_rate: vec![0.0],
            thresholds: vec![f64::INFINITY],
        };
        for counts in &self.counts {
            curve.false_positive_rate.push(rate(counts.false_positives, self.negatives));
            curve.true_positive_rate.push(rate(counts.true_positives, self.positives));
            curve.thresholds.push(counts.threshold);
        }
        curve
    }

    /// All points, as scikit-learn's `precision_recall_curve`.
    #[must_use]
    pub fn precision_recall_curve(&self) -> PrecisionRecallCurve {
        let mut curve = PrecisionRecallCurve::default();
        for counts in self.counts.iter().rev() {
            curve.precision.push(self.precision(counts));
            curve.recall.push(counts.true_positives as f64 / self.positives as f64);
            curve.thresholds.push(counts.threshold);
        }
        curve.precision.push(1.0);
        curve.recall.push(0.0);
        curve
    }

    /// `sum((R_n - R_(n-1)) P_n)`: the area under the precision-recall curve without interpolation.
    #[must_use]
    pub fn average_precision(&self) -> f64 {
        let mut found = 0;
        let gained = self.counts.iter().map(|counts| {
            let new = counts.true_positives - std::mem::replace(&mut found, counts.true_positives);
            new as f64 / self.positives as f64 * self.precision(counts)
        });
        gained.sum()
    }

    /// Share of class 1 among all rows: the average precision of random scores.
    #[must_use]
    pub fn prevalence(&self) -> f64 {
        self.positives as f64 / (self.positives + self.negatives) as f64
    }

    fn precision(&self, counts: &Counts) -> f64 {
        counts.true_positives as f64 / (counts.true_positives + counts.false_positives) as f64
    }
}

/// Predicted probabilities against what came of them, by bins of equal width over 0 to 1, without the empty
/// ones: scikit-learn's `calibration_curve(strategy="uniform")`. A probability on an edge is in the lower bin.
#[must_use]
pub fn calibration_curve(labels: &[u8], probabilities: &[f64], n_bins: usize) -> Vec<CalibrationBin> {
    check(labels, probabilities);
    let n_bins = n_bins.max(1);
    // numpy's linspace(0, 1, n_bins + 1) without its ends.
    let edges: Vec<f64> = (1..n_bins).map(|i| i as f64 * (1.0 / n_bins as f64)).collect();
    let mut bins = vec![(0.0, 0_u64, 0_u64); n_bins];
    for (&label, &probability) in labels.iter().zip(probabilities) {
        let bin = &mut bins[edges.partition_point(|&edge| edge < probability)];
        *bin = (bin.0 + probability, bin.1 + u64::from(label == 1), bin.2 + 1);
    }
    let filled = bins.into_iter().filter(|(_, _, rows)| *rows > 0);
    filled
        .map(|(sum, positive, rows)| CalibrationBin {
            predicted: sum / rows as f64,
            observed: positive as f64 / rows as f64,
            rows,
        })
        .collect()
}

/// Mean squared distance of probability and label, `mean((p - y)^2)`: 0 is perfect, 0.25 a constant 0.5.
#[must_use]
pub fn brier_score(labels: &[u8], probabilities: &[f64]) -> f64 {
    check(labels, probabilities);
    let squares = labels.iter().zip(probabilities).map(|(&label, p)| (p - f64::from(label)).powi(2));
    squares.sum::<f64>() / labels.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    // The example of scikit-learn's documentation.
    const LABELS: [u8; 4] = [0, 0, 1, 1];
    const SCORES: [f64; 4] = [0.1, 0.4, 0.35, 0.8];

    #[test]
    fn curves_of_the_documentation() {
        let ranking = Ranking::new(&LABELS, &SCORES).expect("both classes");
        let roc = ranking.roc_curve();
        assert_eq!(roc.false_positive_rate, [0.0, 0.0, 0.5, 0.5, 1.0]);
        assert_eq!(roc.true_positive_rate, [0.0, 0.5, 0.5, 1.0, 1.0]);
        let curve = ranking.precision_recall_curve();
        assert_eq!(curve.precision, [0.5, 2.0 / 3.0, 0.5, 1.0, 1.0]);
        assert_eq!(curve.recall, [1.0, 1.0, 0.5, 0.5, 0.0]);
        assert_eq!(curve.thresholds, [0.1, 0.35, 0.4, 0.8]);
        assert!((ranking.average_precision() - 5.0 / 6.0).abs() < 1e-15);
    }

    #[test]
    fn ties_are_one_point_and_one_class_has_no_curve() {
        let ranking = Ranking::new(&[0, 1, 1], &[0.5, 0.5, 0.5]).expect("both classes");
        assert_eq!(ranking.roc_curve().true_positive_rate, [0.0, 1.0]);
        assert!((ranking.average_precision() - ranking.prevalence()).abs() < 1e-15);
        assert_eq!(
            (Ranking::new(&[1, 1], &[0.1, 0.2]), Ranking::new(&[0, 1], &[f64::NAN, 0.0])),
            (None, None)
        );
    }

    #[test]
    fn bins_hold_their_upper_edge() {
        let bins = calibration_curve(&[0, 1, 1, 1], &[0.5, 0.25, 0.75, 1.0], 2);
        let expected = [
            CalibrationBin { predicted: 0.375, observed: 0.5, rows: 2 },
            CalibrationBin { predicted: 0.875, observed: 1.0, rows: 2 },
        ];
        assert_eq!(bins, expected);
        assert_eq!(brier_score(&[1, 0], &[0.5, 0.0]), 0.125);
    }
}
