//! A training whose worker is killed in the middle goes on in another one, and ends in the same model.

use serde_json::{Value, json};
use sqlx::query_scalar;

use super::{
    cluster::{self, Queue},
    oracle,
};
use crate::support::{Program, TENANT_A, TENANT_B, TestDatabase, relay::Relay, servers, tenant};

/// Between two checkpoints.
const ROUNDS: i32 = 20;
const SEGMENTS: &str = "SELECT count(*) FROM training_job_files WHERE name LIKE 'checkpoint/%'";
const GOES_ON: &str = "the training goes on from its checkpoint";

/// Workers of one training, with a lease of so many seconds.
fn program(database: &TestDatabase, lease: &str) -> Program {
    let settings = [
        ("MLFLOW_TRACKING_URI", servers::NOBODY),
        ("MLFLOW_WAIT_SECONDS", "0"),
        ("TRAINING_LEASE_SECONDS", lease),
        ("TRAINING_CHECKPOINT_ROUNDS", &ROUNDS.to_string()),
        ("SHUTDOWN_GRACE_SECONDS", "1"),
        ("WORKERS", "1"),
    ];
    Program::with_database(database, &settings)
}

/// Rounds that take so long that nobody gets far between two heartbeats.
fn long() -> Value {
    let more = json!({"n_estimators": 1_000, "max_depth": 10, "subsample": 0.7, "colsample_bytree": 0.7});
    cluster::request("cost_forecasting", more)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_training_goes_on_elsewhere_and_ends_in_the_same_bytes() {
    let database = TestDatabase::new().await;
    database.as_owner(include_str!("audit.sql")).await;
    let program = program(&database, "1");
    let queue = Queue::new(database.service());
    let (request, rows) = (long(), cluster::rows(4_000));

    let killed = queue.submit(tenant(TENANT_A), &request, &rows).await;
    let first = program.start(&["worker"], &[]);
    first.until("a checkpoint", async || database.count(SEGMENTS).await > 0).await;
    first.kill().await;
    assert_eq!(database.count("SELECT count(*) FROM ml_models").await, 0, "it was in the middle");

    let second = program.start(&["worker"], &[("TRAINING_THREADS", "1")]);
    let models = async |n: i64| database.count("SELECT count(*) FROM ml_models").await == n;
    second.until("the training is completed", async || models(1).await).await;
    let whole = queue.submit(tenant(TENANT_B), &request, &rows).await;
    second.until("the other one is completed", async || models(2).await).await;
    let log = second.stop().await;
    assert_eq!(log.matches(GOES_ON).count(), 1, "{log}");

    let history = oracle::history(&database).await;
    let first_seen = |job, attempt| {
        let of_attempt = |change: &&oracle::Change| change.job_id == job && change.attempts == attempt;
        history.iter().filter(of_attempt).find_map(|change| change.rounds_done)
    };
    let resumed = first_seen(killed, 2).expect("a second attempt tells how far it is");
    assert!(resumed >= ROUNDS, "the second attempt began at round {resumed}");
    let attempts: Vec<i32> = query_scalar("SELECT attempts FROM training_jobs ORDER BY created_at")
        .fetch_all(&mut database.owner_connection().await)
        .await
        .expect("reads");
    assert_eq!(attempts, [2, 1]);
    let files = async |job| {
        let artifacts: Value = query_scalar("SELECT artifacts FROM ml_models WHERE job_id = $1")
            .bind(job)
            .fetch_one(&mut database.owner_connection().await)
            .await
            .expect("reads");
        ["model.bin", "model.json"].map(|name| artifacts[name]["sha256"].as_str().expect(name).to_owned())
    };
    assert_eq!(files(killed).await, files(whole).await, "the same model, bit for bit");
}

/// SIGTERM, and the grace period is shorter than the training.
#[tokio::test(flavor = "multi_thread")]
async fn a_training_that_is_handed_back_goes_on_elsewhere_and_loses_no_attempt() {
    let database = TestDatabase::new().await;
    // Nobody waits for a lease to end.
    let program = program(&database, "600");
    let queue = Queue::new(database.service());
    let mut request = long();
    request["hyperparameters"]["n_estimators"] = json!(4_000);
    let job = queue.submit(tenant(TENANT_A), &request, &cluster::rows(4_000)).await;
    let first = program.start(&["worker"], &[]);
    first.until("a checkpoint", async || database.count(SEGMENTS).await > 0).await;
    let log = first.stop().await;
    assert!(log.contains("trainings go back to the queue"), "{log}");
    let waits =
        "SELECT count(*) FROM training_jobs WHERE status = 'queued' AND attempts = 0 AND run_at <= now()";
    assert_eq!(database.count(waits).await, 1, "{log}");
    assert!(database.count(SEGMENTS).await > 0, "{log}");

    let second = program.start(&["worker"], &[]);
    second.until("it goes on", async || second.log().contains(GOES_ON)).await;
    queue.cancel(tenant(TENANT_A), job).await;
    let ended = "SELECT count(*) FROM training_jobs WHERE status = 'cancelled' AND attempts = 1";
    second.until("it is cancelled", async || database.count(ended).await == 1).await;
    assert_eq!(database.count(SEGMENTS).await, 0, "it is gone with its job");
    second.stop().await;
}

/// Postgres is away when the model is ready: hours of work may lie in it.
#[tokio::test(flavor = "multi_thread")]
async fn a_finished_training_waits_for_a_database_that_is_away() {
    let database = TestDatabase::new().await;
    let upstream = format!("{}:{}", database.owner.host, database.owner.port).parse().expect("an address");
    let network = Relay::start(vec![upstream]).await;
    let program = Program::with_database(
        &database,
        &[
            ("MLFLOW_TRACKING_URI", servers::NOBODY),
            ("POSTGRES_HOST", &network.address.ip().to_string()),
            ("POSTGRES_PORT", &network.address.port().to_string()),
            ("TRAINING_LEASE_SECONDS", "600"),
        ],
    );
    let queue = Queue::new(database.service());
    let request = cluster::request("cost_forecasting", json!({"n_estimators": 1000}));
    queue.submit(tenant(TENANT_A), &request, &cluster::rows(4_000)).await;
    let worker = program.start(&["worker"], &[]);
    let fitting = "SELECT count(*) FROM training_jobs WHERE progress ->> 'stage' = 'fitting'";
    worker.until("it fits", async || database.count(fitting).await == 1).await;
    network.set_upstreams(vec![]);
    network.cut();
    let waits = || worker.log().contains("the model is kept until Postgres is back");
    worker.until("the model is ready", async || waits()).await;
    network.set_upstreams(vec![upstream]);
    let done = "SELECT count(*) FROM training_jobs WHERE status = 'completed' AND attempts = 1";
    worker.until("it is registered", async || database.count(done).await == 1).await;
    worker.stop().await;
}
