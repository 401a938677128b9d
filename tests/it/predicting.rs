//! Prediction through HTTP.

use binah_ml::{auth::tenant, dev::portfolio::TenantProfile};
use serde_json::{Value, json};

use crate::support::{Service, TENANT_A, tenant};

async fn trained(model_types: &[&str]) -> Service {
    trained_with(&[], model_types).await
}

async fn trained_with(settings: &[(&str, &str)], model_types: &[&str]) -> Service {
    let service = Service::start_with(settings).await;
    service.load_sample(TENANT_A, &TenantProfile::metropolitan()).await;
    for model_type in model_types {
        service.train(TENANT_A, model_type, json!({})).await.ok();
    }
    service
}

fn cost() -> Value {
    json!({"project_size_sqft": 5000, "num_units": 50, "location_tier": 2, "property_type": 1, "year": 2024})
}

fn number(body: &Value, name: &str) -> f64 {
    body["prediction"][name].as_f64().unwrap_or_else(|| panic!("{name} in {body}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn each_type_has_its_own_fields() {
    let service =
        trained(&["cost_forecasting", "risk_assessment", "roi_prediction", "anomaly_detection"]).await;
    let answer = service.predict(TENANT_A, "cost_forecasting", cost()).await.ok();
    assert!((number(&answer, "cost_per_sqft") * 5000.0 - number(&answer, "predicted_cost")).abs() < 1e-6);
    assert_eq!(answer["confidence"], Value::Null);

    let risky = json!({"leverage_ratio": 0.95, "occupancy_rate": 0.5, "market_volatility": 0.4,
                       "property_age": 60, "location_risk_score": 9});
    let safe = json!({"leverage_ratio": 0.2, "occupancy_rate": 0.98, "market_volatility": 0.05,
                      "property_age": 3, "location_risk_score": 1});
    let (risky, safe) = (
        service.predict(TENANT_A, "risk_assessment", risky).await.ok(),
        service.predict(TENANT_A, "risk_assessment", safe).await.ok(),
    );
    assert!(number(&risky, "risk_score") > number(&safe, "risk_score"), "{risky} {safe}");
    assert_eq!(safe["prediction"]["risk_level"], "low", "{safe}");
    let confidence = safe["confidence"].as_f64().expect("a number");
    assert!((confidence - (1.0 - number(&safe, "value"))).abs() < 1e-12, "{safe}");

    let roi = json!({"purchase_price": 1_000_000, "annual_revenue": 200_000, "operating_expenses": 80_000,
                     "property_type": 2, "market_growth_rate": 0.05});
    let answer = service.predict(TENANT_A, "roi_prediction", roi).await.ok();
    assert_eq!(
        (number(&answer, "projected_noi"), number(&answer, "value")),
        (120_000.0, number(&answer, "predicted_roi"))
    );
    assert!((number(&answer, "payback_period_years") - 1e6 / 120_000.0).abs() < 1e-9);

    let odd = json!({"monthly_revenue": 9e7, "occupancy_rate": 0.01, "maintenance_cost": 8e6, "tenant_turnover": 1.0});
    let answer = service.predict(TENANT_A, "anomaly_detection", odd).await.ok();
    assert_eq!(answer["prediction"]["is_anomaly"], true, "{answer}");
    assert!(number(&answer, "anomaly_score") > number(&answer, "threshold"));
}

#[tokio::test(flavor = "multi_thread")]
async fn features_are_checked_one_by_one() {
    let service = trained(&["cost_forecasting"]).await;
    let missing = service.predict(TENANT_A, "cost_forecasting", json!({"year": 2024, "zzz": 1})).await;
    assert_eq!(missing.kinds(), ["missing"; 4]);
    assert_eq!(missing.body["detail"][0]["loc"], json!(["body", "features", "project_size_sqft"]));

    let mut features = cost();
    features["zzz"] = json!(1);
    features["year"] = Value::Null;
    features["property_type"] = json!("castle");
    let answer = service.predict(TENANT_A, "cost_forecasting", features).await.ok();
    assert_eq!(answer["ignored_features"], json!(["zzz"]));

    for (name, value, kind) in [
        ("year", json!([2024]), "float_type"),
        ("year", json!({"a": 1}), "float_type"),
        ("year", json!("soon"), "float_parsing"),
        ("property_type", json!([1]), "string_type"),
    ] {
        let mut features = cost();
        features[name] = value;
        let refused = service.predict(TENANT_A, "cost_forecasting", features).await;
        assert_eq!(refused.kinds(), [kind]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prediction_is_kept_before_it_is_answered() {
    let service = trained(&["cost_forecasting"]).await;
    let answer = service.predict(TENANT_A, "cost_forecasting", cost()).await.ok();
    let database = service.database();
    let (features, result): (Value, Value) = tenant::scope(tenant(TENANT_A), async {
        let mut transaction = database.tenant_transaction("test").await.expect("a transaction");
        sqlx::query_as("SELECT input_features, prediction_result FROM predictions WHERE id = $1::uuid")
            .bind(answer["prediction_id"].as_str().expect("an id"))
            .fetch_one(&mut *transaction)
            .await
            .expect("the row")
    })
    .await;
    assert_eq!((features, &result), (cost(), &answer["prediction"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_model_file_is_an_error_of_that_model_alone() {
    // Nothing stays in memory: each prediction reads the file.
    let settings = [("MODEL_CACHE_BYTES", "0")];
    let service = trained_with(&settings, &["cost_forecasting", "roi_prediction"]).await;
    let root = std::path::Path::new(&service.config.model_registry_path).join(TENANT_A);
    let file_of = |model_type: &str| {
        let mut versions = std::fs::read_dir(root.join(model_type)).expect("a folder");
        versions.next().expect("a version").expect("an entry").path().join("model.bin")
    };
    let file = file_of("cost_forecasting");
    let intact = std::fs::read(&file).expect("a file");
    let mut damaged = intact.clone();
    damaged[intact.len() / 2] ^= 1;
    std::fs::write(&file, damaged).expect("writes");
    let answer = service.predict(TENANT_A, "cost_forecasting", cost()).await;
    assert_eq!(answer.status, 500, "{}", answer.body);
    let detail = answer.body["detail"].as_str().expect("a text");
    assert!(detail.contains("cost_forecasting v1.0") && !detail.contains('/'), "{detail}");

    let roi = json!({"purchase_price": 1e6, "annual_revenue": 2e5, "operating_expenses": 8e4,
                     "property_type": 2, "market_growth_rate": 0.05});
    service.predict(TENANT_A, "roi_prediction", roi).await.ok();

    std::fs::remove_file(&file).expect("removes");
    assert_eq!(service.predict(TENANT_A, "cost_forecasting", cost()).await.status, 500);
    std::fs::write(&file, intact).expect("writes");
    service.predict(TENANT_A, "cost_forecasting", cost()).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_postgres_probes_answer_and_work_is_503() {
    // The discard port: nothing listens there.
    let service = Service::start_with(&[("POSTGRES_PORT", "9")]).await;
    service.get("/health", TENANT_A).await.ok();
    service.get("/health/live", TENANT_A).await.ok();
    assert_eq!(service.get("/health/ready", TENANT_A).await.status, 503);
    let answer = service.predict(TENANT_A, "cost_forecasting", cost()).await;
    assert_eq!(answer.status, 503, "{}", answer.body);
    assert!(answer.body["detail"].as_str().expect("a text").contains("Postgres"));
}
