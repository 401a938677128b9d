//! What a training holds: the most memory of the process in one training of a million rows.

use crate::support::{Program, TENANT_A, TestDatabase, servers};
use serde_json::{Value, json};

const ROWS: usize = 1_000_000;
/// Beside the target.
const COLUMNS: usize = 20;

/// `cargo test --test it memory:: -- --ignored --nocapture`; `BINAH_ML` names another build to compare with.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
#[expect(clippy::print_stdout, reason = "the figures of a run")]
async fn what_a_training_holds() {
    let database = TestDatabase::new().await;
    let fill = format!(
        "INSERT INTO cost_records (tenant_id, entity_id, project_size_sqft, num_units, location_tier, property_type, year, total_cost)
         SELECT '{TENANT_A}', 'e', random() * 1e5, random() * 500, random() * 4, (ARRAY['a', 'b', 'c'])[1 + g % 3],
                1950 + random() * 70, random() * 1e6
           FROM generate_series(1, {ROWS}) g"
    );
    database.as_owner(&fill).await;
    let mut program = Program::with_database(&database, &[("MLFLOW_TRACKING_URI", servers::NOBODY)]);
    if let Some(binary) = std::env::var_os("BINAH_ML") {
        program.binary = binary.into();
    }
    let columns: Vec<_> =
        (1..COLUMNS).map(|i| format!("project_size_sqft * {i} + num_units AS x{i}")).collect();
    let columns = columns.join(", ");
    for (model_type, target, config) in [
        ("cost_forecasting", "total_cost", json!({"n_estimators": 5})),
        (
            "risk_assessment",
            "CASE WHEN total_cost > 7e5 THEN 1 ELSE 0 END AS high_risk",
            json!({"n_estimators": 5}),
        ),
        ("anomaly_detection", "year", json!({"n_estimators": 20})),
    ] {
        // A process of its own each: what one training left must not count for the next.
        let service = program.serve().await;
        let before = peak(&service.status());
        let query = format!("SELECT {columns}, property_type AS kind, {target} FROM cost_records");
        let more = json!({"training_data_query": query, "config": config});
        let trained: Value = service.train(TENANT_A, model_type, more).await.ok();
        assert!(trained["message"].as_str().expect("a text").contains("on 800000 rows"), "{trained}");
        println!("{model_type}: {} MB before, {} MB at most", before / 1024, peak(&service.status()) / 1024);
        service.stop().await;
    }
}

/// `VmHWM`, kB.
fn peak(status: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("Linux");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}
