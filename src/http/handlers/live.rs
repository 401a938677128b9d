//! `GET /health/live`: the process runs.

use axum::{Json, extract::State};
use chrono::Utc;
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::{AppState, SERVICE, timestamp::naive_utc};

#[derive(Serialize, ToSchema)]
pub(in crate::http) struct Alive {
    #[schema(example = "alive")]
    status: &'static str,
    #[schema(example = "binah-ml")]
    service: &'static str,
    /// UTC.
    #[schema(example = "2026-11-22T14:28:22.277204")]
    timestamp: String,
    uptime_seconds: f64,
}

/// Whether the process runs
#[utoipa::path(get, path = "/health/live", tag = "Service", responses((status = 200, body = Alive)))]
pub(in crate::http) async fn live(State(app): State<AppState>) -> Json<Alive> {
    Json(Alive {
        status: "alive",
        service: SERVICE,
        timestamp: naive_utc(Utc::now()),
        uptime_seconds: app.started.elapsed().as_secs_f64(),
    })
}
