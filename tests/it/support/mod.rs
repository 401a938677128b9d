//! A service of its own for each test: own database, own model folder, port 0, shared servers. Its
//! end fails the test that leaves something unfinished.

mod client;
pub mod database;
pub mod imports;
mod panics;
mod program;
pub mod relay;
pub mod servers;

use std::{collections::HashMap, ops::Deref};

use binah_ml::{
    app::App,
    auth::{TenantId, tenant},
    config::Config,
    dev::{portfolio::TenantProfile, sample},
    storage::Database,
};
pub use client::{Answer, Client};
pub use database::TestDatabase;
use metrics_exporter_prometheus::PrometheusBuilder;
pub use program::{Process, Program};
use tokio::{net::TcpListener, runtime::Handle, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub const TENANT_A: &str = "aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa";
pub const TENANT_B: &str = "bbbbbbbb-bbbb-bbbb-bbbb-bbbbbbbbbbbb";

/// A running service, and a client of it.
pub struct Service {
    pub config: Config,
    client: Client,
    stop: CancellationToken,
    served: Option<JoinHandle<()>>,
    test_database: TestDatabase,
    _models: tempfile::TempDir,
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
            client: Client::new(base, &config),
            config,
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

    /// Asks the service to end, as SIGTERM does, and does not wait.
    pub fn begin_shutdown(&self) {
        self.stop.cancel();
    }

    /// Stops the service, waits for its end and looks for what must not be left of it.
    async fn finish(&mut self, served: JoinHandle<()>) {
        self.stop.cancel();
        served.await.expect("serves to the end");
        assert_eq!(self.unfinished_trainings().await, 0, "trainings are left without an end");
        panics::assert_none();
    }
}

impl Deref for Service {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
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

pub fn tenant(id: &str) -> TenantId {
    TenantId::trusted(Uuid::try_parse(id).expect("a UUID"))
}
