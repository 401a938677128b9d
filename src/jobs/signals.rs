//! Who is woken by what: Postgres's NOTIFY, passed on within the process.

use std::time::Duration;

use sqlx::query;
use tokio::sync::{Notify, broadcast};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::Jobs;
use crate::{Result, storage::Database};

/// Something may be claimed.
const QUEUED: &str = "binah_job_queued";
/// A job is not as it was; its id comes along.
const CHANGED: &str = "binah_job_changed";
/// A running job is to stop; its id comes along.
const CANCEL: &str = "binah_job_cancel";

/// Changes that a slow waiter may be behind; what it misses it finds by looking.
const BACKLOG: usize = 1024;
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Wakes the workers and waiters of one process.
#[derive(Debug)]
pub struct Signals {
    queued: Notify,
    changed: broadcast::Sender<Uuid>,
    cancel: broadcast::Sender<Uuid>,
}

impl Default for Signals {
    fn default() -> Self {
        Self {
            queued: Notify::new(),
            changed: broadcast::channel(BACKLOG).0,
            cancel: broadcast::channel(BACKLOG).0,
        }
    }
}

impl Signals {
    /// Completes when there may be something to claim, or has been since the last call.
    pub async fn queued(&self) {
        self.queued.notified().await;
    }

    /// Ids of jobs that change from now on.
    #[must_use]
    pub fn changes(&self) -> broadcast::Receiver<Uuid> {
        self.changed.subscribe()
    }

    /// Ids of running jobs that are to stop, from now on.
    #[must_use]
    pub fn cancels(&self) -> broadcast::Receiver<Uuid> {
        self.cancel.subscribe()
    }
}

/// Waits for a signal about `job_id`, `longest` at most: one may get lost.
pub(crate) async fn signal_within(signals: &mut broadcast::Receiver<Uuid>, job_id: Uuid, longest: Duration) {
    let signal = async {
        loop {
            match signals.recv().await {
                Ok(id) if id != job_id => {}
                // Behind, or closed: look.
                Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => return,
                Err(broadcast::error::RecvError::Closed) => return std::future::pending().await,
            }
        }
    };
    let _ = tokio::time::timeout(longest, signal).await;
}

/// Tells everybody, once the transaction is committed, that a job is in the queue.
pub(super) async fn job_queued(transaction: &mut sqlx::PgConnection, job_id: Uuid) -> Result<()> {
    notify(transaction, QUEUED, "").await?;
    job_changed(transaction, job_id).await
}

/// Tells everybody, once the transaction is committed, that a running job has ended: the next one of its tenant
/// may run.
pub(super) async fn job_ended(transaction: &mut sqlx::PgConnection, job_id: Uuid) -> Result<()> {
    job_queued(transaction, job_id).await
}

/// Tells everybody, once the transaction is committed, that a job is not as it was.
pub(crate) async fn job_changed(transaction: &mut sqlx::PgConnection, job_id: Uuid) -> Result<()> {
    notify(transaction, CHANGED, &job_id.to_string()).await
}

/// Tells the worker of a job, once the transaction is committed, that it is to stop.
pub(super) async fn job_to_stop(transaction: &mut sqlx::PgConnection, job_id: Uuid) -> Result<()> {
    notify(transaction, CANCEL, &job_id.to_string()).await
}

async fn notify(connection: &mut sqlx::PgConnection, channel: &str, payload: &str) -> Result<()> {
    query("SELECT pg_notify($1, $2)").bind(channel).bind(payload).execute(connection).await?;
    Ok(())
}

impl Jobs {
    /// Passes signals on until `stop`, over a connection of its own. Where Postgres is away, or a pooler in
    /// between knows no LISTEN, everybody goes on by looking.
    pub async fn listen(&self, stop: CancellationToken) {
        let mut pause = Duration::from_millis(100);
        loop {
            let heard = tokio::select! {
                () = stop.cancelled() => return,
                heard = self.hear(&self.database, &mut pause) => heard,
            };
            if let Err(error) = heard {
                tracing::debug!(error = &error as &dyn std::error::Error, "no signals of the queue");
            }
            // What was missed meanwhile.
            self.signals.queued.notify_one();
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(pause) => pause = (pause * 2).min(LONGEST_PAUSE),
            }
        }
    }

    async fn hear(&self, database: &Database, pause: &mut Duration) -> Result<()> {
        let mut listener = database.listener(&[QUEUED, CHANGED, CANCEL]).await?;
        *pause = Duration::from_millis(100);
        self.signals.queued.notify_one();
        // An error, or None, is a connection that broke.
        while let Some(signal) = listener.try_recv().await? {
            match (signal.channel(), Uuid::try_parse(signal.payload())) {
                (CHANGED, Ok(job_id)) => {
                    // Nobody waits: nobody is to be told.
                    let _ = self.signals.changed.send(job_id);
                }
                (CANCEL, Ok(job_id)) => {
                    let _ = self.signals.cancel.send(job_id);
                }
                (QUEUED, _) => self.signals.queued.notify_one(),
                _ => {}
            }
        }
        Ok(())
    }
}
