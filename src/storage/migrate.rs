//! Brings a database to the schema of this build, as its owner.

use std::time::{Duration, Instant};

use sqlx::{
    AssertSqlSafe, ConnectOptions, Connection, PgConnection, migrate::Migrator, query_scalar, raw_sql,
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
/// "binah-ml" in ASCII: the advisory lock under which roles and grants are set.
pub(super) const LOCK: i64 = 0x6269_6e61_682d_6d6c;

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
/// [`Error::Unavailable`] if the server cannot be reached or refuses the owner; otherwise
/// [`Error::Internal`] naming the migration (also if others hold its tables for minutes), or the attribute that makes `service` no
/// unprivileged login.
pub async fn migrate(owner: &ConnectConfig, service: &Login) -> Result<MigrateReport> {
    let started = Instant::now();
    let (mut connection, created_database) = connect_or_create(owner).await?;
    raw_sql("SET search_path TO public").execute(&mut connection).await?;
    let before = latest(&mut connection).await?;
    // An older build must start on a newer schema while a release rolls out.
    let mut migrator: Migrator = sqlx::migrate!();
    migrator.set_ignore_missing(true);
    apply(&migrator, &mut connection).await?;
    let applied = migrator
        .iter()
        .filter(|migration| migration.version > before)
        .map(|migration| format!("{:04} {}", migration.version, migration.description))
        .collect();
    raw_sql(AssertSqlSafe(format!("SELECT pg_advisory_lock({LOCK})"))).execute(&mut connection).await?;
    let login = login::ensure(&mut connection, service).await?;
    // Closing gives the lock back.
    connection.close().await?;
    Ok(MigrateReport { created_database, applied, login, elapsed: started.elapsed() })
}

/// Applies what is missing. A migration that does not get its locks soon is rolled back and begun again, for some
/// minutes, so that nobody's statements queue behind it.
async fn apply(migrator: &Migrator, connection: &mut PgConnection) -> Result<()> {
    let limit = format!("SET lock_timeout = '{LOCK_TIMEOUT}'");
    raw_sql(AssertSqlSafe(limit)).execute(&mut *connection).await?;
    let mut patience = Patience::new();
    // `run` is not Send over a borrowed connection; this is what it calls.
    while let Err(error) = migrator.run_direct(None, connection, false).await {
        if !patience.again(&error, "migration").await {
            return Err(Error::internal(error));
        }
    }
    // The other locks of this session are advisory: only other starts wait for them.
    raw_sql("RESET lock_timeout").execute(connection).await?;
    Ok(())
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
