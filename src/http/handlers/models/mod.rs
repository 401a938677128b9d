//! Versions: their lists, one with all that is known of it, two side by side, when new ones are trained by
//! themselves, and what administrators do to them. Wire types and the parsing of paths that these handlers share.

pub(in crate::http) mod alias;
pub(in crate::http) mod compare;
pub(in crate::http) mod deprecate;
pub(in crate::http) mod list;
pub(in crate::http) mod rollback;
pub(in crate::http) mod schedule;
pub(in crate::http) mod version;

use std::collections::HashMap;

use axum::extract::Query;
use http::Uri;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    Error, Result,
    error::FieldError,
    http::{body::fields::Violation, timestamp::naive_utc},
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

/// Parts of a path or a query, checked one after the other, so that one answer names every fault.
#[derive(Debug, Default)]
struct Parts {
    errors: Vec<FieldError>,
}

impl Parts {
    fn check<T>(
        &mut self,
        place: [&str; 2],
        value: impl Into<Value>,
        parse: impl FnOnce(&Value) -> Result<T, Violation>,
    ) -> Option<T> {
        let value = value.into();
        match parse(&value) {
            Ok(parsed) => Some(parsed),
            Err(violation) => {
                self.errors.push(violation.at(&place, crate::error::echo(&value)));
                None
            }
        }
    }

    /// A parameter of the query, if it is there.
    fn query<T>(
        &mut self,
        query: &HashMap<String, String>,
        name: &str,
        parse: impl FnOnce(&Value) -> Result<T, Violation>,
    ) -> Option<T> {
        let value = query.get(name)?.as_str();
        self.check(["query", name], value, parse)
    }

    /// Notes that a parameter of the query is missing.
    fn missing(&mut self, name: &str) {
        let loc = vec!["query".into(), name.into()];
        let msg = "Field required".to_owned();
        self.errors.push(FieldError { kind: "missing".into(), loc, msg, input: Value::Null, ctx: None });
    }

    fn finish<T>(self, build: impl FnOnce() -> Option<T>) -> Result<T> {
        match build() {
            Some(built) if self.errors.is_empty() => Ok(built),
            _ => Err(Error::Invalid(self.errors)),
        }
    }
}

/// The query's parameters; of one that is repeated the last.
fn query(uri: &Uri) -> HashMap<String, String> {
    Query::try_from_uri(uri).map(|Query(query)| query).unwrap_or_default()
}
