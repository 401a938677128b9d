//! A measurement.

use std::collections::BTreeMap;

use serde_json::json;

use super::*;

/// Prints figures: `cargo test --lib -- --ignored --nocapture throughput`.
#[tokio::test]
#[ignore = "a measurement"]
#[expect(clippy::print_stdout, reason = "a measurement")]
async fn throughput_of_100_000_rows() {
    let folder = tempfile::tempdir().expect("scratch folder");
    let start = std::time::Instant::now();
    let server = server(folder.path()).await;
    println!("start {:.1} s", start.elapsed().as_secs_f64());
    let options = options(&server);
    let tenant = TenantProfile::regional().tenant_id.to_string();
    let node = |i: usize| {
        let row = json!({"tenantId": tenant, "entityId": format!("n{i}"), "model_type": "cost_forecasting",
            "entity_id": format!("n{i}"), "project_size_sqft": i as f64 * 1.5, "num_units": i % 90, "location_tier": i % 4,
            "property_type": (if i.is_multiple_of(2) { "residential" } else { "commercial" }), "year": 2020, "actual_cost": i as f64 * 300.0});
        row.as_object().cloned().unwrap_or_default()
    };
    let nodes = BTreeMap::from([("TrainingData", (0..100_000).map(node).collect())]);
    let start = std::time::Instant::now();
    load(&options, &SampleGraph { nodes, relationships: vec![] }).await.expect("loaded");
    println!("100,000 nodes loaded in {:.1} s", start.elapsed().as_secs_f64());
    let cost = ModelType::parse("cost_forecasting").expect("a type");
    let source = source(&options);
    for _ in 0..3 {
        let start = std::time::Instant::now();
        let tenant = TenantId::trusted(TenantProfile::regional().tenant_id);
        let rows = tenant::scope(tenant, source.rows(cost, today())).await.expect("rows");
        let seconds = start.elapsed().as_secs_f64();
        println!(
            "{} rows x 10 columns in {seconds:.2} s: {:.0} rows/s",
            rows.table.n_rows,
            rows.table.n_rows as f64 / seconds
        );
    }
}
