//! A finished training, as it is to stand in MLflow.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::client::{ArtifactFile, Dataset, Metric, NewRun, Pair, RunValues};
use super::model_folder::{Folder, ModelFolder, RenderedFolder};
use super::numbers;

/// The tag by which a training's run is found again.
pub const JOB_TAG: &str = "binah.job_id";
/// The tag that says whose an experiment, a run, a registered model or a version is.
pub(super) const TENANT_TAG: &str = "tenant_id";
/// The tag of our runs with their [`SOURCE`].
pub(super) const SOURCE_TAG: &str = "mlflow.source.name";
/// This service.
pub(super) const SOURCE: &str = "binah-ml";

/// A finished training. The same training must always give equal values: logging it twice then
/// leaves one run and one version.
///
/// Written as JSON, it leaves out its [`files`](Self::files).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TrainingRun<M = ModelFolder> {
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
    #[serde(with = "numbers::named")]
    pub metrics: Vec<(String, f64)>,
    /// Learning curves by name, one value per round. Keep their names apart from the metrics'.
    #[serde(with = "numbers::curves")]
    pub curves: Vec<(String, Vec<f64>)>,
    /// Text by name, beyond the tags that are added (tenant, model type, version, user, status).
    pub tags: Vec<(String, String)>,
    /// Markdown shown on the run's page.
    pub note: Option<String>,
    /// What it was trained on.
    pub dataset: Option<Dataset>,
    /// Files beside the model folder.
    #[serde(skip)]
    pub files: Vec<ArtifactFile>,
    /// The model.
    pub model: M,
}

/// A training that can be kept and logged by another process, also of another version of this program:
/// JSON that holds all but the bytes, and files that hold all but `MLmodel`.
pub type PackedRun = TrainingRun<RenderedFolder>;

impl TrainingRun {
    /// Renders the model folder; its files but `MLmodel` come last among [`files`](Self::files).
    #[must_use]
    pub fn pack(mut self) -> PackedRun {
        let uuid = self.model_uuid();
        let (model, folder) = RenderedFolder::of(&self.model, &uuid, self.finished_at);
        self.files.extend(folder);
        TrainingRun {
            model,
            job_id: self.job_id,
            tenant_id: self.tenant_id,
            model_type: self.model_type,
            run_name: self.run_name,
            user: self.user,
            version: self.version,
            started_at: self.started_at,
            finished_at: self.finished_at,
            params: self.params,
            metrics: self.metrics,
            curves: self.curves,
            tags: self.tags,
            note: self.note,
            dataset: self.dataset,
            files: self.files,
        }
    }
}

impl<M> TrainingRun<M> {
    /// 32 hex digits, the job's: the same training gives the same `MLmodel`.
    fn model_uuid(&self) -> String {
        self.job_id.simple().to_string()
    }

    /// The `MLmodel` document of this training's run.
    pub(super) fn mlmodel(&self, run_id: &str) -> serde_json::Value
    where
        M: Folder,
    {
        self.model.document(run_id, &self.model_uuid(), self.finished_at)
    }

    /// What the run starts with: enough to find it again and to see whose it is.
    pub(super) fn opening(&self) -> NewRun {
        let tags = vec![
            Pair::new(JOB_TAG, self.job_id.to_string()),
            Pair::new("mlflow.user", &self.user),
            Pair::new(SOURCE_TAG, SOURCE),
            Pair::new("mlflow.source.type", "JOB"),
            Pair::new(TENANT_TAG, &self.tenant_id),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tracking::{Feature, FeatureKind, Flavor};

    #[test]
    fn a_packed_run_comes_back_from_json_with_every_number() {
        let size = Feature { name: "size".into(), kind: FeatureKind::Numeric };
        let run = TrainingRun {
            job_id: Uuid::from_u128(7),
            tenant_id: "t".into(),
            model_type: "risk_assessment".into(),
            run_name: "r".into(),
            user: "ann".into(),
            version: 3,
            started_at: DateTime::UNIX_EPOCH,
            finished_at: DateTime::UNIX_EPOCH,
            params: vec![("b".into(), "1".into()), ("a".into(), "2".into())],
            metrics: [0.1 + 0.2, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e300, 5e-324]
                .map(|value| (value.to_string(), value))
                .to_vec(),
            curves: vec![("curve".into(), vec![1.0, f64::NAN, 0.25])],
            tags: vec![],
            note: None,
            dataset: None,
            files: vec![ArtifactFile::new("plot.svg", "<svg/>")],
            model: ModelFolder {
                features: vec![size],
                flavors: vec![Flavor::Native { model: "trees".into(), family: "random_forest" }],
                input_example: vec![f64::NAN],
            },
        };
        let (folder, document) = (run.model.clone(), run.mlmodel("run"));
        let packed = run.pack();
        assert_eq!(packed.files[0].path, "plot.svg");
        let paths: Vec<_> =
            packed.files[1..].iter().chain(&packed.model.contents(&document)).cloned().collect();
        assert_eq!(paths, folder.contents(&document), "the folder's files, MLmodel last");

        let json = serde_json::to_value(&packed).expect("serialises");
        let back: PackedRun = serde_json::from_value(json.clone()).expect("comes back");
        assert_eq!(serde_json::to_value(&back).expect("serialises"), json);
        let bits = |run: &PackedRun| run.metrics.iter().map(|(_, value)| value.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&back), bits(&packed));
        assert_eq!(back.params, packed.params);
        assert_eq!(back.mlmodel("run"), document);
    }
}
