//! The queue of trainings: rows of `training_jobs` that carry a request. It knows what a job needs to be
//! queued, claimed, watched and ended; what a training is it does not know.
//!
//! ```text
//!            claim                complete | fail | cancelled
//! queued ───────────> training ──────────────────────────────> completed | failed | cancelled
//!   │  <───────────────  │  release (handed back, or tried again after a pause), reap (lease ran out)
//!   └── cancel ──> cancelled
//! ```
//!
//! # Who works on a job
//! One worker, under a lease with a fencing token ([`Claim`]): it prolongs the lease with every heartbeat, and
//! every write that ends the job names the token. A worker that lost its lease (frozen, cut off) changes
//! nothing any more: its token is too old from the moment somebody reaps the job. All times are the database's.
//!
//! # Whose turn it is
//! Claims are made one at a time, under an advisory lock, so that limits hold exactly: the tenant whose last
//! claim lies back the longest goes first, if it has fewer jobs running than its limit; within a tenant
//! the highest priority, then the oldest; never two of a tenant's model type at the same time.
//!
//! # Who hears of it
//! `NOTIFY` on two channels ([`Signals`]) wakes idle workers and whoever waits for a job. It carries job ids
//! only, and it may get lost: everybody also looks by themselves now and then.

mod cancel;
mod claim;
mod enqueue;
mod files;
mod finish;
mod lease;
mod read;
mod reap;
mod signals;
mod state;

use std::{sync::Arc, time::Duration};

pub use claim::Claim;
pub use enqueue::{Enqueued, IdempotencyKey, NewJob, Origin};
pub use finish::Retry;
pub(crate) use finish::{Completion, complete};
pub use lease::{Beat, Progress, Stage};
pub use read::{Filter, Job, Page, Position};
pub use reap::Reaped;
pub use signals::Signals;
pub(crate) use signals::{job_changed, signal_within};
pub use state::JobState;

use crate::storage::Database;

/// The queue, for the tenant whose scope is open, and for the workers of all tenants. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Jobs {
    database: Database,
    limits: Limits,
    signals: Arc<Signals>,
}

/// How the queue is shared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Most queued jobs of all tenants.
    pub queued: usize,
    /// Most queued jobs of one tenant.
    pub queued_by_tenant: usize,
    /// Most running jobs of one tenant, over all workers.
    pub running_by_tenant: usize,
    /// Most claims of a job before it is given up.
    pub attempts: u32,
    /// How long a claim holds without a heartbeat.
    pub lease: Duration,
}

impl Default for Limits {
    /// 10,000 queued, 100 of them of one tenant, one of its jobs running; five attempts; 15 s.
    fn default() -> Self {
        Self {
            queued: 10_000,
            queued_by_tenant: 100,
            running_by_tenant: 1,
            attempts: 5,
            lease: Duration::from_secs(15),
        }
    }
}

impl Jobs {
    /// The queue in `database`.
    #[must_use]
    pub fn new(database: Database, limits: Limits) -> Self {
        Self { database, limits, signals: Arc::new(Signals::default()) }
    }

    /// Its limits.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// What wakes workers and waiters of this process.
    #[must_use]
    pub fn signals(&self) -> &Arc<Signals> {
        &self.signals
    }
}
