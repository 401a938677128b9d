//! Servers that misbehave on purpose.

use std::net::TcpListener;
use std::time::Duration;

use binah_ml::tracking::client::Client;
use binah_ml::tracking::{ClientConfig, RetryPolicy, TrackingError};
use reqwest::Url;
use serde_json::{Value, json};
use wiremock::matchers::{header, method, path, path_regex};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::{tracker, training};

const API: &str = "/api/2.0/mlflow";

fn config(uri: &str) -> ClientConfig {
    let mut config = ClientConfig::new(Url::parse(uri).expect("an address"));
    config.retry = RetryPolicy { retries: 3, first_pause: Duration::from_millis(1) };
    config
}

fn client(server: &MockServer) -> Client {
    Client::new(config(&server.uri())).expect("a client")
}

fn answer(status: u16, body: Value) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_json(body)
}

/// Answers `call` with `first` once, then for ever with `then`.
async fn first_then(server: &MockServer, call: &str, first: ResponseTemplate, then: ResponseTemplate) {
    let at = || Mock::given(method("POST")).and(path(format!("{API}/{call}")));
    at().respond_with(first).up_to_n_times(1).expect(1).mount(server).await;
    at().respond_with(then).mount(server).await;
}

async fn calls(server: &MockServer, call: &str) -> usize {
    let requests = server.received_requests().await.expect("are recorded");
    requests.iter().filter(|request| request.url.path().ends_with(call)).count()
}

#[tokio::test]
async fn what_passes_is_repeated() {
    let pool =
        json!({"error_code": "BAD_REQUEST", "message": "QueuePool limit of size 5 overflow 10 reached"});
    for first in [
        ResponseTemplate::new(500),
        ResponseTemplate::new(429),
        ResponseTemplate::new(503).set_body_string("<html>busy</html>"),
        answer(400, pool),
        ResponseTemplate::new(200).set_body_string("<html>please log in</html>"),
    ] {
        let server = MockServer::start().await;
        first_then(&server, "runs/set-tag", first, answer(200, json!({}))).await;
        client(&server).set_tag("r", "k", "v").await.expect("succeeds in the end");
        assert_eq!(calls(&server, "runs/set-tag").await, 2);
    }
}

#[tokio::test]
async fn what_does_not_pass_is_not_repeated() {
    let body = json!({"error_code": "INVALID_PARAMETER_VALUE", "message": "no such thing"});
    for refusal in [answer(400, body), ResponseTemplate::new(401), ResponseTemplate::new(404)] {
        let server = MockServer::start().await;
        first_then(&server, "runs/set-tag", refusal, answer(200, json!({}))).await;
        let error = client(&server).set_tag("r", "k", "v").await.expect_err("is refused");
        assert!(matches!(error, TrackingError::Refused { .. }) && !error.is_transient(), "{error}");
        assert_eq!(calls(&server, "runs/set-tag").await, 1);
    }
}

#[tokio::test]
async fn the_host_check_is_explained() {
    let server = MockServer::start().await;
    let refusal = ResponseTemplate::new(403)
        .set_body_string("Invalid Host header - possible DNS rebinding attack detected");
    Mock::given(method("POST"))
        .and(header("host", "localhost:5000"))
        .respond_with(answer(200, json!({})))
        .mount(&server)
        .await;
    Mock::given(method("POST")).respond_with(refusal).mount(&server).await;

    let error = client(&server).health().await.expect_err("is refused");
    let host = server.address().to_string();
    assert!(error.to_string().contains(&format!("--allowed-hosts {host}")), "{error}");
    assert!(!error.is_transient());
    let error = client(&server).set_tag("r", "k", "v").await.expect_err("is refused");
    assert!(matches!(error, TrackingError::HostRefused { .. }), "{error}");
    assert_eq!(calls(&server, "runs/set-tag").await, 1);

    let config = ClientConfig { host_header: Some("localhost:5000".into()), ..config(&server.uri()) };
    Client::new(config).expect("a client").health().await.expect("the override helps");
}

#[tokio::test]
async fn nobody_there_is_unreachable() {
    let free = TcpListener::bind("127.0.0.1:0").expect("binds").local_addr().expect("an address");
    let config = config(&format!("http://ann:hidden@{free}"));
    let client = Client::new(config).expect("a client");
    let error = client.set_tag("r", "k", "v").await.expect_err("nobody answers");
    assert!(matches!(error, TrackingError::Unreachable { .. }) && error.is_transient(), "{error}");
    assert!(!format!("{error} {error:?}").contains("hidden"), "{error:?}");
}

#[tokio::test]
async fn a_stall_is_a_timeout_and_waited_for_once() {
    let server = MockServer::start().await;
    let stall = answer(200, json!({})).set_delay(Duration::from_secs(30));
    Mock::given(method("POST")).respond_with(stall).mount(&server).await;
    let config = ClientConfig { timeout: Duration::from_millis(200), ..config(&server.uri()) };
    let client = Client::new(config).expect("a client");
    let error = client.set_tag("r", "k", "v").await.expect_err("stalls");
    assert!(matches!(error, TrackingError::Timeout { .. }) && error.is_transient(), "{error}");
    assert_eq!(calls(&server, "runs/set-tag").await, 1);
}

#[tokio::test]
async fn credentials_are_sent_in_their_header() {
    let server = MockServer::start().await;
    for value in ["Basic YW5uOnB3", "Bearer t0ken"] {
        let at = Mock::given(method("POST")).and(header("authorization", value));
        at.respond_with(answer(200, json!({}))).expect(1).mount(&server).await;
    }
    let mut config = config(&server.uri());
    (config.username, config.password) = (Some("ann".into()), Some("pw".into()));
    Client::new(config.clone()).expect("a client").health().await.expect("basic");
    config.token = Some("t0ken".into());
    Client::new(config).expect("a client").health().await.expect("bearer");
}

/// The answer to a creation is lost after the server made the run: the run is found, not made twice.
#[tokio::test]
async fn a_creation_is_searched_for_before_it_is_repeated() {
    let server = MockServer::start().await;
    let info =
        json!({"run_id": "r1", "artifact_uri": "mlflow-artifacts:/x/r1/artifacts", "status": "FINISHED"});
    let found = answer(200, json!({"runs": [{"info": info}]}));
    let experiment = json!({"experiment": {"experiment_id": "1", "lifecycle_stage": "active"}});
    Mock::given(path_regex("get-by-name$")).respond_with(answer(200, experiment)).mount(&server).await;
    first_then(&server, "runs/search", answer(200, json!({})), found).await;
    first_then(&server, "runs/create", ResponseTemplate::new(502), ResponseTemplate::new(418)).await;
    let version = json!({"name": "m", "version": "3", "run_id": "r1"});
    Mock::given(path_regex("registered-models/create$"))
        .respond_with(answer(200, json!({})))
        .mount(&server)
        .await;
    let versions = answer(200, json!({"model_versions": [version]}));
    Mock::given(path_regex("model-versions/search$")).respond_with(versions).mount(&server).await;

    let uri = Url::parse(&server.uri()).expect("an address");
    let tracked = tracker(&uri).log(&training()).await.expect("logs");
    assert_eq!((tracked.run_id.as_str(), tracked.registered_version.as_str()), ("r1", "3"));
    assert_eq!(calls(&server, "runs/create").await, 1);
    assert_eq!(calls(&server, "model-versions/create").await, 0);
}

#[tokio::test]
async fn files_for_a_foreign_store_are_refused_clearly() {
    let server = MockServer::start().await;
    let info = json!({"run_id": "r1", "artifact_uri": "s3://bucket/r1/artifacts", "status": "RUNNING"});
    let run = serde_json::from_value(info).expect("a run");
    let file = binah_ml::tracking::ArtifactFile::new("a.txt", "a");
    let error = client(&server).upload(&run, &file).await.expect_err("cannot be written");
    assert!(error.to_string().contains("s3://bucket"), "{error}");
}
