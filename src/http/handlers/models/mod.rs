//! Versions: their lists, one with all that is known of it, two side by side, when new ones are trained by
//! themselves, and what administrators do to them. Wire types that these handlers share.

pub(in crate::http) mod alias;
pub(in crate::http) mod compare;
pub(in crate::http) mod deprecate;
pub(in crate::http) mod list;
pub(in crate::http) mod rollback;
pub(in crate::http) mod schedule;
pub(in crate::http) mod version;

use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    http::{
        parameters::{Parts, query},
        timestamp::naive_utc,
    },
    lifecycle::Change,
    registry::Version,
};

/// A version in a list.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct VersionSummary {
    #[schema(example = "cost_forecasting")]
    model_type: &'static str,
    #[schema(example = "v2.0")]
    model_version: String,
    model_id: Uuid,
    /// `ready` or `deprecated`.
    #[schema(example = "ready")]
    state: String,
    /// Names that point to it; `champion` answers predictions that name no version.
    #[schema(example = json!(["champion"]))]
    aliases: Vec<String>,
    /// Validation metrics; `train_` in-sample.
    #[schema(value_type = Object, example = json!({"rmse": 1250000.5, "r2": 0.91}))]
    metrics: Map<String, Value>,
    /// Rows that it was trained and validated on.
    n_rows: Option<i64>,
    /// MLflow run; empty while tracking is pending.
    run_id: String,
    /// `runs:/<run_id>/model`; empty while tracking is pending.
    model_uri: String,
    /// UTC.
    created_at: String,
}

impl From<Version> for VersionSummary {
    fn from(Version { record, aliases }: Version) -> Self {
        Self {
            model_type: record.model_type.name,
            model_version: record.version_label(),
            model_id: record.id,
            state: record.status,
            aliases,
            metrics: record.metrics,
            n_rows: record.n_rows,
            run_id: record.mlflow_run_id.unwrap_or_default(),
            model_uri: record.model_uri.unwrap_or_default(),
            created_at: naive_utc(record.created_at),
        }
    }
}

/// A change that was made.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct VersionChanged {
    #[schema(example = "cost_forecasting")]
    model_type: &'static str,
    /// The version that it is about.
    #[schema(example = "v1.0")]
    model_version: String,
    model_id: Uuid,
    /// `ready` or `deprecated`.
    #[schema(example = "ready")]
    state: String,
    /// The alias that points to it now; null for a deprecation.
    #[schema(example = "champion")]
    alias: Option<String>,
    /// The champion that a rollback replaced.
    #[schema(example = "v2.0")]
    replaced: Option<String>,
    /// Whether MLflow's aliases and tags say the same already; false while it is away, or does not know
    /// the version yet.
    mlflow_follows: bool,
}

impl VersionChanged {
    fn new(change: Change, alias: Option<&str>) -> Self {
        let Change { version, replaced, mlflow_follows } = change;
        Self {
            model_type: version.model_type.name,
            model_version: version.version_label(),
            model_id: version.id,
            state: version.status,
            alias: alias.map(str::to_owned),
            replaced: replaced.map(|replaced| replaced.version_label()),
            mlflow_follows,
        }
    }
}
