//! Runs that versions without an outbox left RUNNING: closed at the start, and no others.

use binah_ml::{
    outbox::Outbox,
    registry::{ArtifactStore, Registry},
    tracking::{
        ClientConfig, Tracker, TrackerConfig, TrainingRun,
        client::{Run, RunStatus},
    },
};
use reqwest::Url;
use serde_json::json;
use std::time::Duration;
use uuid::Uuid;

use super::training;
use crate::support::TestDatabase;

/// A database, an experiment name of its own, and the worker between them.
struct World {
    database: TestDatabase,
    outbox: Outbox,
    config: TrackerConfig,
    _models: tempfile::TempDir,
}

impl World {
    async fn new(uri: &Url) -> Self {
        let database = TestDatabase::new().await;
        let pool = database.service();
        let models = tempfile::tempdir().expect("a folder");
        let store = ArtifactStore::open(&models.path().display().to_string()).expect("opens");
        let name = format!("orphans_{}", Uuid::new_v4());
        let config = TrackerConfig::new(ClientConfig::new(uri.clone()), name);
        let tracker = Tracker::new(config.clone()).expect("a tracker");
        let outbox = Outbox::new(pool.clone(), Registry::new(pool, store), tracker);
        Self { database, outbox, config, _models: models }
    }

    /// A run that was begun under an experiment name, and no more.
    async fn begun(&self, experiment_name: &str, training: &TrainingRun) -> String {
        let config = TrackerConfig { experiment_name: experiment_name.to_owned(), ..self.config.clone() };
        let tracker = Tracker::new(config).expect("a tracker");
        let namespace = tracker.namespace(&training.tenant_id).await.expect("is there");
        namespace.open(training).await.expect("opens").info.run_id
    }

    /// A row of `training_jobs` for the training, `ended` ago.
    async fn job(&self, training: &TrainingRun, status: &str, ended: &str) {
        self.job_of(&training.tenant_id, training.job_id, status, ended).await;
    }

    async fn job_of(&self, tenant: &str, job: Uuid, status: &str, ended: &str) {
        sqlx::query(
            "INSERT INTO training_jobs (id, tenant_id, model_type, status, completed_at)
             VALUES ($1, $2::uuid, 'risk_assessment', $3, now() - $4::interval)",
        )
        .bind(job)
        .bind(tenant)
        .bind(status)
        .bind(ended)
        .execute(&mut self.database.owner_connection().await)
        .await
        .expect("inserts");
    }

    async fn run(&self, run_id: &str) -> Run {
        self.outbox.tracker().client().run(run_id).await.expect("is there")
    }

    async fn status(&self, run_id: &str) -> RunStatus {
        self.run(run_id).await.info.status
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn abandoned_runs_are_closed_and_no_others() {
    for uri in super::uris().await {
        let world = World::new(&uri).await;
        let name = world.config.experiment_name.clone();
        let mut cases = vec![];
        for (what, status, ended, expected) in [
            ("completed", "completed", "2 hours", RunStatus::Failed),
            ("failed", "failed", "2 days", RunStatus::Failed),
            ("cancelled", "cancelled", "61 minutes", RunStatus::Killed),
            ("perhaps still being logged", "completed", "10 minutes", RunStatus::Running),
            ("still being trained", "training", "2 hours", RunStatus::Running),
        ] {
            let training = training();
            world.job(&training, status, ended).await;
            cases.push((what, world.begun(&name, &training).await, expected));
        }

        let waiting = training();
        world.job(&waiting, "completed", "2 hours").await;
        let row = "INSERT INTO tracking_outbox (tenant_id, model_id, job_id, run, files, state)
                   VALUES ($1::uuid, gen_random_uuid(), $2, '{}', '{}', 'parked')";
        let row = sqlx::query(row).bind(&waiting.tenant_id).bind(waiting.job_id);
        row.execute(&mut world.database.owner_connection().await).await.expect("inserts");
        cases.push(("in the outbox", world.begun(&name, &waiting).await, RunStatus::Running));

        let unknown = training();
        cases.push(("another service's", world.begun(&name, &unknown).await, RunStatus::Running));

        let confused = training();
        world.job_of(&Uuid::new_v4().to_string(), confused.job_id, "completed", "2 hours").await;
        cases.push(("another tenant's job", world.begun(&name, &confused).await, RunStatus::Running));

        // `_` is any character to LIKE.
        let like = training();
        world.job(&like, "completed", "2 hours").await;
        let similar = name.replacen('_', "x", 1);
        cases.push(("another experiment", world.begun(&similar, &like).await, RunStatus::Running));

        let own = training();
        world.job(&own, "completed", "2 hours").await;
        let by_hand = world.begun(&name, &own).await;
        let client = world.outbox.tracker().client();
        client.set_tag(&by_hand, "mlflow.source.name", "notebook.ipynb").await.expect("sets");
        cases.push(("a data scientist's", by_hand, RunStatus::Running));

        for _ in 0..2 {
            world.outbox.first_look().await;
            for (what, run_id, expected) in &cases {
                assert_eq!(world.status(run_id).await, *expected, "{what}");
            }
        }
        let closed = world.run(&cases[0].1).await;
        let why = closed.data.tags.iter().find(|tag| tag.key == "binah.closed").expect("a reason");
        assert!(why.value.contains("earlier version"), "{why:?}");
        let run = uri.join(&format!("api/2.0/mlflow/runs/get?run_id={}", closed.info.run_id));
        let run: serde_json::Value =
            reqwest::get(run.expect("an address")).await.expect("answers").json().await.expect("JSON");
        let (now, ended) = (chrono::Utc::now().timestamp_millis(), &run["run"]["info"]["end_time"]);
        let ago = Duration::from_millis((now - ended.as_i64().expect("a time")) as u64).as_secs();
        assert!((7200..7200 + 600).contains(&ago), "{} s ago, as the training: {}", ago, json!(ended));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_worker_looks_when_it_starts() {
    let [uri, _] = super::uris().await;
    let world = World::new(&uri).await;
    let training = training();
    world.job(&training, "completed", "2 hours").await;
    let run_id = world.begun(&world.config.experiment_name, &training).await;
    let worker = tokio::spawn({
        let outbox = world.outbox.clone();
        async move { outbox.drain().await }
    });
    let closed = async {
        while world.status(&run_id).await == RunStatus::Running {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(120), closed).await.expect("is closed");
    world.outbox.stopped().await;
    worker.await.expect("ends");
    assert_eq!(world.status(&run_id).await, RunStatus::Failed);
}
