//! What one tenant's training must never see of another's graph.

use serde_json::json;

use super::{load, message, service, tenant, write};

/// Stands in every node of tenant B.
const CANARY: &str = "canary-of-tenant-b";
const CANARY_NUMBER: f64 = 77_777_777.25;

const EVERYTHING: &str = "MATCH (t:TrainingData {tenantId: $tenantId})
RETURN t.entityId AS entity_id, t.kind AS kind, t.size AS size, t.cost AS target";

#[tokio::test(flavor = "multi_thread")]
async fn a_training_sees_its_own_nodes_only() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("everything.cypher"), EVERYTHING).expect("written");
    let service = service(&[("CYPHER_TEMPLATES_DIR", folder.path().to_str().expect("a path"))]).await;
    let (a, b) = (tenant().tenant_id.to_string(), tenant().tenant_id.to_string());
    let row = |kind: &'static str, unit: f64| {
        move |i: usize| {
            let size = unit * (i % 13 + 1) as f64;
            let kind = format!("{kind}-{}", i % 2);
            json!({"model_type": "cost_forecasting", "entity_id": format!("e{i}"), "kind": kind, "size": size,
                   "cost": size * 3.0, "property_type": kind, "project_size_sqft": size, "actual_cost": size * 3.0,
                   "num_units": i % 7, "location_tier": i % 4, "year": 2000 + i % 20})
        }
    };
    // The same entity ids on purpose: the tenant is a part of the key.
    write(&a, "TrainingData", (0..40).map(row("own", 1.0))).await;
    write(&b, "TrainingData", (0..60).map(row(CANARY, CANARY_NUMBER))).await;

    for (more, rows) in
        [(json!({}), "40 of Neo4j"), (json!({"training_data_query": "cypher:everything"}), "")]
    {
        let trained = service.train(&a, "cost_forecasting", more).await.ok();
        assert!(message(&trained).contains(rows), "{trained}");
        assert!(message(&trained).contains("on 32 rows (8 held out"), "{trained}");
        let rmse = trained["metrics"]["rmse"].as_f64().expect("a number");
        assert!(rmse < 1000.0, "no target of B's: {trained}");
        assert!(!trained.to_string().contains(CANARY), "{trained}");
    }
    let stored = service.stored_models(&a).await;
    assert!(stored.contains("own") && !stored.contains(CANARY), "{stored}");
    // The canary would be seen: B's own training knows it.
    service.train(&b, "cost_forecasting", json!({})).await.ok();
    assert!(service.stored_models(&b).await.contains(CANARY));
    assert!(!service.stored_models(&a).await.contains(CANARY));
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_side_lends_rows_to_another_tenant() {
    let service = service(&[]).await;
    let (rich, poor) = (tenant(), tenant().tenant_id.to_string());
    let rich_id = rich.tenant_id.to_string();
    service.load_sample(&rich_id, &rich).await;
    load(&rich).await;
    assert_eq!(service.train(&poor, "risk_assessment", json!({})).await.kinds(), ["too_few_rows"]);
    // Records of one tenant under the entity ids of another's nodes: nothing is joined.
    let twin = binah_ml::dev::portfolio::TenantProfile { tenant_id: tenant().tenant_id, ..rich };
    let twin_id = twin.tenant_id.to_string();
    service.load_sample(&twin_id, &twin).await;
    let trained = service.train(&twin_id, "risk_assessment", json!({})).await.ok();
    assert!(message(&trained).contains("150 of Postgres and 0 of Neo4j"), "{trained}");
    let foreign = service.train(&poor, "risk_assessment", json!({"tenant_id": rich_id})).await;
    assert_eq!(foreign.status, 403);
}
