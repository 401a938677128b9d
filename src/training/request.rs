//! What a training is asked for.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use serde_json::{Map, Value};

use crate::{catalog::ModelType, features::inline::Row};

/// A training that a caller asks for; the tenant is that of the open scope. As JSON it lacks the rows, which
/// are kept beside it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TrainRequest {
    /// What to train.
    #[serde(serialize_with = "by_name", deserialize_with = "from_name")]
    pub model_type: ModelType,
    /// Hyperparameters as sent; not yet checked.
    pub hyperparameters: Map<String, Value>,
    /// Field of the request that they came in, for error locations: `hyperparameters` or `config`.
    #[serde(skip, default = "hyperparameters_field")]
    pub hyperparameters_field: &'static str,
    /// Share of the rows held out for validation, 0 to 0.5. 0: metrics are in-sample.
    pub validation_split: f64,
    /// How rows are held out; `None`: by time if the rows carry one, else at random.
    pub split: Option<SplitKind>,
    /// Seed of the split and of the model.
    pub seed: u64,
    /// Rows sent inline; `None`: the default query over the tenant's records.
    #[serde(skip)]
    pub data: Option<Vec<Row>>,
    /// Target column of inline rows, if it is not the catalog's.
    pub target: Option<String>,
    /// The tenant's own SELECT, or `cypher:` and the name of an operator's template.
    pub training_data_query: Option<String>,
}

/// How validation rows are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
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

/// How a training is queued.
#[derive(Debug, Clone, Default)]
pub struct SubmitOptions {
    /// The client's name for the request: sent again, it gives the same job.
    pub idempotency_key: Option<String>,
    /// The higher the sooner, among the tenant's own jobs.
    pub priority: i16,
    /// Whether nobody waits for the answer: a dependency that is away is then asked again later instead of
    /// ending the training.
    pub patient: bool,
}

/// What a worker finds in the job.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct StoredRequest {
    /// The request without its rows.
    pub(super) train: TrainRequest,
    /// Whether rows came with it.
    pub(super) inline: bool,
    /// As [`SubmitOptions::patient`].
    pub(super) patient: bool,
    /// Whether a training is left out whose rows are those of the newest version.
    pub(super) only_if_changed: bool,
}

fn hyperparameters_field() -> &'static str {
    "hyperparameters"
}

fn by_name<S: Serializer>(model_type: &ModelType, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(model_type.name)
}

fn from_name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ModelType, D::Error> {
    let name = String::deserialize(deserializer)?;
    ModelType::parse(&name).ok_or_else(|| D::Error::custom("no such model type"))
}
