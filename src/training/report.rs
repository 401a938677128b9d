//! A finished training in words: its message, and its run for MLflow.

use std::fmt::Write;

use bytes::Bytes;
use chrono::Utc;
use serde_json::{Value, json};

use super::trainer::{Task, Trained};
use crate::{
    features::{
        Feature as FeatureSpec,
        join::JoinReport,
        pipeline::profile::{NumericProfile, QUANTILES, ValuesProfile},
        schema,
    },
    registry::ModelRecord,
    tracking::{
        ArtifactFile, Dataset, DatasetColumn, Feature, FeatureKind, ModelFolder, PackedRun, TrainingRun,
    },
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
        text.push_str("; tracking is pending: MLflow did not take the run yet, it is logged later");
    }
    text
}

/// The run as it is to stand in MLflow, but for what its version says: its files are safe before it
/// has one.
pub(super) fn training_run(task: &Task, trained: &Trained) -> TrainingRun {
    TrainingRun {
        job_id: task.job,
        tenant_id: task.tenant.to_string(),
        model_type: task.model_type.name.to_owned(),
        run_name: String::new(),
        user: task.caller.user_id.clone(),
        version: 0,
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
            ("data_digest".to_owned(), trained.digest.to_string()),
        ],
        note: None,
        dataset: Some(dataset(task, trained)),
        files: vec![importance_file(trained), profile_file(trained)],
        model: model_folder(trained),
    }
}

/// The run with its version, its name and its note.
pub(super) fn with_version(
    run: PackedRun,
    task: &Task,
    trained: &Trained,
    record: &ModelRecord,
) -> PackedRun {
    PackedRun {
        version: record.version,
        run_name: format!("{} {}", task.model_type, record.version_label()),
        note: Some(note(task, trained, record)),
        ..run
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
        ("data_digest", trained.digest.to_string()),
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

/// The rows as MLflow's input: where they came from, never what a query says.
fn dataset(task: &Task, trained: &Trained) -> Dataset {
    let schema = &trained.model.schema;
    let text = |name: &str, text: &str| (name.to_owned(), text.to_owned());
    let kind = trained.origin.source;
    let from_records = matches!(kind, "postgres" | "joined");
    let mut source = vec![text("kind", kind)];
    if from_records {
        source.push(text("table", task.model_type.table));
    }
    source.extend(task.query_hash.as_deref().map(|hash| text("query_sha256", hash)));
    let column = |name: &String, is_text| DatasetColumn { name: name.clone(), is_text };
    let features = schema
        .features
        .iter()
        .map(|feature| column(&feature.name, feature.kind != schema::FeatureKind::Numeric));
    Dataset {
        name: if from_records { task.model_type.table } else { kind }.to_owned(),
        digest: trained.digest.to_string(),
        source,
        columns: features.chain(schema.target.iter().map(|target| column(target, false))).collect(),
        rows: trained.profile.n_rows,
    }
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

/// The profile for people, as a table that MLflow shows; the file in the registry has all of it.
fn profile_file(trained: &Trained) -> ArtifactFile {
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
    let profile = &trained.profile;
    let schema = &trained.model.schema;
    let features = profile.features.iter().zip(&schema.features);
    let mut rows: Vec<_> = features
        .map(|(feature, FeatureSpec { kind, .. })| match (&feature.values, kind) {
            (ValuesProfile::Numeric(values), _) => {
                numbers(&feature.name, feature.count, feature.missing, values)
            }
            (ValuesProfile::Categorical { counts }, kind) => {
                let mut row = vec![json!(feature.name), json!(feature.count), json!(feature.missing)];
                row.resize(columns.len() - 1, Value::Null);
                row.push(json!(top_categories(kind, counts)));
                row
            }
        })
        .collect();
    if let (Some(name), Some(values)) = (&schema.target, &profile.target) {
        rows.push(numbers(name, profile.n_rows, 0, values));
    }
    let table = json!({ "columns": columns, "data": rows });
    ArtifactFile { path: "data_profile.json".to_owned(), bytes: Bytes::from(table.to_string()) }
}

/// `a 60%, b 30%`: the most frequent categories with their shares of the values.
fn top_categories(kind: &schema::FeatureKind, counts: &[u64]) -> String {
    const SHOWN: usize = 5;
    let schema::FeatureKind::Categorical { categories, .. } = kind else { return String::new() };
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

fn model_folder(trained: &Trained) -> ModelFolder {
    let features = trained.model.schema.features.iter().map(|feature| Feature {
        name: feature.name.clone(),
        kind: match &feature.kind {
            schema::FeatureKind::Numeric => FeatureKind::Numeric,
            schema::FeatureKind::Categorical { categories, .. } => {
                FeatureKind::Categorical { categories: categories.clone() }
            }
        },
    });
    ModelFolder {
        features: features.collect(),
        flavors: trained.flavors.clone(),
        input_example: trained.example.iter().map(|&value| f64::from(value)).collect(),
    }
}
