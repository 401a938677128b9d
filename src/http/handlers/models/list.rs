//! `GET /api/ml/models` and `GET /api/ml/models/{model_type}/versions`: versions, page by page.

use axum::{
    Json,
    extract::{Path, State},
};
use http::Uri;
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use super::{Parts, VersionSummary, query};
use crate::{
    Result,
    catalog::ModelType,
    http::{
        AppState, Member,
        body::fields,
        openapi::{BadQuery, Denied, Unavailable},
    },
    registry::{Filter, Page, Position},
};

/// Entries of a page unless the request says otherwise.
const DEFAULT_LIMIT: usize = 20;
/// Most entries of a page.
const MAX_LIMIT: usize = 100;

/// Versions of the tenant's models.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct VersionList {
    /// Model types by name, the versions of each from the newest.
    versions: Vec<VersionSummary>,
    /// `cursor` of the next page; null on the last one.
    #[schema(example = "cost_forecasting.12")]
    next_cursor: Option<String>,
}

/// What both routes take.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes what `page` reads")]
pub(in crate::http) struct PageQuery {
    /// That this alias points to
    #[param(example = "champion")]
    alias: Option<String>,
    /// `ready` or `deprecated`
    state: Option<String>,
    /// Most entries; 20 if absent
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u32>,
    /// `next_cursor` of the page before
    cursor: Option<String>,
}

impl From<Page> for VersionList {
    fn from(page: Page) -> Self {
        let cursor = |next: Position| format!("{}.{}", next.model_type, next.version);
        Self {
            versions: page.versions.into_iter().map(Into::into).collect(),
            next_cursor: page.next.map(cursor),
        }
    }
}

async fn page(
    app: &AppState,
    uri: &Uri,
    mut parts: Parts,
    of: Option<ModelType>,
) -> Result<Json<VersionList>> {
    let query = query(uri);
    let filter = Filter {
        model_type: of.or_else(|| parts.query(&query, "model_type", fields::model_type)),
        alias: parts.query(&query, "alias", fields::alias).map(|alias| alias.as_str().to_owned()),
        state: parts.query(&query, "state", fields::state),
    };
    let limit = parts.query(&query, "limit", |value| fields::page_size(value, MAX_LIMIT));
    let after = parts.query(&query, "cursor", fields::position);
    let filter = parts.finish(|| Some(filter))?;
    Ok(Json(app.registry.list(&filter, after, limit.unwrap_or(DEFAULT_LIMIT)).await?.into()))
}

/// The tenant's models, all versions
#[utoipa::path(
    get,
    path = "/api/ml/models",
    tag = "Models",
    params(
        ("model_type" = Option<String>, Query, description = "Of this type", example = "cost_forecasting"),
        PageQuery,
    ),
    responses((status = 200, body = VersionList), Denied, BadQuery, Unavailable),
    security(("HTTPBearer" = []))
)]
pub(in crate::http) async fn models(
    State(app): State<AppState>,
    Member(_caller): Member,
    uri: Uri,
) -> Result<Json<VersionList>> {
    page(&app, &uri, Parts::default(), None).await
}

/// Versions of one model type
#[utoipa::path(
    get,
    path = "/api/ml/models/{model_type}/versions",
    tag = "Models",
    params(
        ("model_type" = String, Path, description = "One of the model types", example = "cost_forecasting"),
        PageQuery,
    ),
    responses((status = 200, body = VersionList), Denied, BadQuery, Unavailable),
    security(("HTTPBearer" = []))
)]
pub(in crate::http) async fn versions(
    State(app): State<AppState>,
    Member(_caller): Member,
    Path(model_type): Path<String>,
    uri: Uri,
) -> Result<Json<VersionList>> {
    let mut parts = Parts::default();
    let model_type = parts.check(["path", "model_type"], model_type, fields::model_type);
    page(&app, &uri, parts, model_type).await
}
