//! `GET /api/ml/health`: the machine learning part, as a caller with a token sees it.

use axum::{Json, extract::State};
use chrono::Utc;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    auth::Caller,
    catalog::ModelType,
    http::{API_VERSION, AppState, SERVICE, openapi::Denied, timestamp::naive_utc},
};

#[derive(Serialize, ToSchema)]
pub(in crate::http) struct MlHealth {
    #[schema(example = "healthy")]
    status: &'static str,
    #[schema(example = "binah-ml")]
    service: &'static str,
    #[schema(example = "0.2.0")]
    version: &'static str,
    #[schema(example = "http://localhost:5000")]
    mlflow_uri: String,
    /// Of the token.
    #[schema(example = "aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa")]
    tenant_id: String,
    /// Of the token.
    #[schema(example = "user-a-001")]
    user_id: String,
    authenticated: bool,
    /// What can be trained.
    #[schema(example = json!(["cost_forecasting", "risk_assessment", "roi_prediction", "anomaly_detection"]))]
    model_types: Vec<&'static str>,
    /// UTC.
    #[schema(example = "2026-11-22T14:28:22.277204")]
    timestamp: String,
}

/// Health of training and prediction
#[utoipa::path(
    get,
    path = "/api/ml/health",
    tag = "Machine learning",
    responses((status = 200, body = MlHealth), Denied),
    security(("HTTPBearer" = []))
)]
pub(in crate::http) async fn ml_health(State(app): State<AppState>, caller: Caller) -> Json<MlHealth> {
    Json(MlHealth {
        status: "healthy",
        service: SERVICE,
        version: API_VERSION,
        mlflow_uri: app.config.mlflow_uri.clone(),
        tenant_id: caller.tenant_claim,
        user_id: caller.user_id,
        authenticated: true,
        model_types: ModelType::all().map(|model_type| model_type.name).collect(),
        timestamp: naive_utc(Utc::now()),
    })
}
