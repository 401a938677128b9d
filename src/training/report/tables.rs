//! Tables of a run, in the form of MLflow's `log_table`: `mlflow.load_table` reads them, and the run's page
//! shows those that the tag names.

use bytes::Bytes;
use serde_json::{Value, json};

use super::Material;
use crate::{
    catalog::Family,
    chart::density::evenly,
    features::{
        FeatureKind, FeatureSchema,
        pipeline::profile::{DataProfile, NumericProfile, QUANTILES, ValuesProfile},
    },
    forest::metrics::Confusion,
    tracking::ArtifactFile,
};

/// The tag in which MLflow looks for tables.
const TABLES_TAG: &str = "mlflow.loggedArtifacts";

/// Rows of the sample of predictions.
const SAMPLE: usize = 500;

/// The tag that makes files tables.
pub(super) fn tag(tables: &[ArtifactFile]) -> (String, String) {
    let entries: Vec<_> = tables.iter().map(|file| json!({"path": file.path, "type": "table"})).collect();
    (TABLES_TAG.to_owned(), Value::from(entries).to_string())
}

/// All tables of a run but the profile.
pub(super) fn tables(material: &Material<'_>) -> Vec<ArtifactFile> {
    let mut tables = vec![feature_importance(material.importance), predictions(material)];
    if material.family == Family::RandomForest {
        tables.push(confusion_matrix(material));
    }
    tables
}

fn table(path: &str, columns: &[impl serde::Serialize], rows: &[Vec<Value>]) -> ArtifactFile {
    let table = json!({ "columns": columns, "data": rows });
    ArtifactFile { path: path.to_owned(), bytes: Bytes::from(table.to_string()) }
}

fn feature_importance(importance: &[(String, f64)]) -> ArtifactFile {
    let mut shares: Vec<_> = importance.iter().collect();
    shares.sort_by(|a, b| b.1.total_cmp(&a.1));
    let rows: Vec<_> = shares.into_iter().map(|(name, share)| vec![json!(name), json!(share)]).collect();
    table("feature_importance.json", &["feature", "importance"], &rows)
}

/// At most 500 of the judged rows, evenly apart; `row` counts the usable rows of the training from 0.
fn predictions(material: &Material<'_>) -> ArtifactFile {
    let judged = &material.evaluation.judged;
    let columns: &[&str] = match material.family {
        Family::BoostedRegression => &["row", "actual", "predicted", "residual"],
        Family::RandomForest => &["row", "actual", "probability", "predicted"],
        Family::IsolationForest => &["row", "score", "anomaly"],
    };
    let row = |i: usize| {
        let (actual, predicted) = (judged.actual.get(i).copied().unwrap_or(f64::NAN), judged.predicted[i]);
        let mut row = vec![json!(judged.rows[i])];
        match material.family {
            Family::BoostedRegression => {
                row.extend([json!(actual), json!(predicted), json!(actual - predicted)]);
            }
            Family::RandomForest => {
                row.extend([json!(actual as u8), json!(predicted), json!(u8::from(predicted > 0.5))]);
            }
            Family::IsolationForest => row.extend([json!(predicted), json!(predicted < material.offset)]),
        }
        row
    };
    let rows: Vec<_> = evenly(judged.predicted.len(), SAMPLE).map(row).collect();
    table("predictions.json", columns, &rows)
}

fn confusion_matrix(material: &Material<'_>) -> ArtifactFile {
    let judged = &material.evaluation.judged;
    let counts = confusion(&judged.labels(), &judged.predicted);
    let row = |(class, row): (usize, &[u64; 2])| vec![json!(class), json!(row[0]), json!(row[1])];
    let rows: Vec<_> = counts.iter().enumerate().map(row).collect();
    table("confusion_matrix.json", &["actual", "predicted_0", "predicted_1"], &rows)
}

/// Rows by actual class, then by predicted one.
pub(super) fn confusion(labels: &[u8], probabilities: &[f64]) -> [[u64; 2]; 2] {
    let counts = Confusion::at(0.5, labels, probabilities);
    [[counts.true_negative, counts.false_positive], [counts.false_negative, counts.true_positive]]
}

/// The profile for people; the file in the registry has all of it.
pub(super) fn data_profile(profile: &DataProfile, schema: &FeatureSchema) -> ArtifactFile {
    let share = |share: f64| format!("{}%", (share * 100.0).round());
    let words = ["feature", "count", "missing", "mean", "std", "min"].map(str::to_owned);
    let quantiles = QUANTILES.into_iter().map(share);
    let columns: Vec<_> =
        words.into_iter().chain(quantiles).chain(["max", "top"].map(str::to_owned)).collect();
    let numbers = |name: &str, count: u64, missing: u64, numbers: &NumericProfile| {
        let mut row = vec![json!(name), json!(count), json!(missing)];
        row.extend([json!(numbers.mean), json!(numbers.std), json!(numbers.min)]);
        row.extend(numbers.quantiles.iter().map(|(_, quantile)| json!(quantile)));
        row.extend([json!(numbers.max), Value::Null]);
        row
    };
    let features = profile.features.iter().zip(&schema.features);
    let mut rows: Vec<_> = features
        .map(|(feature, spec)| match &feature.values {
            ValuesProfile::Numeric(values) => numbers(&feature.name, feature.count, feature.missing, values),
            ValuesProfile::Categorical { counts } => {
                let mut row = vec![json!(feature.name), json!(feature.count), json!(feature.missing)];
                row.resize(columns.len() - 1, Value::Null);
                row.push(json!(top_categories(&spec.kind, counts)));
                row
            }
        })
        .collect();
    if let (Some(name), Some(values)) = (&schema.target, &profile.target) {
        rows.push(numbers(name, profile.n_rows, 0, values));
    }
    table("data_profile.json", &columns, &rows)
}

/// `a 60%, b 30%`: the most frequent categories with their shares of the values.
fn top_categories(kind: &FeatureKind, counts: &[u64]) -> String {
    const SHOWN: usize = 5;
    let FeatureKind::Categorical { categories, .. } = kind else { return String::new() };
    let all = counts.iter().sum::<u64>().max(1) as f64;
    let mut top: Vec<_> = counts.iter().zip(categories).collect();
    // A stable sort: equal counts stay in the order of the names.
    top.sort_by_key(|(count, _)| std::cmp::Reverse(**count));
    let shown = top.iter().take(SHOWN).map(|(count, name)| {
        let name: String = name.chars().take(60).collect();
        format!("{name} {:.1}%", **count as f64 / all * 100.0)
    });
    shown.collect::<Vec<_>>().join(", ")
}
