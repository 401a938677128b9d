//! How good a model is: its family's metrics on the validation rows, or in-sample without any.

use serde_json::{Map, Value, json};

use super::split::Split;
use crate::{
    catalog::Family,
    features::Dataset,
    forest::{Matrix, metrics},
    inference::LoadedModel,
};

/// What a model achieved.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    /// Finite numbers by name. Without a prefix: on the judged rows; `train_`: in-sample; `baseline_`: what
    /// the simplest model achieves on the judged rows, which says the mean or the more frequent class of the
    /// training rows.
    pub metrics: Map<String, Value>,
    /// What should be known when reading them.
    pub warnings: Vec<String>,
    /// The rows that the model was judged on.
    pub judged: Judged,
}

/// Rows that a model was judged on, equally long lists.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Judged {
    /// Positions among the usable rows, ascending.
    pub rows: Vec<usize>,
    /// The target; empty for an unsupervised model.
    pub actual: Vec<f64>,
    /// What the model says: the target, the probability of class 1, or the anomaly score.
    pub predicted: Vec<f64>,
    /// Whether the model was fitted on these rows, as none were held out.
    pub in_sample: bool,
}

impl Judged {
    /// The target as classes: 1 where it is 1.
    #[must_use]
    pub fn labels(&self) -> Vec<u8> {
        labels(&self.actual)
    }
}

/// Judges a model on the rows that it was or was not fitted on, once the others are held out of `dataset`.
#[must_use]
pub fn evaluate(family: Family, model: &LoadedModel, dataset: &Dataset, split: &Split) -> Evaluation {
    let mut metrics = Map::new();
    let mut warnings = dataset.warnings.clone();
    let in_sample = split.validation.is_empty();
    if in_sample {
        warnings.push("No rows were held out: the metrics are in-sample and too good".to_owned());
    }
    let trained = judge(model, dataset.features.fitting(), &dataset.target, &split.train);
    let judged = if in_sample {
        trained.clone()
    } else {
        let judged = judge(model, dataset.features.held_out(), &dataset.target, &split.validation);
        Judged { in_sample, ..judged }
    };
    for (prefix, rows) in [("", &judged), ("train_", &trained)] {
        let mut values = scores(family, model.offset, &rows.actual, &rows.predicted);
        if prefix.is_empty() {
            values.extend(baseline(family, &trained.actual, &judged.actual));
        }
        for (name, value) in values {
            match value.filter(|value| value.is_finite()) {
                Some(value) => {
                    metrics.insert(format!("{prefix}{name}"), json!(value));
                }
                None if prefix.is_empty() => {
                    warnings.push(format!("{name} is undefined on the validation rows"));
                }
                None => {}
            }
        }
    }
    Evaluation { metrics, warnings, judged }
}

/// `rows` are the numbers of the examples' rows among all targets.
fn judge(model: &LoadedModel, examples: &Matrix, target: &[f64], rows: &[usize]) -> Judged {
    Judged {
        predicted: model.evaluator.predict(examples),
        actual: rows.iter().filter_map(|&row| target.get(row).copied()).collect(),
        rows: rows.to_vec(),
        in_sample: true,
    }
}

fn labels(actual: &[f64]) -> Vec<u8> {
    actual.iter().map(|&class| u8::from(class == 1.0)).collect()
}

/// One metric of a model on given rows; `None` if it is undefined on them.
pub(super) fn metric(
    family: Family,
    name: &str,
    model: &LoadedModel,
    rows: &Matrix,
    actual: &[f64],
) -> Option<f64> {
    let values = scores(family, model.offset, actual, &model.evaluator.predict(rows));
    values.into_iter().find(|(found, _)| *found == name)?.1.filter(|value| value.is_finite())
}

fn scores(family: Family, offset: f64, actual: &[f64], predicted: &[f64]) -> Metrics {
    match family {
        Family::BoostedRegression => regression(actual, predicted),
        Family::RandomForest => classification(&labels(actual), predicted),
        Family::IsolationForest => anomalies(offset, predicted),
    }
}

type Metrics = Vec<(&'static str, Option<f64>)>;

fn regression(actual: &[f64], predicted: &[f64]) -> Metrics {
    vec![
        ("rmse", Some(metrics::rmse(actual, predicted))),
        ("mae", Some(metrics::mae(actual, predicted))),
        ("r2", metrics::r2(actual, predicted)),
    ]
}

fn classification(labels: &[u8], predicted: &[f64]) -> Metrics {
    let confusion = metrics::Confusion::at(0.5, labels, predicted);
    let ranking = metrics::Ranking::new(labels, predicted);
    vec![
        ("accuracy", Some(confusion.accuracy())),
        ("auc_roc", metrics::auc_roc(labels, predicted)),
        ("log_loss", Some(metrics::log_loss(labels, predicted))),
        ("average_precision", ranking.map(|ranking| ranking.average_precision())),
        ("precision", Some(confusion.precision())),
        ("recall", Some(confusion.recall())),
        ("f1", Some(confusion.f1())),
        ("brier_score", Some(metrics::brier_score(labels, predicted))),
    ]
}

/// What is achieved without looking at a feature.
fn baseline(family: Family, trained: &[f64], judged: &[f64]) -> Option<(&'static str, Option<f64>)> {
    let mean = trained.iter().sum::<f64>() / trained.len() as f64;
    match family {
        Family::BoostedRegression => {
            Some(("baseline_rmse", Some(metrics::rmse(judged, &vec![mean; judged.len()]))))
        }
        Family::RandomForest => {
            let frequent = f64::from(u8::from(mean > 0.5));
            let right = judged.iter().filter(|&&class| class == frequent).count();
            Some(("baseline_accuracy", Some(right as f64 / judged.len() as f64)))
        }
        Family::IsolationForest => None,
    }
}

fn anomalies(offset: f64, scores: &[f64]) -> Metrics {
    let detected = scores.iter().filter(|&&score| score < offset).count() as f64;
    vec![("anomaly_rate", Some(detected / scores.len() as f64)), ("anomalies_detected", Some(detected))]
}
