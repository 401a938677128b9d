//! A finished training in words: its message, and its run for MLflow.

use std::fmt::Write;

use bytes::Bytes;
use chrono::Utc;
use serde_json::{Value, json};

use super::trainer::{Task, Trained};
use crate::{
    features::{join::JoinReport, schema},
    registry::ModelRecord,
    tracking::{ArtifactFile, Feature, FeatureKind, Flavor, ModelFolder, TrainingRun},
};

/// What happened, in one sentence for a person.
pub(super) fn message(task: &Task, trained: &Trained, record: &ModelRecord, tracked: bool) -> String {
    let mut text = format!(
        "Trained {} {} on {} rows ({})",
        task.model_type,
        record.version_label(),
        trained.n_train,
        match trained.n_validation {
            0 => "none held out, metrics are in-sample".to_owned(),
            n => format!("{n} held out, {} split", trained.split.name()),
        },
    );
    if trained.dropped_rows > 0 {
        let _ = write!(text, "; {} unusable rows left out", trained.dropped_rows);
    }
    if let Some(join) = &trained.origin.join {
        let _ = write!(text, "; {join}");
    }
    if !tracked {
        text.push_str("; tracking is pending: MLflow could not be reached");
    }
    text
}

/// The run as it is to stand in MLflow. Equal for equal trainings: logging may be repeated.
pub(super) fn training_run(task: &Task, trained: &Trained, record: &ModelRecord) -> TrainingRun {
    TrainingRun {
        job_id: task.job,
        tenant_id: task.tenant.to_string(),
        model_type: task.model_type.name.to_owned(),
        run_name: format!("{} {}", task.model_type, record.version_label()),
        user: task.caller.user_id.clone(),
        version: record.version,
        started_at: task.started_at,
        finished_at: Utc::now(),
        params: params(task, trained),
        metrics: trained
            .evaluation
            .metrics
            .iter()
            .filter_map(|(name, value)| Some((name.clone(), value.as_f64()?)))
            .collect(),
        curves: trained
            .fitted
            .curves
            .iter()
            .map(|(name, values)| (format!("curve/{name}"), values.clone()))
            .collect(),
        tags: vec![
            ("family".to_owned(), task.model_type.family.name().to_owned()),
            ("data_source".to_owned(), trained.origin.source.to_owned()),
        ],
        note: Some(note(task, trained, record)),
        dataset: None,
        files: vec![importance_file(trained)],
        model: model_folder(task, trained),
    }
}

fn params(task: &Task, trained: &Trained) -> Vec<(String, String)> {
    let own = [
        ("split", trained.split.name().to_owned()),
        ("validation_split", task.validation_split.to_string()),
        ("seed", task.seed.to_string()),
        ("n_rows", (trained.n_train + trained.n_validation).to_string()),
        ("n_train", trained.n_train.to_string()),
        ("n_validation", trained.n_validation.to_string()),
        ("n_features", trained.model.schema.features.len().to_string()),
        ("dropped_rows", trained.dropped_rows.to_string()),
        ("data_source", trained.origin.source.to_owned()),
    ];
    let hyperparameters = task.params.as_map().iter().map(|(name, value)| (name.clone(), plain(value)));
    let own = own.into_iter().chain(trained.origin.join.iter().flat_map(join_params));
    own.map(|(name, value)| (name.to_owned(), value)).chain(hyperparameters).collect()
}

/// What each side gave.
fn join_params(join: &JoinReport) -> [(&'static str, String); 8] {
    [
        ("rows_postgres", join.rows_postgres),
        ("rows_neo4j", join.rows_neo4j),
        ("rows_joined", join.rows_joined),
        ("rows_both", join.rows_both),
        ("cells_postgres", join.cells_postgres),
        ("cells_neo4j", join.cells_neo4j),
        ("cells_missing", join.cells_missing),
        ("cells_both", join.cells_both),
    ]
    .map(|(name, count)| (name, count.to_string()))
}

/// A value as MLflow's Python client would write it.
fn plain(value: &Value) -> String {
    match value {
        Value::Null => "None".to_owned(),
        Value::String(word) => word.clone(),
        other => other.to_string(),
    }
}

fn note(task: &Task, trained: &Trained, record: &ModelRecord) -> String {
    let mut note =
        format!("## {} {}\n\n{}\n\n", task.model_type, record.version_label(), task.model_type.summary);
    let _ = writeln!(note, "{}.\n", message(task, trained, record, true));
    note.push_str("| metric | value |\n|---|---|\n");
    for (name, value) in &trained.evaluation.metrics {
        let _ = writeln!(note, "| {name} | {value} |");
    }
    for warning in &trained.evaluation.warnings {
        let _ = writeln!(note, "\n> {warning}");
    }
    note
}

fn importance_file(trained: &Trained) -> ArtifactFile {
    let mut shares: Vec<_> = trained.importance.iter().collect();
    shares.sort_by(|a, b| b.1.total_cmp(&a.1));
    let rows: Vec<_> = shares.into_iter().map(|(name, share)| json!([name, share])).collect();
    let table = json!({ "columns": ["feature", "importance"], "data": rows });
    ArtifactFile { path: "feature_importance.json".to_owned(), bytes: Bytes::from(table.to_string()) }
}

fn model_folder(task: &Task, trained: &Trained) -> ModelFolder {
    let features = trained.model.schema.features.iter().map(|feature| Feature {
        name: feature.name.clone(),
        kind: match &feature.kind {
            schema::FeatureKind::Numeric => FeatureKind::Numeric,
            schema::FeatureKind::Categorical { categories, .. } => {
                FeatureKind::Categorical { categories: categories.clone() }
            }
        },
    });
    let native = Flavor::Native { model: trained.native.clone(), family: task.model_type.family.name() };
    let xgboost = trained
        .fitted
        .xgboost
        .as_ref()
        .map(|model| Flavor::Xgboost { model_json: model.json.clone(), version: model.version.clone() });
    ModelFolder {
        features: features.collect(),
        flavors: xgboost.into_iter().chain([native]).collect(),
        input_example: trained.example.iter().map(|&value| f64::from(value)).collect(),
    }
}
