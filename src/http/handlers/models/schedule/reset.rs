//! `DELETE /api/ml/models/{model_type}/schedule`: back to the service's own.

use axum::{
    Json,
    extract::{Path, State},
};
use chrono::Utc;

use super::{ScheduleDocument, model_type};
use crate::{
    Result,
    http::{
        Admin, AppState,
        openapi::{BadQuery, Denied, NoModel, Unavailable},
    },
    schedule::Schedule,
};

/// Retrain a model type as the service is set up (administrators)
#[utoipa::path(
    delete,
    path = "/api/ml/models/{model_type}/schedule",
    tag = "Models",
    params(("model_type" = String, Path, description = "One of the model types", example = "cost_forecasting")),
    responses((status = 200, body = ScheduleDocument), Denied, NoModel, BadQuery, Unavailable),
    security(("HTTPBearer" = []))
)]
pub(in crate::http) async fn reset(
    State(app): State<AppState>,
    Admin(caller): Admin,
    Path(name): Path<String>,
) -> Result<Json<ScheduleDocument>> {
    let model_type = model_type(name)?;
    Ok(Json(app.schedules.set(&caller, model_type, &Schedule::Default, Utc::now()).await?.into()))
}
