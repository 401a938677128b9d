//! Trainings that read the graph, against a real Neo4j that all tests share: each has tenants of its own.

mod away;
mod isolation;
mod templates;

use std::collections::BTreeMap;

use binah_ml::{
    dev::{
        graph::SampleGraph,
        portfolio::{RowCounts, TenantProfile},
        sample,
    },
    features::neo4j::{self, GraphOptions},
};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::support::{Service, servers};

/// The settings by which a service finds the shared Neo4j.
pub async fn settings() -> Vec<(&'static str, String)> {
    let server = servers::neo4j().await;
    vec![("NEO4J_URI", server.uri()), ("NEO4J_PASSWORD", server.password().to_owned())]
}

/// The sample graph of a tenant.
pub async fn load(profile: &TenantProfile) {
    sample::load_graph(&options().await, profile).await.expect("loads");
}

async fn options() -> GraphOptions {
    GraphOptions::from(&servers::neo4j().await.config())
}

/// A service that reads the graph, with `more` settings.
async fn service(more: &[(&str, &str)]) -> Service {
    let mut settings = settings().await;
    settings.retain(|(name, _)| !more.iter().any(|(other, _)| other == name));
    let settings: Vec<_> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
    Service::start_with(&[&settings, more].concat()).await
}

/// A tenant that no other test has, with few rows.
fn tenant() -> TenantProfile {
    let rows = RowCounts { cost: 150, risk: 150, roi: 120, properties: 6 };
    TenantProfile { tenant_id: Uuid::new_v4(), rows, ..TenantProfile::metropolitan() }
}

/// Writes nodes of one label for a tenant, who has no others then.
async fn write(tenant_id: &str, label: &'static str, nodes: impl Iterator<Item = Value>) {
    let node = |(i, node): (usize, Value)| {
        let mut own = Map::from_iter([
            ("tenantId".to_owned(), json!(tenant_id)),
            ("entityId".to_owned(), json!(format!("node-{i}"))),
        ]);
        own.extend(node.as_object().expect("an object").clone());
        own
    };
    let nodes = BTreeMap::from([(label, nodes.enumerate().map(node).collect())]);
    neo4j::load(&options().await, &SampleGraph { nodes, relationships: vec![] }).await.expect("writes");
}

fn message(trained: &Value) -> &str {
    trained["message"].as_str().expect("a text")
}

/// The parameters of a run by name.
async fn run_params(service: &Service, trained: &Value) -> BTreeMap<String, String> {
    let url = format!(
        "{}/api/2.0/mlflow/runs/get?run_id={}",
        service.config.mlflow.tracking_uri,
        trained["run_id"].as_str().expect("a run")
    );
    let run: Value = reqwest::get(url).await.expect("an answer").json().await.expect("JSON");
    let params = run["run"]["data"]["params"].as_array().expect("a list");
    let text = |param: &Value, key: &str| param[key].as_str().expect("a text").to_owned();
    params.iter().map(|param| (text(param, "key"), text(param, "value"))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_training_joins_both_sides_and_says_what_each_gave() {
    let service = service(&[("MLFLOW_TRACKING_URI", servers::mlflow().await)]).await;
    let profile = tenant();
    let tenant_id = profile.tenant_id.to_string();
    service.load_sample(&tenant_id, &profile).await;
    load(&profile).await;
    for (model_type, records, relationship, features) in [
        (
            "cost_forecasting",
            150,
            "market_mean_size_sqft",
            json!({"project_size_sqft": 5000, "num_units": 50, "location_tier": 2, "property_type": 1, "year": 2024}),
        ),
        (
            "risk_assessment",
            150,
            "newest_deal_age_days",
            json!({"leverage_ratio": 0.7, "occupancy_rate": 0.9, "market_volatility": 0.15,
                   "property_age": 20, "location_risk_score": 4}),
        ),
        (
            "roi_prediction",
            120,
            "deal_count",
            json!({"purchase_price": 1e6, "annual_revenue": 2e5, "operating_expenses": 8e4,
                   "property_type": "commercial", "market_growth_rate": 0.03}),
        ),
        (
            "anomaly_detection",
            6 * 36,
            "market_vacancy_rate",
            json!({"monthly_revenue": 5e4, "occupancy_rate": 0.9, "maintenance_cost": 4e3, "tenant_turnover": 0.1}),
        ),
    ] {
        let trained = service.train(&tenant_id, model_type, json!({})).await.ok();
        let params = run_params(&service, &trained).await;
        let count = |name: &str| params[name].parse::<usize>().expect("a number");
        assert_eq!((params["data_source"].as_str(), count("rows_postgres")), ("joined", records));
        assert!(
            count("rows_both") == records && count("rows_neo4j") > 0,
            "every record has its node: {params:?}"
        );
        assert!(count("cells_neo4j") > 0 && count("cells_both") > 0, "{params:?}");
        let cells = count("cells_postgres") + count("cells_neo4j") + count("cells_missing");
        let n_features = count("n_features");
        assert_eq!(cells, count("rows_joined") * n_features, "{params:?}");
        let said = format!(
            "joined {} rows from {records} of Postgres and {} of Neo4j: {} values from Postgres, {} from Neo4j",
            count("rows_joined"),
            count("rows_neo4j"),
            count("cells_postgres"),
            count("cells_neo4j")
        );
        assert!(message(&trained).contains(&said), "{said}: {}", message(&trained));

        // The documented payload goes on working; what the graph alone knew may be sent, and counts then.
        let plain = service.predict(&tenant_id, model_type, features.clone()).await.ok();
        assert!(plain["prediction"]["value"].is_f64(), "{plain}");
        let mut more = features.clone();
        more[relationship] = json!(1.0);
        more["zzz"] = json!(1);
        let answer = service.predict(&tenant_id, model_type, more).await.ok();
        assert_eq!(answer["ignored_features"], json!(["zzz"]), "{answer}");
        let mut fewer = features;
        let dropped = fewer.as_object().and_then(|map| map.keys().next().cloned()).expect("a feature");
        fewer.as_object_mut().expect("an object").remove(&dropped);
        assert_eq!(service.predict(&tenant_id, model_type, fewer).await.kinds(), ["missing"], "{dropped}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_without_nodes_trains_on_its_records() {
    let service = service(&[]).await;
    let profile = tenant();
    let tenant_id = profile.tenant_id.to_string();
    service.load_sample(&tenant_id, &profile).await;
    let trained = service.train(&tenant_id, "cost_forecasting", json!({})).await.ok();
    assert!(message(&trained).contains("joined 150 rows from 150 of Postgres and 0 of Neo4j"), "{trained}");
    assert!(!service.stored_models(&tenant_id).await.contains("deal_count"), "no feature without a value");
}

#[tokio::test(flavor = "multi_thread")]
async fn both_sides_together_stay_within_the_limit_of_rows() {
    let profile = tenant();
    let profile = TenantProfile { rows: RowCounts { cost: 70, ..profile.rows }, ..profile };
    let tenant_id = profile.tenant_id.to_string();
    let node = |i: usize| {
        json!({"model_type": "cost_forecasting", "project_size_sqft": i * 37 % 101, "num_units": i % 7,
               "location_tier": i % 4, "property_type": "commercial", "year": 2000 + i % 20, "actual_cost": i})
    };
    write(&tenant_id, "TrainingData", (0..60).map(node)).await;
    for (limit, is_enough) in [("129", false), ("130", true)] {
        let service = service(&[("TRAINING_MAX_ROWS", limit)]).await;
        service.load_sample(&tenant_id, &profile).await;
        let answer = service.train(&tenant_id, "cost_forecasting", json!({})).await;
        if is_enough {
            assert!(message(&answer.ok()).contains("joined 130 rows from 70 of Postgres and 60 of Neo4j"));
            continue;
        }
        assert_eq!(answer.kinds(), ["too_many_rows"]);
        let entry = &answer.body["detail"][0];
        let said =
            "cost_records and Neo4j have 130 rows together, more than 129, the most that one training reads";
        assert_eq!(
            (&entry["msg"], &entry["loc"], &entry["ctx"]),
            (&json!(said), &json!(["body", "model_type"]), &json!({"max": 129}))
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_rows_give_the_same_model() {
    let service = service(&[]).await;
    let profile = tenant();
    let tenant_id = profile.tenant_id.to_string();
    load(&profile).await;
    let mut metrics = vec![];
    for _ in 0..2 {
        metrics.push(service.train(&tenant_id, "risk_assessment", json!({})).await.ok()["metrics"].clone());
    }
    assert_eq!(metrics[0], metrics[1], "training data of the graph alone");
}
