//! Whether the schema is the one of this build.

use std::collections::HashMap;

use sqlx::{PgConnection, migrate::Migrator, query_as, query_scalar};

use super::{
    check::Kind,
    report::{Finding, Mend, Report},
    why_sql,
};

const GROUP: &str = "migrations";

const MISSING: Kind = Kind::error("migration_missing", Mend::Command);
const CHANGED: Kind = Kind::error("migration_changed", Mend::Advice);
const UNKNOWN: Kind = Kind::warning("migration_unknown", Mend::Advice);
const COUNT: usize = 3;

/// What stands in `_sqlx_migrations`, which only its owner reads.
type Applied = HashMap<i64, (String, bool, Vec<u8>)>;

pub(super) async fn run(connection: &mut PgConnection, is_owner: bool, report: &mut Report) {
    match applied(connection).await {
        Ok(applied) => report.group(GROUP, COUNT, compare(&sqlx::migrate!(), applied)),
        // The service has no business there.
        Err(error) => report.not_run(GROUP, why_sql(error), is_owner),
    }
}

async fn applied(connection: &mut PgConnection) -> Result<Applied, sqlx::Error> {
    let there: bool = query_scalar("SELECT to_regclass('public._sqlx_migrations') IS NOT NULL")
        .fetch_one(&mut *connection)
        .await?;
    if !there {
        return Ok(HashMap::new());
    }
    let rows: Vec<(i64, String, bool, Vec<u8>)> =
        query_as("SELECT version, description, success, checksum FROM public._sqlx_migrations")
            .fetch_all(connection)
            .await?;
    Ok(rows.into_iter().map(|(version, name, success, sum)| (version, (name, success, sum))).collect())
}

fn compare(ours: &Migrator, mut applied: Applied) -> Vec<Finding> {
    let mut findings = vec![];
    for migration in ours.iter() {
        let object = format!("{:04} {}", migration.version, migration.description);
        match applied.remove(&migration.version) {
            None => findings.push(MISSING.finding(
                GROUP,
                object,
                "is not applied: its walls do not stand".into(),
                "binah-ml migrate".into(),
            )),
            Some((_, success, checksum)) if !success || checksum != *migration.checksum => {
                findings.push(CHANGED.finding(
                    GROUP,
                    object,
                    "was applied with another text than this build's, or broke off".into(),
                    "compare the database with migrations/ and put the file or the database right".into(),
                ));
            }
            Some(_) => {}
        }
    }
    let mut unknown: Vec<_> = applied.into_iter().collect();
    unknown.sort();
    findings.extend(unknown.into_iter().map(|(version, (name, ..))| {
        UNKNOWN.finding(
            GROUP,
            format!("{version:04} {name}"),
            "was applied by a newer build: this one does not know what it may have changed".into(),
            "run the doctor of the newest build".into(),
        )
    }));
    findings
}
