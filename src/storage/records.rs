//! Filling the catalog's record tables.
//!
//! `INSERT ... SELECT FROM unnest(...)` with one array a column: Postgres refuses COPY FROM on a
//! table with row-level security, and this comes close to it.

use chrono::{DateTime, Utc};
use sqlx::{Arguments, AssertSqlSafe, postgres::PgArguments, query, query_with};

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

/// Deletes the tenant's rows of the record table. Returns how many there were.
///
/// # Errors
/// Those of the database.
pub async fn clear(transaction: &mut TenantTransaction, model_type: ModelType) -> Result<u64> {
    let statement = format!("DELETE FROM {} WHERE tenant_id = $1", model_type.table);
    let tenant = transaction.tenant().uuid();
    Ok(query(AssertSqlSafe(statement)).bind(tenant).execute(&mut **transaction).await?.rows_affected())
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
