//! MLflow's JSON, as far as we speak it.

use serde::{Deserialize, Serialize, Serializer};

/// A key with a text value. MLflow stores a param whose value is a JSON number as `""`, with
/// status 200: values are text from here on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pair {
    /// Name.
    pub key: String,
    /// Text.
    #[serde(default)]
    pub value: String,
}

impl Pair {
    /// A pair.
    pub fn new(key: impl Into<String>, value: impl Into<String>) -> Self {
        Self { key: key.into(), value: value.into() }
    }
}

/// One point of a metric. Sent twice, it is stored once.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Metric {
    /// Name.
    pub key: String,
    /// Any f64; infinities are stored as the largest finite numbers.
    #[serde(serialize_with = "f64_or_text")]
    pub value: f64,
    /// Milliseconds since 1970.
    pub timestamp: i64,
    /// Position on a curve; 0 for a plain metric.
    pub step: i64,
}

/// Non-finite numbers as `"NaN"`, `"Infinity"`, `"-Infinity"`: the only forms that MLflow's
/// protobuf parser takes. Any other silently loses the rest of the batch.
pub(in crate::tracking) fn f64_or_text<S: Serializer>(value: &f64, out: S) -> Result<S::Ok, S::Error> {
    match *value {
        v if v.is_nan() => out.serialize_str("NaN"),
        f64::INFINITY => out.serialize_str("Infinity"),
        f64::NEG_INFINITY => out.serialize_str("-Infinity"),
        v => out.serialize_f64(v),
    }
}

/// How a run stands. An unknown status would be taken with 200 and ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum RunStatus {
    /// Open.
    Running,
    /// Complete.
    Finished,
    /// Given up.
    Failed,
    /// Cancelled.
    Killed,
    /// Announced only; we never write it.
    Scheduled,
}

/// A run as MLflow answers it.
#[derive(Debug, Clone, Deserialize)]
pub struct Run {
    /// Identity and state.
    pub info: RunInfo,
    /// Tags.
    #[serde(default)]
    pub data: RunData,
}

/// Identity and state of a run.
#[derive(Debug, Clone, Deserialize)]
pub struct RunInfo {
    /// 32 hex digits.
    pub run_id: String,
    /// Where its files go; the scheme decides how they are uploaded.
    pub artifact_uri: String,
    /// State.
    pub status: RunStatus,
}

/// The part of a run's data that we read back.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct RunData {
    /// Tags.
    #[serde(default)]
    pub tags: Vec<Pair>,
}

/// The data set of a training, shown on the run's page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dataset {
    /// Name, at most 500 characters.
    pub name: String,
    /// Fingerprint of the rows, of which MLflow keeps 36 characters; same name and digest: same data set.
    pub digest: String,
    /// Where the rows came from, text by name.
    pub source: Vec<(String, String)>,
    /// The columns; those that fit into MLflow's limit are shown.
    pub columns: Vec<DatasetColumn>,
    /// Number of rows.
    pub rows: u64,
}

/// One column of a data set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatasetColumn {
    /// Name.
    pub name: String,
    /// Whether it holds texts (`string`) rather than numbers (`double`).
    pub is_text: bool,
}

/// A version of a registered model.
#[derive(Debug, Clone, Deserialize)]
pub struct ModelVersion {
    /// Registered model.
    pub name: String,
    /// 1, 2, 3 ... as text.
    pub version: String,
    /// Run that it came from.
    #[serde(default)]
    pub run_id: String,
    /// Tags.
    #[serde(default)]
    pub tags: Vec<Pair>,
}

/// Where an alias points.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ModelAlias {
    /// Its name.
    pub alias: String,
    /// 1, 2, 3 ... as text.
    pub version: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct ModelFound {
    pub(super) registered_model: RegisteredModel,
}

/// A registered model, without its versions.
#[derive(Debug, Deserialize)]
pub struct RegisteredModel {
    /// Where its aliases point.
    #[serde(default)]
    pub aliases: Vec<ModelAlias>,
    /// Tags.
    #[serde(default)]
    pub tags: Vec<Pair>,
}

#[derive(Debug, Deserialize)]
pub(super) struct ExperimentCreated {
    pub(super) experiment_id: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct ExperimentFound {
    pub(super) experiment: Experiment,
}

#[derive(Debug, Deserialize)]
pub(super) struct Experiment {
    pub(super) experiment_id: String,
    #[serde(default)]
    pub(super) name: String,
    #[serde(default)]
    pub(super) artifact_location: Option<String>,
    pub(super) lifecycle_stage: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct ExperimentsFound {
    #[serde(default)]
    pub(super) experiments: Vec<Experiment>,
    #[serde(default)]
    pub(super) next_page_token: Option<String>,
}

/// Also what a look at one run answers.
#[derive(Debug, Deserialize)]
pub(super) struct RunCreated {
    pub(super) run: Run,
}

#[derive(Debug, Deserialize)]
pub(super) struct RunsFound {
    #[serde(default)]
    pub(super) runs: Vec<Run>,
}

#[derive(Debug, Deserialize)]
pub(super) struct WorkspaceFound {
    pub(super) workspace: Workspace,
}

#[derive(Debug, Deserialize)]
pub(super) struct Workspace {
    pub(super) name: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct VersionCreated {
    pub(super) model_version: ModelVersion,
}

#[derive(Debug, Deserialize)]
pub(super) struct VersionsFound {
    #[serde(default)]
    pub(super) model_versions: Vec<ModelVersion>,
}

/// An answer of which nothing is read, but which must be a JSON object.
#[derive(Debug, Deserialize)]
pub(super) struct Done {}

#[derive(Debug, Default, Deserialize)]
pub(super) struct ErrorBody {
    pub(super) error_code: Option<String>,
    pub(super) message: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_numbers_or_the_three_words() {
        let text = |value| {
            let metric = Metric { key: "m".into(), value, timestamp: 1, step: 0 };
            serde_json::to_value(metric).expect("serialises")["value"].to_string()
        };
        assert_eq!(text(0.1), "0.1");
        assert_eq!(text(f64::NAN), r#""NaN""#);
        assert_eq!(text(f64::INFINITY), r#""Infinity""#);
        assert_eq!(text(f64::NEG_INFINITY), r#""-Infinity""#);
    }
}
