//! `PUT /api/ml/models/{model_type}/schedule`: a schedule of its own.

use axum::{
    Json,
    extract::{Path, State},
};
use chrono::Utc;

use super::{
    ScheduleDocument, model_type,
    request::{ScheduleRequest, parse},
};
use crate::{
    Result,
    http::{
        Admin, AppState,
        body::JsonObject,
        openapi::{BadBody, Denied, NoModel, Unavailable},
    },
};

/// Longest body that is read.
const MAX_BODY_BYTES: usize = 16 << 10;

/// Say when a model type is retrained (administrators)
///
/// With the parameters and the source of its newest version, and left out if the rows have not changed. Whether the
/// new version is served is decided as for every other.
#[utoipa::path(
    put,
    path = "/api/ml/models/{model_type}/schedule",
    tag = "Models",
    params(("model_type" = String, Path, description = "One of the model types", example = "cost_forecasting")),
    request_body = ScheduleRequest,
    responses((status = 200, body = ScheduleDocument), Denied, NoModel, BadBody, Unavailable),
    security(("HTTPBearer" = []))
)]
pub(in crate::http) async fn set(
    State(app): State<AppState>,
    Admin(caller): Admin,
    Path(name): Path<String>,
    JsonObject(object): JsonObject<MAX_BODY_BYTES>,
) -> Result<Json<ScheduleDocument>> {
    let model_type = model_type(name)?;
    let schedule = parse(object, app.schedules.zone())?;
    Ok(Json(app.schedules.set(&caller, model_type, &schedule, Utc::now()).await?.into()))
}
