//! Names without a tenant in them: by workspaces, or because there is one tenant. Never in one heap.

use binah_ml::{
    outbox::row,
    tracking::{AliasState, ClientConfig, Tracker, TrackerConfig, TrackingError, client::Client},
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::training;
use crate::{
    python,
    support::{Service, servers},
};

const MODEL_TYPE: &str = "cost_forecasting";
/// The name as README has it.
const PLAIN_NAME: (&str, &str) = ("MLFLOW_MODEL_NAME", "{model_type}");

/// Two features; what a size costs is the tenant's.
fn rows(price: f64) -> Vec<Value> {
    let row = |i: usize| {
        let size = (i * 37 % 100) as f64;
        json!({"size": size, "age": i % 7, "total_cost": 1000.0 + price * size})
    };
    (0..80).map(row).collect()
}

fn asked() -> Vec<Value> {
    (0..10).map(|i| json!({"size": 7 * i + 3, "age": i % 5})).collect()
}

/// Trains a tenant's model; the answer, and what the service predicts.
async fn trained(service: &Service, tenant: &str, price: f64) -> (Value, Vec<f64>) {
    let more = json!({"data": rows(price), "config": {"n_estimators": 20}});
    let answer = service.train(tenant, MODEL_TYPE, more).await.ok();
    let mut predictions = vec![];
    for row in asked() {
        let answer = service.predict(tenant, MODEL_TYPE, row).await.ok();
        predictions.push(answer["prediction"]["value"].as_f64().expect("a number"));
    }
    (answer, predictions)
}

/// What a data scientist's Python finds.
fn seen(uri: &str, workspace: Option<&str>, foreign: &[&Value]) -> Value {
    let request = json!({"tracking_uri": uri, "workspace": workspace, "name": MODEL_TYPE, "rows": asked(),
                         "foreign": foreign});
    let text = python::run(python::script("it/python/read_namespace.py").arg(request.to_string()));
    serde_json::from_str(&text).expect("JSON")
}

/// The outbox as an operator sees it.
async fn outbox(service: &Service) -> Vec<(String, String)> {
    let database = service.database();
    let rows = row::list(&database).await.expect("lists");
    database.close().await;
    rows.into_iter().map(|row| (row.state, row.last_error.unwrap_or_default())).collect()
}

async fn experiment_is_there(uri: &str, name: &str) -> bool {
    let url = format!("{uri}/api/2.0/mlflow/experiments/get-by-name?experiment_name={name}");
    reqwest::get(url).await.expect("MLflow answers").status().is_success()
}

pub(super) fn tracker(uri: &str, change: impl FnOnce(TrackerConfig) -> TrackerConfig) -> Tracker {
    let client = ClientConfig::new(uri.parse().expect("an address"));
    Tracker::new(change(TrackerConfig::new(client, format!("names-{}", Uuid::new_v4())))).expect("a tracker")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workspace_each_and_the_same_name_in_both() {
    let uri = servers::workspaces_mlflow().await;
    let service = Service::start_with(&[
        ("MLFLOW_TRACKING_URI", uri),
        ("MLFLOW_WORKSPACES", "true"),
        ("MLFLOW_WAIT_SECONDS", "60"),
        PLAIN_NAME,
    ])
    .await;
    let tenants = [Uuid::new_v4().to_string(), Uuid::new_v4().to_string()];
    let first = trained(&service, &tenants[0], 10.0).await;
    let second = trained(&service, &tenants[1], 99.0).await;
    assert_ne!(first.1, second.1);
    let runs = [&first.0["run_id"], &second.0["run_id"]];
    assert!(runs.iter().all(|run| !run.as_str().expect("a text").is_empty()), "{runs:?}");
    for (tenant, (own, foreign), expected) in
        [(&tenants[0], (runs[0], runs[1]), first.1), (&tenants[1], (runs[1], runs[0]), second.1)]
    {
        let seen = seen(uri, Some(tenant), &[foreign]);
        assert_eq!(seen["models"], json!([MODEL_TYPE]));
        assert_eq!(seen["experiments"].as_array().map(|all| all.contains(&json!("binah-ml"))), Some(true));
        assert_eq!(seen["runs"], json!([own]));
        assert_eq!(seen["predictions"], json!(expected));
        assert_eq!(seen["champion"], "1");
        assert_eq!(seen["reached"], json!([]));
    }
    assert!(outbox(&service).await.is_empty());
    // Outside of the workspaces there is nothing of ours.
    assert!(!experiment_is_there(uri, "binah-ml").await);

    // The second version, and an administrator's word: in the tenant's workspace, too.
    let (again, _) = trained(&service, &tenants[0], 10.0).await;
    assert_eq!(again["model_version"], "v2.0", "{again}");
    let path = format!("/api/ml/models/{MODEL_TYPE}/aliases/blue");
    let body = json!({"version": "v2.0"});
    let change = service.send("PUT", &path, &tenants[0], "admin", Some(body)).await.ok();
    assert_eq!(change["mlflow_follows"], true, "{change}");
    let client = Client::new(ClientConfig::new(uri.parse().expect("an address"))).expect("a client");
    for (tenant, aliases) in [(&tenants[0], &["blue", "champion"][..]), (&tenants[1], &["champion"])] {
        let workspace = client.in_workspace(tenant).await.expect("is there");
        let model = workspace.registered_model(MODEL_TYPE).await.expect("is there");
        let mut found: Vec<_> = model.aliases.iter().map(|alias| alias.alias.as_str()).collect();
        found.retain(|alias| *alias != "challenger");
        found.sort_unstable();
        assert_eq!(found, aliases);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_workspaces_gets_nothing_and_the_row_says_why() {
    for uri in [servers::mlflow().await, servers::old_mlflow().await] {
        let experiment = format!("none-{}", Uuid::new_v4());
        let service = Service::start_with(&[
            ("MLFLOW_TRACKING_URI", uri),
            ("MLFLOW_EXPERIMENT_NAME", &experiment),
            ("MLFLOW_WORKSPACES", "true"),
            ("MLFLOW_WAIT_SECONDS", "60"),
            PLAIN_NAME,
        ])
        .await;
        let tenant = Uuid::new_v4().to_string();
        let (answer, _) = trained(&service, &tenant, 10.0).await;
        assert_eq!(answer["run_id"], "", "{answer}");
        let rows = outbox(&service).await;
        let [(state, error)] = &rows[..] else { panic!("{rows:?}") };
        assert_eq!(state, "parked");
        assert!(error.contains("--enable-workspaces") && error.contains("MLFLOW_WORKSPACES"), "{error}");
        for name in [experiment.clone(), format!("{experiment}/{tenant}")] {
            assert!(!experiment_is_there(uri, &name).await, "{name}");
        }
        let verified = tracker(uri, |config| TrackerConfig { workspaces: true, ..config }).verify().await;
        assert!(matches!(verified, Err(TrackingError::NoWorkspaces)), "{verified:?}");
    }
}

#[tokio::test]
async fn a_workspace_that_was_deleted_is_made_anew() {
    let uri = servers::workspaces_mlflow().await;
    let tracker = tracker(uri, |config| TrackerConfig { workspaces: true, ..config });
    tracker.verify().await.expect("has workspaces");
    let mut training = training();
    tracker.log(&training).await.expect("logs");
    let url = format!("{uri}/api/3.0/mlflow/workspaces/{}?mode=CASCADE", training.tenant_id);
    let deleted = reqwest::Client::new().delete(url).send().await.expect("MLflow answers");
    assert!(deleted.status().is_success(), "{}", deleted.text().await.unwrap_or_default());

    training.job_id = Uuid::new_v4();
    let tracked = tracker.log(&training).await.expect("logs though the cached id is stale");
    assert_eq!(tracked.registered_version, "1");
    let namespace = tracker.namespace(&training.tenant_id).await.expect("is there");
    let run = namespace.client().run(&tracked.run_id).await.expect("is there");
    let place = format!("mlflow-artifacts:/workspaces/{}/", training.tenant_id);
    assert!(run.info.artifact_uri.starts_with(&place), "{}", run.info.artifact_uri);
    let note = run.data.tags.iter().find(|tag| tag.key == "mlflow.note.content").expect("a note");
    assert!(note.value.contains(&format!("mlflow.set_workspace(\"{}\")", training.tenant_id)), "{note:?}");
    let outside = tracker.client().run(&tracked.run_id).await.expect_err("is not in the default workspace");
    assert!(outside.to_string().contains("RESOURCE_DOES_NOT_EXIST"), "{outside}");
}

/// A server with workspaces that are not used here, and whose files go into a folder of its own.
#[tokio::test]
async fn files_that_cannot_be_written_say_what_to_set() {
    let error = tracker(servers::workspaces_mlflow().await, |config| config).log(&training()).await;
    let error = error.expect_err("its default workspace takes no place for files").to_string();
    assert!(error.contains("--artifacts-destination"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_tenant_alone_has_plain_names_and_keeps_them() {
    let uri = servers::mlflow().await;
    let tenants = [Uuid::new_v4().to_string(), Uuid::new_v4().to_string()];
    let bound = async |tenant: &str| {
        Service::start_with(&[
            ("MLFLOW_TRACKING_URI", uri),
            ("SINGLE_TENANT", tenant),
            ("MLFLOW_WAIT_SECONDS", "60"),
            PLAIN_NAME,
        ])
        .await
    };
    let service = bound(&tenants[0]).await;
    let (answer, expected) = trained(&service, &tenants[0], 10.0).await;
    let seen = seen(uri, None, &[]);
    assert!(seen["runs"].as_array().expect("a list").contains(&answer["run_id"]), "{seen}");
    assert_eq!((&seen["predictions"], &seen["champion"]), (&json!(expected), &json!("1")));
    let refused = service.train(&tenants[1], MODEL_TYPE, json!({"data": rows(1.0)})).await;
    assert_eq!(refused.status, 403, "{}", refused.body);

    // Another service, for another tenant, on the same MLflow: the name is taken, the model serves.
    let other = bound(&tenants[1]).await;
    let (answer, _) = trained(&other, &tenants[1], 99.0).await;
    assert_eq!(answer["run_id"], "", "{answer}");
    let rows = outbox(&other).await;
    let [(state, error)] = &rows[..] else { panic!("{rows:?}") };
    assert_eq!(state, "parked");
    assert!(error.contains(MODEL_TYPE) && error.contains("tenant_id"), "{error}");
    let client = Client::new(ClientConfig::new(uri.parse().expect("an address"))).expect("a client");
    let second = client.model_version(MODEL_TYPE, "2").await.expect_err("nothing was added");
    assert!(second.to_string().contains("RESOURCE_DOES_NOT_EXIST"), "{second}");
    // Nor are its aliases touched.
    let removal = AliasState {
        tenant_id: tenants[1].clone(),
        model_type: MODEL_TYPE.into(),
        aliases: vec![("champion".into(), None)],
        versions: vec![],
    };
    let single = |tenant: &str| {
        let (single_tenant, model_name) = (Some(tenant.to_owned()), PLAIN_NAME.1.to_owned());
        tracker(uri, |config| TrackerConfig { single_tenant, model_name, ..config })
    };
    let error = single(&tenants[1]).follow_aliases(&removal).await.expect_err("is another's");
    assert!(matches!(error, TrackingError::Invalid { .. }), "{error}");
    assert_eq!(client.registered_model(MODEL_TYPE).await.expect("is there").aliases.len(), 1);

    // What a training of another tenant left in the outbox is not logged for this one.
    let error = single(&tenants[0]).log(&training()).await.expect_err("is another tenant's");
    assert!(error.to_string().contains("SINGLE_TENANT"), "{error}");
}
