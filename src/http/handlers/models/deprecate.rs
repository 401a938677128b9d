//! `POST /api/ml/models/{model_type}/versions/{version}/deprecate`: out of service.

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
};

/// Take a version out of service (administrators)
///
/// Aliases and `latest` no longer find it; predictions that name its number still do.
#[utoipa::path(
    post,
    path = "/api/ml/models/{model_type}/versions/{version}/deprecate",
    tag = "Models",
    params(
        ("model_type" = String, Path, description = "One of the model types", example = "cost_forecasting"),
        ("version" = String, Path, description = "`v1.0`, `1` or an alias; not the champion", example = "v1.0"),
    ),
    responses((status = 200, body = VersionChanged), Denied, NoModel, Conflict, BadQuery, Unavailable),
    security(("HTTPBearer" = []))
)]
pub(in crate::http) async fn deprecate(
    State(app): State<AppState>,
    Admin(caller): Admin,
    Path((model_type, version)): Path<(String, String)>,
) -> Result<Json<VersionChanged>> {
    let mut parts = Parts::default();
    let model_type = parts.check(["path", "model_type"], model_type, fields::model_type);
    let version = parts.check(["path", "version"], version, fields::version);
    let (model_type, version) = parts.finish(|| Some((model_type?, version?)))?;
    let change = app.lifecycle.deprecate(&caller, model_type, &version).await?;
    Ok(Json(VersionChanged::new(change, None)))
}
