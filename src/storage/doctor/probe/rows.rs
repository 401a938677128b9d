//! A row for any table, made from its columns in the catalogue.

use sqlx::{FromRow, PgConnection};
use uuid::Uuid;

use super::{Outcome, Probe};
use crate::storage::doctor::check::{Context, select};

/// A tenant table, and how to write a row into it.
#[derive(Debug, FromRow)]
pub(super) struct Table {
    /// Qualified and quoted.
    pub(super) name: String,
    /// INSERT with the tenant as `{tenant}` and any other id as `{id}`.
    insert: String,
    /// Whether the service's login has INSERT on it.
    pub(super) written_by_service: bool,
    /// Whether the query login has SELECT on it.
    pub(super) read_by_query: bool,
}

/// Every column that must be given a value gets a small one of its type. Every other uuid gets the same one in
/// all tables, so that a row which points to another finds it.
const TABLES: &str = r"
SELECT t.name,
       (SELECT format('INSERT INTO %s (%s) VALUES (%s)', t.name, string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum),
                      string_agg(CASE WHEN a.attnum = t.tenant_column THEN '''{tenant}'''
                                      WHEN a.atttypid = 'uuid'::regtype THEN '''{id}'''
                                      ELSE CASE y.typcategory
                                          WHEN 'N' THEN '1' WHEN 'S' THEN '''x''' WHEN 'B' THEN 'false' WHEN 'D' THEN 'now()'
                                          WHEN 'T' THEN '''0''' WHEN 'A' THEN '''{}'''
                                          WHEN 'E' THEN (SELECT quote_literal(min(enumlabel)) FROM pg_enum WHERE enumtypid = y.oid)
                                          ELSE CASE WHEN y.typname IN ('json', 'jsonb') THEN '''{}''' ELSE '''''' END
                                      END || '::' || format_type(a.atttypid, a.atttypmod)
                                 END, ', ' ORDER BY a.attnum))
          FROM pg_attribute a JOIN pg_type y ON y.oid = a.atttypid
         WHERE a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' AND a.attidentity = ''
           AND (a.attnum = t.tenant_column OR a.atttypid = 'uuid'::regtype OR (a.attnotnull AND NOT a.atthasdef))) AS insert,
       coalesce((SELECT has_any_column_privilege(oid, t.oid, 'INSERT') FROM login WHERE serves), false) AS written_by_service,
       coalesce((SELECT has_any_column_privilege(oid, t.oid, 'SELECT') FROM login WHERE NOT serves), false) AS read_by_query
  FROM tenant_table t ORDER BY t.name";

pub(super) async fn tables(connection: &mut PgConnection, context: &Context) -> sqlx::Result<Vec<Table>> {
    select(connection, context, TABLES).await
}

impl Table {
    /// INSERT of a row of `tenant` whose other ids are `id`.
    pub(super) fn insert(&self, tenant: Uuid, id: Uuid) -> String {
        self.insert.replace("{tenant}", &tenant.to_string()).replace("{id}", &id.to_string())
    }
}

/// Writes a row of `tenant` into each table where that can be done, and gives back those that took one.
/// A row that points to another's comes in the second round.
pub(super) async fn write<'t>(
    probe: &mut Probe,
    connection: &mut PgConnection,
    tables: impl IntoIterator<Item = &'t Table>,
    tenant: Uuid,
) -> sqlx::Result<Vec<&'t Table>> {
    let mut written = vec![];
    let mut left: Vec<_> = tables.into_iter().collect();
    for _ in 0..2 {
        for table in std::mem::take(&mut left) {
            match probe.attempt(connection, &table.insert(tenant, tenant)).await? {
                Outcome::Done(1) => written.push(table),
                _ => left.push(table),
            }
        }
    }
    for table in left {
        probe
            .inconclusive(&table.name, "a row to try it with could not be written; its real rows were tried");
    }
    Ok(written)
}
