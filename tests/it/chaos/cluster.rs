//! Processes of the program on a Postgres of their own, with a network in between that can be cut.

use std::{net::SocketAddr, path::Path, time::Duration};

use binah_ml::{
    Error,
    auth::{Caller, TenantId, tenant::scope},
    dev::{Durability, PrivatePostgres},
    jobs::{JobState, Jobs},
    storage::{Database, migrate},
    training::{Sources, SubmitOptions, Submitter, TrainRequest},
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::support::{Program, TestDatabase, database, relay::Relay, servers};

/// Longest time in which something that only takes a while has to come.
pub const PATIENCE: Duration = Duration::from_secs(600);

pub struct Cluster {
    pub database: TestDatabase,
    pub program: Program,
    /// The processes' way to Postgres.
    pub network: Relay,
    pub queue: Queue,
    postgres: Option<PrivatePostgres>,
    folder: tempfile::TempDir,
}

/// How Postgres is stopped.
#[derive(Debug, Clone, Copy)]
pub enum Shutdown {
    /// Sessions are ended, data is written.
    Fast,
    /// As in a crash.
    Immediate,
}

/// The queue as a client of the service uses it, past the network.
pub struct Queue {
    submitter: Submitter,
}

impl Cluster {
    /// No process runs yet. Postgres keeps what it has committed, as in production.
    pub async fn start(settings: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let postgres = start_postgres(folder.path()).await;
        postgres.create_database("binah_ml").await.expect("a database");
        let owner = postgres.owner_of("binah_ml");
        migrate(&owner, &database::service_login()).await.expect("migrates");
        let database = TestDatabase { owner };
        database.as_owner(include_str!("audit.sql")).await;
        let network = Relay::start(vec![address(&postgres)]).await;
        let (host, port) = (network.address.ip().to_string(), network.address.port().to_string());
        let own = [
            ("POSTGRES_HOST", host.as_str()),
            ("POSTGRES_PORT", &port),
            ("MLFLOW_TRACKING_URI", servers::NOBODY),
            ("MLFLOW_WAIT_SECONDS", "0"),
        ];
        let settings: Vec<_> = own.iter().chain(settings).copied().collect();
        let program = Program::with_database(&database, &settings);
        let queue = Queue::new(database.service());
        Self { database, program, network, queue, postgres: Some(postgres), folder }
    }

    /// Postgres stops, and starts again on the same port.
    pub async fn restart_postgres(&mut self, shutdown: Shutdown) {
        let postgres = self.postgres.take().expect("it runs");
        if let Shutdown::Immediate = shutdown {
            let lock = self.folder.path().join("cluster/postmaster.pid");
            let lock = std::fs::read_to_string(lock).expect("the lock file");
            let pid = lock.lines().next().and_then(|pid| pid.trim().parse().ok()).expect("a process");
            kill(Pid::from_raw(pid), Signal::SIGQUIT).expect("signals");
        }
        postgres.stop().await.expect("it ends");
        let postgres = start_postgres(self.folder.path()).await;
        assert_eq!(postgres.port(), self.database.owner.port, "somebody took the port");
        self.postgres = Some(postgres);
    }
}

async fn start_postgres(folder: &Path) -> PrivatePostgres {
    PrivatePostgres::start(folder, Durability::Durable).await.expect("Postgres starts")
}

fn address(postgres: &PrivatePostgres) -> SocketAddr {
    format!("{}:{}", postgres.host(), postgres.port()).parse().expect("an address")
}

impl Queue {
    pub fn new(database: Database) -> Self {
        let sources = Sources { database: database.clone(), queries: None, graph: None, max_rows: 1_000_000 };
        let jobs = Jobs::new(database, binah_ml::jobs::Limits::default());
        let submitter = Submitter::new(jobs, sources.into(), Duration::ZERO, CancellationToken::new());
        Self { submitter }
    }

    /// Queues a training, however often that has to be tried.
    pub async fn submit(&self, tenant: TenantId, request: &Value, rows: &Value) -> Uuid {
        let caller = Caller {
            user_id: "ann".to_owned(),
            tenant_claim: tenant.to_string(),
            tenant: Some(tenant),
            email: Value::Null,
            role: Value::Null,
            roles: vec![],
            expires_at: f64::MAX,
        };
        let mut train: TrainRequest = serde_json::from_value(request.clone()).expect("a request");
        train.data = Some(serde_json::from_value(rows.clone()).expect("rows"));
        let key = Uuid::new_v4().to_string();
        let options = SubmitOptions { idempotency_key: Some(key), priority: 0, patient: true };
        insist(async || {
            let submit = self.submitter.submit(&caller, train.clone(), options.clone());
            scope(tenant, submit).await.map(|queued| queued.id)
        })
        .await
    }

    /// Asks for the end of a job; `None` if it has another one already.
    pub async fn cancel(&self, tenant: TenantId, job: Uuid) -> Option<JobState> {
        insist(async || match scope(tenant, self.submitter.jobs().cancel(job)).await {
            Ok(state) => Ok(Some(state)),
            Err(Error::Conflict(_)) => Ok(None),
            Err(error) => Err(error),
        })
        .await
    }
}

/// Until the database is there.
async fn insist<T>(mut call: impl AsyncFnMut() -> Result<T, Error>) -> T {
    loop {
        match call().await {
            Ok(done) => return done,
            Err(Error::Unavailable { .. }) => tokio::time::sleep(Duration::from_millis(100)).await,
            Err(error) => panic!("{error:?}"),
        }
    }
}

/// Waits for what must come.
pub async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, waiting).await.is_ok(), "{what}");
}

/// Rows of a noisy surface, the same for everybody.
pub fn rows(n: usize) -> Value {
    let row = |i: usize| {
        let (a, b, c) = (i * 37 % 101, i * 7919 % 997, i * 104_729 % 89);
        let cost = 1000 + 50 * a + b * c % 613 + i * i % 271;
        json!({"a": a, "b": b, "c": c, "total_cost": cost, "high_risk": cost % 2})
    };
    (0..n).map(row).collect()
}

/// A request for a training with these hyperparameters.
pub fn request(model_type: &str, hyperparameters: Value) -> Value {
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

/// Texts of environment variables that hold numbers.
pub fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a whole number"))
}
