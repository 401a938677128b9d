//! Filling the catalog's record tables, and seeing how they change.
//!
//! `INSERT ... SELECT FROM unnest(...)` with one array a column: Postgres refuses COPY FROM on a
//! table with row-level security, and this comes close to it.

use chrono::{DateTime, Utc};
use sqlx::{Arguments, AssertSqlSafe, postgres::PgArguments, query_as, query_scalar, query_with};

use super::{TenantTransaction, storable_text};
use crate::{
    Error, Result,
    catalog::{FeatureKindSpec, ModelType},
};

/// Rows of one INSERT.
const BATCH: usize = 10_000;

/// A row of a record table.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// The property or project that the row describes.
    pub entity_id: String,
    /// When it was observed, if known.
    pub observed_at: Option<DateTime<Utc>>,
    /// The catalog's features in its order, then the target if the type has one.
    pub values: Vec<Cell>,
}

/// A value of a record.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// Missing.
    Null,
    /// A number; rounded where the column is an integer.
    Number(f64),
    /// A category's name.
    Text(String),
}

/// One array of the INSERT.
enum Array {
    Numbers(Vec<Option<f64>>),
    Texts(Vec<Option<String>>),
}

/// Appends the rows to the record table of `model_type`, for the transaction's tenant. Returns how
/// many there were.
///
/// # Errors
/// [`Error::Internal`] for a row that does not fit the catalog; those of the database. The
/// transaction is then of no further use.
pub async fn insert(
    transaction: &mut TenantTransaction,
    model_type: ModelType,
    rows: impl IntoIterator<Item = Record>,
) -> Result<u64> {
    let statement = insert_statement(model_type);
    let mut rows = rows.into_iter().peekable();
    let mut inserted = 0;
    while rows.peek().is_some() {
        let batch = rows.by_ref().take(BATCH);
        let arguments = arguments(transaction.tenant().uuid(), model_type, batch)?;
        let done = query_with(AssertSqlSafe(&*statement), arguments).execute(&mut **transaction).await?;
        inserted += done.rows_affected();
    }
    Ok(inserted)
}

/// Whether the tenant has no row in the record table.
///
/// # Errors
/// Those of the database.
pub async fn is_empty(transaction: &mut TenantTransaction, model_type: ModelType) -> Result<bool> {
    let statement = format!("SELECT NOT EXISTS (SELECT FROM {})", model_type.table);
    Ok(query_scalar(AssertSqlSafe(statement)).fetch_one(&mut **transaction).await?)
}

/// How far a record table was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Mark {
    /// Records that there were.
    pub rows: i64,
    /// Highest id of them; ids only grow.
    pub last_id: i64,
}

/// What has become of the records since a [`Mark`]. One that was written over in its place is not seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// Records that came.
    pub new: i64,
    /// Records that went.
    pub gone: i64,
}

/// The tenant's records as the transaction sees them, and what has become of them since `before`. Counts them
/// all.
///
/// # Errors
/// Those of the database.
pub async fn since(
    transaction: &mut TenantTransaction,
    model_type: ModelType,
    before: Mark,
) -> Result<(Mark, Change)> {
    let statement = format!(
        "SELECT count(*) FILTER (WHERE id <= $2), count(*) FILTER (WHERE id > $2), coalesce(max(id), 0)
           FROM {} WHERE tenant_id = $1",
        model_type.table
    );
    let (old, new, last_id): (i64, i64, i64) = query_as(AssertSqlSafe(statement))
        .bind(transaction.tenant().uuid())
        .bind(before.last_id)
        .fetch_one(&mut **transaction)
        .await?;
    // A transaction that was open when the mark was set may bring lower ids later.
    let late = (old - before.rows).max(0);
    let gone = (before.rows - old).max(0);
    Ok((Mark { rows: old + new, last_id }, Change { new: new + late, gone }))
}

/// The mark of a snapshot in which `rows` records were read: all of them.
///
/// # Errors
/// Those of the database.
pub async fn mark(snapshot: &mut TenantTransaction, model_type: ModelType, rows: usize) -> Result<Mark> {
    let statement = format!("SELECT coalesce(max(id), 0) FROM {} WHERE tenant_id = $1", model_type.table);
    let last_id = query_scalar(AssertSqlSafe(statement))
        .bind(snapshot.tenant().uuid())
        .fetch_one(&mut **snapshot)
        .await?;
    Ok(Mark { rows: i64::try_from(rows).unwrap_or(i64::MAX), last_id })
}

/// Names and kinds of the columns that `Record::values` holds; `true` is text.
fn columns(model_type: ModelType) -> impl Iterator<Item = (&'static str, bool)> {
    let features = model_type
        .features
        .iter()
        .map(|feature| (feature.name, matches!(feature.kind, FeatureKindSpec::Categorical { .. })));
    features.chain(model_type.target.map(|target| (target.name, false)))
}

fn insert_statement(model_type: ModelType) -> String {
    let mut names = String::new();
    let mut arrays = String::new();
    for (i, (name, is_text)) in columns(model_type).enumerate() {
        names.push_str(&format!(", {name}"));
        arrays.push_str(&format!(", ${}::{}[]", i + 4, if is_text { "text" } else { "float8" }));
    }
    format!(
        "INSERT INTO {} (tenant_id, entity_id, observed_at{names}) \
         SELECT $1, * FROM unnest($2::text[], $3::timestamptz[]{arrays})",
        model_type.table
    )
}

fn arguments(
    tenant: uuid::Uuid,
    model_type: ModelType,
    rows: impl Iterator<Item = Record>,
) -> Result<PgArguments> {
    let mut arrays: Vec<Array> = columns(model_type)
        .map(|(_, is_text)| if is_text { Array::Texts(vec![]) } else { Array::Numbers(vec![]) })
        .collect();
    let mut entities = vec![];
    let mut times = vec![];
    for row in rows {
        if row.values.len() != arrays.len() {
            let message =
                format!("{} takes {} values a row, not {}", model_type.table, arrays.len(), row.values.len());
            return Err(Error::internal(message));
        }
        entities.push(storable_text(&row.entity_id).into_owned());
        times.push(row.observed_at);
        for (array, cell) in arrays.iter_mut().zip(row.values) {
            match (array, cell) {
                (Array::Numbers(values), Cell::Null) => values.push(None),
                (Array::Numbers(values), Cell::Number(value)) => values.push(Some(value)),
                (Array::Texts(values), Cell::Null) => values.push(None),
                (Array::Texts(values), Cell::Text(value)) => values.push(Some(value)),
                (Array::Texts(values), Cell::Number(value)) => values.push(Some(value.to_string())),
                (Array::Numbers(_), Cell::Text(text)) => {
                    return Err(Error::internal(format!(
                        "'{text}' in a numeric column of {}",
                        model_type.table
                    )));
                }
            }
        }
    }
    let mut arguments = PgArguments::default();
    arguments.add(tenant).map_err(Error::Internal)?;
    arguments.add(entities).map_err(Error::Internal)?;
    arguments.add(times).map_err(Error::Internal)?;
    for array in arrays {
        match array {
            Array::Numbers(values) => arguments.add(values),
            Array::Texts(values) => arguments.add(values),
        }
        .map_err(Error::Internal)?;
    }
    Ok(arguments)
}
