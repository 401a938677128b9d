//! Health, request ids, panics, limits, metrics.

use axum::routing::get;
use serde_json::json;

use super::*;
use crate::{
    Error,
    http::{observe, routes::finish},
};

#[tokio::test]
async fn health_answers_whatever_is_down() {
    let answer = send("GET /health", &[]).await;
    assert_eq!(
        answer.json(),
        json!({"status": "healthy", "service": "binah-ml", "version": "0.2.0",
            "mlflow_uri": "http://localhost:5000", "database": "localhost:5432/binah_ml",
            "tenant_isolation_enabled": true, "authentication_enabled": true})
    );
    let live = send("GET /health/live", &[]).await.json();
    assert!(live["status"] == "alive" && live["uptime_seconds"].is_f64());
    assert_eq!(live["timestamp"].as_str().map(str::len), Some("2026-11-22T14:28:22.277204".len()));
}

#[tokio::test]
async fn ready_only_while_the_service_can_work() {
    let state = state(development());
    let ready = async || {
        let answer = send_to(router(state.clone()), "GET /health/ready", &[], "").await;
        (answer.status, answer.json()["status"].as_str().map(str::to_owned))
    };
    assert_eq!(ready().await, (503, Some("not_ready".into())), "Postgres was not seen yet");
    state.readiness.set_database_up(true);
    assert_eq!(ready().await, (200, Some("ready".into())));
    state.readiness.start_draining();
    assert_eq!(ready().await, (503, Some("not_ready".into())));
}

#[tokio::test]
async fn every_answer_carries_a_request_id() {
    for line in ["GET /", "GET /nope", "DELETE /", "GET /me", "GET /health/"] {
        let own = send(line, &[("x-request-id", "abc-1")]).await;
        assert_eq!(own.header("x-request-id"), Some("abc-1"), "{line}");
        let new = send(line, &[("x-request-id", "two words")]).await;
        assert!(new.header("x-request-id").is_some_and(|id| id.len() == 36), "{line}");
    }
}

#[tokio::test]
async fn a_panic_is_a_500_in_json_and_its_text_stays_inside() {
    async fn panics() -> &'static str {
        panic!("the password is 1234")
    }
    let router = finish(Router::new().route("/panics", get(panics)), state(development()));
    let answer = send_to(router, "GET /panics", &[("origin", "http://x")], "").await;
    assert_eq!((answer.status, answer.json()), (500, json!({"detail": "Internal Server Error"})));
    assert!(
        answer.header("x-request-id").is_some() && answer.header("access-control-allow-origin").is_some()
    );
}

#[tokio::test]
async fn a_busy_service_says_when_to_come_again() {
    async fn busy() -> Result<&'static str, Error> {
        Err(Error::Busy { retry_after: 7 })
    }
    let router = finish(Router::new().route("/busy", get(busy)), state(development()));
    let answer = send_to(router, "GET /busy", &[], "").await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("7")));
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_announced_or_not() {
    let config = HttpConfig { max_body_bytes: 100, ..development() };
    let bearer = bearer();
    let body = format!("{{\"x\": \"{}\"}}", "y".repeat(100));
    let length = body.len().to_string();
    for headers in [
        &[("authorization", bearer.as_str()), ("content-length", length.as_str())][..],
        &[("authorization", &bearer)],
    ] {
        let answer =
            send_to(router(state(config.clone())), "POST /api/ml/train", headers, body.clone()).await;
        assert_eq!((answer.status, answer.detail()), (413, json!("Request body is larger than 100 bytes")));
    }
    let announced = [("authorization", bearer.as_str()), ("content-length", "99999999999")];
    let answer = send_to(router(state(config)), "POST /api/ml/train", &announced, "").await;
    assert_eq!(answer.status, 413, "refused before it is read");
}

#[tokio::test]
async fn a_prediction_has_a_limit_of_its_own() {
    let bearer = bearer();
    let headers = [("authorization", bearer.as_str())];
    let body = format!("{{\"features\": {{\"x\": \"{}\"}}}}", "y".repeat(1 << 20));
    let answer = send_to(router(state(development())), "POST /api/ml/predict", &headers, body.clone()).await;
    assert_eq!((answer.status, answer.detail()), (413, json!("Request body is larger than 1048576 bytes")));
    let answer = send_to(router(state(development())), "POST /api/ml/train", &headers, body).await;
    assert_eq!(answer.status, 422);
}

#[test]
fn the_log_line_has_its_fixed_fields_and_no_token() {
    #[derive(Clone, Default)]
    struct Lines(Arc<std::sync::Mutex<Vec<u8>>>);
    impl std::io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().expect("no panic").extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    let lines = Lines::default();
    let writer = lines.clone();
    // For the whole program: what a scoped subscriber sees depends on who asked a callsite first.
    let subscriber = tracing_subscriber::fmt().json().with_writer(move || writer.clone()).finish();
    tracing::subscriber::set_global_default(subscriber).expect("no other test of this program sets one");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let bearer = bearer();
    runtime.block_on(async {
        send("GET /me?secret=1", &[("authorization", &bearer), ("x-request-id", "fixed-fields-1")]).await;
    });
    let text = String::from_utf8(lines.0.lock().expect("no panic").clone()).expect("UTF-8");
    let text = text.lines().rfind(|line| line.contains("fixed-fields-1")).expect("a line");
    let line: Value = serde_json::from_str(text).expect("JSON");
    assert_eq!(
        line["span"],
        json!({"name": "request", "request_id": "fixed-fields-1", "method": "GET", "route": "/me", "tenant": TENANT,
            "user": "user-a-001"})
    );
    assert_eq!(line["fields"]["status"], 200);
    assert!(line["fields"]["latency_ms"].is_f64());
    assert!(!text.contains("secret") && !text.contains(&bearer[7..]));
}

#[tokio::test]
async fn a_large_body_is_parsed_like_a_small_one() {
    let rows = vec![json!({"a": 1, "b": "x"}); 20_000];
    let body = json!({"model_type": "roi_prediction", "tenant_id": "nobody", "data": rows}).to_string();
    assert!(body.len() > 256 << 10);
    let bearer = bearer();
    let headers = [("authorization", bearer.as_str())];
    let answer = send_to(router(state(development())), "POST /api/ml/train", &headers, body).await;
    assert_eq!((answer.status, &answer.detail()[0]["type"]), (422, &json!("uuid_parsing")));
}

#[test]
fn metrics_have_bounded_labels() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    metrics::with_local_recorder(&recorder, || {
        runtime.block_on(async {
            for line in ["GET /me", "GET /a", "GET /b", "BREW /", "GET /api/ml/models/a/b/metrics"] {
                send(line, &[]).await;
            }
        });
    });
    let text = handle.render();
    for series in [
        r#"{method="GET",route="/me",status="4xx"} 1"#,
        r#"{method="GET",route="unmatched",status="4xx"} 2"#,
        r#"{method="OTHER",route="/",status="4xx"} 1"#,
        r#"route="/api/ml/models/{tenant_id}/{model_type}/metrics""#,
    ] {
        assert!(text.contains(series), "{series} is not in\n{text}");
    }
    assert!(text.contains(observe::REQUESTS) && text.contains(observe::DURATION));
}

#[tokio::test]
async fn metrics_may_have_a_port_of_their_own() {
    let own_port = HttpConfig { serve_metrics: false, ..development() };
    assert_eq!(send("GET /metrics", &[]).await.status, 200);
    assert_eq!(send_to(router(state(own_port.clone())), "GET /metrics", &[], "").await.status, 404);
    let metrics = crate::http::routes::metrics_router(state(own_port));
    assert_eq!(send_to(metrics, "GET /metrics", &[], "").await.status, 200);
}
