//! `PUT` and `DELETE /api/ml/models/{model_type}/aliases/{alias}`: where a name points.

use axum::{
    Json,
    extract::{Path, State},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{Parts, VersionChanged};
use crate::{
    Result,
    catalog::ModelType,
    http::{
        Admin, AppState,
        body::{
            JsonObject,
            fields::{self, Fields},
        },
        openapi::{BadBody, BadQuery, Conflict, Denied, NoModel, Unavailable},
    },
    registry::Alias,
};

/// Longest body that is read.
const MAX_BODY_BYTES: usize = 16 << 10;

/// Which version an alias is to point to.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "describes the body that the handler parses")]
pub(in crate::http) struct AliasRequest {
    /// `"v2.0"`, `"2"`, `2`, `"latest"` or another alias.
    #[schema(example = "v2.0")]
    version: String,
}

/// An alias that was taken away.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct AliasRemoved {
    #[schema(example = "cost_forecasting")]
    model_type: &'static str,
    #[schema(example = "blue")]
    alias: String,
    /// Whether MLflow has lost it, too.
    mlflow_follows: bool,
}

fn parse(model_type: String, alias: String) -> Result<(ModelType, Alias)> {
    let mut parts = Parts::default();
    let model_type = parts.check(["path", "model_type"], model_type, fields::model_type);
    let alias = parts.check(["path", "alias"], alias, fields::alias);
    parts.finish(|| Some((model_type?, alias?)))
}

/// Point an alias to a version (administrators)
///
/// `champion` is what predictions without a version use. The alias may be new.
#[utoipa::path(
    put,
    path = "/api/ml/models/{model_type}/aliases/{alias}",
    tag = "Models",
    params(
        ("model_type" = String, Path, description = "One of the model types", example = "cost_forecasting"),
        ("alias" = String, Path, description = "1 to 64 of a-z, 0-9, _ and -, a letter first", example = "champion"),
    ),
    request_body = AliasRequest,
    responses((status = 200, body = VersionChanged), Denied, NoModel, Conflict, BadBody, Unavailable),
    security(("HTTPBearer" = []))
)]
pub(in crate::http) async fn set(
    State(app): State<AppState>,
    Admin(caller): Admin,
    Path((model_type, alias)): Path<(String, String)>,
    JsonObject(object): JsonObject<MAX_BODY_BYTES>,
) -> Result<Json<VersionChanged>> {
    let (model_type, alias) = parse(model_type, alias)?;
    let mut body = Fields::new(object);
    let version = body.required("version", fields::version);
    let version = body.finish(|| version)?;
    let change = app.lifecycle.set_alias(&caller, model_type, &alias, &version).await?;
    Ok(Json(VersionChanged::new(change, Some(alias.as_str()))))
}

/// Take an alias away (administrators); `champion` can only be moved
#[utoipa::path(
    delete,
    path = "/api/ml/models/{model_type}/aliases/{alias}",
    tag = "Models",
    params(
        ("model_type" = String, Path, description = "One of the model types", example = "cost_forecasting"),
        ("alias" = String, Path, description = "An alias other than `champion`", example = "blue"),
    ),
    responses((status = 200, body = AliasRemoved), Denied, NoModel, Conflict, BadQuery, Unavailable),
    security(("HTTPBearer" = []))
)]
pub(in crate::http) async fn remove(
    State(app): State<AppState>,
    Admin(caller): Admin,
    Path((model_type, alias)): Path<(String, String)>,
) -> Result<Json<AliasRemoved>> {
    let (model_type, alias) = parse(model_type, alias)?;
    let mlflow_follows = app.lifecycle.remove_alias(&caller, model_type, &alias).await?;
    Ok(Json(AliasRemoved { model_type: model_type.name, alias: alias.to_string(), mlflow_follows }))
}
