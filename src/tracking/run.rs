//! A finished training, as it is to stand in MLflow.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::client::{ArtifactFile, Dataset, Metric, NewRun, Pair, RunValues};
use super::model_folder::ModelFolder;

/// The tag by which a training's run is found again.
pub const JOB_TAG: &str = "binah.job_id";

/// A finished training. The same training must always give equal values: logging it twice then
/// leaves one run and one version.
#[derive(Debug, Clone)]
pub struct TrainingRun {
    /// The training's own id, unique for ever.
    pub job_id: Uuid,
    /// Whose it is.
    pub tenant_id: String,
    /// Model type, such as `cost_forecasting`.
    pub model_type: String,
    /// Shown name of the run.
    pub run_name: String,
    /// Who asked for the training.
    pub user: String,
    /// Our registry's version of the model.
    pub version: i32,
    /// When the training started.
    pub started_at: DateTime<Utc>,
    /// When it ended; also the time of every metric.
    pub finished_at: DateTime<Utc>,
    /// Text by name, beyond the tenant and the model type, which are added.
    pub params: Vec<(String, String)>,
    /// Final figures by name; may be NaN or infinite.
    pub metrics: Vec<(String, f64)>,
    /// Learning curves by name, one value per round. Keep their names apart from the metrics'.
    pub curves: Vec<(String, Vec<f64>)>,
    /// Text by name, beyond the tags that are added (tenant, model type, version, user, status).
    pub tags: Vec<(String, String)>,
    /// Markdown shown on the run's page.
    pub note: Option<String>,
    /// What it was trained on.
    pub dataset: Option<Dataset>,
    /// Files beside the model folder.
    pub files: Vec<ArtifactFile>,
    /// The model.
    pub model: ModelFolder,
}

impl TrainingRun {
    /// What the run starts with: enough to find it again and to see whose it is.
    pub(super) fn opening(&self) -> NewRun {
        let tags = vec![
            Pair::new(JOB_TAG, self.job_id.to_string()),
            Pair::new("mlflow.user", &self.user),
            Pair::new("mlflow.source.name", "binah-ml"),
            Pair::new("mlflow.source.type", "JOB"),
            Pair::new("tenant_id", &self.tenant_id),
            Pair::new("model_type", &self.model_type),
        ];
        NewRun { name: self.run_name.clone(), started_at: self.started_at, tags }
    }

    /// Everything that is text or number.
    pub(super) fn values(&self) -> RunValues {
        let timestamp = self.finished_at.timestamp_millis();
        let plain = self.metrics.iter().map(|(key, value)| (key, 0, *value));
        let curves = self
            .curves
            .iter()
            .flat_map(|(key, values)| (0_i64..).zip(values).map(move |(step, value)| (key, step, *value)));
        let metrics = plain
            .chain(curves)
            .map(|(key, step, value)| Metric { key: key.clone(), value, timestamp, step })
            .collect();
        let named = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let mut params = vec![named("model_type", &self.model_type), named("tenant_id", &self.tenant_id)];
        params.extend(self.params.iter().cloned());
        let mut tags = vec![
            named("version", &self.version.to_string()),
            named("user", &self.user),
            named("status", "completed"),
        ];
        tags.extend(self.note.iter().map(|note| named("mlflow.note.content", note)));
        tags.extend(self.tags.iter().cloned());
        RunValues { params, metrics, tags }
    }
}

/// Where a training stands in MLflow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tracked {
    /// 32 hex digits.
    pub run_id: String,
    /// `runs:/<run id>/model`.
    pub model_uri: String,
    /// Name in MLflow's model registry.
    pub registered_model: String,
    /// Version there; MLflow counts for itself, so it may differ from ours.
    pub registered_version: String,
}
