//! A tenant's training rows from its record table, straight into columns.
//!
//! `COPY (SELECT ...) TO STDOUT (FORMAT binary)` inside the tenant transaction: the rows go from
//! the socket's buffer into the columns, without a row object between.

pub(super) mod columns;
pub(super) mod copy;
pub(super) mod wire;

use std::time::Duration;

use serde_json::json;
use sqlx::{AssertSqlSafe, Column as _, Executor, SqlSafeStr, Statement, TypeInfo, query_scalar};

use self::{
    columns::{ColumnPlan, Columns, Role},
    copy::CopyDecoder,
    wire::WireType,
};
use super::{
    schema::numbered,
    table::{FeatureTable, KeyedTable},
};
use crate::{
    Error, Result,
    catalog::{FeatureKindSpec, ModelType},
    error::FieldError,
    storage::{Database, TenantTransaction},
};

/// Most rows that one training reads, if the configuration says nothing else.
pub const DEFAULT_MAX_ROWS: usize = 5_000_000;

/// How long the server may take for them.
pub(crate) const READ_TIMEOUT: Duration = Duration::from_secs(600);

/// The rows of the tenant whose scope is open, by the default query of `model_type`: the catalog's
/// features, the target, `observed_at`, in the order of their arrival.
///
/// NULL and NaN are missing. An infinite value stays infinite, and a number beyond f32 becomes so.
///
/// # Errors
/// [`Error::Invalid`] if there are more than `max_rows` rows or too many categories; those of
/// the database.
pub async fn load(database: &Database, model_type: ModelType, max_rows: usize) -> Result<FeatureTable> {
    let mut transaction = database.tenant_snapshot("read_training_rows").await?;
    let table = load_in(&mut transaction, model_type, max_rows).await?;
    transaction.commit().await?;
    Ok(table)
}

/// As [`load`], in a transaction that is already open.
///
/// # Errors
/// As there.
pub async fn load_in(
    transaction: &mut TenantTransaction,
    model_type: ModelType,
    max_rows: usize,
) -> Result<FeatureTable> {
    Ok(read(transaction, model_type, max_rows, "").await?.into_table())
}

/// As [`load_in`], with the entity of each row, for [`join`](super::join::join()).
///
/// # Errors
/// As there.
pub async fn load_keyed_in(
    transaction: &mut TenantTransaction,
    model_type: ModelType,
    max_rows: usize,
) -> Result<KeyedTable> {
    Ok(read(transaction, model_type, max_rows, ", entity_id").await?.into_keyed())
}

/// How many records the tenant of the open scope has for [`load`], counted up to one more than `max_rows`.
///
/// # Errors
/// Those of the database.
pub async fn count(database: &Database, model_type: ModelType, max_rows: usize) -> Result<u64> {
    let mut transaction = database.tenant_snapshot("count_training_rows").await?;
    let statement = format!(
        "SELECT count(*) FROM (SELECT FROM {} WHERE tenant_id = $1 LIMIT $2) AS records",
        model_type.table
    );
    let count: i64 = query_scalar(AssertSqlSafe(statement))
        .bind(transaction.tenant().uuid())
        .bind(i64::try_from(max_rows).unwrap_or(i64::MAX).saturating_add(1))
        .fetch_one(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(u64::try_from(count).unwrap_or_default())
}

async fn read(
    transaction: &mut TenantTransaction,
    model_type: ModelType,
    max_rows: usize,
    more: &str,
) -> Result<Columns> {
    transaction.set_statement_timeout(READ_TIMEOUT).await?;
    let select = select(model_type, more);
    let mut columns = Columns::new(plan(transaction, model_type, &select).await?);
    let mut decoder = CopyDecoder::default();
    // The tenant stands here beside the policy: a superuser's session still reads one tenant.
    let copy = format!(
        "COPY ({select} WHERE tenant_id = '{}' ORDER BY id LIMIT {}) TO STDOUT (FORMAT binary)",
        transaction.tenant().uuid(),
        max_rows.saturating_add(1).min(i64::MAX as usize),
    );
    transaction.copy_out(&copy, |message| decoder.push(&message, &mut columns)).await?;
    decoder.finish()?;
    if columns.n_rows() > max_rows {
        return Err(too_many_rows(model_type, max_rows));
    }
    Ok(columns)
}

/// The default query and `more` columns, but for the tenant and the order.
fn select(model_type: ModelType, more: &str) -> String {
    let mut names: Vec<&str> = model_type.features.iter().map(|feature| feature.name).collect();
    names.extend(model_type.target.map(|target| target.name));
    format!("SELECT {}, observed_at{more} FROM {}", names.join(", "), model_type.table)
}

/// Which column holds what: the catalog says what for, the server of which type.
async fn plan(
    transaction: &mut TenantTransaction,
    model_type: ModelType,
    select: &str,
) -> Result<Vec<ColumnPlan>> {
    let statement = transaction.prepare(AssertSqlSafe(select).into_sql_str()).await?;
    let plans = statement.columns().iter().map(|column| {
        let (name, sql_type) = (column.name(), column.type_info().name());
        let wire = WireType::of(sql_type)
            .ok_or_else(|| Error::internal(format!("{}.{name} has the type {sql_type}", model_type.table)))?;
        let feature = model_type.features.iter().find(|feature| feature.name == name);
        let role = match feature.map(|feature| feature.kind) {
            Some(FeatureKindSpec::Categorical { .. }) => Role::Category(numbered(model_type, name)),
            Some(FeatureKindSpec::Numeric) if wire == WireType::Text => Role::Category(vec![]),
            Some(FeatureKindSpec::Numeric) => Role::Number,
            None if name == "observed_at" => Role::Time,
            None if name == "entity_id" => Role::Entity,
            None => Role::Target,
        };
        Ok(ColumnPlan { name: name.to_owned(), wire, role })
    });
    plans.collect()
}

fn too_many_rows(model_type: ModelType, limit: usize) -> Error {
    let msg = format!("{} has more than {limit} rows, the most that one training reads", model_type.table);
    let error = FieldError::body("too_many_rows", ["model_type"], msg, json!(model_type.name));
    Error::invalid(error.with_ctx(json!({ "max": limit })))
}
