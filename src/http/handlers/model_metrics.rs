//! `GET /api/ml/models/{tenant_id}/{model_type}/metrics`: how good the tenant's models are.

use axum::{
    Json,
    extract::{Path, State},
};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    Error, Result,
    auth::Caller,
    catalog::ModelType,
    error::FieldError,
    http::{
        AppState,
        body::fields::{self, Violation},
        caller::require_tenant,
        openapi::{BadBody, Denied, NoModel, Unavailable},
        timestamp::naive_utc,
    },
    inference::request::version_label,
    registry::{ModelMetrics, VersionMetrics},
};

/// How good a tenant's models of one type are.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct ModelMetricsResponse {
    #[schema(example = "cost_forecasting")]
    model_type: &'static str,
    tenant_id: Uuid,
    /// The champion: the version that answers predictions which name none.
    #[schema(example = "v1.0")]
    model_version: String,
    /// Its validation metrics; `train_` in-sample.
    metrics: Map<String, Value>,
    /// Its MLflow run; empty while tracking is pending.
    run_id: String,
    created_at: String,
    /// All versions, newest first, at most 100.
    versions: Vec<VersionEntry>,
}

/// One version's metrics.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct VersionEntry {
    model_id: Uuid,
    #[schema(example = "v1.0")]
    model_version: String,
    #[schema(example = "ready")]
    status: String,
    metrics: Map<String, Value>,
    run_id: String,
    created_at: String,
}

impl From<VersionMetrics> for VersionEntry {
    fn from(version: VersionMetrics) -> Self {
        Self {
            model_id: version.model_id,
            model_version: version_label(version.version),
            status: version.status,
            metrics: version.metrics,
            run_id: version.mlflow_run_id.unwrap_or_default(),
            created_at: naive_utc(version.created_at),
        }
    }
}

impl ModelMetricsResponse {
    fn new(model_type: ModelType, tenant_id: Uuid, models: ModelMetrics) -> Self {
        Self {
            model_type: model_type.name,
            tenant_id,
            model_version: version_label(models.champion.version),
            metrics: models.champion.metrics,
            run_id: models.champion.mlflow_run_id.unwrap_or_default(),
            created_at: naive_utc(models.champion.created_at),
            versions: models.versions.into_iter().map(Into::into).collect(),
        }
    }
}

/// Both parts of the path, or every fault in them.
fn parse(tenant_id: String, model_type: String) -> Result<(Uuid, ModelType)> {
    let (tenant_id, model_type) = (Value::from(tenant_id), Value::from(model_type));
    let fault = |name, violation: Violation, input| -> FieldError { violation.at(&["path", name], input) };
    match (fields::uuid(&tenant_id), fields::model_type(&model_type)) {
        (Ok(tenant_id), Ok(model_type)) => Ok((tenant_id, model_type)),
        (tenant, model) => {
            let tenant = tenant.err().map(|violation| fault("tenant_id", violation, tenant_id));
            let model = model.err().map(|violation| fault("model_type", violation, model_type));
            Err(Error::Invalid(tenant.into_iter().chain(model).collect()))
        }
    }
}

/// Metrics of the champion and of all versions
#[utoipa::path(
    get,
    path = "/api/ml/models/{tenant_id}/{model_type}/metrics",
    tag = "Machine learning",
    params(
        ("tenant_id" = Uuid, Path, description = "The tenant of the token"),
        ("model_type" = String, Path, description = "One of the model types", example = "cost_forecasting"),
    ),
    responses(
        (status = 200, description = "The champion and its validation metrics, and those of every version", body = ModelMetricsResponse),
        Denied,
        NoModel,
        BadBody,
        Unavailable
    ),
    security(("HTTPBearer" = []))
)]
pub(in crate::http) async fn model_metrics(
    State(app): State<AppState>,
    caller: Caller,
    Path((tenant_id, model_type)): Path<(String, String)>,
) -> Result<Json<ModelMetricsResponse>> {
    let (tenant_id, model_type) = parse(tenant_id, model_type)?;
    require_tenant(&caller, tenant_id)?;
    let models = app.registry.metrics(model_type).await?;
    Ok(Json(ModelMetricsResponse::new(model_type, tenant_id, models)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_faults_are_named_in_the_path() {
        let Err(Error::Invalid(errors)) = parse("x".into(), "y".into()) else { panic!("must be refused") };
        let found: Vec<_> = errors.iter().map(|error| (&*error.kind, error.loc[1].clone())).collect();
        assert_eq!(found, [("uuid_parsing", "tenant_id".into()), ("literal_error", "model_type".into())]);
    }
}
