//! The tables that a tenant imported: their registry, and their lives in the schema `tenant_data`.
//!
//! Every function runs in a transaction of the tables' owner on behalf of the tenant; [`list`] also in one of the service.
//! The owner may be a superuser, whom no policy binds: every statement names the tenant itself.
//!
//! Postgres refuses COPY FROM on a table with row-level security, whoever the owner is. So a new table is
//! filled first and walled then, in one transaction: nobody else can see it before. Rows for a table that stands come
//! through a temporary one (`Standing`).

use chrono::{DateTime, Utc};
use sqlx::{AssertSqlSafe, FromRow, query, query_as, query_scalar, raw_sql};
use uuid::Uuid;

use super::{TenantTransaction, query_login};
use crate::{Error, Result};

/// The schema of imported tables.
pub const SCHEMA: &str = "tenant_data";
/// Column that numbers the rows in order of import, from 1.
pub const ROW_NUMBER: &str = "import_row";
/// The temporary table of [`Standing`].
const STAGING: &str = "pg_temp.import_staging";

/// A column as the tenant sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableColumn {
    /// Its name.
    pub name: String,
    /// Its type, as `format_type()` writes it.
    pub sql_type: String,
}

/// A tenant's table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportedTable {
    /// What the tenant calls it.
    pub name: String,
    /// Its name in [`SCHEMA`]; random, so that it tells nothing.
    pub physical_name: String,
    /// The columns of the file, in its order; `tenant_id` and [`ROW_NUMBER`] stand before them.
    pub columns: Vec<TableColumn>,
    /// How many rows it has.
    pub rows: i64,
    /// When it was made or appended to.
    pub imported_at: DateTime<Utc>,
}

#[derive(FromRow)]
struct Registered {
    name: String,
    physical_name: String,
    column_names: Vec<String>,
    column_types: Vec<String>,
    row_count: i64,
    imported_at: DateTime<Utc>,
}

impl From<Registered> for ImportedTable {
    fn from(row: Registered) -> Self {
        let columns = row.column_names.into_iter().zip(row.column_types);
        Self {
            name: row.name,
            physical_name: row.physical_name,
            columns: columns.map(|(name, sql_type)| TableColumn { name, sql_type }).collect(),
            rows: row.row_count,
            imported_at: row.imported_at,
        }
    }
}

impl ImportedTable {
    fn qualified(&self) -> String {
        format!("{SCHEMA}.{}", quoted(&self.physical_name))
    }

    /// `COPY` that fills the table while it is [`create`]d: its row numbers and columns.
    pub(crate) fn copy(&self) -> String {
        // FREEZE: nobody has seen the table yet, so its rows need no second visit by VACUUM.
        let columns = names(self.columns.iter().map(|column| column.name.as_str()));
        format!("COPY {} ({ROW_NUMBER}, {columns}) FROM STDIN (FORMAT binary, FREEZE)", self.qualified())
    }
}

/// `COPY` into the temporary table of [`Standing`].
pub(crate) fn copy_staged() -> String {
    format!("COPY {STAGING} FROM STDIN (FORMAT binary, FREEZE)")
}

/// The tenant's tables, by name.
///
/// # Errors
/// Those of the database.
pub async fn list(transaction: &mut TenantTransaction) -> Result<Vec<ImportedTable>> {
    let tables = "SELECT name, physical_name, column_names, column_types, row_count, imported_at
                    FROM public.imported_tables WHERE tenant_id = $1 ORDER BY name";
    let tenant = transaction.tenant().uuid();
    let rows: Vec<Registered> = query_as(tables).bind(tenant).fetch_all(&mut **transaction).await?;
    Ok(rows.into_iter().map(Into::into).collect())
}

/// The tenant's table of that name.
///
/// # Errors
/// Those of the database.
pub async fn find(transaction: &mut TenantTransaction, name: &str) -> Result<Option<ImportedTable>> {
    Ok(list(transaction).await?.into_iter().find(|table| table.name == name))
}

/// Whether `public` has a relation of that name, which an imported one must not stand beside.
///
/// # Errors
/// Those of the database.
pub async fn is_taken(transaction: &mut TenantTransaction, name: &str) -> Result<bool> {
    let taken =
        "SELECT EXISTS (SELECT FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relname = $1)";
    Ok(query_scalar(taken).bind(name).fetch_one(&mut **transaction).await?)
}

/// The columns of a record table that a file may fill, with whether they must not be NULL.
///
/// # Errors
/// Those of the database.
pub async fn record_columns(
    transaction: &mut TenantTransaction,
    table: &str,
) -> Result<Vec<(TableColumn, bool)>> {
    let columns = "SELECT attname::text, format_type(atttypid, atttypmod), attnotnull FROM pg_attribute
                    WHERE attrelid = to_regclass('public.' || quote_ident($1)) AND attnum > 0 AND NOT attisdropped
                      AND attidentity = '' AND attname <> 'tenant_id' ORDER BY attnum";
    let rows: Vec<(String, String, bool)> =
        query_as(columns).bind(table).fetch_all(&mut **transaction).await?;
    Ok(rows
        .into_iter()
        .map(|(name, sql_type, required)| (TableColumn { name, sql_type }, required))
        .collect())
}

/// Makes other imports of this tenant into this table wait until the transaction ends, for as long as that takes:
/// [`crate::import::load`] has no limit on its waits.
///
/// # Errors
/// Those of the database.
pub async fn lock(transaction: &mut TenantTransaction, name: &str) -> Result<()> {
    let key = format!("{}:{name}", transaction.tenant());
    let lock = "SELECT pg_advisory_xact_lock(hashtextextended('binah-ml import ' || $1, 0))";
    query(lock).bind(key).execute(&mut **transaction).await?;
    Ok(())
}

/// A new table without a wall: fill it by [`ImportedTable::copy`], then [`publish`] it.
///
/// # Errors
/// Those of the database.
pub(crate) async fn create(
    transaction: &mut TenantTransaction,
    name: &str,
    columns: Vec<TableColumn>,
) -> Result<ImportedTable> {
    let physical_name = format!("t_{}", Uuid::new_v4().simple());
    let imported_at = Utc::now();
    let table = ImportedTable { name: name.to_owned(), physical_name, columns, rows: 0, imported_at };
    // COPY then need not send the tenant's id in each row. A Uuid prints as digits and hyphens only.
    let mut statement = format!(
        "CREATE TABLE {} (tenant_id uuid NOT NULL DEFAULT '{}', {ROW_NUMBER} bigint NOT NULL",
        table.qualified(),
        transaction.tenant().uuid()
    );
    for TableColumn { name, sql_type } in &table.columns {
        statement.push_str(&format!(", {} {sql_type}", quoted(name)));
    }
    statement.push(')');
    raw_sql(AssertSqlSafe(statement)).execute(&mut **transaction).await?;
    Ok(table)
}

/// Walls the filled table, shows it to the login of queries, and gives it its name. It takes the place of `old`.
///
/// # Errors
/// Those of the database.
pub(crate) async fn publish(
    transaction: &mut TenantTransaction,
    table: &ImportedTable,
    old: Option<&ImportedTable>,
    query_role: Option<&str>,
) -> Result<()> {
    let qualified = table.qualified();
    let own = "tenant_id = (SELECT nullif(current_setting('app.tenant_id', true), '')::uuid)";
    let wall = format!(
        "ALTER TABLE {qualified} ALTER tenant_id DROP DEFAULT, ADD PRIMARY KEY (tenant_id, {ROW_NUMBER}),
               ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
         CREATE POLICY tenant_isolation ON {qualified} USING ({own}) WITH CHECK ({own});"
    );
    raw_sql(AssertSqlSafe(wall)).execute(&mut **transaction).await?;
    if let Some(role) = query_role {
        query_login::show(&mut *transaction, role, SCHEMA, &table.physical_name).await?;
    }
    if let Some(old) = old {
        drop_table(transaction, old).await?;
    }
    let (names, types): (Vec<&str>, Vec<&str>) =
        table.columns.iter().map(|column| (column.name.as_str(), column.sql_type.as_str())).unzip();
    let tenant = transaction.tenant().uuid();
    query(
        "INSERT INTO public.imported_tables (tenant_id, name, physical_name, column_names, column_types, row_count)
         VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(tenant)
    .bind(&table.name)
    .bind(&table.physical_name)
    .bind(names)
    .bind(types)
    .bind(table.rows)
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

/// Drops the table and its name, once nobody reads it any more.
///
/// # Errors
/// Those of the database.
pub async fn drop_table(transaction: &mut TenantTransaction, table: &ImportedTable) -> Result<()> {
    let statement = format!("DROP TABLE {}", table.qualified());
    raw_sql(AssertSqlSafe(statement)).execute(&mut **transaction).await?;
    let tenant = transaction.tenant().uuid();
    query("DELETE FROM public.imported_tables WHERE tenant_id = $1 AND name = $2")
        .bind(tenant)
        .bind(&table.name)
        .execute(&mut **transaction)
        .await?;
    Ok(())
}

/// Columns of a standing table, in the order of the rows that come by [`copy_staged`].
#[derive(Debug)]
pub(crate) struct Standing {
    table: String,
    columns: String,
}

impl Standing {
    /// These columns of an imported table, after its row number.
    pub(crate) fn imported<'a>(table: &ImportedTable, columns: impl Iterator<Item = &'a str>) -> Self {
        Self { table: table.qualified(), columns: format!("{ROW_NUMBER}, {}", names(columns)) }
    }

    /// These columns of a record table.
    pub(crate) fn records<'a>(table: &str, columns: impl Iterator<Item = &'a str>) -> Self {
        Self { table: format!("public.{}", quoted(table)), columns: names(columns) }
    }

    /// Makes the temporary table that takes the rows.
    ///
    /// # Errors
    /// Those of the database.
    pub(crate) async fn stage(&self, transaction: &mut TenantTransaction) -> Result<()> {
        let statement = format!(
            "CREATE TEMPORARY TABLE import_staging ON COMMIT DROP AS SELECT {} FROM {} WITH NO DATA",
            self.columns, self.table
        );
        raw_sql(AssertSqlSafe(statement)).execute(&mut **transaction).await?;
        Ok(())
    }

    /// Moves the rows over, as the tenant's. Returns how many there were.
    ///
    /// # Errors
    /// Those of the database.
    pub(crate) async fn unstage(&self, transaction: &mut TenantTransaction) -> Result<u64> {
        let Self { table, columns } = self;
        let tenant = transaction.tenant().uuid();
        let statement =
            format!("INSERT INTO {table} (tenant_id, {columns}) SELECT '{tenant}', {columns} FROM {STAGING}");
        Ok(raw_sql(AssertSqlSafe(statement)).execute(&mut **transaction).await?.rows_affected())
    }
}

/// Notes that rows were appended.
///
/// # Errors
/// Those of the database.
pub(crate) async fn appended(
    transaction: &mut TenantTransaction,
    table: &ImportedTable,
    rows: u64,
) -> Result<()> {
    let rows = i64::try_from(rows).map_err(Error::internal)?;
    let tenant = transaction.tenant().uuid();
    query(
        "UPDATE public.imported_tables SET row_count = row_count + $3, imported_at = now()
          WHERE tenant_id = $1 AND name = $2",
    )
    .bind(tenant)
    .bind(&table.name)
    .bind(rows)
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

fn names<'a>(columns: impl Iterator<Item = &'a str>) -> String {
    columns.map(quoted).collect::<Vec<_>>().join(", ")
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
