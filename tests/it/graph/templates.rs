//! The operator's templates.

use std::path::Path;

use binah_ml::{app::App, config::Config};
use metrics_exporter_prometheus::PrometheusBuilder;
use serde_json::json;

use super::{message, service, settings, tenant, write};
use crate::support::{Program, Service};

const PRICES: &str = "// What a flat costs by its floor.
MATCH (f:Flat {tenantId: $tenantId})
RETURN f.entityId AS entity_id, f.floor AS floor, f.view AS view, f.price AS target";
const NO_TARGET: &str =
    "MATCH (f:Flat {tenantId: $tenantId}) RETURN f.entityId AS entity_id, f.floor AS floor";
/// Passes the check of the text; only the server knows that there is no such function.
const UNKNOWN_FUNCTION: &str =
    "MATCH (f:Flat {tenantId: $tenantId}) RETURN f.entityId AS entity_id, nosuchfunction(f.floor) AS floor";
/// Sees every tenant's nodes.
const WITHOUT_TENANT: &str = "MATCH (f:Flat)\nRETURN f.entityId AS entity_id, f.price AS target";

fn folder(templates: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in templates {
        std::fs::write(folder.path().join(format!("{name}.cypher")), text).expect("written");
    }
    folder
}

fn dir(folder: &tempfile::TempDir) -> &str {
    folder.path().to_str().expect("a path")
}

/// The only message of a 422.
fn only_message(answer: &crate::support::Answer) -> &str {
    assert_eq!(answer.kinds().len(), 1);
    answer.body["detail"][0]["msg"].as_str().expect("a text")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_picks_one_by_name() {
    let folder = folder(&[("prices", PRICES), ("no_target", NO_TARGET)]);
    let service = service(&[("CYPHER_TEMPLATES_DIR", dir(&folder))]).await;
    let profile = tenant();
    let tenant_id = profile.tenant_id.to_string();
    // Records that must not come in: the template stands alone.
    service.load_sample(&tenant_id, &profile).await;
    let flat = |i: usize| {
        let view = ["sea", "yard"][i % 2];
        json!({"floor": i % 9, "view": view, "price": 1000 * (i % 9) + 50 * (i % 2)})
    };
    write(&tenant_id, "Flat", (0..50).map(flat)).await;
    let query = |name: &str| json!({"training_data_query": name});

    let trained = service.train(&tenant_id, "cost_forecasting", query(" cypher:prices ")).await.ok();
    assert!(message(&trained).contains("on 40 rows (10 held out"), "{trained}");
    let features = json!({"floor": 3, "view": "sea"});
    let answer = service.predict(&tenant_id, "cost_forecasting", features).await.ok();
    assert!(answer["prediction"]["value"].is_f64(), "{answer}");
    let missing = service.predict(&tenant_id, "cost_forecasting", json!({"floor": 3})).await;
    assert_eq!(missing.kinds(), ["missing"], "the template was chosen, and with it every feature");

    let unknown = service.train(&tenant_id, "cost_forecasting", query("cypher:../prices")).await;
    assert_eq!(unknown.kinds(), ["cypher_template"]);
    let said = only_message(&unknown);
    assert_eq!(said, "There is no Cypher template '../prices'; there are: no_target, prices");
    assert!(!unknown.body.to_string().contains(dir(&folder)), "{}", unknown.body);
    let without = service.train(&tenant_id, "cost_forecasting", query("cypher:no_target")).await;
    assert!(only_message(&without).contains("'total_cost' or 'target'"), "{}", without.body);
    service.train(&tenant_id, "anomaly_detection", query("cypher:no_target")).await.ok();
    let both = json!({"training_data_query": "cypher:prices", "data": [{"a": 1}]});
    assert_eq!(service.train(&tenant_id, "cost_forecasting", both).await.kinds(), ["value_error"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_neo4j_there_is_no_template() {
    let folder = folder(&[("prices", PRICES)]);
    let service = Service::start_with(&[("CYPHER_TEMPLATES_DIR", dir(&folder))]).await;
    let query = json!({"training_data_query": "cypher:prices"});
    let refused = service.train(crate::support::TENANT_A, "cost_forecasting", query).await;
    assert_eq!(refused.kinds(), ["not_available"]);
    assert!(only_message(&refused).contains("Neo4j is switched off"), "{}", refused.body);
}

/// What the start says with these templates, the causes as well.
async fn refusal(settings: &[(&str, &str)], folder: &Path) -> Option<String> {
    let lookup = |name: &str| match name {
        "CYPHER_TEMPLATES_DIR" => Some(folder.display().to_string()),
        "MODEL_REGISTRY_PATH" => Some(folder.join("models").display().to_string()),
        "POSTGRES_PORT" => Some("9".to_owned()),
        _ => settings.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()),
    };
    let config = Config::from_lookup(&lookup).expect("valid settings");
    let metrics = PrometheusBuilder::new().build_recorder().handle();
    let error = App::build(config, metrics).await.err()?;
    let cause = std::error::Error::source(&error).map(ToString::to_string);
    Some(format!("{error}: {}", cause.unwrap_or_default()))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_refuses_at_the_start_what_the_text_did_not_show() {
    let settings = settings().await;
    let settings: Vec<_> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let bad = folder(&[("prices", PRICES), ("unknown", UNKNOWN_FUNCTION)]);
    let said = refusal(&settings, bad.path()).await.expect("must not start");
    assert!(said.contains("unknown.cypher") && said.contains("nosuchfunction"), "{said}");
    let good = folder(&[("prices", PRICES)]);
    assert_eq!(refusal(&settings, good.path()).await, None);
}

#[test]
fn a_template_without_its_tenant_stops_the_program() {
    let bad = folder(&[("prices", PRICES), ("all", WITHOUT_TENANT)]);
    let said = serve_fails(dir(&bad));
    let file = bad.path().join("all.cypher").display().to_string();
    assert!(said.contains(&file) && said.contains("line 1"), "{said}");
    let said = serve_fails("/nowhere/at/all");
    assert!(said.contains("/nowhere/at/all"), "{said}");
}

/// The last line of a `serve` that must end at once; no Neo4j is there, and none is asked.
fn serve_fails(templates: &str) -> String {
    let settings =
        [("API_PORT", "0"), ("NEO4J_URI", "bolt://127.0.0.1:9"), ("CYPHER_TEMPLATES_DIR", templates)];
    let output = Program::new(&settings).run(&["serve"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    said.trim_end().lines().last().map(str::to_owned).unwrap_or_default()
}
