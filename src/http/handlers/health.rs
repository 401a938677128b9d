//! `GET /health`: the probe of the deployed charts. Answers 200 at once, whatever is down: it asks nobody.

use axum::{Json, extract::State};
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::{API_VERSION, AppState, SERVICE};

#[derive(Serialize, ToSchema)]
pub(in crate::http) struct Health {
    #[schema(example = "healthy")]
    status: &'static str,
    #[schema(example = "binah-ml")]
    service: &'static str,
    #[schema(example = "0.2.0")]
    version: &'static str,
    /// Where MLflow is expected.
    #[schema(example = "http://localhost:5000")]
    mlflow_uri: String,
    /// Where Postgres is expected; no credentials.
    #[schema(example = "localhost:5432/binah_ml")]
    database: String,
    tenant_isolation_enabled: bool,
    authentication_enabled: bool,
}

/// Liveness and settings
///
/// Answers 200 in milliseconds, whatever is down.
#[utoipa::path(get, path = "/health", tag = "Service", responses((status = 200, body = Health)))]
pub(in crate::http) async fn health(State(app): State<AppState>) -> Json<Health> {
    Json(Health {
        status: "healthy",
        service: SERVICE,
        version: API_VERSION,
        mlflow_uri: app.config.mlflow_uri.clone(),
        database: app.config.database.clone(),
        tenant_isolation_enabled: app.config.tenant_isolation_enabled,
        authentication_enabled: true,
    })
}
