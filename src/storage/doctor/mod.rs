//! `binah-ml doctor`: what in a live database breaks the isolation of tenants.
//!
//! Two ways of looking. The catalogue checks read what the server says of itself: each `Check`
//! is one SELECT that returns nothing where all is well. The probes (`probe`) try it out, as the service's own
//! logins and with two tenants that do not exist; their transactions are always rolled back.
//!
//! Every check speaks of *any* table with a `tenant_id`, in any schema: a migration or an import that adds
//! a table is covered without a word here. One more check: an entry in `CHECKS` of the file of its group, and
//! a line of sabotage in `tests/it/storage/doctor.rs`.

mod binding;
mod check;
mod functions;
mod grants;
mod logins;
mod migrations;
mod policies;
mod probe;
mod relations;
mod report;
mod signing;
mod tables;

use std::time::{Duration, Instant};

pub(super) use binding::is_of_worker;
use check::Context;
pub use report::{Finding, Group, Mend, NotRun, Report, Severity, Verdict};
use sqlx::{Connection, PgConnection, raw_sql};

use super::{config::ConnectConfig, login, migrate::connect};
use crate::{Error, Result, error::BoxError};

/// How long a server may take to let the doctor in.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

/// Names without a schema mean the server's own: nothing in the database can stand in for a catalogue table.
/// No write slips through outside a probe, and none of ours holds up the service for long.
const SESSION: &str = "SET search_path TO pg_catalog, pg_temp; SET default_transaction_read_only TO on; \
    SET statement_timeout TO 15000; SET lock_timeout TO 2000; SET timezone TO 'UTC'";

/// One database, and the logins that touch it.
#[derive(Debug, Clone)]
pub struct Subject {
    /// The owner of the tables. Where it cannot log in, the catalogue is read as the service.
    pub owner: ConnectConfig,
    /// The login that serves.
    pub service: ConnectConfig,
    /// The login that runs tenants' queries; `None`: switched off.
    pub query: Option<ConnectConfig>,
}

/// Looks at everything that can be looked at. What could not be is in `Report::not_run`.
pub async fn examine(subject: &Subject) -> Report {
    let started = Instant::now();
    let mut report = Report::new(subject);
    if let Err(error) = look(subject, &mut report).await {
        report.not_run("catalogue", why(&error), true);
    }
    report.finish(started.elapsed());
    report
}

async fn look(subject: &Subject, report: &mut Report) -> Result<()> {
    let (mut catalogue, is_owner) = enter_as_any(subject, report).await?;
    let context = Context {
        service: subject.service.login.name.clone(),
        query: subject.query.as_ref().map(|query| query.login.name.clone()),
        owner: subject.owner.login.name.clone(),
        service_grants: login::service_grants(),
    };
    let connection = &mut catalogue;
    report.tenant_tables = tables::names(connection, &context).await?;
    check::run(connection, &context, "tables", tables::CHECKS, report).await;
    policies::run(connection, &context, report).await;
    check::run(connection, &context, "relations", relations::CHECKS, report).await;
    check::run(connection, &context, "logins", logins::CHECKS, report).await;
    check::run(connection, &context, "grants", grants::CHECKS, report).await;
    functions::run(connection, &context, report).await;
    signing::run(connection, &context, report).await;
    migrations::run(connection, is_owner, report).await;
    probe::run(connection, subject, &context, report).await;
    // Every transaction has been rolled back; a farewell that is not heard changes nothing.
    let _ = catalogue.close().await;
    Ok(())
}

/// A connection that reads the catalogue, and whether it is the owner's.
async fn enter_as_any(subject: &Subject, report: &mut Report) -> Result<(PgConnection, bool)> {
    let (mut connection, is_owner) = match enter(&subject.owner).await {
        Ok(connection) => (connection, true),
        Err(error) => {
            let connection = enter(&subject.service).await?;
            let name = &subject.owner.login.name;
            report.not_run(
                "owner",
                format!("{name} (POSTGRES_OWNER_USER) cannot log in: {}", why(&error)),
                false,
            );
            (connection, false)
        }
    };
    let (server, name): (String, String) =
        sqlx::query_as("SELECT current_setting('server_version'), current_user::text")
            .fetch_one(&mut connection)
            .await?;
    report.server = format!("PostgreSQL {server}");
    report.read_as = name;
    Ok((connection, is_owner))
}

/// A session of the doctor as this login.
async fn enter(config: &ConnectConfig) -> Result<PgConnection> {
    let connected = tokio::time::timeout(CONNECT_TIMEOUT, connect(config)).await;
    let mut connection = connected
        .map_err(|elapsed| Error::Unavailable { dependency: "Postgres", source: elapsed.into() })??;
    raw_sql(SESSION).execute(&mut connection).await?;
    Ok(connection)
}

/// The innermost cause: what an operator can act on.
fn why(error: &Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

/// As [`why`], of an error that has not passed through the crate's own.
fn why_sql(error: sqlx::Error) -> String {
    let error: BoxError = error.into();
    why(&Error::Internal(error))
}
