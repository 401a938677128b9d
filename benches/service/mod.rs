//! The program itself for benchmarks of all of it: on a private Postgres that keeps its files safe, without MLflow.

#![expect(clippy::unwrap_used, reason = "a benchmark")]
#![allow(dead_code, reason = "each benchmark uses a part")]

use std::{
    process::{Child, Command},
    time::Duration,
};

use binah_ml::{
    auth::{Caller, TenantId, tenant},
    dev::{Durability, PrivatePostgres, deps},
    jobs::{Jobs, Limits},
    storage::{Database, Login, PoolConfig, migrate},
    training::{Sources, SubmitOptions, Submitter, TrainRequest},
};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection, FromRow, PgConnection, postgres::PgRow};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// A database, and what processes need to work with it.
pub(crate) struct Installation {
    pub(crate) submitter: Submitter,
    postgres: PrivatePostgres,
    owner: Mutex<PgConnection>,
    folder: tempfile::TempDir,
}

/// A process; killed when dropped.
pub(crate) struct Process(Child);

impl Installation {
    pub(crate) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let postgres =
            PrivatePostgres::start(&folder.path().join("postgres"), Durability::Durable).await.unwrap();
        let owner = postgres.owner_of("bench");
        let service = Login { name: "binah_ml_app".to_owned(), password: "bench".to_owned().into() };
        migrate(&owner, &service).await.unwrap();
        let database = Database::new(&owner.with_login(service), &PoolConfig::default());
        let sources = Sources { database: database.clone(), queries: None, graph: None, max_rows: 1_000_000 };
        let limits = Limits { queued: 1_000_000, queued_by_tenant: 1_000_000, ..Limits::default() };
        let jobs = Jobs::new(database, limits);
        let submitter = Submitter::new(jobs, sources.into(), Duration::ZERO, CancellationToken::new());
        let owner = PgConnection::connect(&postgres.url_of("bench")).await.unwrap();
        Self { submitter, postgres, owner: Mutex::new(owner), folder }
    }

    /// Runs the program with these settings on top of those that name the database.
    pub(crate) fn start(&self, command: &str, settings: &[(&str, &str)]) -> Process {
        let port = self.postgres.port().to_string();
        let child = Command::new(env!("CARGO_BIN_EXE_binah-ml"))
            .arg(command)
            .current_dir(self.folder.path())
            .env("DEPS", std::path::absolute(deps()).unwrap())
            .envs([("POSTGRES_HOST", self.postgres.host()), ("POSTGRES_PORT", &port)])
            .envs([("POSTGRES_DB", "bench"), ("POSTGRES_PASSWORD", "bench")])
            // Nobody listens there.
            .envs([("MLFLOW_TRACKING_URI", "http://127.0.0.1:9"), ("MLFLOW_WAIT_SECONDS", "0")])
            .env("LOG_LEVEL", std::env::var("LOG_LEVEL").unwrap_or_else(|_| "error".to_owned()))
            .envs(settings.iter().copied())
            .spawn();
        Process(child.unwrap())
    }

    /// Queues a training of rows that come with it.
    pub(crate) async fn submit(&self, tenant_id: TenantId, request: Value, rows: Value) -> Uuid {
        let caller = Caller {
            user_id: "bench".to_owned(),
            tenant_claim: tenant_id.to_string(),
            tenant: Some(tenant_id),
            email: Value::Null,
            role: Value::Null,
            roles: vec![],
            expires_at: f64::MAX,
        };
        let mut train: TrainRequest = serde_json::from_value(request).unwrap();
        train.data = Some(serde_json::from_value(rows).unwrap());
        let options = SubmitOptions { idempotency_key: None, priority: 0, patient: true };
        tenant::scope(tenant_id, self.submitter.submit(&caller, train, options)).await.unwrap().id
    }

    /// What a statement yields to the tables' owner.
    pub(crate) async fn select<T: for<'r> FromRow<'r, PgRow> + Send + Unpin>(
        &self,
        statement: &str,
    ) -> Vec<T> {
        sqlx::query_as(AssertSqlSafe(statement)).fetch_all(&mut *self.owner.lock().await).await.unwrap()
    }

    /// Waits until a statement yields true; a training that fails is the end.
    pub(crate) async fn until(&self, statement: &str) {
        while self.select::<(bool,)>(statement).await != [(true,)] {
            let failed: Vec<(String,)> =
                self.select("SELECT error_message FROM training_jobs WHERE status = 'failed'").await;
            assert_eq!(failed, []);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // One that has ended already is as well.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(crate) fn tenant_of(number: u32) -> TenantId {
    TenantId::trusted(Uuid::from_u128(u128::from(number) + 1))
}

/// Rows of a noisy surface.
pub(crate) fn rows(n: u64) -> Value {
    let row = |i: u64| {
        let (a, b, c) = (i * 37 % 101, i * 7919 % 997, i * 104_729 % 89);
        let cost = 1000 + 50 * a + b * c % 613 + i * i % 271;
        json!({"a": a, "b": b, "c": c, "total_cost": cost, "high_risk": cost % 2})
    };
    (0..n).map(row).collect()
}

/// A training of these rows.
pub(crate) fn request(model_type: &str, hyperparameters: Value) -> Value {
    let target = match model_type {
        "risk_assessment" => Some("high_risk"),
        "anomaly_detection" => None,
        _ => Some("total_cost"),
    };
    json!({
        "model_type": model_type, "hyperparameters": hyperparameters, "validation_split": 0.2, "split": "random",
        "seed": 7, "target": target, "training_data_query": null,
    })
}

/// The value below which this share of them lies.
pub(crate) fn quantile(values: &mut [f64], share: f64) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values[((values.len() as f64 * share) as usize).min(values.len() - 1)]
}
