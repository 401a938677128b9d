//! Locks that are waited for in short turns.
//!
//! Whoever waits for a strong lock on a table makes everybody behind it wait as well, readers too. A change to a
//! table that somebody holds for long (`pg_dump`, a long import) therefore gives up after [`LOCK_TIMEOUT`], lets the
//! queue pass, and tries again.

use std::{
    error::Error,
    time::{Duration, Instant},
};

use sqlx::{AssertSqlSafe, Connection, PgConnection, Postgres, Transaction, raw_sql};

use super::error::lost_to_others;

/// Longest wait for one lock, as a setting of Postgres.
pub(super) const LOCK_TIMEOUT: &str = "3s";
/// How long there are new attempts.
const PATIENCE: Duration = Duration::from_secs(180);
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// How long one change goes on trying.
pub(super) struct Patience {
    until: Instant,
    pause: Duration,
}

impl Patience {
    pub(super) fn new() -> Self {
        Self { until: Instant::now() + PATIENCE, pause: FIRST_PAUSE }
    }

    /// Whether to try again after this failure of `what`; pauses before it says so.
    pub(super) async fn again(&mut self, error: &(dyn Error + Send + Sync + 'static), what: &str) -> bool {
        if !is_lock_trouble(error) || Instant::now() >= self.until {
            return false;
        }
        tracing::warn!(what, pause_ms = self.pause.as_millis(), "others hold a lock; trying again");
        tokio::time::sleep(self.pause).await;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        true
    }

    /// Runs the statements in a transaction that waits for no lock for long, and again as long as others hold one.
    pub(super) async fn run(
        &mut self,
        connection: &mut PgConnection,
        statements: &str,
        what: &str,
    ) -> sqlx::Result<()> {
        loop {
            let Err(error) = run_briefly(connection, statements).await else { return Ok(()) };
            if !self.again(&error, what).await {
                return Err(error);
            }
        }
    }
}

async fn run_briefly(connection: &mut PgConnection, statements: &str) -> sqlx::Result<()> {
    let mut transaction = begin(connection).await?;
    raw_sql(AssertSqlSafe(statements)).execute(&mut *transaction).await?;
    transaction.commit().await
}

/// A transaction that waits for no lock for long.
pub(super) async fn begin(connection: &mut PgConnection) -> sqlx::Result<Transaction<'_, Postgres>> {
    let mut transaction = connection.begin().await?;
    let limit = format!("SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'");
    raw_sql(AssertSqlSafe(limit)).execute(&mut *transaction).await?;
    Ok(transaction)
}

/// Whether the error, or a cause of it, is a lock that was not had in time, or that was given up in a deadlock.
fn is_lock_trouble(error: &(dyn Error + 'static)) -> bool {
    error.downcast_ref::<sqlx::Error>().is_some_and(lost_to_others)
        || error.source().is_some_and(is_lock_trouble)
}
