//! `GET /api/ml/jobs/{job_id}/events`: how a training goes on, as server-sent events.

use std::{convert::Infallible, time::Duration};

use axum::{
    extract::{Path, State},
    response::{
        IntoResponse, Response, Sse,
        sse::{Event, KeepAlive},
    },
};
use chrono::Utc;
use futures::{Stream, StreamExt, stream};
use http::{HeaderMap, HeaderName, StatusCode};
use tokio::time::Instant;

use super::{JobPage, job_id};
use crate::{
    Error, Result,
    auth::{TenantId, tenant},
    http::{
        AppState, Member,
        openapi::{BadQuery, Denied, NoJob, Unavailable},
        streams::Place,
    },
    jobs::JobState,
    training::Watch,
};

/// Revision of the last event that a client has seen, when it connects again.
const LAST_EVENT_ID: &str = "last-event-id";
/// A buffer in a proxy would hold events back; nginx is told so by this.
const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");
/// How soon a client that lost the stream connects again.
const RETRY: Duration = Duration::from_secs(2);
/// Longest silence: proxies close connections that seem dead.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// How long a stream stays open whatever the token says.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// A stream of one job's changes.
struct Changes {
    watch: Watch,
    tenant: TenantId,
    /// When the client's token expires.
    until: Instant,
    /// State that was told last.
    told: Option<JobState>,
    _place: Place,
}

/// How a training goes on, as server-sent events
///
/// `id` is the job's `revision`; `event` is its status, or `progress` if the status is the one before; `data` is the job as
/// `GET /api/ml/jobs/{job_id}` shows it. Begins with the job as it is, tells every change, and ends behind
/// `completed`, `failed` or `cancelled`, and when the service shuts down or the token expires. A client that connects again sends
/// `Last-Event-ID`, and gets what is newer; 204 if nothing will be.
#[utoipa::path(
    get,
    path = "/api/ml/jobs/{job_id}/events",
    tag = "Jobs",
    params(
        ("job_id" = Uuid, Path, description = "`job_id` of an answer"),
        ("Last-Event-ID" = Option<i64>, Header, description = "`id` of the last event that the client has seen"),
    ),
    responses(
        (status = 200, body = String, content_type = "text/event-stream"),
        (status = 204, description = "The job has ended, and the client has seen its end"),
        Denied, NoJob, BadQuery, Unavailable,
    ),
    security(("HTTPBearer" = []))
)]
pub(in crate::http) async fn events(
    State(app): State<AppState>,
    Member(caller): Member,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response> {
    let (id, tenant) = (job_id(id)?, tenant::current()?);
    // What is no revision of ours the client does not have from us.
    let seen = headers.get(LAST_EVENT_ID).and_then(|seen| seen.to_str().ok()?.parse().ok());
    let job = app.submitter.jobs().get(id).await?;
    if job.state.is_final() && seen == Some(job.revision) {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let place = app.streams.open(tenant)?;
    let watch = app.submitter.watch(id, seen, app.readiness.draining().clone());
    let left = Duration::try_from_secs_f64(caller.expires_at - Utc::now().timestamp_micros() as f64 / 1e6);
    let until = Instant::now() + left.unwrap_or_default().min(LONGEST);
    let changes = Changes { watch, tenant, until, told: None, _place: place };
    let headers = [(ACCEL_BUFFERING, "no")];
    Ok((headers, answer(stream::unfold(changes, Changes::next), KEEP_ALIVE)).into_response())
}

/// The events as they are sent, with a comment whenever there was none for so long. The first bytes go out at once: a
/// client knows then that it is connected.
fn answer(events: impl Stream<Item = Event> + Send + 'static, silence: Duration) -> impl IntoResponse {
    let opening = stream::iter([Event::default().retry(RETRY)]);
    let events = opening.chain(events).map(Ok::<_, Infallible>);
    Sse::new(events).keep_alive(KeepAlive::new().interval(silence))
}

impl Changes {
    /// The next event; `None` at the end.
    async fn next(mut self) -> Option<(Event, Self)> {
        // The stream is polled outside of the handler and its scope.
        let (tenant, until) = (self.tenant, self.until);
        let change = tenant::scope(tenant, self.change());
        match tokio::time::timeout_at(until, change).await.unwrap_or(Ok(None)) {
            Ok(event) => event.map(|event| (event, self)),
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(%tenant, error, "an event stream ends early");
                None
            }
        }
    }

    async fn change(&mut self) -> Result<Option<Event>> {
        let Some(job) = self.watch.next().await? else { return Ok(None) };
        let told = self.told.replace(job.state);
        let name = if told == Some(job.state) { "progress" } else { job.state.name() };
        let event = Event::default().id(job.revision.to_string()).event(name);
        event.json_data(JobPage::new(job)?).map(Some).map_err(Error::internal)
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    #[tokio::test]
    async fn silence_is_broken_by_comments() {
        let response = answer(stream::pending(), Duration::from_millis(10)).into_response();
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        let mut parts = Body::into_data_stream(response.into_body());
        for expected in ["retry: 2000\n\n", ":\n\n", ":\n\n"] {
            let part = parts.next().await.expect("goes on").expect("never fails");
            assert_eq!(&*part, expected.as_bytes());
        }
    }
}
