//! The service's pool.

use std::time::{Duration, Instant};

use sqlx::{
    AssertSqlSafe, PgPool, Postgres,
    pool::PoolConnection,
    postgres::{PgListener, PgPoolOptions},
    raw_sql,
};

use super::{
    config::{ConnectConfig, PoolConfig},
    error::is_connection_trouble,
    transaction::{Open, TenantTransaction, WorkerTransaction},
    worker::Worker,
};
use crate::{
    Error, Result,
    auth::{TenantId, tenant},
};

/// How long [`Database::ping`] waits for an answer.
const PING_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a transaction waits for its first answer. A host that is gone or frozen breaks no
/// connection and honours no `statement_timeout`: without this a request would hang for hours.
const BEGIN_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a transaction that holds up others may pause between two statements: a process that is frozen, or cut
/// off, in the middle of a claim must not stop the queue of all.
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The service's connections to Postgres, as its unprivileged login. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Database {
    pool: PgPool,
    /// Connections that only listen: they must not take those of requests.
    listeners: PgPool,
    max_connections: u32,
    /// The only tenant whose rows workers see.
    single_tenant: Option<TenantId>,
}

impl Database {
    /// Prepares the pool; the first connection is made when it is needed, so the service starts
    /// while Postgres is still down.
    #[must_use]
    pub fn new(config: &ConnectConfig, pool: &PoolConfig) -> Self {
        // A path that names pg_temp last keeps a temporary table from standing in for one of ours.
        let session = format!(
            "SET search_path TO public, pg_temp; SET statement_timeout TO {statement}; \
             SET lock_timeout TO {lock}; SET idle_in_transaction_session_timeout TO {idle}; \
             SET timezone TO 'UTC'",
            statement = pool.statement_timeout.as_millis(),
            lock = pool.statement_timeout.as_millis() / 2,
            idle = pool.statement_timeout.as_millis() * 2,
        );
        let options = PgPoolOptions::new()
            .max_connections(pool.max_connections)
            .acquire_timeout(pool.acquire_timeout)
            .idle_timeout(Duration::from_secs(600))
            // A test before each use costs a round trip a request. Instead the first statement of a
            // transaction, which has no effect yet, moves on to the next connection when it fails.
            .test_before_acquire(false)
            .after_connect(move |connection, _| {
                let session = session.clone();
                Box::pin(async move { raw_sql(AssertSqlSafe(session)).execute(connection).await.map(|_| ()) })
            });
        let listeners = PgPoolOptions::new().max_connections(2).acquire_timeout(pool.acquire_timeout);
        Self {
            pool: options.connect_lazy_with(config.options()),
            listeners: listeners.connect_lazy_with(config.options()),
            max_connections: pool.max_connections,
            single_tenant: None,
        }
    }

    /// The same connections; their workers see the rows of this tenant alone, if there is one.
    #[must_use]
    pub fn with_single_tenant(self, single_tenant: Option<TenantId>) -> Self {
        Self { single_tenant, ..self }
    }

    /// Whether its workers see the rows of one tenant alone.
    pub(super) fn is_of_single_tenant(&self) -> bool {
        self.single_tenant.is_some()
    }

    /// A transaction on behalf of the tenant of the open scope: it sees and writes that tenant's
    /// rows only. `name` labels its metrics: a short constant such as `"predict"`.
    ///
    /// Dropped without [`TenantTransaction::commit`], it is rolled back. Begins in one round trip.
    ///
    /// # Errors
    /// [`Error::NoTenantScope`] outside a scope; [`Error::Unavailable`] if Postgres is away or the
    /// pool stays empty.
    pub async fn tenant_transaction(&self, name: &'static str) -> Result<TenantTransaction> {
        self.begin(name, "BEGIN READ WRITE").await
    }

    /// As [`tenant_transaction`](Self::tenant_transaction), but the server refuses every write, and
    /// all its statements see the rows as they were at the first.
    ///
    /// # Errors
    /// As there.
    pub async fn tenant_snapshot(&self, name: &'static str) -> Result<TenantTransaction> {
        self.begin(name, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await
    }

    /// A transaction of a worker: of no tenant, over the rows in that worker's queue of all tenants, or of the
    /// single one.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if Postgres is away or the pool stays empty.
    pub async fn worker_transaction(&self, worker: Worker, name: &'static str) -> Result<WorkerTransaction> {
        let only = self.single_tenant.map(|tenant| tenant.to_string()).unwrap_or_default();
        let begin = format!(
            "BEGIN READ WRITE; SET LOCAL app.worker = '{}'; SET LOCAL app.worker_tenant = '{only}'; \
             SET LOCAL idle_in_transaction_session_timeout = {}",
            worker.name(),
            LONGEST_PAUSE.as_millis()
        );
        Ok(WorkerTransaction::begun(self.open(name, &begin).await?))
    }

    async fn begin(&self, name: &'static str, begin: &str) -> Result<TenantTransaction> {
        let tenant = tenant::current()?;
        // A Uuid prints as hexadecimal digits and hyphens only.
        let begin = format!("{begin}; SET LOCAL app.tenant_id = '{}'", tenant.uuid());
        Ok(TenantTransaction::begun(self.open(name, &begin).await?, tenant))
    }

    async fn open(&self, name: &'static str, begin: &str) -> Result<Open> {
        let started = Instant::now();
        let begun = tokio::time::timeout(BEGIN_TIMEOUT, self.first_statement(begin)).await;
        Ok(Open::new(begun.map_err(silent)??, name, started))
    }

    /// A connection on which `statement`, repeatable without harm, has just succeeded. Connections
    /// that died in the pool are discarded on the way.
    async fn first_statement(&self, statement: &str) -> sqlx::Result<PoolConnection<Postgres>> {
        let mut attempts_left = self.max_connections;
        loop {
            let mut connection = Unsettled(Some(self.pool.acquire().await?));
            match raw_sql(AssertSqlSafe(statement)).execute(connection.get()).await {
                Ok(_) => return Ok(connection.settle()),
                Err(error) if attempts_left > 0 && is_connection_trouble(&error) => {
                    attempts_left -= 1;
                    tracing::debug!(%error, "discarded a dead Postgres connection");
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Whether Postgres answers, within two seconds.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if it does not.
    pub async fn ping(&self) -> Result<()> {
        match tokio::time::timeout(PING_TIMEOUT, self.first_statement("SELECT 1")).await {
            Ok(answer) => Ok(answer.map(drop)?),
            Err(elapsed) => Err(silent(elapsed)),
        }
    }

    /// Waits for the running transactions and closes every connection.
    pub async fn close(&self) {
        self.pool.close().await;
        self.listeners.close().await;
    }

    /// A connection that hears what is notified on `channels` from now on. It sees no tenant's rows.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if Postgres is away.
    pub(crate) async fn listener(&self, channels: &[&str]) -> Result<PgListener> {
        let connect = async {
            let mut listener = PgListener::connect_with(&self.listeners).await?;
            listener.listen_all(channels.iter().copied()).await?;
            Ok::<_, sqlx::Error>(listener)
        };
        Ok(tokio::time::timeout(BEGIN_TIMEOUT, connect).await.map_err(silent)??)
    }

    /// A connection outside any tenant, for catalog look-ups. It sees no tenant's rows.
    pub(super) async fn catalog_connection(&self) -> Result<PoolConnection<Postgres>> {
        Ok(self.first_statement("SELECT 1").await?)
    }
}

/// How long whoever works in the background waits for the database to do one thing: longer than that waits for a lock.
pub(crate) const ANSWER: Duration = Duration::from_secs(20);

/// What `work` comes to, or [`Error::Unavailable`] after `limit`; whether it was done is then unknown. A host that is
/// gone, or cut off, breaks no connection: whoever waits without a limit may wait for ever.
pub(crate) async fn in_time<T>(limit: Duration, work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::time::timeout(limit, work).await.map_err(silent)?
}

fn silent(elapsed: tokio::time::error::Elapsed) -> Error {
    Error::Unavailable { dependency: "Postgres", source: elapsed.into() }
}

/// A connection that must not go back to the pool as it is: a statement is under way. A future that
/// is dropped in the middle would otherwise leave its open transaction, or its unread answers, to
/// the next tenant.
#[derive(Debug)]
pub(super) struct Unsettled(pub(super) Option<PoolConnection<Postgres>>);

impl Unsettled {
    pub(super) fn get(&mut self) -> &mut sqlx::PgConnection {
        self.0.as_mut().expect("taken by settle() alone, which ends the guard")
    }

    pub(super) fn settle(mut self) -> PoolConnection<Postgres> {
        self.0.take().expect("taken here alone")
    }
}

impl Drop for Unsettled {
    fn drop(&mut self) {
        if let Some(connection) = &mut self.0 {
            connection.close_on_drop();
        }
    }
}
