//! Tracking against a real MLflow server, read back by Python, and against servers that misbehave.

mod aliases;
mod faults;
mod namespaces;
mod orphans;
mod outbox;
mod proxy;
mod python;
mod runs;

use binah_ml::tracking::{
    ArtifactFile, ClientConfig, Dataset, DatasetColumn, Feature, FeatureKind, Flavor, ModelFolder,
    RetryPolicy, Tracker, TrackerConfig, TrainingRun,
};
use chrono::{DateTime, Utc};
use reqwest::Url;
use std::time::Duration;
use uuid::Uuid;

use crate::support::servers;

/// The shared servers: MLflow 3.17 and 2.9.2.
async fn uris() -> [Url; 2] {
    let uris = [servers::mlflow().await, servers::old_mlflow().await];
    uris.map(|uri| uri.parse().expect("an address"))
}

/// A tracker with short pauses and an experiment of its own.
fn tracker(uri: &Url) -> Tracker {
    let mut client = ClientConfig::new(uri.clone());
    client.retry = RetryPolicy { retries: 3, first_pause: Duration::from_millis(5) };
    Tracker::new(TrackerConfig::new(client, format!("test-{}", Uuid::new_v4()))).expect("a tracker")
}

/// A small training of a forest.
fn training() -> TrainingRun {
    let at = |ms| DateTime::<Utc>::from_timestamp_millis(ms).expect("a time");
    let text = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    let feature = |name: &str| Feature { name: name.into(), kind: FeatureKind::Numeric };
    TrainingRun {
        job_id: Uuid::new_v4(),
        tenant_id: Uuid::new_v4().to_string(),
        model_type: "risk_assessment".into(),
        run_name: "risk_assessment v1".into(),
        user: "ann".into(),
        version: 1,
        started_at: at(1_795_357_867_299),
        finished_at: at(1_795_357_869_001),
        params: vec![text("max_depth", "6"), text("seed (random)", "7")],
        metrics: vec![
            ("accuracy".into(), 0.875),
            ("auc_roc".into(), f64::NAN),
            ("ratio".into(), f64::INFINITY),
            ("loss".into(), f64::NEG_INFINITY),
        ],
        curves: vec![("train/logloss".into(), vec![0.5, 0.25, 0.125])],
        tags: vec![text("colour", "blue")],
        note: Some("## Risk\n\nGood.".into()),
        dataset: Some(Dataset {
            name: "risk_records".into(),
            digest: "8fc2a1b0".into(),
            source: vec![text("table", "risk_records")],
            columns: ["age", "income"]
                .map(|name| DatasetColumn { name: name.into(), is_text: false })
                .to_vec(),
            rows: 400,
        }),
        files: vec![ArtifactFile::new("plots/roc + 100%.svg", "<svg/>")],
        model: ModelFolder {
            features: vec![feature("age"), feature("income")],
            flavors: vec![Flavor::Native { model: "trees".into(), family: "random_forest" }],
            input_example: vec![41.0, f64::NAN],
        },
    }
}
