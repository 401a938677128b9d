//! `GET /health/ready`: whether requests should come here. 503 while Postgres is away or the
//! service shuts down; MLflow and Neo4j do not count, predictions go on without them.

use axum::{Json, extract::State};
use chrono::Utc;
use http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::{AppState, SERVICE, timestamp::naive_utc};

#[derive(Serialize, ToSchema)]
pub(in crate::http) struct Ready {
    /// `ready` or `not_ready`.
    #[schema(example = "ready")]
    status: &'static str,
    #[schema(example = "binah-ml")]
    service: &'static str,
    /// UTC.
    #[schema(example = "2026-11-22T14:28:22.277204")]
    timestamp: String,
    checks: Checks,
}

#[derive(Serialize, ToSchema)]
struct Checks {
    /// Whether Postgres answered the last check.
    database: bool,
}

/// Whether requests should come here
#[utoipa::path(
    get,
    path = "/health/ready",
    tag = "Service",
    responses((status = 200, body = Ready), (status = 503, body = Ready, description = "Cannot work now"))
)]
pub(in crate::http) async fn ready(State(app): State<AppState>) -> (StatusCode, Json<Ready>) {
    let (code, status) = if app.readiness.is_ready() {
        (StatusCode::OK, "ready")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not_ready")
    };
    let checks = Checks { database: app.readiness.database_up() };
    (code, Json(Ready { status, service: SERVICE, timestamp: naive_utc(Utc::now()), checks }))
}
