//! A tenant's own file as a table: CSV or Parquet, into a table of its own that `training_data_query` reads, or
//! into a record table of the catalog.
//!
//! [`plan`] reads the file once: names, types, missing values; every fault that the file has shows here, with its place.
//! [`load`] reads it again into a binary COPY, in one transaction: all rows or none. Neither holds more than some thousand
//! rows in memory.
//!
//! Both run as the tables' owner, in the scope of the tenant (`auth::tenant`).

mod csv;
mod encoder;
mod error;
mod names;
mod parquet;
mod plan;
mod source;
mod survey;
mod value;

use std::time::{Duration, Instant};

use tokio::sync::mpsc;

pub use error::{ImportError, Place, Result};
pub use plan::{Action, Destination, Plan, PlannedColumn, plan};
pub use source::{Format, NULLS, Options};
pub use value::ColumnType;

use self::encoder::Encoder;
use crate::{
    Error,
    storage::{
        Database, TenantTransaction, exceeds_program_limit,
        imported_tables::{self, ImportedTable, Standing, TableColumn},
    },
};

/// Hears which share of the file has been read, 0 to 1, now and then.
pub type Progress = Box<dyn Fn(f64) + Send + Sync>;

/// Chunks that wait for Postgres at most.
const WAITING: usize = 8;

/// What [`load`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Loaded {
    /// Rows that came.
    pub rows: u64,
    /// How long it took.
    pub elapsed: Duration,
}

/// Carries out the plan, as the owner of the tables and on behalf of the tenant whose scope is open. `query_role` is
/// the login that reads imported tables; without one nothing reads them until `binah-ml migrate` has made one.
///
/// # Errors
/// [`ImportError`]; nothing was changed then.
pub async fn load(
    owner: &Database,
    plan: &Plan,
    query_role: Option<&str>,
    progress: Progress,
) -> Result<Loaded> {
    let started = Instant::now();
    let mut transaction = owner.tenant_transaction("import").await?;
    transaction.set_statement_timeout(Duration::ZERO).await?;
    // A replacement drops the old table last: a query that reads it then must not undo the whole import.
    transaction.set_lock_timeout(Duration::ZERO).await?;
    let rows = match (&plan.destination, plan.action) {
        (Destination::Records(model_type), _) => {
            let standing = Standing::records(model_type.table, plan.names());
            into_standing(&mut transaction, &standing, plan, None, progress).await?
        }
        (Destination::Table { name, .. }, Action::Append) => {
            let table = standing(&mut transaction, name, plan).await?;
            let target = Standing::imported(&table, plan.names());
            let rows = into_standing(&mut transaction, &target, plan, Some(table.rows + 1), progress).await?;
            imported_tables::appended(&mut transaction, &table, rows).await?;
            rows
        }
        (Destination::Table { name, .. }, action) => {
            imported_tables::lock(&mut transaction, name).await?;
            let old = imported_tables::find(&mut transaction, name).await?;
            if action == Action::Create && old.is_some() {
                return Err(changed(name));
            }
            let columns = plan.columns.iter().map(|column| TableColumn {
                name: column.name.clone(),
                sql_type: column.kind.sql().to_owned(),
            });
            let mut table = imported_tables::create(&mut transaction, name, columns.collect()).await?;
            let rows = copy(&mut transaction, &table.copy(), plan, Some(1), progress).await?;
            table.rows = i64::try_from(rows).map_err(Error::internal)?;
            imported_tables::publish(&mut transaction, &table, old.as_ref(), query_role).await?;
            rows
        }
    };
    transaction.commit().await?;
    Ok(Loaded { rows, elapsed: started.elapsed() })
}

/// The table to append to, held against other imports; it must be the one that was planned for.
async fn standing(transaction: &mut TenantTransaction, name: &str, plan: &Plan) -> Result<ImportedTable> {
    imported_tables::lock(transaction, name).await?;
    let table = imported_tables::find(transaction, name).await?.ok_or_else(|| changed(name))?;
    let planned = plan.columns.iter().all(|planned| {
        let mut columns = table.columns.iter();
        columns.any(|column| column.name == planned.name && column.sql_type == planned.kind.sql())
    });
    if planned && plan.columns.len() == table.columns.len() { Ok(table) } else { Err(changed(name)) }
}

fn changed(name: &str) -> ImportError {
    ImportError::File(format!("The table '{name}' was changed meanwhile; import again"))
}

async fn into_standing(
    transaction: &mut TenantTransaction,
    standing: &Standing,
    plan: &Plan,
    first: Option<i64>,
    progress: Progress,
) -> Result<u64> {
    standing.stage(transaction).await?;
    let sent = copy(transaction, &imported_tables::copy_staged(), plan, first, progress).await?;
    let stored = standing.unstage(transaction).await.map_err(too_wide)?;
    if sent == stored { Ok(stored) } else { Err(Error::internal("rows were lost on the way").into()) }
}

fn too_wide(error: Error) -> ImportError {
    if !exceeds_program_limit(&error) {
        return error.into();
    }
    let message = "A row is too wide: Postgres stores at most about 8,000 bytes of one, and some 20 of each long text; \
                   leave columns out with --skip; nothing was imported";
    ImportError::File(message.into())
}

/// Reads the file on a thread of its own and sends it. Returns the number of rows, which is that of the plan.
async fn copy(
    transaction: &mut TenantTransaction,
    statement: &str,
    plan: &Plan,
    first: Option<i64>,
    progress: Progress,
) -> Result<u64> {
    let (out, chunks) = mpsc::channel(WAITING);
    let columns = plan.columns.iter().map(|column| (column.name.clone(), column.kind)).collect();
    let positions: Vec<usize> = plan.columns.iter().map(|column| column.position).collect();
    let (file, format, options) = (plan.file.clone(), plan.format, plan.options.clone());
    let reading = tokio::task::spawn_blocking(move || {
        let mut encoder = Encoder::new(columns, first, out);
        format.read(&file, &options, &positions, &mut encoder, &progress)?;
        encoder.finish()
    });
    let copied = transaction.copy_in(statement, chunks).await;
    // Where the reader fails, Postgres complains of what it did not get, and the other way round.
    let rows = match (reading.await.map_err(Error::internal)?, copied) {
        (Ok(()) | Err(ImportError::Interrupted), copied) => copied.map_err(too_wide)?,
        (Err(error), _) => return Err(error),
    };
    if rows == plan.rows {
        return Ok(rows);
    }
    Err(ImportError::File(format!(
        "{} was changed while it was read; nothing was imported",
        plan.file.display()
    )))
}
