//! The probes: isolation tried out, with two tenants that do not exist.
//!
//! Nothing stays of them. Each transaction is rolled back; a statement that changes rows names a throw-away
//! tenant, so that it touches no real row even where the wall is down. What a rollback does not undo: identity
//! columns skip a few numbers.

mod query;
mod rows;
mod service;

use std::collections::BTreeMap;

use sqlx::{AssertSqlSafe, Connection, PgConnection, query_scalar, raw_sql};
use uuid::Uuid;

use super::{
    Subject,
    check::{Context, Kind},
    enter,
    report::{Finding, Mend, Report},
    why, why_sql,
};
use crate::storage::error::{is_connection_trouble, sqlstate};

/// Classes of SQLSTATE that say nothing of the wall: 55 a lock that was not had in time, 57 a statement that took too
/// long or was cancelled.
const UNDECIDED: [&str; 2] = ["55", "57"];

/// SQLSTATE insufficient_privilege: no grant, or row-level security.
const REFUSED: &str = "42501";

const BECOMES_ANOTHER: Kind = Kind::error("login_becomes_another", Mend::Advice);

/// Tries every tenant table as each login whose password is configured.
pub(super) async fn run(
    catalogue: &mut PgConnection,
    subject: &Subject,
    context: &Context,
    report: &mut Report,
) {
    let tables = match rows::tables(catalogue, context).await {
        Ok(tables) => tables,
        Err(error) => return report.not_run("probes", why_sql(error), true),
    };
    let name = &context.service;
    let mut service = match enter(&subject.service).await {
        Ok(service) => Some(service),
        Err(error) => {
            let reason = format!("{name} (POSTGRES_USER) cannot log in: {}", why(&error));
            report.not_run("probes as the service", reason, true);
            None
        }
    };
    if let Some(service) = &mut service {
        let mut probe = Probe::new("probes as the service");
        let done = service::probe(service, &tables, context, &mut probe).await;
        probe.finish(done, report);
    }
    let Some(query) = &subject.query else {
        return report.not_run("probes as the query login", "POSTGRES_QUERY_PASSWORD is not set", false);
    };
    match enter(query).await {
        Ok(mut query) => {
            if let Some(service) = &mut service {
                let mut probe = Probe::new("probes as the query login");
                let done = query::probe(&mut query, service, &tables, context, &mut probe).await;
                probe.finish(done, report);
            }
        }
        Err(error) => {
            let reason = format!("{} (POSTGRES_QUERY_USER) cannot log in: {}", query.login.name, why(&error));
            report.not_run("probes as the query login", reason, true);
        }
    }
    let mut probe = Probe::new("probes with signed rows");
    let done = query::probe_with_rows(catalogue, &tables, &query.login.name, &mut probe).await;
    probe.finish(done, report);
    if let Some(service) = service {
        // A farewell that is not heard changes nothing.
        let _ = service.close().await;
    }
}

/// Two tenants that nobody has.
#[derive(Debug, Clone, Copy)]
struct Strangers {
    a: Uuid,
    b: Uuid,
}

impl Strangers {
    fn new() -> Self {
        Self { a: Uuid::new_v4(), b: Uuid::new_v4() }
    }
}

/// What came of a statement.
#[derive(Debug)]
enum Outcome {
    /// It ran over so many rows.
    Done(u64),
    /// The server refused it for want of a right: the wall holds.
    Refused,
    /// It failed for another reason, with this SQLSTATE.
    Failed(String),
}

impl Outcome {
    /// Whether it did something that it should not.
    fn broke_through(&self) -> bool {
        matches!(self, Self::Done(rows) if *rows > 0)
    }

    /// Whether an INSERT came past the policies. They stand before the constraints, so that a row which one of
    /// these refuses (class 23) has passed them.
    fn wrote(&self) -> bool {
        match self {
            Self::Done(_) => true,
            Self::Failed(code) => code.starts_with("23"),
            Self::Refused => false,
        }
    }
}

/// What a series of probes has come to.
struct Probe {
    group: &'static str,
    attempts: usize,
    findings: Vec<Finding>,
    inconclusive: Vec<(String, String)>,
    /// Attempts of which nothing can be told, by SQLSTATE.
    undecided: BTreeMap<String, usize>,
}

impl Probe {
    fn new(group: &'static str) -> Self {
        Self { group, attempts: 0, findings: vec![], inconclusive: vec![], undecided: BTreeMap::new() }
    }

    /// Notes what was found, one finding an object and kind.
    fn found(&mut self, kind: Kind, object: &str, problem: String) {
        if let Some(known) = self.findings.iter_mut().find(|f| f.code == kind.code && f.object == object) {
            known.problem = format!("{}; {problem}", known.problem);
            return;
        }
        let mend = match kind.code {
            "login_becomes_another" => "revoke its memberships and attributes",
            _ => {
                "first what the catalogue checks say of this table and the logins; then run the doctor again"
            }
        };
        self.findings.push(kind.finding(self.group, object.to_owned(), problem, mend.to_owned()));
    }

    /// Notes a table that this series could not try.
    fn inconclusive(&mut self, object: &str, reason: impl Into<String>) {
        self.inconclusive.push((object.to_owned(), reason.into()));
    }

    fn finish(self, done: sqlx::Result<()>, report: &mut Report) {
        for (object, reason) in self.inconclusive {
            report.not_run(format!("{}: {object}", self.group), reason, false);
        }
        for (code, attempts) in self.undecided {
            let reason = format!(
                "{attempts} attempts met a lock, a limit or a cancellation (SQLSTATE {code}); run the doctor again"
            );
            report.not_run(self.group, reason, true);
        }
        match done {
            Ok(()) => report.group(self.group, self.attempts, self.findings),
            Err(error) => {
                report.group(self.group, self.attempts, self.findings);
                report.not_run(self.group, why_sql(error), true);
            }
        }
    }

    /// Runs a statement within the open transaction, which goes on whatever comes of it.
    async fn attempt(&mut self, connection: &mut PgConnection, statement: &str) -> sqlx::Result<Outcome> {
        self.attempts += 1;
        let guarded = format!("SAVEPOINT attempt; {statement}; RELEASE SAVEPOINT attempt");
        match raw_sql(AssertSqlSafe(guarded)).execute(&mut *connection).await {
            Ok(done) => Ok(Outcome::Done(done.rows_affected())),
            Err(error) if is_connection_trouble(&error) => Err(error),
            Err(error) => {
                raw_sql("ROLLBACK TO SAVEPOINT attempt; RELEASE SAVEPOINT attempt")
                    .execute(connection)
                    .await?;
                Ok(match sqlstate(&error) {
                    Some(code) if code == REFUSED => Outcome::Refused,
                    Some(code) => {
                        if UNDECIDED.iter().any(|class| code.starts_with(class)) {
                            *self.undecided.entry(code.clone()).or_default() += 1;
                        }
                        Outcome::Failed(code)
                    }
                    None => return Err(error),
                })
            }
        }
    }

    /// How many rows of the table `condition` shows, 1 standing for any number.
    async fn any_row(
        &mut self,
        connection: &mut PgConnection,
        table: &str,
        condition: &str,
    ) -> sqlx::Result<Outcome> {
        self.attempt(connection, &format!("SELECT FROM {table} WHERE {condition} LIMIT 1")).await
    }

    /// Tries to act as another role than the login's own, in every way that SQL has.
    async fn try_other_roles(
        &mut self,
        connection: &mut PgConnection,
        login: &str,
        others: &[String],
    ) -> sqlx::Result<()> {
        raw_sql("BEGIN READ ONLY").execute(&mut *connection).await?;
        for other in others {
            for statement in ["SET LOCAL ROLE", "SET LOCAL SESSION AUTHORIZATION"] {
                let quoted: String =
                    query_scalar("SELECT quote_ident($1)").bind(other).fetch_one(&mut *connection).await?;
                let outcome = self.attempt(connection, &format!("{statement} {quoted}")).await?;
                if matches!(outcome, Outcome::Done(_)) {
                    raw_sql("RESET ROLE; RESET SESSION AUTHORIZATION").execute(&mut *connection).await?;
                    self.found(BECOMES_ANOTHER, login, format!("{statement} {other} succeeds"));
                }
            }
        }
        self.attempt(connection, "RESET ROLE; RESET SESSION AUTHORIZATION").await?;
        let itself: bool = query_scalar("SELECT current_user = $1 AND session_user = $1")
            .bind(login)
            .fetch_one(&mut *connection)
            .await?;
        if !itself {
            self.found(BECOMES_ANOTHER, login, "RESET ROLE makes it another role".to_owned());
        }
        raw_sql("ROLLBACK").execute(connection).await.map(drop)
    }
}
