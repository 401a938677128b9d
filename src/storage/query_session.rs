//! A transaction that shows one tenant's rows to a statement that the tenant wrote.
//!
//! A pool of its own: whatever a statement does to its session ends with that session's ROLLBACK, or
//! with the session. sqlx sends no cancel request; a session that is dropped in the middle is closed
//! instead, and the server, told by `client_connection_check_interval`, stops the statement within
//! half a second.

use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt;
use sqlx::{
    AssertSqlSafe, Column, Executor, PgPool, Row, SqlSafeStr, Statement, TypeInfo, postgres::PgPoolOptions,
    query_scalar, raw_sql,
};
use uuid::Uuid;

use super::{
    config::ConnectConfig,
    database::{Database, Unsettled},
    error::{is_connection_trouble, sqlstate},
};
use crate::{Error, Result, auth::TenantId};

/// How long a signature holds beyond the statement's own time.
const SIGNATURE_MARGIN: Duration = Duration::from_secs(60);

/// Time and connections for tenants' statements.
#[derive(Debug, Clone, Copy)]
pub struct QueryLimits {
    /// Most connections of this process.
    pub max_connections: u32,
    /// How long a request waits for one before it is answered 503.
    pub acquire_timeout: Duration,
    /// How long one statement may run on the server.
    pub statement_timeout: Duration,
}

/// The connections of the query login. Cheap to clone.
#[derive(Debug, Clone)]
pub struct QueryDatabase {
    pool: PgPool,
    /// Signs: the query login itself may not.
    service: Database,
    limits: QueryLimits,
}

/// An open transaction; made by [`QueryDatabase::begin`]. Dropped before
/// [`rollback`](Self::rollback), it closes its connection.
#[derive(Debug)]
pub struct QuerySession {
    connection: Unsettled,
    /// Whether a COPY was begun and did not come to its end. sqlx then leaves answers unread, which the
    /// next statement, perhaps of another tenant, would take for its own.
    copying: bool,
}

/// A column of a statement's result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResultColumn {
    /// Its name.
    pub name: String,
    /// sqlx's name of its type, such as `FLOAT8`.
    pub sql_type: String,
}

/// Why a statement failed.
#[derive(Debug)]
pub enum QueryFailure {
    /// The server refused or broke off the statement, for the reason of that SQLSTATE. Its text may
    /// quote rows and is dropped here.
    Statement(String),
    /// Anything else.
    Other(Error),
}

impl From<Error> for QueryFailure {
    fn from(error: Error) -> Self {
        Self::Other(error)
    }
}

impl From<sqlx::Error> for QueryFailure {
    fn from(error: sqlx::Error) -> Self {
        match sqlstate(&error) {
            // 53 is the server's memory or disk: the statement's doing, but for 53300, too many connections.
            Some(code) if !is_connection_trouble(&error) || (code.starts_with("53") && code != "53300") => {
                Self::Statement(code)
            }
            _ => Self::Other(error.into()),
        }
    }
}

impl QueryDatabase {
    /// Prepares the pool of the query login; `service` signs.
    #[must_use]
    pub fn new(config: &ConnectConfig, service: Database, limits: QueryLimits) -> Self {
        // Settings that change which rows come, or in which order, are pinned; one thread adds sums in
        // one order.
        let session = format!(
            "SET search_path TO pg_catalog, pg_temp; SET standard_conforming_strings TO on; SET timezone TO 'UTC'; \
             SET datestyle TO 'ISO, MDY'; SET intervalstyle TO 'postgres'; SET row_security TO on; \
             SET default_transaction_read_only TO on; SET synchronize_seqscans TO off; \
             SET max_parallel_workers_per_gather TO 0; SET jit TO off; \
             SET client_connection_check_interval TO 500; SET lock_timeout TO 5000; \
             SET idle_in_transaction_session_timeout TO 30000; SET statement_timeout TO {}",
            limits.statement_timeout.as_millis(),
        );
        let options = PgPoolOptions::new()
            .max_connections(limits.max_connections)
            .acquire_timeout(limits.acquire_timeout)
            .idle_timeout(Duration::from_secs(600))
            .test_before_acquire(false)
            .after_connect(move |connection, _| {
                let session = session.clone();
                Box::pin(async move { raw_sql(AssertSqlSafe(session)).execute(connection).await.map(|_| ()) })
            });
        // Every text is another one: there is nothing to keep prepared.
        let connect = config.options().statement_cache_capacity(0);
        Self { pool: options.connect_lazy_with(connect), service, limits }
    }

    /// A read-only transaction that shows the rows of `tenant`, under the service's signature.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if Postgres is away or the pool stays empty.
    pub async fn begin(&self, tenant: TenantId) -> Result<QuerySession> {
        let (mut connection, process) = self.first_statement().await?;
        let seconds = (self.limits.statement_timeout + SIGNATURE_MARGIN).as_secs();
        let signature = self.sign(tenant.uuid(), process, i32::try_from(seconds).unwrap_or(i32::MAX)).await?;
        // A Uuid prints as hexadecimal digits and hyphens only; the signature comes from our own function.
        let bind = format!(
            "SET LOCAL app.tenant = '{}'; SET LOCAL app.sig = '{signature}'; SELECT sec.verified_tenant()",
            tenant.uuid()
        );
        let row = raw_sql(AssertSqlSafe(bind)).fetch_one(connection.get()).await?;
        if row.try_get::<Option<Uuid>, _>(0)? != Some(tenant.uuid()) {
            return Err(Error::internal("the database does not accept the service's signature"));
        }
        Ok(QuerySession { connection, copying: false })
    }

    /// A connection with an open transaction, and its server process. Dead ones are discarded.
    async fn first_statement(&self) -> Result<(Unsettled, i32)> {
        let mut attempts_left = self.limits.max_connections;
        loop {
            let mut connection = Unsettled(Some(self.pool.acquire().await?));
            let begun = raw_sql("BEGIN READ ONLY; SELECT pg_backend_pid()").fetch_one(connection.get()).await;
            match begun {
                Ok(row) => return Ok((connection, row.try_get(0)?)),
                Err(error) if attempts_left > 0 && is_connection_trouble(&error) => attempts_left -= 1,
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn sign(&self, tenant: Uuid, process: i32, seconds: i32) -> Result<String> {
        Ok(query_scalar("SELECT sec.sign_tenant($1, $2, $3)")
            .bind(tenant)
            .bind(process)
            .bind(seconds)
            .fetch_one(&mut *self.service.catalog_connection().await?)
            .await?)
    }
}

impl QuerySession {
    /// The columns of `select`. It goes over the extended protocol, which takes one statement only: a
    /// text that passes here may stand in [`copy_out`](Self::copy_out).
    ///
    /// # Errors
    /// The server's.
    pub async fn describe(&mut self, select: &str) -> Result<Vec<ResultColumn>, QueryFailure> {
        let statement = self.connection.get().prepare(AssertSqlSafe(select).into_sql_str()).await?;
        let columns = statement.columns().iter();
        Ok(columns
            .map(|column| ResultColumn {
                name: column.name().to_owned(),
                sql_type: column.type_info().name().to_owned(),
            })
            .collect())
    }

    /// Runs `select` and hands each message of a binary COPY to `sink`, which may stop it by an error.
    ///
    /// # Errors
    /// The server's, or the sink's.
    pub async fn copy_out(
        &mut self,
        select: &str,
        mut sink: impl FnMut(Bytes) -> Result<(), QueryFailure>,
    ) -> Result<(), QueryFailure> {
        // The line break ends a comment that the text might end in.
        self.copying = true;
        let copy = format!("COPY ({select}\n) TO STDOUT (FORMAT binary)");
        let mut messages = self.connection.get().copy_out_raw(&copy).await?;
        while let Some(message) = messages.try_next().await? {
            sink(message)?;
        }
        drop(messages);
        self.copying = false;
        Ok(())
    }

    /// Ends the transaction and gives the connection back; closes it after a COPY that failed.
    ///
    /// # Errors
    /// If the connection breaks; it is then closed.
    pub async fn rollback(mut self) -> Result<()> {
        if self.copying {
            return Ok(());
        }
        raw_sql("ROLLBACK").execute(self.connection.get()).await?;
        drop(self.connection.settle());
        Ok(())
    }
}
