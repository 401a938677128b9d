//! The HTTP surface as a client sees it: the real router, no model behind it.

mod cors;
mod documentation;
mod operation;
mod routing;
mod unauthorised;

use std::{sync::Arc, time::Duration};

use axum::{Router, body::Body, response::Response};
use http::{HeaderMap, Request};
use metrics_exporter_prometheus::PrometheusBuilder;
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::{AppState, HttpConfig, Services, router};
use crate::{
    app,
    auth::{TokenConfig, Tokens, token::NewToken},
    config::Config,
    storage::{Database, PoolConfig},
};

/// The documented development secret, which `replay.py` signs with.
const SECRET: &str = "your-super-secret-key-change-this-in-production-at-least-32-characters-long";
const TENANT: &str = "aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa";

fn tokens() -> Tokens {
    Tokens::new(TokenConfig {
        secret: SECRET.to_owned().into(),
        issuer: "Binah.Auth".into(),
        audience: "Binah.Platform".into(),
    })
}

/// The real rooms; the database's port is one where nothing listens.
fn state(http: HttpConfig) -> AppState {
    let models = std::env::temp_dir().join("binah-ml-http-tests").display().to_string();
    let settings = [("POSTGRES_HOST", "127.0.0.1"), ("POSTGRES_PORT", "9"), ("MODEL_REGISTRY_PATH", &models)];
    let lookup =
        |name: &str| settings.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
    let config = Config::from_lookup(&lookup).expect("valid settings");
    // It will not come; the default would wait for it five seconds a request.
    let pool = PoolConfig { acquire_timeout: Duration::from_millis(50), ..config.postgres.pool() };
    let database = Database::new(&config.postgres.service(), &pool);
    let prometheus = PrometheusBuilder::new().build_recorder().handle();
    let outbox = app::outbox(&config, &database).expect("builds");
    let (readiness, leaving) = (Arc::default(), CancellationToken::new());
    let parts = app::Parts { database, graph: None, outbox, readiness, prometheus, leaving };
    let (services, _) = app::assemble(config, parts).expect("builds");
    AppState::new(Services { config: http, tokens: tokens(), ..services })
}

fn development() -> HttpConfig {
    HttpConfig::default()
}

fn production() -> HttpConfig {
    HttpConfig {
        production: true,
        allowed_origins: super::AllowedOrigins::platform(),
        ..HttpConfig::default()
    }
}

/// A valid `Authorization` of tenant A.
fn bearer() -> String {
    bearer_of(TENANT)
}

fn bearer_of(tenant_id: &str) -> String {
    let new = NewToken { user_id: "user-a-001", tenant_id, email: "a@x", role: "admin", expires_in: 60 };
    format!("Bearer {}", tokens().mint(&new).expect("signs"))
}

/// An answer, read to its end.
struct Answer {
    status: u16,
    headers: HeaderMap,
    text: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {}", self.text))
    }

    fn detail(&self) -> Value {
        self.json()["detail"].clone()
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("ASCII"))
    }
}

async fn read(response: Response) -> Answer {
    let (parts, body) = response.into_parts();
    let bytes = axum::body::to_bytes(body, usize::MAX).await.expect("a body");
    Answer {
        status: parts.status.as_u16(),
        headers: parts.headers,
        text: String::from_utf8_lossy(&bytes).into_owned(),
    }
}

/// Sends one request: `"POST /api/ml/train"`, headers, body.
async fn send_to(router: Router, line: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Answer {
    let (method, path) = line.split_once(' ').expect("method and path");
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(body.into()).expect("a request");
    read(router.oneshot(request).await.expect("never fails")).await
}

async fn send(line: &str, headers: &[(&str, &str)]) -> Answer {
    send_to(router(state(development())), line, headers, "").await
}
