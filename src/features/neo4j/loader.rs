//! Writes a sample graph, for the demo and the tests. No request reaches it.

use neo4rs::{BoltList, BoltMap, BoltType, Query};
use serde_json::{Map, Value, json};
use tokio::sync::Mutex;

use super::session::{Session, failure};
use super::{GraphOptions, OpenError};
use crate::dev::graph::{Batch, SampleGraph};
use crate::error::Result;

const COUNT: &str = "MATCH (n {tenantId: $tenantId}) OPTIONAL MATCH (n)-[r]->() \
    RETURN count(DISTINCT n) AS nodes, count(r) AS relationships";
const REMOVE: &str = "UNWIND $rows AS row MATCH (n {tenantId: row.tenantId}) DETACH DELETE n";

/// Makes `graph` all that its tenant has; does nothing where that is so already, by the counts. Returns
/// how many nodes were written.
///
/// # Errors
/// [`OpenError`] when Neo4j is down or refuses a statement; a part of the graph may be there then.
pub async fn load(options: &GraphOptions, graph: &SampleGraph) -> Result<usize, OpenError> {
    let Some(tenant) = graph.tenant() else { return Ok(0) };
    let n_nodes = graph.nodes.values().map(Vec::len).sum();
    // Of two loaders that make the same index at once Neo4j refuses one, IF NOT EXISTS or not.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());
    let _turn = ONE_AT_A_TIME.lock().await;
    let session = Session::open(options)?;
    let count = session.in_time(count(&session, tenant)).await.map_err(OpenError::Unavailable)?;
    if count == (n_nodes, graph.relationships.len()) {
        return Ok(0);
    }
    let tenant = Map::from_iter([("tenantId".to_owned(), json!(tenant))]);
    let remove = Batch { statement: REMOVE.to_owned(), rows: vec![tenant] };
    write(&session, std::iter::once(remove).chain(graph.batches())).await?;
    Ok(n_nodes)
}

/// Nodes of the tenant, and relationships that start at them.
async fn count(session: &Session, tenant: &str) -> Result<(usize, usize)> {
    let query = Query::new(COUNT.to_owned()).param("tenantId", tenant);
    let mut stream = session.graph().execute_read(query).await.map_err(failure)?;
    let Some(row) = stream.next().await.map_err(failure)? else { return Ok((0, 0)) };
    let count = |name: &str| row.get::<u32>(name).map_or(0, |count| count as usize);
    Ok((count("nodes"), count("relationships")))
}

/// Runs the statements one after the other, each in a transaction of its own.
pub(super) async fn write(
    session: &Session,
    batches: impl IntoIterator<Item = Batch>,
) -> Result<(), OpenError> {
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
