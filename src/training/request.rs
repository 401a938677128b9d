//! What a training is asked for, and what it answers.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::{catalog::ModelType, features::inline::Row, registry::Verdict};

/// A training that a caller asks for; the tenant is that of the open scope.
#[derive(Debug, Clone)]
pub struct TrainRequest {
    /// What to train.
    pub model_type: ModelType,
    /// Hyperparameters as sent; not yet checked.
    pub hyperparameters: Map<String, Value>,
    /// Field of the request that they came in, for error locations: `hyperparameters` or `config`.
    pub hyperparameters_field: &'static str,
    /// Share of the rows held out for validation, 0 to 0.5. 0: metrics are in-sample.
    pub validation_split: f64,
    /// How rows are held out; `None`: by time if the rows carry one, else at random.
    pub split: Option<SplitKind>,
    /// Seed of the split and of the model.
    pub seed: u64,
    /// Rows sent inline; `None`: the default query over the tenant's records.
    pub data: Option<Vec<Row>>,
    /// Target column of inline rows, if it is not the catalog's.
    pub target: Option<String>,
    /// The tenant's own SELECT, or `cypher:` and the name of an operator's template.
    pub training_data_query: Option<String>,
}

/// How validation rows are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SplitKind {
    /// Drawn by seed.
    Random,
    /// The latest rows by `observed_at`.
    Time,
}

impl SplitKind {
    /// Name in requests and run parameters.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Random => "random",
            Self::Time => "time",
        }
    }
}

/// A finished training.
#[derive(Debug, Clone)]
pub struct TrainOutcome {
    /// Row in `training_jobs`.
    pub job_id: Uuid,
    /// Row in `ml_models`.
    pub model_id: Uuid,
    /// "v1.0", "v2.0", ...
    pub model_version: String,
    /// MLflow run; empty while tracking is pending.
    pub run_id: String,
    /// `runs:/<run_id>/model`; empty while tracking is pending.
    pub model_uri: String,
    /// Validation metrics by name.
    pub metrics: Map<String, Value>,
    /// What happened, for a person.
    pub message: String,
    /// Whether it is served, and why.
    pub verdict: Verdict,
    /// Things that the caller should know about the data.
    pub warnings: Vec<String>,
    /// When the training ended.
    pub finished_at: DateTime<Utc>,
}
