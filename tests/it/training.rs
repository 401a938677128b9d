//! Training through HTTP, from the stored records or inline rows to the registry and MLflow.

use std::time::Duration;

use binah_ml::{dev::portfolio::TenantProfile, features::pipeline::DataProfile};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::{
    python,
    support::{Service, TENANT_A, TENANT_B, servers},
};

/// Inline rows of a noisy line, with a category and missing values.
fn rows(n: usize) -> Vec<Value> {
    let row = |i: usize| {
        let size = (i * 37 % 100) as f64;
        let kind = ["a", "b", "c"][i % 3];
        let noise = (i * 7919 % 13) as f64;
        json!({
            "size": if i.is_multiple_of(11) { Value::Null } else { json!(size) },
            "kind": if i.is_multiple_of(17) { Value::Null } else { json!(kind) },
            "total_cost": 1000.0 + 50.0 * size + 300.0 * (i % 3) as f64 + noise,
        })
    };
    (0..n).map(row).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_type_trains_is_logged_and_answers() {
    let service = Service::start().await;
    service.load_sample(TENANT_A, &TenantProfile::metropolitan()).await;
    for (model_type, metrics) in [
        ("cost_forecasting", &["rmse", "mae", "r2"][..]),
        ("risk_assessment", &["accuracy", "auc_roc"]),
        ("roi_prediction", &["rmse", "mae", "r2"]),
        ("anomaly_detection", &["anomaly_rate", "anomalies_detected"]),
    ] {
        let trained = service.train(TENANT_A, model_type, json!({})).await.ok();
        assert_eq!(trained["status"], "completed", "{trained}");
        let run_id = trained["run_id"].as_str().expect("a run");
        assert_eq!(run_id.len(), 32, "{trained}");
        assert_eq!(trained["model_uri"], format!("runs:/{run_id}/model"));
        for metric in metrics {
            assert!(trained["metrics"][metric].is_f64(), "{metric}: {trained}");
        }
        let path = format!("/api/ml/models/{TENANT_A}/{model_type}/metrics");
        assert_eq!(service.get(&path, TENANT_A).await.ok()["metrics"], trained["metrics"]);
    }
    let quality = |body: &Value, name: &str| body["metrics"][name].as_f64().expect("a number");
    let cost = service.train(TENANT_A, "cost_forecasting", json!({})).await.ok();
    assert!(quality(&cost, "r2") > 0.85, "the sample has a signal: {cost}");
    let risk = service.train(TENANT_A, "risk_assessment", json!({})).await.ok();
    assert!(quality(&risk, "auc_roc") > 0.75, "the sample has a signal: {risk}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_has_its_own_models_and_rows() {
    let service = Service::start_without_mlflow().await;
    service.load_sample(TENANT_A, &TenantProfile::metropolitan()).await;
    service.train(TENANT_A, "risk_assessment", json!({})).await.ok();
    let features = json!({"leverage_ratio": 0.7, "occupancy_rate": 0.9, "market_volatility": 0.15,
                          "property_age": 20, "location_risk_score": 4});
    service.predict(TENANT_A, "risk_assessment", features.clone()).await.ok();
    assert_eq!(service.predict(TENANT_B, "risk_assessment", features).await.status, 404);
    let without_rows = service.train(TENANT_B, "risk_assessment", json!({})).await;
    assert_eq!(without_rows.kinds(), ["too_few_rows"], "tenant B has no records");
    let foreign = service.train(TENANT_B, "risk_assessment", json!({"tenant_id": TENANT_A})).await;
    assert_eq!(
        (foreign.status, &foreign.body["detail"]),
        (403, &json!("Tenant ID in request does not match authenticated tenant"))
    );
    let metrics = format!("/api/ml/models/{TENANT_A}/risk_assessment/metrics");
    assert_eq!(service.get(&metrics, TENANT_B).await.status, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_mlflow_the_model_is_there_and_tracking_is_pending() {
    let service = Service::start_with(&[("MLFLOW_TRACKING_URI", servers::NOBODY)]).await;
    let trained = service.train(TENANT_A, "cost_forecasting", json!({"data": rows(60)})).await.ok();
    assert_eq!((&trained["status"], &trained["run_id"]), (&json!("completed"), &json!("")));
    assert!(trained["message"].as_str().expect("a text").contains("tracking is pending"), "{trained}");
    let answer = service.predict(TENANT_A, "cost_forecasting", json!({"size": 10, "kind": "b"})).await.ok();
    assert_eq!(answer["model_version"], "v1.0");
}

#[tokio::test(flavor = "multi_thread")]
async fn inline_rows_define_features_and_versions_count_up() {
    // The second model is the first one again: by itself it would not be served.
    let service = Service::start_with(&[("PROMOTION", "always")]).await;
    for version in ["v1.0", "v2.0"] {
        let more = json!({"data": rows(80), "config": {"n_estimators": 20}});
        service.train(TENANT_A, "cost_forecasting", more).await.ok();
        let answer =
            service.predict(TENANT_A, "cost_forecasting", json!({"size": 10, "kind": "b"})).await.ok();
        assert_eq!(answer["model_version"], version);
    }
    let ask = |version: &'static str| {
        let body = json!({"tenant_id": TENANT_A, "model_type": "cost_forecasting", "model_version": version,
                          "features": {"size": 10, "kind": "b"}});
        let service = &service;
        async move { service.post("/api/ml/predict", TENANT_A, &body).await }
    };
    assert_eq!(ask("1").await.ok()["model_version"], "v1.0");
    assert_eq!(ask("latest").await.ok()["model_version"], "v2.0");
    assert_eq!(ask("v7.0").await.status, 404);
    assert_eq!(ask("champion").await.ok()["model_version"], "v2.0");
    assert_eq!(ask("nobody").await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_teach_nothing_are_refused_precisely() {
    let service = Service::start_without_mlflow().await;
    let with = |change: fn(usize, &mut Value)| {
        let mut rows = rows(40);
        rows.iter_mut().enumerate().for_each(|(i, row)| change(i, row));
        json!({ "data": rows })
    };
    for (more, kind) in [
        (json!({"data": rows(19)}), "too_few_rows"),
        (json!({"data": []}), "missing"),
        (with(|_, row| row["total_cost"] = json!(5)), "no_target_variance"),
        (
            with(|_, row| {
                row["size"] = Value::Null;
                row["kind"] = json!("a");
            }),
            "no_feature_variance",
        ),
        (with(|i, row| row["size"] = if i == 3 { json!([1]) } else { json!(1) }), "float_type"),
        (json!({"data": rows(40), "target": "nope"}), "missing"),
        (json!({"data": rows(40), "split": "time"}), "missing"),
        (json!({"data": rows(40), "hyperparameters": {"max_depth": 0}}), "greater_than_equal"),
        (json!({"data": rows(40), "config": {"depth": 3}}), "extra_forbidden"),
        (json!({"data": rows(40), "training_data_query": "SELECT 1"}), "value_error"),
        (
            json!({"data": rows(40), "validation_split": 0, "hyperparameters": {"early_stopping_rounds": 5}}),
            "value_error",
        ),
    ] {
        let refused = service.train(TENANT_A, "cost_forecasting", more).await;
        assert_eq!(refused.kinds(), [kind], "{}", refused.body);
    }
    let one_class: Vec<_> = (0..30).map(|i| json!({"x": i, "high_risk": 1})).collect();
    assert_eq!(
        service.train(TENANT_A, "risk_assessment", json!({"data": one_class})).await.kinds(),
        ["single_class"]
    );
    let answer = service.predict(TENANT_A, "cost_forecasting", json!({"size": 1})).await;
    assert_eq!(answer.status, 404, "nothing was registered: {}", answer.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn mlflow_knows_the_rows_and_predictions_may_send_what_the_model_does_without() {
    let service = Service::start().await;
    let mut data = rows(60);
    for row in &mut data {
        row["currency"] = json!("EUR");
        row["size_again"] = row["size"].clone();
        row["nobody_knows"] = Value::Null;
        row["cost_in_cents"] = json!(row["total_cost"].as_f64().map(|cost| cost * 100.0));
    }
    let trained = service.train(TENANT_A, "cost_forecasting", json!({"data": data})).await.ok();
    assert_eq!(
        trained["warnings"],
        json!([
            "No row has a value, left out of the model: 'nobody_knows'",
            "The same value in every row, left out of the model: 'currency'",
            "A copy in every row, left out of the model: 'size_again' of 'size'",
            "'cost_in_cents' may give the target 'total_cost' away: its correlation with it is 1.00000",
        ])
    );
    let needed = json!({"size": 10, "kind": "b", "cost_in_cents": 150_000});
    let answer = service.predict(TENANT_A, "cost_forecasting", needed.clone()).await.ok();
    let mut all = needed;
    all["currency"] = json!("CHF");
    all["size_again"] = json!("ten");
    all["nobody_knows"] = json!([1]);
    all["zzz"] = json!(1);
    let same = service.predict(TENANT_A, "cost_forecasting", all).await.ok();
    assert_eq!(same["prediction"]["value"], answer["prediction"]["value"]);
    assert_eq!((&answer["ignored_features"], &same["ignored_features"]), (&json!([]), &json!(["zzz"])));

    let input =
        json!({"tracking_uri": service.config.mlflow.tracking_uri, "run_id": trained["run_id"]}).to_string();
    let logged = python::run(python::script("it/python/read_inputs.py").arg(input));
    let logged: Value = serde_json::from_str(&logged).expect("JSON");
    let digest = logged["params"]["data_digest"].as_str().expect("a digest");
    assert_eq!((digest.len(), &logged["tags"]["data_digest"]), (64, &json!(digest)));
    assert_eq!(
        logged["datasets"],
        json!([{
            "name": "inline",
            "digest": digest[..36],
            "context": "training",
            "source": {"tags": {"kind": "inline"}},
            "schema": [["size", "double"], ["kind", "string"], ["cost_in_cents", "double"], ["total_cost", "double"]],
            "profile": {"num_rows": 60, "num_elements": 240},
        }])
    );
    let profile = &logged["profile"];
    assert_eq!(profile.as_array().map(Vec::len), Some(4), "{profile}");
    assert_eq!(
        (&profile[0]["feature"], &profile[0]["count"], &profile[0]["missing"]),
        (&json!("size"), &json!(54), &json!(6))
    );
    assert_eq!(profile[1]["top"], "b 33.9%, c 33.9%, a 32.1%");

    let again = service.train(TENANT_A, "cost_forecasting", json!({"data": data, "seed": 1})).await.ok();
    assert_ne!(again["model_id"], trained["model_id"]);
    let digests: Vec<Option<String>> = service.column_of_models("data_digest").await;
    assert_eq!(digests, vec![Some(digest.to_owned()); 2], "the same rows");
    let kept = std::path::Path::new(&service.config.model_registry_path)
        .join(TENANT_A)
        .join("cost_forecasting")
        .join(trained["model_id"].as_str().expect("an id"))
        .join("profile.json");
    let kept: DataProfile = serde_json::from_slice(&std::fs::read(kept).expect("a file")).expect("a profile");
    assert_eq!((kept.n_rows, kept.features.len(), kept.features[0].missing), (60, 3, 6));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_hold_out_is_in_sample_and_says_so() {
    let service = Service::start_without_mlflow().await;
    let more = json!({"data": rows(40), "validation_split": 0});
    let trained = service.train(TENANT_A, "cost_forecasting", more).await.ok();
    assert!(trained["message"].as_str().expect("a text").contains("in-sample"), "{trained}");
    assert_eq!(trained["metrics"]["rmse"], trained["metrics"]["train_rmse"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_says_when_to_come_again() {
    for (setting, status) in [("TRAINING_QUEUE", 503), ("TENANT_TRAINING_QUEUE", 429)] {
        let service = Service::start_with(&[("WORKERS", "1"), (setting, "1")]).await;
        let until = async |state: &str| {
            while service.jobs_in(state).await == 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let long = json!({"data": rows(3000), "hyperparameters": {"n_estimators": 10_000, "max_depth": 8}});
        let (first, second, refused) = tokio::join!(
            service.train(TENANT_A, "cost_forecasting", long),
            async {
                until("training").await;
                service
                    .train(TENANT_A, "roi_prediction", json!({"data": rows(30), "target": "total_cost"}))
                    .await
            },
            async {
                // First that one, then the other behind it.
                until("training").await;
                until("queued").await;
                let refused = service.train(TENANT_A, "cost_forecasting", json!({"data": rows(30)})).await;
                let running = service.get("/api/ml/jobs?status=training", TENANT_A).await.ok();
                let path = format!("/api/ml/jobs/{}", running["jobs"][0]["job_id"].as_str().expect("a job"));
                service.send("DELETE", &path, TENANT_A, "user", None).await;
                refused
            }
        );
        assert_eq!(first.status, 409, "{}", first.body);
        second.ok();
        assert_eq!(refused.status, status, "{}", refused.body);
        let seconds: u32 = refused.headers["retry-after"].to_str().expect("a text").parse().expect("seconds");
        assert!(seconds >= 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_request_gives_the_same_bytes_at_any_thread_count() {
    let mut sums = vec![];
    for threads in ["1", "2", "3"] {
        let service = Service::start_with(&[("TRAINING_THREADS", threads)]).await;
        let mut per_model = vec![];
        for model_type in ["cost_forecasting", "risk_assessment", "anomaly_detection"] {
            let mut data = rows(400);
            for (i, row) in data.iter_mut().enumerate() {
                row["high_risk"] = json!(i % 3 == 0);
            }
            service.train(TENANT_A, model_type, json!({"data": data, "seed": 7})).await.ok();
            per_model.push(checksum(&service, model_type));
        }
        sums.push(per_model);
    }
    assert_eq!(sums[0], sums[1]);
    assert_eq!(sums[0], sums[2]);
}

/// SHA-256 of the only native model file of a type.
fn checksum(service: &Service, model_type: &str) -> Vec<u8> {
    let folder = std::path::Path::new(&service.config.model_registry_path).join(TENANT_A).join(model_type);
    let mut versions = std::fs::read_dir(folder).expect("a folder");
    let file = versions.next().expect("a version").expect("an entry").path().join("model.bin");
    Sha256::digest(std::fs::read(file).expect("a model file")).to_vec()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_hangs_up_loses_the_answer_and_not_the_model() {
    let service = Service::start_without_mlflow().await;
    let body = json!({"data": rows(3000), "hyperparameters": {"n_estimators": 300}});
    let under_way = async {
        while service.unfinished_trainings().await == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        answer = service.train(TENANT_A, "cost_forecasting", body) => panic!("hung up too late: {answer:?}"),
        () = under_way => {}
    }
    while service.unfinished_trainings().await > 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    service.predict(TENANT_A, "cost_forecasting", json!({"size": 10, "kind": "b"})).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stalling_mlflow_delays_the_answer_by_a_bounded_time() {
    // Accepts connections and never answers.
    let stalled = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let uri = format!("http://{}", stalled.local_addr().expect("an address"));
    let settings = [("MLFLOW_TRACKING_URI", uri.as_str()), ("MLFLOW_WAIT_SECONDS", "1")];
    let service = Service::start_with(&settings).await;
    // The client's own timeout of a request is a minute.
    let training = service.train(TENANT_A, "cost_forecasting", json!({"data": rows(40)}));
    let trained = tokio::time::timeout(Duration::from_secs(30), training).await.expect("bounded").ok();
    assert_eq!(trained["run_id"], "");
    assert!(trained["message"].as_str().expect("a text").contains("tracking is pending"), "{trained}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_training_that_cannot_fit_into_memory_says_so() {
    let service = Service::start_with(&[("TRAINING_MEMORY_MB", "40")]).await;
    service.train(TENANT_A, "cost_forecasting", json!({"data": rows(60)})).await.ok();
    let refused = service.train(TENANT_A, "cost_forecasting", json!({"data": rows(30_000)})).await;
    assert_eq!(refused.kinds(), ["training_too_large"]);
    let fault = &refused.body["detail"][0];
    assert_eq!(fault["ctx"]["limit_mb"], 40);
    assert!(fault["ctx"]["needed_mb"].as_u64().expect("a number") > 40, "{fault}");
}
