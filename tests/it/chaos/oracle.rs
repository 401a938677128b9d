//! What must be true of the queue when all is well again and nothing waits or runs.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    path::Path,
};

use binah_ml::jobs::JobState;
use chrono::{DateTime, Utc};
use serde_json::Value;
use sha2::{Digest, Sha256};
use sqlx::{FromRow, query_as};
use uuid::Uuid;

use super::cluster::Cluster;
use crate::support::TestDatabase;

/// A job, and what came of it.
#[derive(Debug, FromRow)]
pub struct End {
    pub id: Uuid,
    status: String,
    cancel_requested: bool,
    leased: bool,
    models: i64,
    runs: i64,
    pub attempts: i32,
    #[expect(dead_code, reason = "for who reads a failure")]
    error: Option<String>,
}

/// A change of a job's row.
#[derive(Debug, Clone, FromRow)]
pub struct Change {
    pub at: DateTime<Utc>,
    pub job_id: Uuid,
    pub tenant: Uuid,
    pub was: Option<String>,
    pub became: String,
    pub fence: i64,
    pub attempts: i32,
    pub rounds_done: Option<i32>,
}

/// How many jobs came to which end.
#[derive(Debug, Default)]
pub struct Ends {
    pub completed: usize,
    pub cancelled: usize,
    pub failed: usize,
    pub most_attempts: i32,
}

/// Every change, in the order of time.
pub async fn history(database: &TestDatabase) -> Vec<Change> {
    query_as(
        "SELECT at, job_id, tenant, was, became, fence, attempts, rounds_done FROM audit.jobs ORDER BY n",
    )
    .fetch_all(&mut database.owner_connection().await)
    .await
    .expect("reads")
}

/// Checks everything; `running` is the limit of a tenant.
pub async fn check(cluster: &Cluster, accepted: &BTreeSet<Uuid>, running: usize) -> Ends {
    let database = &cluster.database;
    let ends: Vec<End> = query_as(
        "SELECT id, status, cancel_requested_at IS NOT NULL AS cancel_requested, lease_until IS NOT NULL AS leased,
                attempts, error::text,
                (SELECT count(*) FROM ml_models m WHERE m.job_id = j.id) AS models,
                (SELECT count(*) FROM tracking_outbox o WHERE o.job_id = j.id) AS runs
           FROM training_jobs j",
    )
    .fetch_all(&mut database.owner_connection().await)
    .await
    .expect("reads");
    let known: BTreeSet<Uuid> = ends.iter().map(|end| end.id).collect();
    assert_eq!(known, *accepted, "every accepted job is there, and no other");
    let mut counts = Ends::default();
    for end in &ends {
        let state = JobState::parse(&end.status).expect("a state");
        // Who asked for the end of a job was told that it has none yet: no model may come of it.
        let (registered, fits) = match state {
            JobState::Completed => (1, !end.cancel_requested),
            JobState::Cancelled => (0, end.cancel_requested),
            JobState::Failed => (0, true),
            JobState::Queued | JobState::Training => (0, false),
        };
        assert!(fits && !end.leased, "{end:?}");
        assert_eq!((end.models, end.runs), (registered, registered), "{end:?}");
        match state {
            JobState::Completed => counts.completed += 1,
            JobState::Cancelled => counts.cancelled += 1,
            _ => counts.failed += 1,
        }
        counts.most_attempts = counts.most_attempts.max(end.attempts);
    }
    check_history(&history(database).await, running);
    for (what, select) in [
        ("files of jobs are left", "SELECT count(*) FROM training_job_files"),
        (
            "runs without a job",
            "SELECT count(*) FROM tracking_outbox WHERE job_id NOT IN (SELECT id FROM training_jobs)",
        ),
        ("models without a job", "SELECT count(*) FROM ml_models WHERE job_id IS NULL"),
        (
            "versions that are missing or double",
            "SELECT count(*) FROM (SELECT FROM ml_models GROUP BY tenant_id, model_type
              HAVING count(*) <> max(version) OR count(DISTINCT version) <> count(*)) AS wrong",
        ),
        (
            "completed jobs that name another model",
            "SELECT count(*) FROM training_jobs j JOIN ml_models m ON m.job_id = j.id WHERE j.model_id <> m.id",
        ),
    ] {
        assert_eq!(database.count(select).await, 0, "{what}");
    }
    check_files(database, &cluster.program.models()).await;
    counts
}

/// No job does what its state does not allow, comes to two ends, or loses a claim without a trace; no tenant has
/// more running than it may.
fn check_history(history: &[Change], running: usize) {
    let mut states: HashMap<Uuid, &Change> = HashMap::new();
    let mut busy: BTreeMap<Uuid, usize> = BTreeMap::new();
    let state = |name: &str| JobState::parse(name).expect("a state");
    for change in history {
        let before = states.insert(change.job_id, change);
        assert_eq!(before.map(|before| before.became.as_str()), change.was.as_deref(), "{change:?}");
        let Some(before) = before else { continue };
        let (was, is) = (state(&before.became), state(&change.became));
        let busy = busy.entry(change.tenant).or_default();
        if was == is {
            assert_eq!(before.fence, change.fence, "{change:?}");
            continue;
        }
        assert!(was.may_become(is), "{before:?} became {change:?}");
        if is == JobState::Training {
            assert_eq!(before.fence + 1, change.fence, "a claim");
            *busy += 1;
            assert!(*busy <= running, "{change:?}: {busy} at the same time");
        } else if was == JobState::Training {
            *busy -= 1;
        }
    }
}

/// The files of every version are those that it was registered with.
async fn check_files(database: &TestDatabase, models: &Path) {
    let artifacts: Vec<(Value,)> = query_as("SELECT artifacts FROM ml_models")
        .fetch_all(&mut database.owner_connection().await)
        .await
        .expect("reads");
    for file in artifacts.iter().flat_map(|(artifacts,)| artifacts.as_object().expect("files").values()) {
        let path = models.join(file["path"].as_str().expect("a path"));
        let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let digest: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(digest, file["sha256"].as_str().expect("a digest"), "{}", path.display());
    }
}
