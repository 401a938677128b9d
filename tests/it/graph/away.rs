//! Neo4j that is not there, comes, and goes.

use std::net::SocketAddr;

use serde_json::json;
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use super::{load, message, service, tenant};
use crate::support::servers;

/// A door before the shared Neo4j that can be shut.
struct Door {
    address: SocketAddr,
    open: Option<tokio::task::JoinHandle<()>>,
}

impl Door {
    /// A shut one: the port is known, and nobody listens.
    async fn shut() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        Self { address: listener.local_addr().expect("an address"), open: None }
    }

    async fn open(&mut self) {
        let uri = servers::neo4j().await.uri();
        let server = uri.trim_start_matches("bolt://").to_owned();
        let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
        socket.set_reuseaddr(true).expect("set");
        socket.bind(self.address).expect("still free");
        let listener = socket.listen(16).expect("listens");
        self.open = Some(tokio::spawn(async move {
            // Dropped with the task, and with it every connection.
            let mut connections = JoinSet::new();
            while let Ok((mut client, _)) = listener.accept().await {
                let mut server = TcpStream::connect(&server).await.expect("Neo4j answers");
                connections.spawn(async move {
                    let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
                });
            }
        }));
    }

    async fn close(&mut self) {
        if let Some(open) = self.open.take() {
            open.abort();
            let _ = open.await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn trainings_fall_back_or_say_who_is_missing_and_predictions_do_not_notice() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = "MATCH (p:Project {tenantId: $tenantId}) RETURN p.entityId AS entity_id, p.year AS year, p.sizeSqft AS target";
    std::fs::write(folder.path().join("years.cypher"), text).expect("written");
    let mut door = Door::shut().await;
    let uri = format!("bolt://{}", door.address);
    let templates = folder.path().to_str().expect("a path");
    // Each training is served, whatever the metric says of rows of different sources.
    let settings =
        [("NEO4J_URI", uri.as_str()), ("CYPHER_TEMPLATES_DIR", templates), ("PROMOTION", "always")];
    let service = service(&settings).await;
    let (full, graph_only) = (tenant(), tenant());
    let (full_id, graph_id) = (full.tenant_id.to_string(), graph_only.tenant_id.to_string());
    service.load_sample(&full_id, &full).await;
    load(&full).await;
    load(&graph_only).await;
    let features = json!({"project_size_sqft": 5000, "num_units": 50, "location_tier": 2, "property_type": 1, "year": 2024});
    let by_template = json!({"training_data_query": "cypher:years"});

    // Down twice: at the start, and after it was there.
    for _ in 0..2 {
        let trained = service.train(&full_id, "cost_forecasting", json!({})).await.ok();
        let warnings = trained["warnings"].to_string();
        assert!(
            warnings.contains("Neo4j is not available") && !message(&trained).contains("joined"),
            "{trained}"
        );
        for (tenant_id, more) in [(&graph_id, json!({})), (&full_id, by_template.clone())] {
            let refused = service.train(tenant_id, "cost_forecasting", more).await;
            assert_eq!((refused.status, &refused.body["detail"]), (503, &json!("Neo4j is not available")));
        }
        service.predict(&full_id, "cost_forecasting", features.clone()).await.ok();

        door.open().await;
        let trained = service.train(&full_id, "cost_forecasting", json!({})).await.ok();
        assert!(message(&trained).contains("joined") && trained["warnings"] == json!([]), "{trained}");
        service.train(&graph_id, "cost_forecasting", json!({})).await.ok();
        service.train(&full_id, "cost_forecasting", by_template.clone()).await.ok();
        door.close().await;
        // The newest model wants the template's feature, the one before it those of the records.
        service.predict(&full_id, "cost_forecasting", json!({"year": 2020})).await.ok();
        service.train(&full_id, "cost_forecasting", json!({})).await.ok();
        service.predict(&full_id, "cost_forecasting", features.clone()).await.ok();
    }
}
