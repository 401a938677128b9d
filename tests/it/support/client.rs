//! What a client of the service does: requests with the token of a tenant.

use binah_ml::{
    auth::{Tokens, token::NewToken},
    config::Config,
};
use serde_json::{Value, json};

/// A client of one service.
pub struct Client {
    /// The service's address, without a slash at the end.
    pub base: String,
    tokens: Tokens,
    http: reqwest::Client,
}

/// An answer with its parsed body.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub body: Value,
}

impl Client {
    /// A client that mints its tokens with the service's secret.
    pub fn new(base: String, config: &Config) -> Self {
        let http = reqwest::Client::builder().no_proxy().build().expect("a client");
        Self { base, tokens: Tokens::new(config.token.clone()), http }
    }

    /// A token of the tenant's only user.
    pub fn token(&self, tenant_id: &str, role: &str) -> String {
        self.token_of(&format!("user-of-{tenant_id}"), tenant_id, role)
    }

    pub fn token_of(&self, user_id: &str, tenant_id: &str, role: &str) -> String {
        let new = NewToken { user_id, tenant_id, email: "user@example.com", role, expires_in: 7200 };
        self.tokens.mint(&new).expect("mints")
    }

    pub async fn get(&self, path: &str, tenant_id: &str) -> Answer {
        self.send("GET", path, tenant_id, "user", None).await
    }

    pub async fn post(&self, path: &str, tenant_id: &str, body: &Value) -> Answer {
        self.send("POST", path, tenant_id, "user", Some(body.clone())).await
    }

    /// Any request, in any role.
    pub async fn send(
        &self,
        method: &str,
        path: &str,
        tenant_id: &str,
        role: &str,
        body: Option<Value>,
    ) -> Answer {
        let method = method.parse().expect("a method");
        let request = self.http.request(method, format!("{}{path}", self.base));
        let request = request.bearer_auth(self.token(tenant_id, role));
        answer(if let Some(body) = body { request.json(&body) } else { request }).await
    }

    /// Trains for a tenant; `more` is laid over the request.
    pub async fn train(&self, tenant_id: &str, model_type: &str, more: Value) -> Answer {
        let mut body = json!({ "tenant_id": tenant_id, "model_type": model_type });
        merge(&mut body, more);
        self.post("/api/ml/train", tenant_id, &body).await
    }

    /// Predicts for a tenant.
    pub async fn predict(&self, tenant_id: &str, model_type: &str, features: Value) -> Answer {
        let body = json!({ "tenant_id": tenant_id, "model_type": model_type, "features": features });
        self.post("/api/ml/predict", tenant_id, &body).await
    }

    /// A page for everyone, as text; `None` if nobody answers 200.
    pub async fn public(&self, path: &str) -> Option<String> {
        let answer = self.http.get(format!("{}{path}", self.base)).send().await.ok()?;
        if answer.status() == 200 { answer.text().await.ok() } else { None }
    }
}

impl Answer {
    /// The body of a 200; shows the answer where it is another one.
    pub fn ok(self) -> Value {
        assert_eq!(self.status, 200, "{}", self.body);
        self.body
    }

    /// The `type`s of a 422's entries.
    pub fn kinds(&self) -> Vec<&str> {
        assert_eq!(self.status, 422, "{}", self.body);
        let entries = self.body["detail"].as_array().expect("a list");
        entries.iter().map(|entry| entry["type"].as_str().expect("a type")).collect()
    }
}

async fn answer(request: reqwest::RequestBuilder) -> Answer {
    let response = request.send().await.expect("an answer");
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let text = response.text().await.expect("a body");
    Answer { status, headers, body: serde_json::from_str(&text).unwrap_or(Value::String(text)) }
}

fn merge(body: &mut Value, more: Value) {
    let (Value::Object(body), Value::Object(more)) = (body, more) else { panic!("two objects") };
    body.extend(more);
}
