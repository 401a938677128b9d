//! Runs on their way to MLflow: nothing is lost while it is away.
//!
//! A training's run is a row of `tracking_outbox` from the moment its version exists: both come in one
//! transaction ([`Outgoing`]). Its bytes are safe before that: a file of the model stands in the registry
//! anyway, all others are packed into one beside it (`pack`). The row is deleted in the transaction that
//! notes the run on model and job; the pack goes after it.
//!
//! # Who works on a row
//! A row is one attempt's under a lease with a fencing number (`row`). The training process has the first
//! lease from birth and logs at once, out of memory ([`Outbox::log`]); whatever is left over is claimed by
//! the worker of any process ([`Outbox::drain`]) and read back. An attempt renews its lease while it works
//! and before each step, and stops where that fails: another one has the row. What is half done in MLflow
//! is found by the job's tag and completed (`tracking`).
//!
//! # What a failure means
//! | failure | what follows |
//! |---|---|
//! | nobody there, wrong host name, credentials or address | the worker asks for MLflow's health until it is good; the attempt does not count, unless the health is good already |
//! | broken off, timeout, 5xx, 429, an answer that is none | again after 1, 2, 4 ... 300 s, half to one and a half times that; parked after 20 attempts |
//! | anything else that MLflow refuses | parked at once |
//! | the process dies | the lease runs out after a minute; the attempt counts |
//!
//! A parked row stays, in the metrics and in `binah-ml tracking list`, until `binah-ml tracking retry`.

mod attempt;
mod orphans;
pub(crate) mod pack;
pub mod row;
mod worker;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::Value;
use tokio::{sync::Semaphore, time::timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::Instrument;
use uuid::Uuid;

use crate::{
    Result,
    auth::tenant,
    lifecycle::Lifecycle,
    registry::{ModelRecord, Registry},
    storage::Database,
    tracking::{ArtifactFile, PackedRun, Tracker},
};
use row::Claim;

/// Attempts of one process at the same time; MLflow's database pool takes 15 connections.
const CONCURRENCY: usize = 4;

/// How long a complete run waits for MLflow's aliases to follow.
const ALIASES_WAIT: Duration = Duration::from_secs(10);

/// A run that is to be logged, as the registration of its model takes it.
#[derive(Clone, Copy)]
pub struct Outgoing<'a> {
    /// The run's files.
    pub files: &'a [ArtifactFile],
    /// The run without its files as JSON, once the version is known.
    pub document: &'a (dyn Fn(&ModelRecord) -> Result<Value> + Sync),
}

impl std::fmt::Debug for Outgoing<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outgoing").field("files", &self.files).finish_non_exhaustive()
    }
}

/// Completes runs in MLflow. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Outbox {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    database: Database,
    registry: Registry,
    tracker: Tracker,
    lifecycle: Lifecycle,
    permits: Arc<Semaphore>,
    attempts: TaskTracker,
    stop: CancellationToken,
    /// Whether MLflow was well when it was last asked.
    up: AtomicBool,
}

impl Outbox {
    /// An outbox; does nothing by itself.
    #[must_use]
    pub fn new(database: Database, registry: Registry, tracker: Tracker) -> Self {
        let inner = Inner {
            database,
            lifecycle: Lifecycle::new(registry.clone(), tracker.clone(), ALIASES_WAIT),
            registry,
            tracker,
            permits: Arc::new(Semaphore::new(CONCURRENCY)),
            attempts: TaskTracker::new(),
            stop: CancellationToken::new(),
            up: AtomicBool::new(true),
        };
        Self { inner: Arc::new(inner) }
    }

    /// The registry whose models' runs it completes.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        &self.inner.registry
    }

    /// The tracking server.
    #[must_use]
    pub fn tracker(&self) -> &Tracker {
        &self.inner.tracker
    }

    /// Begins to log the run of a model that this process has just registered in the open tenant scope. A run
    /// that gets no turn within `wait` is left to the worker: who waits for it waits no longer.
    ///
    /// # Errors
    /// Without an open scope.
    pub fn log(&self, model_id: Uuid, run: PackedRun, wait: Duration) -> Result<()> {
        let tenant = tenant::current()?;
        let claim = Claim::of_birth(tenant, model_id);
        let outbox = self.clone();
        let work = async move {
            // A run that waits longer for its turn would keep its files in memory: the worker reads them.
            let permit = timeout(wait, Arc::clone(&outbox.inner.permits).acquire_owned()).await;
            let Ok(Ok(_permit)) = permit else { return outbox.give_back(&claim).await };
            let started = Instant::now();
            outbox.attempt(claim, Some(run)).await;
            metrics::histogram!("binah_tracking_wait_seconds").record(started.elapsed().as_secs_f64());
        };
        let span = tracing::info_span!("tracking", %tenant, model = %model_id);
        self.inner.attempts.spawn(tenant::scope(tenant, work).instrument(span));
        Ok(())
    }

    /// Calls the attempts under way off, and completes when each has given its row back.
    pub async fn stopped(&self) {
        self.inner.stop.cancel();
        self.inner.attempts.close();
        self.inner.attempts.wait().await;
    }

    /// Notes how MLflow is; true if that is news.
    fn set_up(&self, up: bool) -> bool {
        metrics::gauge!("binah_tracking_up").set(f64::from(u8::from(up)));
        self.inner.up.swap(up, Ordering::Relaxed) != up
    }

    fn is_up(&self) -> bool {
        self.inner.up.load(Ordering::Relaxed)
    }
}
