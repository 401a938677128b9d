//! A finished training in words and pictures: its message, and its run for MLflow.

mod note;
mod pictures;
mod tables;

use std::fmt::Write;

use chrono::Utc;
use serde_json::Value;

use super::{
    evaluate::Evaluation,
    task::{Task, Trained},
};
pub use pictures::pictures;

use crate::{
    catalog::Family,
    features::{join::JoinReport, schema},
    inference::request::version_label,
    registry::{ModelRecord, Verdict},
    tracking::{
        ArtifactFile, Dataset, DatasetColumn, Feature, FeatureKind, Flavor, ModelFolder, PackedRun,
        TrainingRun,
    },
};

/// What the pictures and tables of a run are made of.
#[derive(Debug, Clone, Copy)]
pub struct Material<'a> {
    /// Decides which pictures there are.
    pub family: Family,
    /// Name of what is predicted.
    pub target: &'a str,
    /// The metrics, and the rows that they come from.
    pub evaluation: &'a Evaluation,
    /// Score at and above which a row is normal; NaN for other families.
    pub offset: f64,
    /// Shares by feature, in model order.
    pub importance: &'a [(String, f64)],
    /// Learning curves, one value a round; empty for the forests.
    pub curves: &'a [(&'static str, Vec<f64>)],
    /// Trees of the model: with early stopping fewer than rounds.
    pub n_trees: usize,
}

/// The files that show how good a model is.
#[derive(Debug, Clone)]
pub(super) struct Shown {
    /// Below `plots/`.
    pictures: Vec<ArtifactFile>,
    tables: Vec<ArtifactFile>,
}

impl Shown {
    /// Draws and writes everything once; a run that is logged again gets the same bytes.
    pub(super) fn new(material: &Material<'_>) -> Self {
        Self { pictures: pictures::pictures(material), tables: tables::tables(material) }
    }
}

/// What happened, in one sentence for a person.
pub(super) fn message(task: &Task, trained: &Trained, record: &ModelRecord, verdict: &Verdict) -> String {
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
    let _ = match verdict.kept_champion() {
        None => write!(text, "; now the champion: {}", verdict.reason),
        Some(champion) => {
            write!(text, "; {} stays the champion: {}", version_label(champion), verdict.reason)
        }
    };
    text
}

/// The warning of a version that predictions will not use.
pub(super) fn not_served(record: &ModelRecord, verdict: &Verdict) -> Option<String> {
    let champion = version_label(verdict.kept_champion()?);
    let version = record.version_label();
    Some(format!("{version} is not served, {champion} stays the champion: {}", verdict.reason))
}

/// The run as it is to stand in MLflow, but for what its version and the verdict say: its files are safe
/// before it has one.
pub(super) fn training_run(task: &Task, trained: &Trained) -> TrainingRun {
    let model = model_folder(trained);
    let profile = tables::data_profile(&trained.profile, &trained.model.schema);
    let tables: Vec<_> = trained.shown.tables.iter().cloned().chain([profile]).collect();
    TrainingRun {
        job_id: task.claim.job_id,
        tenant_id: task.claim.tenant.to_string(),
        model_type: task.model_type.name.to_owned(),
        run_name: String::new(),
        user: task.claim.user_id.clone(),
        version: 0,
        started_at: task.started_at,
        finished_at: Utc::now(),
        params: params(task, trained),
        metrics: metrics(trained),
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
            tables::tag(&tables),
        ],
        note: None,
        dataset: Some(dataset(task, trained)),
        files: trained.shown.pictures.iter().cloned().chain(tables).collect(),
        model,
    }
}

/// How good the model is and, under `system/`, what it took.
fn metrics(trained: &Trained) -> Vec<(String, f64)> {
    let seconds = &trained.seconds;
    let system = [
        ("training_seconds", seconds.working()),
        ("seconds_read", seconds.read),
        ("seconds_queued", seconds.queued),
        ("seconds_prepare", seconds.prepare),
        ("seconds_fit", seconds.fit),
        ("seconds_evaluate", seconds.evaluate),
        ("seconds_export", seconds.export),
        ("seconds_report", seconds.report),
        ("rows_per_second", trained.n_train as f64 / seconds.fit),
        ("model_bytes", trained.native.len() as f64),
        ("training_peak_memory_bytes", peak_memory(trained) as f64),
    ];
    let quality = trained.evaluation.metrics.iter();
    let quality = quality.filter_map(|(name, value)| Some((name.clone(), value.as_f64()?)));
    let system = system.into_iter().map(|(name, value)| (format!("system/{name}"), value));
    quality.chain(system.filter(|(_, value)| value.is_finite())).collect()
}

/// Most memory that this training held at once, in bytes: its rows and trees, and either what fitting made of
/// the rows or, once that is gone, the forms of the model.
fn peak_memory(trained: &Trained) -> usize {
    let fitted = &trained.fitted;
    let forms = trained.model.memory_bytes() + trained.flavors.iter().map(Flavor::n_bytes).sum::<usize>();
    fitted.memory.rows + fitted.ensemble.memory_bytes() + fitted.memory.copies.max(forms)
}

/// The run with its version, its name, the verdict and its note.
pub(super) fn with_version(
    mut run: PackedRun,
    task: &Task,
    trained: &Trained,
    record: &ModelRecord,
    verdict: &Verdict,
) -> PackedRun {
    run.params.extend(promotion_params(verdict));
    PackedRun {
        version: record.version,
        run_name: format!("{} {}", task.model_type, record.version_label()),
        note: Some(note::note(task, trained, record, verdict, &model_folder(trained))),
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

/// The decision about the champion, with both numbers.
fn promotion_params(verdict: &Verdict) -> Vec<(String, String)> {
    let word = if verdict.promoted { "promoted" } else { "not promoted" };
    let mut params = vec![
        ("promotion", word.to_owned()),
        ("promotion_decision", verdict.decision.to_owned()),
        ("promotion_reason", verdict.reason.clone()),
    ];
    params.extend(verdict.champion_version.map(|version| ("promotion_against", version_label(version))));
    if let Some(score) = verdict.score {
        params.push(("promotion_metric", score.metric.to_owned()));
        params.push(("promotion_value", score.value.to_string()));
        params.push(("promotion_champion_value", score.champion_value.to_string()));
        params.push(("promotion_margin", verdict.margin.to_string()));
    }
    params.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
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
