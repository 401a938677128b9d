//! `GET /api/ml/models/{tenant_id}/{model_type}/metrics`: how good the tenant's newest model is.

use axum::{
    Json,
    extract::{Path, State},
};
use serde_json::Value;
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
    },
};

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

/// Metrics of the tenant's newest model
#[utoipa::path(
    get,
    path = "/api/ml/models/{tenant_id}/{model_type}/metrics",
    tag = "Machine learning",
    params(
        ("tenant_id" = Uuid, Path, description = "The tenant of the token"),
        ("model_type" = String, Path, description = "One of the model types", example = "cost_forecasting"),
    ),
    responses(
        (status = 200, description = "The newest version and its validation metrics", body = Object),
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
) -> Result<Json<Value>> {
    let (tenant_id, model_type) = parse(tenant_id, model_type)?;
    require_tenant(&caller, tenant_id)?;
    Ok(Json(app.registry.metrics(model_type).await?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_faults_are_named_in_the_path() {
        let Err(Error::Invalid(errors)) = parse("x".into(), "y".into()) else { panic!("must be refused") };
        let found: Vec<_> = errors.iter().map(|error| (error.kind, error.loc[1].clone())).collect();
        assert_eq!(found, [("uuid_parsing", "tenant_id".into()), ("literal_error", "model_type".into())]);
    }
}
