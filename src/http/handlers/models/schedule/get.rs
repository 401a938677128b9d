//! `GET /api/ml/models/{model_type}/schedule`: when a model type is retrained.

use axum::{
    Json,
    extract::{Path, State},
};
use chrono::Utc;

use super::{ScheduleDocument, model_type};
use crate::{
    Result,
    http::{
        AppState, Member,
        openapi::{BadQuery, Denied, NoModel, Unavailable},
    },
};

/// When a model type is retrained
#[utoipa::path(
    get,
    path = "/api/ml/models/{model_type}/schedule",
    tag = "Models",
    params(("model_type" = String, Path, description = "One of the model types", example = "cost_forecasting")),
    responses((status = 200, body = ScheduleDocument), Denied, NoModel, BadQuery, Unavailable),
    security(("HTTPBearer" = []))
)]
pub(in crate::http) async fn get(
    State(app): State<AppState>,
    Member(_caller): Member,
    Path(name): Path<String>,
) -> Result<Json<ScheduleDocument>> {
    Ok(Json(app.schedules.get(model_type(name)?, Utc::now()).await?.into()))
}
