//! `GET /api/ml/schedules`: when the tenant's models are retrained.

use axum::{Json, extract::State};
use chrono::Utc;
use serde::Serialize;
use utoipa::ToSchema;

use super::ScheduleDocument;
use crate::{
    Result,
    http::{
        AppState, Member,
        openapi::{Denied, Unavailable},
    },
};

/// The schedules of the tenant's models.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct ScheduleList {
    /// Model types by name.
    schedules: Vec<ScheduleDocument>,
}

/// When the tenant's models are retrained
#[utoipa::path(
    get,
    path = "/api/ml/schedules",
    tag = "Models",
    responses((status = 200, body = ScheduleList), Denied, Unavailable),
    security(("HTTPBearer" = []))
)]
pub(in crate::http) async fn list(
    State(app): State<AppState>,
    Member(_caller): Member,
) -> Result<Json<ScheduleList>> {
    let views = app.schedules.list(Utc::now()).await?;
    Ok(Json(ScheduleList { schedules: views.into_iter().map(Into::into).collect() }))
}
