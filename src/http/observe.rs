//! What every request leaves behind: an id, one log line with fixed fields, two metrics with
//! bounded labels.
//!
//! Fields of the span, which every line below it carries: `request_id`, `method`, `route`,
//! `tenant`, `user`. The closing line adds `status`, `latency_ms` and, for a failure, `code`.

use std::time::Instant;

use axum::{
    extract::{MatchedPath, Request},
    middleware::Next,
    response::Response,
};
use http::{HeaderName, HeaderValue, Method};
use tracing::{Instrument, field::Empty};
use uuid::Uuid;

use super::error::ErrorCode;

/// Counter of answered requests by `method`, `route` and `status` class.
pub const REQUESTS: &str = "http_requests_total";
/// Histogram of seconds from the request's head to the answer's, by `method` and `route`.
pub const DURATION: &str = "http_request_duration_seconds";
/// Upper ends of that histogram's buckets: predictions answer in milliseconds, trainings in minutes.
pub const DURATION_BUCKETS: [f64; 13] =
    [0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0, 120.0, 600.0];

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const MAX_REQUEST_ID: usize = 128;

/// Tells the recorder what the metrics mean; once, after it is installed.
pub fn describe_metrics() {
    metrics::describe_counter!(REQUESTS, "Answered requests by method, route and status class");
    metrics::describe_histogram!(
        DURATION,
        metrics::Unit::Seconds,
        "Time from a request's head to its answer's"
    );
}

/// The middleware.
pub(super) async fn record(request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id = request_id(request.headers().get(REQUEST_ID));
    let method = method_label(request.method());
    let matched = request.extensions().get::<MatchedPath>().cloned();
    let route = matched.as_ref().map_or("unmatched", MatchedPath::as_str).to_owned();
    let span = tracing::info_span!(
        "request",
        request_id = id.to_str().unwrap_or_default(),
        method,
        route,
        tenant = Empty,
        user = Empty,
    );
    let mut response = next.run(request).instrument(span.clone()).await;

    let (status, elapsed) = (response.status(), started.elapsed());
    let code = response.extensions().get::<ErrorCode>().map(|code| code.0);
    let latency_ms = elapsed.as_secs_f64() * 1e3;
    span.in_scope(|| {
        if is_probe(&route) {
            tracing::debug!(status = status.as_u16(), latency_ms, code, "answered");
        } else {
            tracing::info!(status = status.as_u16(), latency_ms, code, "answered");
        }
    });
    let class = ["1xx", "2xx", "3xx", "4xx", "5xx"][usize::from(status.as_u16() / 100 - 1).min(4)];
    metrics::counter!(REQUESTS, "method" => method, "route" => route.clone(), "status" => class).increment(1);
    metrics::histogram!(DURATION, "method" => method, "route" => route).record(elapsed.as_secs_f64());
    response.headers_mut().insert(REQUEST_ID, id);
    response
}

/// The caller's id if it can be logged and returned as it is, else a new one.
fn request_id(sent: Option<&HeaderValue>) -> HeaderValue {
    let sane = |id: &&HeaderValue| {
        (1..=MAX_REQUEST_ID).contains(&id.len()) && id.as_bytes().iter().all(u8::is_ascii_graphic)
    };
    sent.filter(sane).cloned().unwrap_or_else(|| {
        HeaderValue::from_str(&Uuid::new_v4().to_string()).expect("a UUID is visible ASCII")
    })
}

/// Clients can invent methods; labels must not grow with them.
fn method_label(method: &Method) -> &'static str {
    const KNOWN: [&str; 8] = ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE"];
    KNOWN.into_iter().find(|known| *known == method.as_str()).unwrap_or("OTHER")
}

/// Asked every few seconds by the platform, of no interest to a reader of the log.
fn is_probe(route: &str) -> bool {
    route == "/metrics" || route.starts_with("/health")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sane_id_is_kept_and_any_other_replaced() {
        let kept = HeaderValue::from_static("abc-123/é".split('/').next().expect("a part"));
        assert_eq!(request_id(Some(&kept)), kept);
        let long = "x".repeat(129);
        for other in [&b""[..], b"a b", b"a\tb", "é".as_bytes(), long.as_bytes()] {
            let sent = HeaderValue::from_bytes(other).expect("a header value");
            let new = request_id(Some(&sent));
            assert!(Uuid::try_parse(new.to_str().expect("ASCII")).is_ok(), "{other:?}");
        }
        assert_ne!(request_id(None), request_id(None));
    }

    #[test]
    fn labels_are_bounded() {
        let invented = Method::from_bytes(b"BREW").expect("a method");
        assert_eq!((method_label(&invented), method_label(&Method::PATCH)), ("OTHER", "PATCH"));
    }
}
