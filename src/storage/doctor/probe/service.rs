//! The service's login against the tables: what a transaction of one tenant can do to another's row.

use sqlx::{AssertSqlSafe, PgConnection, raw_sql};
use uuid::Uuid;

use super::{Outcome, Probe, Strangers, rows, rows::Table};
use crate::storage::doctor::{
    check::{Context, Kind},
    report::Mend,
};

const WITHOUT_TENANT: Kind = Kind::error("rows_without_tenant", Mend::Advice);
const READ: Kind = Kind::error("foreign_row_read", Mend::Advice);
const CHANGED: Kind = Kind::error("foreign_row_changed", Mend::Advice);
const WRITTEN: Kind = Kind::error("foreign_row_written", Mend::Advice);

pub(super) async fn probe(
    connection: &mut PgConnection,
    tables: &[Table],
    context: &Context,
    probe: &mut Probe,
) -> sqlx::Result<()> {
    look_at_real_rows(connection, tables, probe).await?;
    let strangers = Strangers::new();
    raw_sql("BEGIN READ WRITE").execute(&mut *connection).await?;
    bind(connection, strangers.a).await?;
    let writable = tables.iter().filter(|table| table.written_by_service);
    let written = rows::write(probe, connection, writable, strangers.a).await?;
    for table in written {
        try_table(connection, table, strangers, probe).await?;
    }
    raw_sql("ROLLBACK").execute(&mut *connection).await?;
    let others: Vec<_> = [Some(context.owner.clone()), context.query.clone()].into_iter().flatten().collect();
    probe.try_other_roles(connection, &context.service, &others).await
}

/// Without a tenant, and as one that nobody has, no table shows a row. Reads only.
async fn look_at_real_rows(
    connection: &mut PgConnection,
    tables: &[Table],
    probe: &mut Probe,
) -> sqlx::Result<()> {
    raw_sql("BEGIN READ ONLY").execute(&mut *connection).await?;
    let stranger = format!("'{}'", Uuid::new_v4());
    for (kind, setting, who) in [
        (WITHOUT_TENANT, "", "no tenant is set"),
        (READ, stranger.as_str(), "a tenant that does not exist is set"),
    ] {
        if !setting.is_empty() {
            raw_sql(AssertSqlSafe(format!("SET LOCAL app.tenant_id = {setting}")))
                .execute(&mut *connection)
                .await?;
        }
        for table in tables {
            match probe.any_row(connection, &table.name, "true").await? {
                Outcome::Done(0) | Outcome::Refused => {}
                Outcome::Done(_) => {
                    probe.found(kind, &table.name, format!("shows rows to the service's login while {who}"));
                }
                Outcome::Failed(code) => {
                    probe.inconclusive(&table.name, format!("reading it fails: SQLSTATE {code}"))
                }
            }
        }
    }
    raw_sql("ROLLBACK").execute(connection).await.map(drop)
}

/// A row of tenant A stands in the table; A is bound.
async fn try_table(
    connection: &mut PgConnection,
    table: &Table,
    Strangers { a, b }: Strangers,
    probe: &mut Probe,
) -> sqlx::Result<()> {
    let name = &table.name;
    let rows_of_a = format!("tenant_id = '{a}'");
    // Without this every silence below would pass for a wall.
    if !probe.any_row(connection, name, &rows_of_a).await?.broke_through() {
        probe.inconclusive(name, "the service cannot read back the row that it wrote");
    }
    raw_sql("SET LOCAL app.tenant_id = ''").execute(&mut *connection).await?;
    if probe.any_row(connection, name, "true").await?.broke_through() {
        probe.found(
            WITHOUT_TENANT,
            name,
            "shows rows to the service's login while the tenant is ''".to_owned(),
        );
    }
    bind(connection, b).await?;
    if probe.any_row(connection, name, &rows_of_a).await?.broke_through() {
        probe.found(READ, name, "tenant B reads a row of tenant A".to_owned());
    }
    for (what, statement) in [
        ("changes", format!("UPDATE {name} SET tenant_id = tenant_id WHERE {rows_of_a}")),
        ("deletes", format!("DELETE FROM {name} WHERE {rows_of_a}")),
    ] {
        if probe.attempt(connection, &statement).await?.broke_through() {
            probe.found(CHANGED, name, format!("tenant B {what} a row of tenant A"));
        }
    }
    if probe.attempt(connection, &table.insert(a, a)).await?.wrote() {
        probe.found(WRITTEN, name, "tenant B writes a row that is tenant A's".to_owned());
    }
    bind(connection, a).await?;
    let give_away = format!("UPDATE {name} SET tenant_id = '{b}' WHERE {rows_of_a}");
    if probe.attempt(connection, &give_away).await?.broke_through() {
        // A trigger may have put the right tenant back.
        bind(connection, b).await?;
        if probe.any_row(connection, name, "true").await?.broke_through() {
            probe.found(WRITTEN, name, "tenant A gives a row of its own to tenant B".to_owned());
        }
    }
    bind(connection, a).await
}

async fn bind(connection: &mut PgConnection, tenant: Uuid) -> sqlx::Result<()> {
    // A Uuid prints as hexadecimal digits and hyphens only.
    raw_sql(AssertSqlSafe(format!("SET LOCAL app.tenant_id = '{tenant}'")))
        .execute(connection)
        .await
        .map(drop)
}
