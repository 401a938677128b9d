//! A service of its own for each test: own database, own model folder, port 0, shared servers. Its
//! end fails the test that leaves something unfinished.

pub mod database;
pub mod imports;
mod panics;
pub mod servers;

use std::collections::HashMap;

use binah_ml::{
    app::App,
    auth::{TenantId, Tokens, tenant, token::NewToken},
    config::Config,
    dev::{portfolio::TenantProfile, sample},
    storage::Database,
};
pub use database::TestDatabase;
use metrics_exporter_prometheus::PrometheusBuilder;
use serde_json::{Value, json};
use tokio::{net::TcpListener, runtime::Handle, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub const TENANT_A: &str = "aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa";
pub const TENANT_B: &str = "bbbbbbbb-bbbb-bbbb-bbbb-bbbbbbbbbbbb";

/// A running service.
pub struct Service {
    pub base: String,
    pub config: Config,
    tokens: Tokens,
    http: reqwest::Client,
    stop: CancellationToken,
    served: Option<JoinHandle<()>>,
    test_database: TestDatabase,
    _models: tempfile::TempDir,
}

/// An answer with its parsed body.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub body: Value,
}

impl Service {
    /// A service that logs to the shared MLflow.
    pub async fn start() -> Self {
        Self::start_with(&[("MLFLOW_TRACKING_URI", servers::mlflow().await)]).await
    }

    /// A service whose MLflow refuses every call.
    pub async fn start_without_mlflow() -> Self {
        Self::start_with(&[]).await
    }

    /// A service with these settings on top of the test's own, which know of no MLflow.
    pub async fn start_with(settings: &[(&str, &str)]) -> Self {
        panics::watch();
        let models = tempfile::tempdir().expect("a folder");
        let mut settings: HashMap<String, String> =
            settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let test_database = TestDatabase::new().await;
        test_database.extend_settings(&mut settings);
        settings.entry("MLFLOW_TRACKING_URI".into()).or_insert(servers::refusing_mlflow().await);
        settings.entry("MODEL_REGISTRY_PATH".into()).or_insert(models.path().display().to_string());
        settings.entry("POSTGRES_MAX_CONNECTIONS".into()).or_insert("4".into());
        let config = Config::from_lookup(&|name| settings.get(name).cloned()).expect("valid settings");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let base = format!("http://{}", listener.local_addr().expect("an address"));
        let metrics = PrometheusBuilder::new().build_recorder().handle();
        let app = App::build(config.clone(), metrics).await.expect("builds");
        let stop = CancellationToken::new();
        let stopped = stop.clone().cancelled_owned();
        let served = tokio::spawn(async move { app.serve(listener, stopped).await.expect("serves") });
        Self {
            base,
            tokens: Tokens::new(config.token.clone()),
            config,
            http: reqwest::Client::new(),
            stop,
            served: Some(served),
            test_database,
            _models: models,
        }
    }

    /// The stored row of every model of a tenant, schema and metrics, as one text.
    pub async fn stored_models(&self, tenant_id: &str) -> String {
        sqlx::query_scalar(
            "SELECT coalesce(string_agg(to_jsonb(m)::text, ' '), '') FROM ml_models m WHERE tenant_id = $1",
        )
        .bind(Uuid::try_parse(tenant_id).expect("a UUID"))
        .fetch_one(&mut self.test_database.owner_connection().await)
        .await
        .expect("reads")
    }

    /// Loads the sample portfolio of a tenant.
    pub async fn load_sample(&self, tenant_id: &str, profile: &TenantProfile) {
        let database = self.database();
        tenant::scope(tenant(tenant_id), sample::load(&database, profile)).await.expect("loads");
        database.close().await;
    }

    /// A pool of the service's own login.
    pub fn database(&self) -> Database {
        Database::new(&self.config.postgres.service(), &self.config.postgres.pool())
    }

    pub fn token(&self, tenant_id: &str, role: &str) -> String {
        let user_id = format!("user-of-{tenant_id}");
        let new = NewToken { user_id: &user_id, tenant_id, email: "user@example.com", role, expires_in: 600 };
        self.tokens.mint(&new).expect("mints")
    }

    pub async fn get(&self, path: &str, tenant_id: &str) -> Answer {
        let request = self.http.get(format!("{}{path}", self.base));
        answer(request.bearer_auth(self.token(tenant_id, "user"))).await
    }

    pub async fn post(&self, path: &str, tenant_id: &str, body: &Value) -> Answer {
        let request = self.http.post(format!("{}{path}", self.base)).json(body);
        answer(request.bearer_auth(self.token(tenant_id, "user"))).await
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

    /// Trainings of all tenants that have not ended.
    pub async fn unfinished_trainings(&self) -> i64 {
        self.jobs_in("queued").await + self.jobs_in("training").await
    }

    /// Trainings of all tenants in this state.
    pub async fn jobs_in(&self, status: &str) -> i64 {
        sqlx::query_scalar("SELECT count(*) FROM training_jobs WHERE status = $1")
            .bind(status)
            .fetch_one(&mut self.test_database.owner_connection().await)
            .await
            .expect("counts")
    }

    /// The one number that a statement yields to the tables' owner.
    pub async fn count(&self, select: &str) -> i64 {
        sqlx::query_scalar(sqlx::AssertSqlSafe(select))
            .fetch_one(&mut self.test_database.owner_connection().await)
            .await
            .expect("counts")
    }

    /// Runs statements as the tables' owner.
    pub async fn as_owner(&self, statements: &str) {
        self.test_database.as_owner(statements).await;
    }

    /// A column of all models, oldest first.
    pub async fn column_of_models(&self, column: &'static str) -> Vec<Option<String>> {
        let select = format!("SELECT {column} FROM ml_models ORDER BY created_at");
        sqlx::query_scalar(sqlx::AssertSqlSafe(select))
            .fetch_all(&mut self.test_database.owner_connection().await)
            .await
            .expect("reads")
    }

    /// Stops the service, waits for its end and looks for what must not be left of it.
    async fn finish(&mut self, served: JoinHandle<()>) {
        self.stop.cancel();
        served.await.expect("serves to the end");
        assert_eq!(self.unfinished_trainings().await, 0, "trainings are left without an end");
        panics::assert_none();
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.stop.cancel();
        // A test that fails already has its message.
        if let Some(served) = self.served.take().filter(|_| !std::thread::panicking()) {
            tokio::task::block_in_place(|| Handle::current().block_on(self.finish(served)));
        }
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

pub fn tenant(id: &str) -> TenantId {
    TenantId::trusted(Uuid::try_parse(id).expect("a UUID"))
}

fn merge(body: &mut Value, more: Value) {
    let (Value::Object(body), Value::Object(more)) = (body, more) else { panic!("two objects") };
    body.extend(more);
}
