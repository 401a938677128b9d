//! What the service logged loads in Python, under MLflow 3.17 and 2.9.2, as server and as client,
//! and predicts the service's numbers.

#![expect(clippy::print_stdout, reason = "the matrix of differences, for whoever asks with --nocapture")]

use std::collections::BTreeMap;

use binah_ml::tracking::{ClientConfig, client::Client};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    python::{self, Stack},
    support::{Service, servers},
};

/// Rows that every model is asked over HTTP and in Python.
const N_ASKED: usize = 40;

/// Rows with categories and missing values; `target` is added by its name.
fn rows(n: usize, target: Option<&str>) -> Vec<Value> {
    let row = |i: usize| {
        let (size, age) = ((i * 37 % 101) as f64, (i * 7919 % 89) as f64 / 7.0);
        let kind = ["barn", "flat", "house", "shop", "tower"][i * 13 % 5];
        let mut row = json!({
            "size": if i.is_multiple_of(11) { Value::Null } else { json!(size) },
            "kind": if i.is_multiple_of(17) { Value::Null } else { json!(kind) },
            "age": age,
        });
        match target {
            Some("high_risk") => row["high_risk"] = json!(size + 3.0 * age > 60.0 + (i % 19) as f64),
            Some(name) => {
                row[name] = json!(1e5 + 50.0 * size + 3000.0 * (i * 13 % 5) as f64 + (i % 19) as f64)
            }
            None => {}
        }
        row
    };
    (0..n).map(row).collect()
}

/// Trains a model of a type and asks it; what Python needs to do the same.
async fn trained(service: &Service, tenant: &str, model_type: &str, target: Option<&str>) -> Value {
    let answer = service.train(tenant, model_type, json!({"data": rows(400, target), "seed": 7})).await.ok();
    assert_ne!(answer["run_id"], "", "{answer}");
    let asked = rows(N_ASKED, None);
    let mut expected = vec![];
    for row in &asked {
        let answer = service.predict(tenant, model_type, row.clone()).await.ok();
        expected.push(answer["prediction"]["value"].clone());
    }
    json!({
        "model_type": model_type, "uri": answer["model_uri"], "name": format!("{tenant}_{model_type}"),
        "rows": asked, "expected": expected,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn every_flavor_loads_and_predicts_the_same() {
    for (server, uri) in [("3.17", servers::mlflow().await), ("2.9.2", servers::old_mlflow().await)] {
        let service = Service::start_with(&[("MLFLOW_TRACKING_URI", uri)]).await;
        let client = Client::new(ClientConfig::new(uri.parse().expect("an address"))).expect("a client");
        let tenant = Uuid::new_v4().to_string();
        let mut models = vec![];
        for (model_type, target) in [
            ("cost_forecasting", Some("total_cost")),
            ("risk_assessment", Some("high_risk")),
            ("anomaly_detection", None),
        ] {
            let model = trained(&service, &tenant, model_type, target).await;
            let name = model["name"].as_str().expect("a text");
            client.set_alias(name, "champion", "1").await.expect("sets the alias");
            models.push(model);
        }
        let request = json!({"tracking_uri": uri, "models": models}).to_string();
        for stack in Stack::ALL {
            let answer = python::run(python::script_under(stack, "it/python/load_models.py").arg(&request));
            let (versions, differences): (Value, BTreeMap<String, f64>) =
                serde_json::from_str(&answer).expect("JSON");
            println!("server {server}, client {versions}");
            // Two of XGBoost, two of scikit-learn; ONNX and pyfunc of each type.
            assert_eq!(differences.len(), 2 + 2 + 3 + 3, "{differences:?}");
            for (what, difference) in differences {
                println!("  {what}: {difference:e}");
                let bound = match what.split_once(' ').expect("a flavor and a type") {
                    ("xgboost", _) | ("pyfunc", "cost_forecasting") => 0.0,
                    ("sklearn", _) => 1e-9,
                    _ => 1e-6,
                };
                assert!(difference <= bound, "server {server}, client {versions}: {what}: {difference}");
            }
        }
    }
}
