//! What random operations do not come to.

use std::{pin::pin, time::Duration};

use binah_ml::{
    auth::tenant::scope,
    jobs::{Claim, JobState, Jobs, Limits, NewJob, Origin},
};
use futures::poll;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::world::{tenant_of, type_of};
use crate::support::TestDatabase;

struct Queue {
    database: TestDatabase,
    jobs: Jobs,
}

impl Queue {
    async fn new() -> Self {
        let database = TestDatabase::new().await;
        let jobs = Jobs::new(database.service(), Limits::default());
        Self { database, jobs }
    }

    async fn enqueue(&self, tenant: usize) {
        let new = NewJob {
            model_type: type_of(0),
            user_id: "ann",
            request: json!({}),
            rows: None,
            hyperparameters: json!({}),
            validation_split: 0.2,
            training_data_query: None,
            origin: Origin::Api,
            priority: 0,
            idempotency_key: None,
        };
        scope(tenant_of(tenant), self.jobs.enqueue(new)).await.expect("queues");
    }

    async fn claim(&self) -> Option<Claim> {
        self.jobs.claim("a test").await.expect("claims")
    }
}

/// While a release with another type is rolled out, old workers meet its jobs.
#[tokio::test]
async fn a_type_that_only_newer_workers_know_waits_for_them() {
    let queue = Queue::new().await;
    queue.enqueue(0).await;
    queue.enqueue(1).await;
    queue.database.as_owner("UPDATE training_jobs SET model_type = 'rent', priority = 9").await;
    queue.enqueue(1).await;
    let claim = queue.claim().await.expect("the one that is known");
    assert_eq!((claim.tenant, claim.model_type), (tenant_of(1), type_of(0)));
    assert_eq!(queue.claim().await, None);
}

/// Its process is frozen, or its host is gone: its session holds the lock of all claims, and says nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_falls_silent_in_a_claim_does_not_stop_the_queue() {
    let queue = Queue::new().await;
    queue.enqueue(0).await;
    queue.enqueue(1).await;
    let mut silent = pin!(queue.jobs.claim("silent"));
    let held = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted
                   AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    while queue.database.count(held).await == 0 {
        assert!(poll!(&mut silent).is_pending(), "the claim was made unseen");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let first = queue.claim().await.expect("a job");
    let second = queue.claim().await.expect("another job");
    assert_eq!((first.tenant, second.tenant), (tenant_of(0), tenant_of(1)), "none was lost with it");
    assert!(silent.await.is_err(), "its session was ended");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_job_wakes_a_worker_for_the_next_one_of_its_tenant() {
    let queue = Queue::new().await;
    queue.enqueue(0).await;
    queue.enqueue(0).await;
    let claim = queue.claim().await.expect("a job");
    assert_eq!(queue.claim().await, None, "one at a time");
    let stop = CancellationToken::new();
    let listening = tokio::spawn({
        let (jobs, stop) = (queue.jobs.clone(), stop.clone());
        async move { jobs.listen(stop).await }
    });
    let signals = queue.jobs.signals();
    // It listens, and has told all that there was to tell.
    signals.queued().await;
    while tokio::time::timeout(Duration::from_secs(1), signals.queued()).await.is_ok() {}
    let nothing = json!({});
    let complete = queue.jobs.complete_without_model(&claim, claim.job_id, &nothing, &nothing);
    scope(claim.tenant, complete).await.expect("completes");
    tokio::time::timeout(Duration::from_secs(60), signals.queued()).await.expect("it is told");
    assert!(queue.claim().await.is_some());
    stop.cancel();
    listening.await.expect("ends");
}

#[tokio::test]
async fn a_segment_replaces_what_starts_where_it_does_or_later() {
    let queue = Queue::new().await;
    queue.enqueue(0).await;
    let claim = queue.claim().await.expect("a job");
    for (start, segment, expected) in [
        (0, "a", "a"),
        (90, "b", "ab"),
        // The answer was lost: it comes again.
        (90, "b", "ab"),
        (100, "c", "abc"),
        (90, "d", "ad"),
        (0, "e", "e"),
    ] {
        let write = queue.jobs.write_checkpoint(&claim, start, segment.as_bytes());
        assert!(scope(claim.tenant, write).await.expect("writes"));
        let kept = scope(claim.tenant, queue.jobs.read_checkpoint(&claim)).await.expect("reads");
        assert_eq!(kept.concat(), expected.as_bytes());
    }
}

/// Whatever a statement says.
#[tokio::test]
async fn no_statement_brings_a_job_where_its_state_does_not_lead() {
    let queue = Queue::new().await;
    queue.enqueue(0).await;
    let mut owner = queue.database.owner_connection().await;
    for (was, is) in JobState::ALL.iter().flat_map(|was| JobState::ALL.iter().map(move |is| (*was, *is))) {
        let set =
            |state: JobState| sqlx::AssertSqlSafe(format!("UPDATE training_jobs SET status = '{state}'"));
        sqlx::raw_sql("SET session_replication_role = replica")
            .execute(&mut owner)
            .await
            .expect("a superuser");
        sqlx::raw_sql(set(was)).execute(&mut owner).await.expect("no trigger");
        sqlx::raw_sql("RESET session_replication_role").execute(&mut owner).await.expect("resets");
        let changed = sqlx::raw_sql(set(is)).execute(&mut owner).await;
        assert_eq!(changed.is_ok(), was == is || was.may_become(is), "{was} to {is}: {changed:?}");
    }
    let platforms = "UPDATE training_jobs SET request = NULL; UPDATE training_jobs SET status = 'completed';
        UPDATE training_jobs SET status = 'queued'";
    queue.database.as_owner(platforms).await;
}
