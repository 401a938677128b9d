//! `POST /api/ml/train`: a model is trained on the tenant's rows, while the client waits or not.

mod body;
mod response;

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderName, HeaderValue};

use self::body::TrainBody;
pub(in crate::http) use self::response::TrainResponse;
use super::jobs::{self, JobPage};
use crate::{
    Result,
    auth::Caller,
    http::{
        AppState,
        body::{JsonObject, fields},
        caller::require_tenant,
        openapi::{BadBody, Denied, TooManyQueued, Unavailable},
        parameters::{Parts, both},
    },
    training::{Awaited, SubmitOptions},
};

/// A client's name for a request, under which it may be sent again.
const IDEMPOTENCY_KEY: &str = "Idempotency-Key";
/// RFC 7240.
const PREFER: HeaderName = HeaderName::from_static("prefer");
const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");
const RESPOND_ASYNC: &str = "respond-async";

/// Train a model on the tenant's rows
///
/// Answers when the training has ended; with `Prefer: respond-async` or `"async": true` at once, with its job. A client that
/// hangs up loses the answer only. With an `Idempotency-Key` it may ask again: the same request under the same key is the
/// same job, however that ended.
#[utoipa::path(
    post,
    path = "/api/ml/train",
    tag = "Machine learning",
    params(
        ("Prefer" = Option<String>, Header, description = "`respond-async`: answer at once with the job"),
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 255 printable characters of ASCII; a new one for each new training"),
    ),
    request_body = TrainBody,
    responses(
        (status = 200, body = TrainResponse),
        (
            status = 202, body = JobPage,
            description = "It is queued or under way: because the client does not wait, or this process shuts down",
            headers(
                ("Location" = String, description = "The job's own path"),
                ("Preference-Applied" = String, description = "`respond-async` where `Prefer` asked for it"),
            )
        ),
        Denied, BadBody, TooManyQueued, Unavailable,
    ),
    security(("HTTPBearer" = []))
)]
pub(in crate::http) async fn train(
    State(app): State<AppState>,
    caller: Caller,
    headers: HeaderMap,
    JsonObject(object): JsonObject,
) -> Result<Response> {
    let body = TrainBody::parse(object, app.config.max_rows);
    let (idempotency_key, body) = both(idempotency_key(&headers), body)?;
    require_tenant(&caller, body.tenant_id)?;
    let preferred = prefers_async(&headers);
    let respond_async = body.respond_async.unwrap_or(preferred);
    let options = SubmitOptions {
        idempotency_key,
        priority: body.priority.unwrap_or_default(),
        patient: respond_async,
    };
    let (model_type, tenant_id) = (body.model_type, body.tenant_id);
    let job = app.submitter.submit(&caller, body.into(), options).await?;
    if respond_async {
        let mut response = jobs::accepted(app.submitter.jobs().get(job.id).await?)?;
        if preferred {
            response.headers_mut().insert(PREFERENCE_APPLIED, HeaderValue::from_static(RESPOND_ASYNC));
        }
        return Ok(response);
    }
    match app.submitter.wait(job.id).await? {
        Awaited::Done(outcome) => {
            Ok(Json(TrainResponse::new(model_type, tenant_id, *outcome)).into_response())
        }
        Awaited::GoesOn(job) => jobs::accepted(*job),
    }
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>> {
    let Some(sent) = headers.get(IDEMPOTENCY_KEY) else { return Ok(None) };
    let mut parts = Parts::default();
    let sent = String::from_utf8_lossy(sent.as_bytes()).into_owned();
    let key = parts.check(["header", IDEMPOTENCY_KEY], sent, fields::idempotency_key);
    parts.finish(|| key.map(Some))
}

/// Whether `respond-async` is among the preferences, each of which may have a value and parameters.
fn prefers_async(headers: &HeaderMap) -> bool {
    let lines = headers.get_all(PREFER).into_iter().filter_map(|line| line.to_str().ok());
    let mut names = lines
        .flat_map(|line| line.split(','))
        .map(|preference| preference.split([';', '=']).next().unwrap_or_default().trim());
    names.any(|name| name.eq_ignore_ascii_case(RESPOND_ASYNC))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preference_is_found_among_others() {
        let prefers = |lines: &[&'static str]| {
            let lines = lines.iter().map(|line| (PREFER, HeaderValue::from_static(line)));
            prefers_async(&lines.collect())
        };
        for lines in [
            &["respond-async"][..],
            &["Respond-Async"],
            &["return=minimal, respond-async; foo=bar"],
            &["wait=10", "handling=lenient,respond-async"],
        ] {
            assert!(prefers(lines), "{lines:?}");
        }
        for lines in [&[][..], &[""], &["wait=10"], &["respond-asynchronously"], &["foo=respond-async"]] {
            assert!(!prefers(lines), "{lines:?}");
        }
    }
}
