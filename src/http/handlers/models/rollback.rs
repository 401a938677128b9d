//! `POST /api/ml/models/{model_type}/rollback`: back to the champion before this one.

use axum::{
    Json,
    extract::{Path, State},
};

use super::{Parts, VersionChanged};
use crate::{
    Result,
    http::{
        Admin, AppState,
        body::fields,
        openapi::{BadQuery, Conflict, Denied, NoModel, Unavailable},
    },
    registry::CHAMPION,
};

/// Make the champion before this one the champion again (administrators)
#[utoipa::path(
    post,
    path = "/api/ml/models/{model_type}/rollback",
    tag = "Models",
    params(("model_type" = String, Path, description = "One of the model types", example = "cost_forecasting")),
    responses((status = 200, body = VersionChanged), Denied, NoModel, Conflict, BadQuery, Unavailable),
    security(("HTTPBearer" = []))
)]
pub(in crate::http) async fn rollback(
    State(app): State<AppState>,
    Admin(caller): Admin,
    Path(model_type): Path<String>,
) -> Result<Json<VersionChanged>> {
    let mut parts = Parts::default();
    let model_type = parts.check(["path", "model_type"], model_type, fields::model_type);
    let model_type = parts.finish(|| model_type)?;
    let change = app.lifecycle.rollback(&caller, model_type).await?;
    Ok(Json(VersionChanged::new(change, Some(CHAMPION))))
}
