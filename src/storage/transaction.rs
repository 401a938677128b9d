//! The transaction on behalf of one tenant, and that of a worker.

use std::{
    ops::{Deref, DerefMut},
    time::Instant,
};

use bytes::Bytes;
use futures::TryStreamExt;
use sqlx::{AssertSqlSafe, PgConnection, Postgres, pool::PoolConnection, raw_sql};

use super::database::{LONGEST_PAUSE, Unsettled};
use crate::{Result, auth::TenantId};

/// Seconds from the wait for a connection to the end, by transaction name and outcome.
const SECONDS: &str = "binah_ml_db_transaction_seconds";

/// An open transaction that sees one tenant's rows; made by
/// [`Database::tenant_transaction`](super::Database::tenant_transaction). Dereferences to the
/// connection, to run statements on (`&mut *transaction`).
///
/// sqlx does not know of the transaction: never call `begin` on it, use SAVEPOINT.
#[must_use = "without commit it is rolled back"]
#[derive(Debug)]
pub struct TenantTransaction {
    open: Open,
    tenant: TenantId,
}

/// An open transaction of a [`Worker`](super::Worker), which sees the rows in that worker's queue, of all tenants or of
/// the single one, and none anywhere else; made by [`Database::worker_transaction`](super::Database::worker_transaction).
/// Dereferences to the connection.
#[must_use = "without commit it is rolled back"]
#[derive(Debug)]
pub struct WorkerTransaction {
    open: Open,
}

/// A transaction that is rolled back unless it is committed.
#[derive(Debug)]
pub(super) struct Open {
    /// `None` once the transaction has ended.
    connection: Option<PoolConnection<Postgres>>,
    name: &'static str,
    started: Instant,
    /// Whether a COPY is under way. sqlx would hand out its unread rest as the next statement's answer.
    copying: bool,
}

impl WorkerTransaction {
    pub(super) fn begun(open: Open) -> Self {
        Self { open }
    }

    /// Makes the changes durable.
    ///
    /// # Errors
    /// If the connection breaks: whether the changes were made is then unknown.
    pub async fn commit(self) -> Result<()> {
        self.open.commit().await
    }
}

impl TenantTransaction {
    pub(super) fn begun(open: Open, tenant: TenantId) -> Self {
        Self { open, tenant }
    }

    /// On whose behalf.
    #[must_use]
    pub fn tenant(&self) -> TenantId {
        self.tenant
    }

    /// Makes the changes durable.
    ///
    /// # Errors
    /// If the connection breaks: whether the changes were made is then unknown.
    pub async fn commit(self) -> Result<()> {
        self.open.commit().await
    }

    /// Runs `COPY (...) TO STDOUT` and hands each message to `sink`, which may stop it by an error:
    /// that, like a dropped future, closes the connection, and the server stops sending.
    ///
    /// `copy` goes over the simple protocol, where one text may hold several statements: it must be
    /// put together from our own constants.
    ///
    /// # Errors
    /// The server's, or the sink's.
    pub(crate) async fn copy_out(
        &mut self,
        copy: &str,
        mut sink: impl FnMut(Bytes) -> Result<()>,
    ) -> Result<()> {
        self.open.copying = true;
        let mut messages = PgConnection::copy_out_raw(self, copy).await?;
        while let Some(message) = messages.try_next().await? {
            sink(message)?;
        }
        drop(messages);
        self.open.copying = false;
        Ok(())
    }

    /// Runs `COPY ... FROM STDIN` with what comes out of `chunks`, until it is closed. Returns the number of rows. A sender
    /// that gave up must keep its caller from committing: here the end of the rows looks the same.
    ///
    /// # Errors
    /// The server's; the connection is then closed.
    pub(crate) async fn copy_in(
        &mut self,
        copy: &str,
        mut chunks: tokio::sync::mpsc::Receiver<Vec<u8>>,
    ) -> Result<u64> {
        self.open.copying = true;
        let mut sink = PgConnection::copy_in_raw(self, copy).await?;
        while let Some(chunk) = chunks.recv().await {
            sink.send(chunk).await?;
        }
        let rows = sink.finish().await?;
        self.open.copying = false;
        Ok(rows)
    }

    /// Gives the statements of this transaction another time limit; zero is none.
    pub(crate) async fn set_statement_timeout(&mut self, limit: std::time::Duration) -> Result<()> {
        let statement = format!("SET LOCAL statement_timeout = {}", limit.as_millis());
        raw_sql(AssertSqlSafe(statement)).execute(&mut **self).await?;
        Ok(())
    }

    /// Has the server end this transaction soon if this process falls silent in it: others wait for what it holds.
    ///
    /// # Errors
    /// The server's.
    pub(crate) async fn hold_briefly(&mut self) -> Result<()> {
        let statement =
            format!("SET LOCAL idle_in_transaction_session_timeout = {}", LONGEST_PAUSE.as_millis());
        raw_sql(AssertSqlSafe(statement)).execute(&mut **self).await?;
        Ok(())
    }

    /// Gives the statements of this transaction another longest wait for a lock; zero is none.
    pub(crate) async fn set_lock_timeout(&mut self, limit: std::time::Duration) -> Result<()> {
        let statement = format!("SET LOCAL lock_timeout = {}", limit.as_millis());
        raw_sql(AssertSqlSafe(statement)).execute(&mut **self).await?;
        Ok(())
    }
}

impl Open {
    pub(super) fn new(connection: PoolConnection<Postgres>, name: &'static str, started: Instant) -> Self {
        Self { connection: Some(connection), name, started, copying: false }
    }

    async fn commit(mut self) -> Result<()> {
        let Some(connection) = self.connection.take() else { return Ok(()) };
        let mut connection = Unsettled(Some(connection));
        let done = raw_sql("COMMIT").execute(connection.get()).await;
        self.record(if done.is_ok() { "commit" } else { "error" });
        done?;
        drop(connection.settle());
        Ok(())
    }

    fn record(&self, outcome: &'static str) {
        metrics::histogram!(SECONDS, "name" => self.name, "outcome" => outcome)
            .record(self.started.elapsed().as_secs_f64());
    }
}

impl Deref for Open {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        self.connection.as_ref().expect("only commit and drop take it, and both end the value")
    }
}

impl DerefMut for Open {
    fn deref_mut(&mut self) -> &mut PgConnection {
        self.connection.as_mut().expect("only commit and drop take it, and both end the value")
    }
}

impl Deref for TenantTransaction {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.open
    }
}

impl DerefMut for TenantTransaction {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.open
    }
}

impl Deref for WorkerTransaction {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.open
    }
}

impl DerefMut for WorkerTransaction {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.open
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let Some(connection) = self.connection.take() else { return };
        self.record("rollback");
        let mut connection = Unsettled(Some(connection));
        if self.copying {
            return;
        }
        // The guard closes the connection if the task cannot run, or does not succeed.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                match raw_sql("ROLLBACK").execute(connection.get()).await {
                    Ok(_) => drop(connection.settle()),
                    Err(error) => tracing::debug!(%error, "a rollback failed; the connection is closed"),
                }
            });
        }
    }
}
