//! A row of `ml_models`.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use sqlx::{AssertSqlSafe, FromRow, query_as, types::Json};
use uuid::Uuid;

use super::{artifacts::Artifacts, object};
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
    /// MLflow run, once it is tracked.
    pub mlflow_run_id: Option<String>,
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
const COLUMNS: &str = "id, tenant_id, model_type, version, status, feature_schema, artifacts, metrics,
    hyperparameters, feature_importance, n_rows, data_digest, seed, job_id, mlflow_run_id, mlflow_model_uri,
    created_at::timestamptz AS created_at";

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
    mlflow_run_id: Option<String>,
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
            mlflow_run_id: self.mlflow_run_id,
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

pub(super) async fn resolve(
    transaction: &mut TenantTransaction,
    model_type: ModelType,
    version: &VersionSelector,
) -> Result<ModelRecord> {
    let (number, statuses) = match version {
        VersionSelector::Latest => (None, "('ready')"),
        VersionSelector::Number(number) => (i32::try_from(*number).ok(), "('ready', 'deprecated')"),
        VersionSelector::Other(_) => return Err(not_found(model_type, version)),
    };
    if number.is_none() && *version != VersionSelector::Latest {
        return Err(not_found(model_type, version));
    }
    // The tenant stands in every statement of ours although the policy adds it: a superuser's
    // session (development) still reads and writes one tenant.
    let statement = format!(
        "SELECT {COLUMNS} FROM ml_models
          WHERE tenant_id = $1 AND model_type = $2 AND artifacts IS NOT NULL AND status IN {statuses}
            AND ($3::integer IS NULL OR version = $3)
          ORDER BY version DESC LIMIT 1"
    );
    let row: Option<ModelRow> = query_as(AssertSqlSafe(statement))
        .bind(transaction.tenant().uuid())
        .bind(model_type.name)
        .bind(number)
        .fetch_optional(&mut **transaction)
        .await?;
    row.and_then(ModelRow::into_record).ok_or_else(|| not_found(model_type, version))
}

/// No such model, in the words of the API.
pub(super) fn not_found(model_type: ModelType, version: &VersionSelector) -> Error {
    let asked = match version {
        VersionSelector::Latest => {
            return Error::NotFound(format!(
                "No trained {model_type} model for this tenant; train one first with POST /api/ml/train"
            ));
        }
        VersionSelector::Number(number) => format!("v{number}.0"),
        VersionSelector::Other(text) => text.clone(),
    };
    Error::NotFound(format!("Model version '{asked}' of {model_type} not found"))
}
