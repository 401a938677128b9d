//! Our ROC, precision-recall and calibration curves beside scikit-learn's on the same scores.

use std::fs;

use binah_ml::forest::{
    metrics::{Ranking, brier_score, calibration_curve},
    rng::Rng,
};
use serde_json::{Value, json};

use crate::python;

/// Scores with a signal; rounded to a grid of `steps` they tie, also on the edges of bins.
fn case(rng: &mut Rng, n: usize, steps: f64, prevalence: f64) -> (Vec<u8>, Vec<f64>) {
    let mut row = || {
        let label = u8::from(rng.unit() < prevalence);
        let score = (rng.unit() + 0.4 * f64::from(label)) / 1.4;
        (label, (score * steps).round() / steps)
    };
    // Whatever is drawn, both classes are there.
    let mut rows: Vec<_> = (0..n).map(|_| row()).collect();
    (rows[0].0, rows[1].0) = (0, 1);
    rows.into_iter().unzip()
}

fn assert_close(ours: &[f64], theirs: &Value, what: &str) {
    let theirs: Vec<f64> = serde_json::from_value(theirs.clone()).expect("numbers");
    assert_eq!(ours.len(), theirs.len(), "{what}");
    let furthest = ours.iter().zip(&theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(furthest <= 1e-12, "{what}: {furthest}");
}

#[test]
fn curves_are_scikit_learns_point_for_point() {
    let mut rng = Rng::new(11);
    let cases: Vec<_> =
        [(2, 1e9, 0.5), (500, 1e9, 0.3), (3_000, 20.0, 0.5), (3_000, 7.0, 0.02), (40, 1.0, 0.5)]
            .into_iter()
            .map(|(n, steps, prevalence)| case(&mut rng, n, steps, prevalence))
            .collect();
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("cases.json");
    let sent: Vec<_> =
        cases.iter().map(|(labels, scores)| json!({"labels": labels, "scores": scores})).collect();
    fs::write(&path, json!(sent).to_string()).expect("writes");
    let theirs = python::run(python::script("oracle/curves.py").arg(&path));
    let theirs: Vec<Value> = serde_json::from_str(&theirs).expect("JSON");

    for ((labels, scores), theirs) in cases.iter().zip(&theirs) {
        let ranking = Ranking::new(labels, scores).expect("both classes");
        let roc = ranking.roc_curve();
        assert_close(&roc.false_positive_rate, &theirs["fpr"], "false positive rate");
        assert_close(&roc.true_positive_rate, &theirs["tpr"], "true positive rate");
        assert_eq!(roc.thresholds[0], f64::INFINITY);
        assert_close(&roc.thresholds[1..], &theirs["roc_thresholds"], "thresholds of ROC");
        let curve = ranking.precision_recall_curve();
        assert_close(&curve.precision, &theirs["precision"], "precision");
        assert_close(&curve.recall, &theirs["recall"], "recall");
        assert_close(&curve.thresholds, &theirs["pr_thresholds"], "thresholds of precision and recall");
        assert_close(&[ranking.average_precision()], &json!([theirs["average_precision"]]), "AP");
        let bins = calibration_curve(labels, scores, 10);
        let (predicted, observed): (Vec<_>, Vec<_>) =
            bins.iter().map(|bin| (bin.predicted, bin.observed)).unzip();
        assert_close(&predicted, &theirs["predicted"], "mean prediction by bin");
        assert_close(&observed, &theirs["observed"], "share of class 1 by bin");
        assert_close(&[brier_score(labels, scores)], &json!([theirs["brier_score"]]), "Brier score");
    }
}
