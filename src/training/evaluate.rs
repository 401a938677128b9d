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
    /// Finite numbers by name. Without a prefix: on validation rows; `train_`: in-sample.
    pub metrics: Map<String, Value>,
    /// What should be known when reading them.
    pub warnings: Vec<String>,
}

/// Judges a model on the rows that it was or was not fitted on.
#[must_use]
pub fn evaluate(family: Family, model: &LoadedModel, dataset: &Dataset, split: &Split) -> Evaluation {
    let mut evaluation = Evaluation { metrics: Map::new(), warnings: dataset.warnings.clone() };
    let mut held_out = split.validation.as_slice();
    if held_out.is_empty() {
        held_out = &split.train;
        evaluation.warnings.push("No rows were held out: the metrics are in-sample and too good".to_owned());
    }
    for (prefix, rows) in [("", held_out), ("train_", split.train.as_slice())] {
        let predicted = model.evaluator.predict(&dataset.features.take_rows(rows));
        let actual: Vec<f64> = rows.iter().filter_map(|&row| dataset.target.get(row).copied()).collect();
        let values = scores(family, model.offset, &actual, &predicted);
        for (name, value) in values {
            match value.filter(|value| value.is_finite()) {
                Some(value) => {
                    evaluation.metrics.insert(format!("{prefix}{name}"), json!(value));
                }
                None if prefix.is_empty() => {
                    evaluation.warnings.push(format!("{name} is undefined on the validation rows"));
                }
                None => {}
            }
        }
    }
    evaluation
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
        Family::RandomForest => classification(actual, predicted),
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

fn classification(actual: &[f64], predicted: &[f64]) -> Metrics {
    let labels: Vec<u8> = actual.iter().map(|&class| u8::from(class == 1.0)).collect();
    vec![
        ("accuracy", Some(metrics::Confusion::at(0.5, &labels, predicted).accuracy())),
        ("auc_roc", metrics::auc_roc(&labels, predicted)),
        ("log_loss", Some(metrics::log_loss(&labels, predicted))),
    ]
}

fn anomalies(offset: f64, scores: &[f64]) -> Metrics {
    let detected = scores.iter().filter(|&&score| score < offset).count() as f64;
    vec![("anomaly_rate", Some(detected / scores.len() as f64)), ("anomalies_detected", Some(detected))]
}
