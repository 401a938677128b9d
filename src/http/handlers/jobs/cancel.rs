//! `DELETE /api/ml/jobs/{job_id}`: a training that nobody wants any more.

use axum::{
    Json,
    extract::{Path, State},
};
use http::StatusCode;

use super::{JobPage, job_id, under_way};
use crate::{
    Result,
    http::{
        AppState, Member,
        openapi::{BadQuery, Conflict, Denied, NoJob, Unavailable},
    },
};

/// Cancel a training
///
/// One that waits is cancelled at once, one that runs within about a second: at its next tree or round, or in the middle of
/// its query. Asking again does no harm.
#[utoipa::path(
    delete,
    path = "/api/ml/jobs/{job_id}",
    tag = "Jobs",
    params(("job_id" = Uuid, Path, description = "`job_id` of an answer")),
    responses(
        (status = 200, body = JobPage, description = "It is cancelled"),
        (status = 202, body = JobPage, description = "It is about to stop"),
        Denied, NoJob, Conflict, BadQuery, Unavailable,
    ),
    security(("HTTPBearer" = []))
)]
pub(in crate::http) async fn cancel(
    State(app): State<AppState>,
    Member(_caller): Member,
    Path(id): Path<String>,
) -> Result<(StatusCode, Json<JobPage>)> {
    let (jobs, id) = (app.submitter.jobs(), job_id(id)?);
    jobs.cancel(id).await?;
    let job = jobs.get(id).await?;
    Ok((under_way(&job), Json(JobPage::new(job)?)))
}
