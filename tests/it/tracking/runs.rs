//! What stands in MLflow after a log, a second log, and a log that was broken off; under MLflow
//! 3.17 and 2.9.2.

use binah_ml::tracking::{
    ArtifactFile, ClientConfig, JOB_TAG, Tracker, TrackerConfig, TrackingError, TrainingRun,
};
use reqwest::Url;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{tracker, training};

/// MLflow's own answer, past our client.
async fn rest(uri: &Url, call: &str, body: Option<Value>) -> Value {
    let http = reqwest::Client::new();
    let url = uri.join(&format!("api/2.0/mlflow/{call}")).expect("an address");
    let request = match body {
        Some(body) => http.post(url).json(&body),
        None => http.get(url),
    };
    let answer = request.send().await.expect("MLflow answers");
    assert!(answer.status().is_success(), "{call}: {}", answer.text().await.unwrap_or_default());
    answer.json().await.expect("JSON")
}

async fn run(uri: &Url, run_id: &str) -> Value {
    rest(uri, &format!("runs/get?run_id={run_id}"), None).await["run"].take()
}

/// Paths directly below a run's folder.
async fn files(uri: &Url, run_id: &str, folder: &str) -> Vec<String> {
    let list = rest(uri, &format!("artifacts/list?run_id={run_id}&path={folder}"), None).await;
    let files = list["files"].as_array().into_iter().flatten();
    files.map(|file| file["path"].as_str().expect("a path").to_owned()).collect()
}

/// A run's list as `key -> value`.
fn value<'a>(list: &'a Value, key: &str) -> Option<&'a Value> {
    list.as_array()?.iter().find(|entry| entry["key"] == key).map(|entry| &entry["value"])
}

#[tokio::test]
async fn a_training_is_complete_and_logged_once() {
    for uri in super::uris().await {
        let (tracker, training) = (tracker(&uri), training());
        let tracked = tracker.log(&training).await.expect("logs");
        assert_eq!(tracked.model_uri, format!("runs:/{}/model", tracked.run_id));
        assert_eq!(tracked.registered_model, format!("{}_risk_assessment", training.tenant_id));
        assert_eq!(tracked.registered_version, "1");

        let first = run(&uri, &tracked.run_id).await;
        assert_eq!(first["info"]["status"], "FINISHED");
        assert_eq!(first["info"]["run_name"], "risk_assessment v1");
        assert_eq!(first["info"]["start_time"], 1_795_357_867_299_i64);
        assert_eq!(first["info"]["end_time"], 1_795_357_869_001_i64);
        // Proxied, or a data scientist on another machine could not load the model.
        let artifact_uri = first["info"]["artifact_uri"].as_str().expect("an address");
        assert!(artifact_uri.starts_with("mlflow-artifacts:/test-"), "{artifact_uri}");
        let data = &first["data"];
        assert_eq!(value(&data["params"], "max_depth"), Some(&json!("6")));
        assert_eq!(value(&data["params"], "seed _random_"), Some(&json!("7")));
        assert_eq!(value(&data["params"], "tenant_id"), Some(&json!(training.tenant_id)));
        assert_eq!(value(&data["metrics"], "accuracy"), Some(&json!(0.875)));
        assert_eq!(value(&data["metrics"], "auc_roc"), Some(&json!("NaN")));
        assert_eq!(value(&data["metrics"], "ratio"), Some(&json!(f64::MAX)));
        assert_eq!(value(&data["metrics"], "loss"), Some(&json!(f64::MIN)));
        for (key, expected) in [
            ("colour", "blue"),
            ("user", "ann"),
            ("status", "completed"),
            ("version", "1"),
            ("model_type", "risk_assessment"),
            ("mlflow.note.content", "## Risk\n\nGood."),
            (JOB_TAG, &training.job_id.to_string()),
        ] {
            assert_eq!(value(&data["tags"], key), Some(&json!(expected)), "{key}");
        }
        assert_eq!(first["inputs"]["dataset_inputs"].as_array().map(Vec::len), Some(1));

        let curve = format!("metrics/get-history?run_id={}&metric_key=train/logloss", tracked.run_id);
        let curve = rest(&uri, &curve, None).await;
        let points: Vec<_> =
            curve["metrics"].as_array().expect("points").iter().map(|p| (&p["step"], &p["value"])).collect();
        assert_eq!(json!(points), json!([[0, 0.5], [1, 0.25], [2, 0.125]]));

        let list = async |folder: &str| files(&uri, &tracked.run_id, folder).await;
        assert_eq!(list("plots").await, ["plots/roc + 100%.svg"]);
        let files = [
            "MLmodel",
            "conda.yaml",
            "features.json",
            "input_example.json",
            "model.binah",
            "python_env.yaml",
            "requirements.txt",
        ];
        assert_eq!(list("model").await, files.map(|file| format!("model/{file}")));

        let experiment = first["info"]["experiment_id"].as_str().expect("an id");
        let experiment = rest(&uri, &format!("experiments/get?experiment_id={experiment}"), None).await;
        assert_eq!(value(&experiment["experiment"]["tags"], "tenant_id"), Some(&json!(training.tenant_id)));

        let again = tracker.log(&training).await.expect("logs again");
        assert_eq!(again, tracked);
        assert_eq!(run(&uri, &tracked.run_id).await, first);

        let mut next = training.clone();
        next.job_id = Uuid::new_v4();
        let next = tracker.log(&next).await.expect("logs another");
        assert_ne!(next.run_id, tracked.run_id);
        assert_eq!(next.registered_version, "2");
        let alias = tracker.client().set_alias(&next.registered_model, "champion", &next.registered_version);
        alias.await.expect("sets the alias");
        let alias = format!("registered-models/alias?name={}&alias=champion", next.registered_model);
        assert_eq!(rest(&uri, &alias, None).await["model_version"]["version"], "2");
    }
}

/// Two services (two caches) start with the same new tenant at once.
#[tokio::test]
async fn concurrent_trainings_share_experiment_and_model() {
    for uri in super::uris().await {
        let config = TrackerConfig::new(ClientConfig::new(uri.clone()), format!("race-{}", Uuid::new_v4()));
        let trackers = [config.clone(), config].map(|config| Tracker::new(config).expect("a tracker"));
        let first = training();
        let trainings = (0..6).map(|_| TrainingRun { job_id: Uuid::new_v4(), ..first.clone() });
        let logs = trainings
            .zip(trackers.iter().cycle())
            .map(async |(training, tracker)| tracker.log(&training).await);
        let tracked = futures::future::try_join_all(logs).await.expect("all log");

        let mut versions: Vec<_> =
            tracked.iter().map(|tracked| tracked.registered_version.as_str()).collect();
        versions.sort_unstable();
        assert_eq!(versions, ["1", "2", "3", "4", "5", "6"]);
        let mut experiments = std::collections::HashSet::new();
        for tracked in &tracked {
            experiments.insert(run(&uri, &tracked.run_id).await["info"]["experiment_id"].to_string());
        }
        assert_eq!(experiments.len(), 1);
    }
}

#[tokio::test]
async fn a_log_that_broke_off_is_taken_up() {
    for uri in super::uris().await {
        let (tracker, training) = (tracker(&uri), training());
        // Every prefix of the steps, as if the process had died after it; then all of it.
        let steps = tracker.namespace(&training.tenant_id).await.expect("is there");
        let opened = steps.open(&training).await.expect("opens");
        steps.log_values(&training, &opened.info).await.expect("logs");
        let reopened = steps.open(&training).await.expect("opens");
        assert_eq!(reopened.info.run_id, opened.info.run_id);
        steps.log_values(&training, &reopened.info).await.expect("logs again");
        steps.upload(&training, &reopened.info).await.expect("uploads");
        steps.describe(&training, &reopened.info).await.expect("describes");
        let version = steps.register(&training, &reopened.info).await.expect("registers");

        let tracked = tracker.log(&training).await.expect("logs");
        assert_eq!(tracked.run_id, opened.info.run_id);
        assert_eq!(tracked.registered_version, version.version);
        let run = run(&uri, &tracked.run_id).await;
        assert_eq!(run["info"]["status"], "FINISHED");
        assert_eq!(run["inputs"]["dataset_inputs"].as_array().map(Vec::len), Some(1));
        let history =
            value(&run["data"]["tags"], "mlflow.log-model.history").and_then(Value::as_str).expect("a tag");
        let history: Value = serde_json::from_str(history).expect("JSON");
        assert_eq!(history.as_array().map(Vec::len), Some(1));
    }
}

#[tokio::test]
async fn a_refused_training_is_marked_failed_and_still_taken_up() {
    for uri in super::uris().await {
        let (tracker, mut training) = (tracker(&uri), training());
        let good = std::mem::replace(&mut training.files, vec![ArtifactFile::new("../escape", "x")]);
        let error = tracker.log(&training).await.expect_err("refuses the path");
        assert!(matches!(error, TrackingError::Invalid { .. }), "{error}");
        let steps = tracker.namespace(&training.tenant_id).await.expect("is there");
        let run_id = steps.open(&training).await.expect("opens").info.run_id;
        assert_eq!(run(&uri, &run_id).await["info"]["status"], "FAILED");

        training.files = good;
        let tracked = tracker.log(&training).await.expect("logs");
        assert_eq!(tracked.run_id, run_id);
        assert_eq!(run(&uri, &run_id).await["info"]["status"], "FINISHED");
    }
}

#[tokio::test]
async fn a_deleted_experiment_is_restored() {
    for uri in super::uris().await {
        let (tracker, mut training) = (tracker(&uri), training());
        let before = tracker.log(&training).await.expect("logs");
        let info = run(&uri, &before.run_id).await["info"].take();
        rest(&uri, "experiments/delete", Some(json!({"experiment_id": info["experiment_id"]}))).await;

        training.job_id = Uuid::new_v4();
        let after = tracker.log(&training).await.expect("logs though the cached id is stale");
        assert_eq!(run(&uri, &after.run_id).await["info"]["experiment_id"], info["experiment_id"]);
    }
}

/// Into a folder of the server, MLflow takes 10 MiB a file, and no Python elsewhere reads it from there.
#[tokio::test]
async fn an_experiment_in_a_server_folder_has_one_beside_for_files_of_any_size() {
    for uri in super::uris().await {
        let mut training = training();
        training.files.push(ArtifactFile::new("model/large.pkl", vec![7; (10 << 20) + 1]));
        let folder = tempfile::tempdir().expect("a folder");
        let name = format!("old-{}", training.job_id);
        let old = format!("{name}/{}", training.tenant_id);
        rest(&uri, "experiments/create", Some(json!({"name": old, "artifact_location": folder.path()})))
            .await;
        let config = TrackerConfig::new(ClientConfig::new(uri.clone()), name);
        // Two processes: the second one finds what the first one made.
        for _ in 0..2 {
            let tracker = Tracker::new(config.clone()).expect("a tracker");
            let tracked = tracker.log(&training).await.expect("logs");
            let sizes = tracker.client().artifact_sizes(&tracked.run_id, "model").await.expect("lists");
            assert!(sizes.contains(&("model/large.pkl".into(), (10 << 20) + 1)), "{sizes:?}");
            assert_eq!(tracked.registered_version, training.version.to_string());
            let run = run(&uri, &tracked.run_id).await;
            let id = run["info"]["experiment_id"].as_str().expect("an id");
            let experiment = rest(&uri, &format!("experiments/get?experiment_id={id}"), None).await;
            assert_eq!(experiment["experiment"]["name"], json!(format!("{old}/proxied")));
            (training.job_id, training.version) = (Uuid::new_v4(), 2);
        }
        assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 0);
    }
}
