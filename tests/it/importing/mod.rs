//! `binah-ml import` against a real Postgres.

mod destinations;
mod formats;
mod isolation;
mod training;

use binah_ml::storage::ConnectConfig;
use serde_json::{Map, Value};
use sqlx::{AssertSqlSafe, query_scalar, types::Json};

use crate::support::{TENANT_A, database::connect, imports::physical, tenant};

/// The rows of tenant A's table as text, in order of import; NULL as `NULL`.
async fn rows(config: &ConnectConfig, table: &str, columns: &str) -> Vec<Vec<String>> {
    let table = physical(config, tenant(TENANT_A), table).await;
    texts(config, &format!("SELECT {columns} FROM {table} ORDER BY import_row")).await
}

/// What a statement of the owner gives, as text.
async fn texts(config: &ConnectConfig, statement: &str) -> Vec<Vec<String>> {
    let mut owner = connect(config).await;
    sqlx::raw_sql("SET timezone TO 'UTC'").execute(&mut owner).await.expect("set");
    let wrapped = format!("SELECT to_json(r) FROM ({statement}) AS r");
    let rows: Vec<Json<Map<String, Value>>> =
        query_scalar(AssertSqlSafe(wrapped)).fetch_all(&mut owner).await.expect("reads");
    let cell = |value: &Value| match value {
        Value::Null => "NULL".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    rows.iter().map(|row| row.values().map(cell).collect()).collect()
}
