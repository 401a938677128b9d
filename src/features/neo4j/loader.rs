//! Writes a sample graph, for the demo and the tests. No request reaches it.

use neo4rs::{BoltList, BoltMap, BoltType, Query};
use serde_json::{Map, Value};

use super::session::{Session, failure};
use super::{GraphOptions, OpenError};
use crate::dev::graph::{Batch, SampleGraph};

/// Loads `graph` into an empty database. On a failure a part of it may be there.
///
/// # Errors
/// [`OpenError`] when Neo4j is down or refuses a statement.
pub async fn load(options: &GraphOptions, graph: &SampleGraph) -> Result<(), OpenError> {
    write(options, graph.batches()).await
}

/// Runs the statements one after the other, each in a transaction of its own.
pub(super) async fn write(
    options: &GraphOptions,
    batches: impl IntoIterator<Item = Batch>,
) -> Result<(), OpenError> {
    let session = Session::open(options)?;
    for batch in batches {
        let rows: BoltList = batch.rows.iter().map(bolt_map).collect::<Vec<_>>().into();
        let query = Query::new(batch.statement).param("rows", BoltType::List(rows));
        session
            .in_time(async { session.graph().run(query).await.map_err(failure) })
            .await
            .map_err(OpenError::Unavailable)?;
    }
    Ok(())
}

fn bolt_map(row: &Map<String, Value>) -> BoltType {
    let mut map = BoltMap::default();
    for (key, value) in row {
        map.put(key.as_str().into(), bolt(value));
    }
    BoltType::Map(map)
}

fn bolt(value: &Value) -> BoltType {
    match value {
        Value::Null => BoltType::Null(neo4rs::BoltNull),
        Value::Bool(value) => (*value).into(),
        Value::Number(number) => match number.as_i64() {
            Some(integer) => integer.into(),
            None => number.as_f64().unwrap_or(f64::NAN).into(),
        },
        Value::String(text) => text.as_str().into(),
        Value::Array(items) => BoltType::List(items.iter().map(bolt).collect::<Vec<_>>().into()),
        Value::Object(row) => bolt_map(row),
    }
}
