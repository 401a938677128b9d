//! `GET /api/ml/jobs/{job_id}`: how a training stands.

use axum::{
    Json,
    extract::{Path, State},
};

use super::{JobPage, job_id};
use crate::{
    Result,
    http::{
        AppState, Member,
        openapi::{BadQuery, Denied, NoJob, Unavailable},
    },
};

/// One training: progress, and at its end the result or the error
#[utoipa::path(
    get,
    path = "/api/ml/jobs/{job_id}",
    tag = "Jobs",
    params(("job_id" = Uuid, Path, description = "`job_id` of an answer")),
    responses((status = 200, body = JobPage), Denied, NoJob, BadQuery, Unavailable),
    security(("HTTPBearer" = []))
)]
pub(in crate::http) async fn show(
    State(app): State<AppState>,
    Member(_caller): Member,
    Path(id): Path<String>,
) -> Result<Json<JobPage>> {
    let job = app.submitter.jobs().get(job_id(id)?).await?;
    Ok(Json(JobPage::new(job)?))
}
