//! The platform's client, as far as the demo needs it.

use std::time::{Duration, Instant};

use binah_ml::error::BoxError;
use serde_json::Value;

/// Speaks to the service as any other HTTP client.
pub(super) struct Client {
    base: String,
    http: reqwest::Client,
}

/// An answer and how long it took.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Value,
    pub(super) took: Duration,
}

impl Client {
    pub(super) fn new(base: &str) -> Self {
        Self { base: base.to_owned(), http: reqwest::Client::new() }
    }

    pub(super) async fn post(&self, path: &str, token: &str, body: &Value) -> Result<Answer, BoxError> {
        let begin = Instant::now();
        let response =
            self.http.post(format!("{}{path}", self.base)).bearer_auth(token).json(body).send().await?;
        let status = response.status().as_u16();
        let body = response.json().await?;
        Ok(Answer { status, body, took: begin.elapsed() })
    }
}
