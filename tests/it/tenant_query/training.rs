//! `training_data_query` through HTTP.

use binah_ml::dev::portfolio::TenantProfile;
use serde_json::json;

use crate::support::{Service, TENANT_A, TENANT_B};

async fn service() -> Service {
    let service = Service::start_without_mlflow().await;
    service.load_sample(TENANT_A, &TenantProfile::metropolitan()).await;
    service
}

#[tokio::test(flavor = "multi_thread")]
async fn a_select_over_the_records_trains_what_the_default_query_trains() {
    let service = service().await;
    let default = service.train(TENANT_A, "cost_forecasting", json!({})).await.ok();
    let query = "SELECT project_size_sqft, num_units, location_tier, property_type, year, total_cost, observed_at \
                   FROM cost_records ORDER BY id";
    let own = service.train(TENANT_A, "cost_forecasting", json!({ "training_data_query": query })).await.ok();
    assert_eq!(own["metrics"], default["metrics"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn its_columns_are_the_features_and_a_filter_on_the_own_tenant_is_allowed() {
    let service = service().await;
    let query = format!(
        "SELECT ln(project_size_sqft) AS log_size, property_type, total_cost AS target FROM cost_records \
          WHERE tenant_id = '{TENANT_A}' AND tenant_id = :tenant_id AND total_cost > 0"
    );
    service.train(TENANT_A, "cost_forecasting", json!({ "training_data_query": query })).await.ok();
    let features = json!({"log_size": 9.0, "property_type": "commercial"});
    service.predict(TENANT_A, "cost_forecasting", features).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_says_what_and_where() {
    let service = service().await;
    let train = |query: &'static str| {
        let service = &service;
        async move { service.train(TENANT_A, "cost_forecasting", json!({ "training_data_query": query })).await }
    };
    for query in [
        "DELETE FROM cost_records",
        "SELECT set_config('app.tenant_id', 'x', true)",
        "SELECT * FROM pg_stat_activity",
        "SELECT 1; SELECT 2",
        "SELECT FROM WHERE",
    ] {
        let refused = train(query).await;
        assert_eq!(refused.kinds().len(), 1, "{query}: {}", refused.body);
        assert_eq!(refused.body["detail"][0]["loc"], json!(["body", "training_data_query"]), "{query}");
    }
    let elsewhere = train("SELECT total_cost FROM cost_records,\n  ml_models").await;
    let ctx = &elsewhere.body["detail"][0]["ctx"];
    assert_eq!((&ctx["line"], &ctx["column"]), (&json!(2), &json!(3)), "{}", elsewhere.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_tenant_sees_no_row_of_it() {
    let service = service().await;
    let query =
        format!("SELECT num_units, total_cost FROM cost_records WHERE tenant_id = '{TENANT_A}' OR true");
    let refused = service.train(TENANT_B, "cost_forecasting", json!({ "training_data_query": query })).await;
    assert_eq!(refused.kinds(), ["too_few_rows"], "{}", refused.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn switched_off_it_says_so() {
    let secret = "a secret of this test that is long enough";
    let service = Service::start_with(&[("ENVIRONMENT", "production"), ("JWT_SECRET", secret)]).await;
    let refused =
        service.train(TENANT_A, "cost_forecasting", json!({ "training_data_query": "SELECT 1" })).await;
    assert_eq!(refused.kinds(), ["not_available"]);
}
