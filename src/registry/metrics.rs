//! How the versions of a model compare.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use sqlx::{FromRow, query_as};
use uuid::Uuid;

use super::{model, object};
use crate::{Result, catalog::ModelType, inference::VersionSelector, storage::TenantTransaction};

/// Most versions that are listed.
const MAX_VERSIONS: i64 = 100;

/// Metrics of a tenant's models of one type.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelMetrics {
    /// The one that answers predictions.
    pub champion: VersionMetrics,
    /// Every loadable version, newest first, at most 100.
    pub versions: Vec<VersionMetrics>,
}

/// Metrics of one version.
#[derive(Debug, Clone, PartialEq)]
pub struct VersionMetrics {
    /// Row in `ml_models`.
    pub model_id: Uuid,
    /// 1, 2, 3, ...
    pub version: i32,
    /// `ready` or `deprecated`.
    pub status: String,
    /// Validation metrics by name.
    pub metrics: Map<String, Value>,
    /// MLflow run, once it is tracked.
    pub mlflow_run_id: Option<String>,
    /// When it was registered.
    pub created_at: DateTime<Utc>,
}

#[derive(FromRow)]
struct VersionRow {
    id: Uuid,
    version: i32,
    status: String,
    metrics: Option<Value>,
    mlflow_run_id: Option<String>,
    created_at: DateTime<Utc>,
}

/// `None` if there is no ready version.
pub(super) async fn of(
    transaction: &mut TenantTransaction,
    model_type: ModelType,
) -> Result<Option<ModelMetrics>> {
    let rows: Vec<VersionRow> = query_as(
        "SELECT id, version, status, metrics, mlflow_run_id,
                created_at::timestamptz AS created_at FROM ml_models
          WHERE tenant_id = $1 AND model_type = $2 AND artifacts IS NOT NULL AND version IS NOT NULL
            AND status IN ('ready', 'deprecated')
          ORDER BY version DESC LIMIT $3",
    )
    .bind(transaction.tenant().uuid())
    .bind(model_type.name)
    .bind(MAX_VERSIONS)
    .fetch_all(&mut **transaction)
    .await?;
    let versions: Vec<_> = rows
        .into_iter()
        .map(|row| VersionMetrics {
            model_id: row.id,
            version: row.version,
            status: row.status,
            metrics: object(row.metrics),
            mlflow_run_id: row.mlflow_run_id,
            created_at: row.created_at,
        })
        .collect();
    let Some(champion) = model::find(transaction, model_type, &VersionSelector::Champion).await? else {
        return Ok(None);
    };
    let champion = VersionMetrics {
        model_id: champion.id,
        version: champion.version,
        status: champion.status,
        metrics: champion.metrics,
        mlflow_run_id: champion.mlflow_run_id,
        created_at: champion.created_at,
    };
    Ok(Some(ModelMetrics { champion, versions }))
}
