//! `GET /api/ml/jobs`: the tenant's trainings, page by page.

use axum::{Json, extract::State};
use http::Uri;
use serde::Serialize;
use utoipa::ToSchema;

use super::JobSummary;
use crate::{
    Result,
    http::{
        AppState, Member,
        body::fields,
        openapi::{BadQuery, Denied, Unavailable},
        parameters::{Parts, query},
    },
    jobs::{Filter, Position},
};

/// Entries of a page unless the request says otherwise.
const DEFAULT_LIMIT: usize = 20;
/// Most entries of a page.
const MAX_LIMIT: usize = 100;

/// Trainings of the tenant.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct JobList {
    /// From the newest.
    jobs: Vec<JobSummary>,
    /// `cursor` of the next page; null on the last one.
    #[schema(example = "1795357702277204.0c5e8a7b-4c0f-4d2e-8a1b-3c5d7e9f0f4d")]
    next_cursor: Option<String>,
}

/// The tenant's trainings, from the newest
#[utoipa::path(
    get,
    path = "/api/ml/jobs",
    tag = "Jobs",
    params(
        ("model_type" = Option<String>, Query, description = "Of this type", example = "cost_forecasting"),
        ("status" = Option<String>, Query, description = "`queued`, `training`, `completed`, `failed` or `cancelled`"),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 100, description = "Most entries; 20 if absent"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
    ),
    responses((status = 200, body = JobList), Denied, BadQuery, Unavailable),
    security(("HTTPBearer" = []))
)]
pub(in crate::http) async fn list(
    State(app): State<AppState>,
    Member(_caller): Member,
    uri: Uri,
) -> Result<Json<JobList>> {
    let (query, mut parts) = (query(&uri), Parts::default());
    let filter = Filter {
        model_type: parts.query(&query, "model_type", fields::model_type),
        state: parts.query(&query, "status", fields::job_state),
    };
    let limit = parts.query(&query, "limit", |value| fields::page_size(value, MAX_LIMIT));
    let after = parts.query(&query, "cursor", fields::job_position);
    let filter = parts.finish(|| Some(filter))?;
    let page = app.submitter.jobs().list(&filter, after, limit.unwrap_or(DEFAULT_LIMIT)).await?;
    let cursor = |next: Position| format!("{}.{}", next.created_at.timestamp_micros(), next.id);
    Ok(Json(JobList {
        jobs: page.jobs.iter().map(JobSummary::new).collect::<Result<_>>()?,
        next_cursor: page.next.map(cursor),
    }))
}
