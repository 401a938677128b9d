//! What a training holds: the most memory of the process, beside what was reserved for it.

use serde_json::{Value, json};

use crate::support::{Program, TENANT_A, TestDatabase, servers};

const ROWS: usize = 1_000_000;
/// Beside the target.
const COLUMNS: usize = 20;

/// `cargo test --release --test it memory:: -- --ignored --nocapture`; `BINAH_ML` names another build to compare with.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
#[expect(clippy::print_stdout, reason = "the figures of a run")]
async fn a_training_holds_no_more_than_was_reserved() {
    let database = TestDatabase::new().await;
    let fill = format!(
        "INSERT INTO cost_records (tenant_id, entity_id, project_size_sqft, num_units, location_tier, property_type, year, total_cost)
         SELECT '{TENANT_A}', 'e', random() * 1e5, random() * 500, random() * 4, (ARRAY['a', 'b', 'c'])[1 + g % 3],
                1950 + random() * 70, random() * 1e6
           FROM generate_series(1, {ROWS}) g"
    );
    database.as_owner(&fill).await;
    let settings = [
        ("MLFLOW_TRACKING_URI", servers::NOBODY),
        ("LOG_LEVEL", "warn,binah_ml::training=debug"),
        ("LOG_FORMAT", "json"),
        ("TRAINING_MEMORY_MB", "16000"),
    ];
    let mut program = Program::with_database(&database, &settings);
    if let Some(binary) = std::env::var_os("BINAH_ML") {
        program.binary = binary.into();
    }
    let columns: Vec<_> =
        (1..COLUMNS).map(|i| format!("project_size_sqft * {i} + num_units AS x{i}")).collect();
    let columns = columns.join(", ");
    let mut exceeded = vec![];
    for (model_type, rows, config) in [
        ("cost_forecasting", ROWS, json!({"n_estimators": 5})),
        ("risk_assessment", ROWS, json!({"n_estimators": 5})),
        ("anomaly_detection", ROWS, json!({"n_estimators": 20})),
        ("cost_forecasting", ROWS / 10, json!({"n_estimators": 1000, "max_depth": 10})),
        ("risk_assessment", ROWS / 10, json!({"n_estimators": 300, "max_depth": 12})),
        ("anomaly_detection", ROWS / 10, json!({"n_estimators": 1000, "max_samples": 1024})),
    ] {
        // A process of its own each: what one training left must not count for the next.
        let service = program.serve().await;
        let before = peak(&service.status());
        let target = match model_type {
            "cost_forecasting" => "total_cost",
            "risk_assessment" => "CASE WHEN total_cost > 7e5 THEN 1 ELSE 0 END AS high_risk",
            _ => "year",
        };
        let query =
            format!("SELECT {columns}, property_type AS kind, {target} FROM cost_records LIMIT {rows}");
        let more = json!({"training_data_query": query, "config": config.clone()});
        let trained: Value = service.train(TENANT_A, model_type, more).await.ok();
        let message = trained["message"].as_str().expect("a text");
        assert!(message.contains(&format!("on {} rows", rows / 10 * 8)), "{trained}");
        let held = (peak(&service.status()) - before) / 1024;
        let reserved = reserved(&service.stop().await);
        println!("{model_type}, {rows} rows, {config}: held {held} MB, reserved {reserved} MB");
        if held > reserved {
            exceeded.push(model_type);
        }
    }
    assert_eq!(exceeded, <Vec<&str>>::new());
}

/// The last reservation that a log tells of, in megabytes.
fn reserved(log: &str) -> u64 {
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut megabytes = lines.filter_map(|line| line["megabytes"].as_u64());
    megabytes.next_back().expect("a reservation")
}

/// `VmHWM`, kB.
fn peak(status: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("Linux");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}
