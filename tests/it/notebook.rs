//! The notebook of `notebooks/`, run from top to bottom against a service and MLflow.

use binah_ml::dev::portfolio::TenantProfile;
use serde_json::{Value, json};

use crate::{
    python,
    support::{Service, TENANT_A},
};

#[tokio::test(flavor = "multi_thread")]
async fn the_notebook_runs_as_it_stands() {
    let service = Service::start().await;
    service.load_sample(TENANT_A, &TenantProfile::metropolitan()).await;
    let folder = tempfile::tempdir().expect("a folder");
    let notebook = concat!(env!("CARGO_MANIFEST_DIR"), "/notebooks/train_and_load.ipynb");
    let mut script = python::script("it/python/run_notebook.py");
    script
        .arg(notebook)
        .env("BINAH_API", &service.base)
        .env("BINAH_TENANT", TENANT_A)
        .env("BINAH_TOKEN", service.token(TENANT_A, "user"))
        .env("MLFLOW_TRACKING_URI", &service.config.mlflow.tracking_uri)
        .env("JUPYTER_RUNTIME_DIR", folder.path())
        .env("IPYTHONDIR", folder.path());
    let ran: Value =
        serde_json::from_str(&tokio::task::block_in_place(|| python::run(&mut script))).expect("JSON");
    assert_eq!(ran["pictures"], json!(2), "{ran}");
    assert!(ran["cells"].as_u64().is_some_and(|cells| cells >= 8), "{ran}");
}
