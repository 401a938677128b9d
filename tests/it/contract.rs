//! The recorded answers of the service that we replace.

use std::{path::Path, process::Command};

use binah_ml::dev::portfolio::TenantProfile;
use serde_json::json;

use crate::support::{Service, TENANT_A, servers};

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
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/contract");
    let output = Command::new(servers::python())
        .current_dir(&folder)
        .env("JWT_SECRET", secret)
        .args(["replay.py", &service.base, recording, "--except", "deviations.tsv"])
        .output()
        .expect("Python runs");
    let text = String::from_utf8_lossy(&output.stdout);
    print!("{recording}: {text}");
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let last = text.lines().last().unwrap_or_default();
    let passed: u32 = last.split(' ').next().and_then(|n| n.parse().ok()).expect("a count");
    assert!(passed > 0, "{last}");
}

#[tokio::test(flavor = "multi_thread")]
async fn development_answers_as_recorded() {
    let service = trained_service(&[("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")]).await;
    tokio::task::block_in_place(|| replay(&service, binah_ml::config::DEVELOPMENT_SECRET, "recorded.jsonl"));
}

#[tokio::test(flavor = "multi_thread")]
async fn production_answers_as_recorded() {
    let secret = "a secret of this test that is long enough";
    let service = trained_service(&[
        ("MLFLOW_TRACKING_URI", "http://127.0.0.1:9"),
        ("ENVIRONMENT", "production"),
        ("JWT_SECRET", secret),
    ])
    .await;
    tokio::task::block_in_place(|| replay(&service, secret, "recorded_production.jsonl"));
}
