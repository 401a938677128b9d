//! The recorded answers of the service that we replace.

use binah_ml::dev::portfolio::TenantProfile;
use serde_json::json;

use crate::{
    python,
    support::{Service, TENANT_A},
};

/// A service whose tenant A has trained every model.
async fn trained_service(settings: &[(&str, &str)]) -> Service {
    let service = Service::start_with(settings).await;
    service.load_sample(TENANT_A, &TenantProfile::metropolitan()).await;
    for model_type in ["cost_forecasting", "risk_assessment", "roi_prediction", "anomaly_detection"] {
        service.train(TENANT_A, model_type, json!({})).await.ok();
    }
    service
}

fn replay(service: &Service, secret: &str, recording: &str) {
    let file = |name: &str| python::below_tests("contract").join(name);
    let mut replay = python::script("contract/replay.py");
    replay.env("JWT_SECRET", secret).arg(&service.base).arg(file(recording));
    let text = python::run(replay.arg("--except").arg(file("deviations.tsv")));
    let last = text.lines().last().unwrap_or_default();
    let passed: u32 = last.split(' ').next().and_then(|n| n.parse().ok()).expect("a count");
    assert!(passed > 0, "{last}");
}

#[tokio::test(flavor = "multi_thread")]
async fn development_answers_as_recorded() {
    let service = trained_service(&[]).await;
    replay(&service, binah_ml::config::DEVELOPMENT_SECRET, "recorded.jsonl");
}

#[tokio::test(flavor = "multi_thread")]
async fn production_answers_as_recorded() {
    let secret = "a secret of this test that is long enough";
    let service = trained_service(&[("ENVIRONMENT", "production"), ("JWT_SECRET", secret)]).await;
    replay(&service, secret, "recorded_production.jsonl");
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_graph_it_answers_as_recorded() {
    let settings = crate::graph::settings().await;
    let settings: Vec<_> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
    crate::graph::load(&TenantProfile::metropolitan()).await;
    let service = trained_service(&settings).await;
    assert!(service.stored_models(TENANT_A).await.contains("market_price_per_sqft"), "the graph was read");
    replay(&service, binah_ml::config::DEVELOPMENT_SECRET, "recorded.jsonl");
}
