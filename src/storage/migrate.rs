//! Brings a database to the schema of this build, as its owner.

use std::time::{Duration, Instant};

use sqlx::{
    AssertSqlSafe, ConnectOptions, Connection, PgConnection,
    migrate::{MigrateError, Migration, Migrator},
    query_as, query_scalar, raw_sql,
};

use super::{
    config::{ConnectConfig, Login},
    error::sqlstate,
    login::{self, LoginChange},
    patience::{LOCK_TIMEOUT, Patience},
};
use crate::{Error, Result};

/// SQLSTATE invalid_catalog_name: there is no such database.
const NO_SUCH_DATABASE: &str = "3D000";
/// SQLSTATE cannot_connect_now: the server is starting or stopping.
const STARTING: &str = "57P03";
const STARTING_PATIENCE: Duration = Duration::from_secs(30);
/// SQLSTATEs of a database or role that somebody else has just created.
pub(super) const ALREADY_THERE: [&str; 3] = ["42P04", "42710", "23505"];
/// "binah-ml" in ASCII: the advisory lock under which one start at a time changes the database.
const LOCK: i64 = 0x6269_6e61_682d_6d6c;
const LOCK_PAUSE: Duration = Duration::from_millis(100);
/// Longest wait for one lock outside a transaction. Nobody queues behind CREATE INDEX CONCURRENTLY, and an attempt that
/// gives up has read the table for nothing.
const CONCURRENT_LOCK_TIMEOUT: &str = "60s";

/// What [`migrate`] did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MigrateReport {
    /// Whether the database had to be created.
    pub created_database: bool,
    /// Migrations that were applied now, in order; empty if the schema was up to date.
    pub applied: Vec<String>,
    /// What happened to the service's login.
    pub login: LoginChange,
    /// How long it took.
    pub elapsed: Duration,
}

/// Creates the database if it is missing, applies the migrations that it lacks, creates the
/// service's login and grants it what it needs on our tables. Repeatable; any number of processes
/// may run it at once.
///
/// # Errors
/// [`Error::Unavailable`] if the server cannot be reached or refuses the owner, or others hold a table of the grants
/// for minutes; otherwise [`Error::Internal`] naming the migration (also if others hold its tables for minutes), or
/// the attribute that makes `service` no unprivileged login.
pub async fn migrate(owner: &ConnectConfig, service: &Login) -> Result<MigrateReport> {
    let started = Instant::now();
    let (mut connection, created_database) = connect_or_create(owner).await?;
    raw_sql("SET search_path TO public").execute(&mut connection).await?;
    lock(&mut connection).await?;
    let before = latest(&mut connection).await?;
    // An older build must start on a newer schema while a release rolls out.
    let mut migrator: Migrator = sqlx::migrate!();
    migrator.set_ignore_missing(true);
    apply(&migrator, &mut connection, before).await?;
    let applied = migrator
        .iter()
        .filter(|migration| migration.version > before)
        .map(|migration| format!("{:04} {}", migration.version, migration.description))
        .collect();
    let login = login::ensure(&mut connection, service).await?;
    // Closing gives the lock back.
    connection.close().await?;
    Ok(MigrateReport { created_database, applied, login, elapsed: started.elapsed() })
}

/// Takes [`LOCK`] until the connection is closed. It is asked for again and again: a statement that waits for it in the
/// server has a snapshot, and the CREATE INDEX CONCURRENTLY of whoever has it waits for every snapshot to end.
pub(super) async fn lock(connection: &mut PgConnection) -> Result<()> {
    let mut told = false;
    while !query_scalar::<_, bool>("SELECT pg_try_advisory_lock($1)")
        .bind(LOCK)
        .fetch_one(&mut *connection)
        .await?
    {
        if !told {
            tracing::info!("another start is changing the database; waiting for it");
            told = true;
        }
        tokio::time::sleep(LOCK_PAUSE).await;
    }
    Ok(())
}

/// Applies what is missing beyond version `before`. A migration that does not get its locks soon is rolled back and
/// begun again, for some minutes, so that nobody's statements queue behind it.
async fn apply(migrator: &Migrator, connection: &mut PgConnection, before: i64) -> Result<()> {
    let mut patience = Patience::new();
    for (target, no_tx) in steps(migrator, before) {
        let limit = if no_tx { CONCURRENT_LOCK_TIMEOUT } else { LOCK_TIMEOUT };
        let limit = format!("SET lock_timeout = '{limit}'");
        raw_sql(AssertSqlSafe(limit)).execute(&mut *connection).await?;
        while let Err(error) = attempt(migrator, connection, target, no_tx).await {
            if !patience.again(&error, "migration").await {
                return Err(Error::internal(error));
            }
        }
    }
    raw_sql("RESET lock_timeout").execute(connection).await?;
    Ok(())
}

/// Versions to bring the schema to, one after the other, and whether the files up to there run outside a transaction.
/// The last step, `None`, compares all that is applied with this build's files.
fn steps(migrator: &Migrator, before: i64) -> Vec<(Option<i64>, bool)> {
    let missing: Vec<&Migration> = migrator.iter().filter(|migration| migration.version > before).collect();
    let kinds = missing.chunk_by(|a, b| a.no_tx == b.no_tx);
    let mut steps: Vec<_> =
        kinds.filter_map(|kind| kind.last()).map(|last| (Some(last.version), last.no_tx)).collect();
    steps.push((None, false));
    steps
}

async fn attempt(
    migrator: &Migrator,
    connection: &mut PgConnection,
    target: Option<i64>,
    no_tx: bool,
) -> Result<(), MigrateError> {
    if no_tx {
        drop_unfinished(migrator, connection).await?;
    }
    // `run` is not Send over a borrowed connection; this is what it calls.
    migrator.run_direct(target, connection, false).await
}

/// Drops what a CREATE INDEX CONCURRENTLY of ours left when it was broken off: an invalid index, which IF NOT EXISTS
/// would take for a whole one. Nobody is building it: this start has [`LOCK`].
async fn drop_unfinished(migrator: &Migrator, connection: &mut PgConnection) -> sqlx::Result<()> {
    let invalid: Vec<(String, String)> = query_as(
        "SELECT c.relname::text, format('DROP INDEX CONCURRENTLY %s', i.indexrelid::regclass)
           FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
          WHERE NOT i.indisvalid AND c.relnamespace = 'public'::regnamespace",
    )
    .fetch_all(&mut *connection)
    .await?;
    for (name, statement) in invalid {
        if builds(migrator, &name) {
            raw_sql(AssertSqlSafe(statement)).execute(&mut *connection).await?;
        }
    }
    Ok(())
}

/// Whether a file that runs outside a transaction names this index.
fn builds(migrator: &Migrator, index: &str) -> bool {
    let mut files = migrator.iter().filter(|file| file.no_tx);
    files.any(|file| file.sql.as_str().split_whitespace().any(|word| word == index))
}

/// The highest migration that is applied; 0 for an empty database.
async fn latest(connection: &mut PgConnection) -> Result<i64> {
    let exists: bool = query_scalar("SELECT to_regclass('public._sqlx_migrations') IS NOT NULL")
        .fetch_one(&mut *connection)
        .await?;
    if !exists {
        return Ok(0);
    }
    Ok(query_scalar("SELECT coalesce(max(version), 0) FROM public._sqlx_migrations")
        .fetch_one(connection)
        .await?)
}

/// A connection of the owner; a server that says it is starting is waited for. Statements are not
/// logged: one of them carries a password.
pub(super) async fn connect(config: &ConnectConfig) -> sqlx::Result<PgConnection> {
    let patience = Instant::now() + STARTING_PATIENCE;
    loop {
        match config.options().disable_statement_logging().connect().await {
            Err(error) if sqlstate(&error).as_deref() == Some(STARTING) && Instant::now() < patience => {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            other => return other,
        }
    }
}

async fn connect_or_create(owner: &ConnectConfig) -> Result<(PgConnection, bool)> {
    match connect(owner).await {
        Err(error) if sqlstate(&error).as_deref() == Some(NO_SUCH_DATABASE) => {}
        other => return Ok((other?, false)),
    }
    let mut maintenance = connect(&owner.with_database("postgres")).await?;
    let statement: String =
        query_scalar("SELECT format('CREATE DATABASE %I ENCODING ''UTF8'' TEMPLATE template0', $1)")
            .bind(&owner.database)
            .fetch_one(&mut maintenance)
            .await?;
    let created = match raw_sql(AssertSqlSafe(statement)).execute(&mut maintenance).await {
        Ok(_) => true,
        Err(error) if sqlstate(&error).is_some_and(|code| ALREADY_THERE.contains(&code.as_str())) => false,
        Err(error) => return Err(error.into()),
    };
    maintenance.close().await?;
    Ok((connect(owner).await?, created))
}
