//! A row of `ml_models`.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use sqlx::{AssertSqlSafe, FromRow, query_as, types::Json};
use uuid::Uuid;

use super::{
    alias::{Alias, CHAMPION},
    artifacts::Artifacts,
    object,
};
use crate::{
    Error, Result,
    auth::TenantId,
    catalog::ModelType,
    features::FeatureSchema,
    inference::{VersionSelector, request::version_label},
    storage::TenantTransaction,
};

/// A registered model.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelRecord {
    /// Row in `ml_models`.
    pub id: Uuid,
    /// Whose model it is.
    pub tenant: TenantId,
    /// What it predicts.
    pub model_type: ModelType,
    /// 1, 2, 3, ... by tenant and type; 0 for a row of the platform with another kind of version.
    pub version: i32,
    /// `training`, `ready`, `deprecated` or `failed`.
    pub status: String,
    /// Its features; `None` for a row of the platform.
    pub schema: Option<FeatureSchema>,
    /// Its files; empty for a row of the platform.
    pub artifacts: Artifacts,
    /// Validation metrics by name.
    pub metrics: Map<String, Value>,
    /// Effective hyperparameters by name.
    pub hyperparameters: Map<String, Value>,
    /// Importance by feature.
    pub importance: Option<Value>,
    /// Rows that it was trained on.
    pub n_rows: Option<i64>,
    /// Fingerprint of those rows, 64 hexadecimal digits; `None` before 0.3 and for a row of the platform.
    pub data_digest: Option<String>,
    /// Seed of split and model.
    pub seed: Option<u64>,
    /// The training that made it.
    pub job_id: Option<Uuid>,
    /// Who trained it: the token's user id.
    pub user_id: Option<String>,
    /// MLflow run, once it is tracked.
    pub mlflow_run_id: Option<String>,
    /// Version in MLflow's registry, once it is tracked; MLflow counts for itself.
    pub registered_version: Option<String>,
    /// `runs:/<run_id>/model`, once it is tracked.
    pub model_uri: Option<String>,
    /// When it was registered.
    pub created_at: DateTime<Utc>,
}

impl ModelRecord {
    /// The version as the API writes it, "v1.0".
    #[must_use]
    pub fn version_label(&self) -> String {
        version_label(self.version)
    }

    /// Type and version, as messages name the model.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{} {}", self.model_type, self.version_label())
    }
}

/// A table of the old service may hold times without zone: they are UTC.
pub(super) const COLUMNS: &str =
    "id, tenant_id, model_type, version, status, feature_schema, artifacts, metrics,
    hyperparameters, feature_importance, n_rows, data_digest, seed, job_id, user_id, mlflow_run_id,
    mlflow_registered_version, mlflow_model_uri, created_at::timestamptz AS created_at";

#[derive(FromRow)]
pub(super) struct ModelRow {
    id: Uuid,
    tenant_id: Uuid,
    model_type: String,
    version: Option<i32>,
    status: String,
    feature_schema: Option<Json<FeatureSchema>>,
    artifacts: Option<Json<Artifacts>>,
    metrics: Option<Value>,
    hyperparameters: Option<Value>,
    feature_importance: Option<Value>,
    n_rows: Option<i64>,
    data_digest: Option<String>,
    seed: Option<i64>,
    job_id: Option<Uuid>,
    user_id: Option<String>,
    mlflow_run_id: Option<String>,
    mlflow_registered_version: Option<String>,
    mlflow_model_uri: Option<String>,
    created_at: DateTime<Utc>,
}

impl ModelRow {
    /// `None` for a type that the catalog does not know.
    pub(super) fn into_record(self) -> Option<ModelRecord> {
        Some(ModelRecord {
            id: self.id,
            tenant: TenantId::trusted(self.tenant_id),
            model_type: ModelType::parse(&self.model_type)?,
            version: self.version.unwrap_or_default(),
            status: self.status,
            schema: self.feature_schema.map(|schema| schema.0),
            artifacts: self.artifacts.map(|artifacts| artifacts.0).unwrap_or_default(),
            metrics: object(self.metrics),
            hyperparameters: object(self.hyperparameters),
            importance: self.feature_importance,
            n_rows: self.n_rows,
            data_digest: self.data_digest,
            seed: self.seed.map(i64::cast_unsigned),
            job_id: self.job_id,
            user_id: self.user_id,
            mlflow_run_id: self.mlflow_run_id,
            registered_version: self.mlflow_registered_version,
            model_uri: self.mlflow_model_uri,
            created_at: self.created_at,
        })
    }
}

pub(super) async fn by_id(
    transaction: &mut TenantTransaction,
    model_id: Uuid,
) -> Result<Option<ModelRecord>> {
    let statement = format!("SELECT {COLUMNS} FROM ml_models WHERE id = $1 AND tenant_id = $2");
    let row: Option<ModelRow> = query_as(AssertSqlSafe(statement))
        .bind(model_id)
        .bind(transaction.tenant().uuid())
        .fetch_optional(&mut **transaction)
        .await?;
    Ok(row.and_then(ModelRow::into_record))
}

/// What can be predicted with unless its number is asked for. `m` is the row.
const READY: &str = "m.artifacts IS NOT NULL AND m.version IS NOT NULL AND m.status = 'ready'";

pub(super) async fn resolve(
    transaction: &mut TenantTransaction,
    model_type: ModelType,
    version: &VersionSelector,
) -> Result<ModelRecord> {
    find(transaction, model_type, version).await?.ok_or_else(|| not_found(model_type, version))
}

/// As [`resolve`]; `None` if there is none.
pub(super) async fn find(
    transaction: &mut TenantTransaction,
    model_type: ModelType,
    version: &VersionSelector,
) -> Result<Option<ModelRecord>> {
    // The tenant stands in every statement of ours although the policy adds it: a superuser's
    // session (development) still reads and writes one tenant.
    let newest = format!(
        "(SELECT m.id FROM ml_models m
           WHERE m.tenant_id = $1 AND m.model_type = $2 AND {READY} ORDER BY m.version DESC LIMIT 1)"
    );
    let aliased = format!(
        "(SELECT m.id FROM model_aliases a
            JOIN ml_models m ON m.tenant_id = a.tenant_id AND m.model_type = a.model_type AND m.id = a.model_id
           WHERE a.tenant_id = $1 AND a.model_type = $2 AND a.alias = $3 AND {READY})"
    );
    let (chosen, alias, number) = match version {
        VersionSelector::Champion => (format!("id = coalesce({aliased}, {newest})"), Some(CHAMPION), None),
        VersionSelector::Latest => (format!("id = {newest}"), None, None),
        VersionSelector::Number(number) => {
            let Ok(number) = i32::try_from(*number) else { return Ok(None) };
            let known = "version = $3 AND artifacts IS NOT NULL AND status IN ('ready', 'deprecated')";
            (known.to_owned(), None, Some(number))
        }
        VersionSelector::Alias(text) if Alias::parse(text).is_some() => {
            (format!("id = {aliased}"), Some(text.as_str()), None)
        }
        VersionSelector::Alias(_) => return Ok(None),
    };
    let statement = format!(
        "SELECT {COLUMNS} FROM ml_models WHERE tenant_id = $1 AND model_type = $2 AND {chosen} LIMIT 1"
    );
    let query = query_as(AssertSqlSafe(statement)).bind(transaction.tenant().uuid()).bind(model_type.name);
    let query = match (alias, number) {
        (Some(alias), _) => query.bind(alias),
        (None, Some(number)) => query.bind(number),
        (None, None) => query,
    };
    let row: Option<ModelRow> = query.fetch_optional(&mut **transaction).await?;
    Ok(row.and_then(ModelRow::into_record))
}

/// No such model, in the words of the API.
pub(super) fn not_found(model_type: ModelType, version: &VersionSelector) -> Error {
    let asked = match version {
        VersionSelector::Champion | VersionSelector::Latest => {
            return Error::NotFound(format!(
                "No trained {model_type} model for this tenant; train one first with POST /api/ml/train"
            ));
        }
        VersionSelector::Number(number) => format!("v{number}.0"),
        VersionSelector::Alias(text) => text.clone(),
    };
    Error::NotFound(format!("Model version '{asked}' of {model_type} not found"))
}
