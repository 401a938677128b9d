//! Nothing is lost while MLflow is away: each fault of the way to the real server ends in one complete
//! run and one version, and predictions never notice.

use std::{collections::BTreeMap, process::Command};

use serde_json::{Value, json};
use uuid::Uuid;

use super::proxy::{Fault, Proxy};
use crate::support::{Process, Program, TestDatabase, servers};

const MODEL_TYPE: &str = "cost_forecasting";
const BUSY: Fault = Fault::Answer(500, r#"{"error_code": "INTERNAL_ERROR", "message": "no"}"#);
const PAGE: Fault = Fault::Answer(200, "<html>please log in</html>");
const WRONG_HOST: Fault = Fault::Answer(403, "Invalid Host header - possible DNS rebinding attack detected");
const REFUSAL: Fault = Fault::Answer(400, r#"{"error_code": "INVALID_PARAMETER_VALUE", "message": "no"}"#);
const ALWAYS: usize = usize::MAX;

/// The program, a proxy before its MLflow, a database.
struct World {
    proxy: Proxy,
    database: TestDatabase,
    experiment: String,
    program: Program,
    http: reqwest::Client,
}

impl World {
    async fn new(more: &[(&str, &str)]) -> Self {
        let proxy = Proxy::start(servers::mlflow().await).await;
        let database = TestDatabase::new().await;
        let experiment = format!("outbox-{}", Uuid::new_v4());
        let url = proxy.url();
        let own = [
            ("MLFLOW_TRACKING_URI", url.as_str()),
            ("MLFLOW_EXPERIMENT_NAME", &experiment),
            ("MLFLOW_WAIT_SECONDS", "1"),
        ];
        // Of two of a name the last one holds.
        let program = Program::with_database(&database, &[&own, more].concat());
        Self { proxy, database, experiment, program, http: reqwest::Client::new() }
    }

    async fn until_empty(&self, service: &Process) {
        service.until("the outbox is empty", async || self.outbox_rows("true").await == 0).await;
    }

    async fn outbox_rows(&self, condition: &str) -> i64 {
        self.database.count(&format!("SELECT count(*) FROM tracking_outbox WHERE {condition}")).await
    }

    /// MLflow itself, past the proxy.
    async fn mlflow(&self, call: &str, body: Value) -> Value {
        let url = format!("{}/api/2.0/mlflow/{call}", servers::mlflow().await);
        let request = if body.is_null() { self.http.get(url) } else { self.http.post(url).json(&body) };
        let answer = request.send().await.expect("MLflow answers");
        assert!(answer.status().is_success(), "{call}: {}", answer.text().await.unwrap_or_default());
        answer.json().await.expect("JSON")
    }

    /// Every file of a run with its size.
    async fn files(&self, run_id: &str) -> BTreeMap<String, u64> {
        let mut files = BTreeMap::new();
        let mut folders = vec![String::new()];
        while let Some(folder) = folders.pop() {
            let list =
                self.mlflow(&format!("artifacts/list?run_id={run_id}&path={folder}"), Value::Null).await;
            for file in list["files"].as_array().into_iter().flatten() {
                let path = file["path"].as_str().expect("a path").to_owned();
                match file["is_dir"].as_bool() {
                    Some(true) => folders.push(path),
                    _ => drop(files.insert(path, file["file_size"].as_u64().expect("a size"))),
                }
            }
        }
        files
    }

    /// The tenant's trainings have one complete run and one version each, and nothing else is there;
    /// model and job name them. The runs' files with their sizes.
    async fn one_complete_run_each(
        &self,
        service: &Process,
        tenant: &str,
        trained: &[Value],
    ) -> Vec<BTreeMap<String, u64>> {
        let name = format!("experiments/get-by-name?experiment_name={}/{tenant}", self.experiment);
        let experiment = self.mlflow(&name, Value::Null).await["experiment"]["experiment_id"].take();
        let found = self.mlflow("runs/search", json!({"experiment_ids": [experiment]})).await;
        let runs = found["runs"].as_array().expect("runs");
        assert_eq!(runs.len(), trained.len(), "{runs:#?}");
        let path = format!("/api/ml/models/{tenant}/{MODEL_TYPE}/metrics");
        let shown = service.get(&path, tenant).await.ok();
        let mut all_files = vec![];
        for answer in trained {
            let job = answer["job_id"].as_str().expect("an id");
            let filter = format!("tags.`binah.job_id` = '{job}'");
            let found =
                self.mlflow("runs/search", json!({"experiment_ids": [experiment], "filter": filter})).await;
            let [run] = &found["runs"].as_array().expect("runs")[..] else { panic!("{job}: {found}") };
            assert_eq!(run["info"]["status"], "FINISHED", "{run}");
            let run_id = run["info"]["run_id"].as_str().expect("an id");
            let value = |list: &str, key: &str| {
                let entries = run["data"][list].as_array().expect("entries");
                entries.iter().find(|entry| entry["key"] == key).map(|entry| entry["value"].clone())
            };
            for (metric, expected) in answer["metrics"].as_object().expect("metrics") {
                assert_eq!(value("metrics", metric).as_ref(), Some(expected), "{metric}");
            }
            assert_eq!(value("params", "n_estimators"), Some(json!("5")));
            assert_eq!(value("tags", "status"), Some(json!("completed")));
            assert_eq!(run["inputs"]["dataset_inputs"].as_array().map(Vec::len), Some(1));
            let filter = format!("name='{tenant}_{MODEL_TYPE}'");
            let versions = format!("model-versions/search?filter={filter}");
            let versions = self.mlflow(&versions, Value::Null).await;
            let versions = versions["model_versions"].as_array().expect("versions");
            assert_eq!(versions.len(), trained.len(), "{versions:#?}");
            assert_eq!(versions.iter().filter(|version| version["run_id"] == run_id).count(), 1);
            let linked: (Option<String>, Option<String>) = sqlx::query_as(
                "SELECT j.mlflow_run_id, m.mlflow_model_uri
                   FROM training_jobs j JOIN ml_models m ON m.id = j.model_id WHERE j.id = $1::uuid",
            )
            .bind(job)
            .fetch_one(&mut self.database.owner_connection().await)
            .await
            .expect("the job");
            assert_eq!(linked, (Some(run_id.to_owned()), Some(format!("runs:/{run_id}/model"))));
            assert!(shown.to_string().contains(run_id), "{shown}");
            all_files.push(self.files(run_id).await);
        }
        all_files
    }

    /// Packs that are still there.
    fn packs(&self) -> usize {
        let folder = self.program.models();
        let found =
            Command::new("find").arg(folder).args(["-name", "mlflow.pack"]).output().expect("find runs");
        found.stdout.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()).count()
    }
}

async fn train(service: &Process, tenant: &str) -> Value {
    let row = |i: usize| {
        let (size, kind) = (i * 37 % 100, if i.is_multiple_of(2) { "a" } else { "b" });
        json!({"size": size, "kind": kind, "total_cost": 10 + size})
    };
    let rows: Vec<_> = (0..60).map(row).collect();
    service.train(tenant, MODEL_TYPE, json!({"config": {"n_estimators": 5}, "data": rows})).await.ok()
}

async fn predict(service: &Process, tenant: &str) {
    service.predict(tenant, MODEL_TYPE, json!({"size": 10, "kind": "b"})).await.ok();
}

/// Each fault with its own tenant, one after the other, before one service.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_fault_ends_in_one_complete_run() {
    let world = World::new(&[("MLFLOW_HTTP_REQUEST_TIMEOUT", "2")]).await;
    let service = world.program.serve().await;
    let tenant = Uuid::new_v4().to_string();
    let well = train(&service, &tenant).await;
    world.until_empty(&service).await;
    let files = world.one_complete_run_each(&service, &tenant, &[well]).await.remove(0);
    for file in ["model/MLmodel", "model/model.json", "model/model.onnx", "feature_importance.json"] {
        assert!(files.contains_key(file), "{files:?}");
    }

    // An attempt repeats a call three times: five times is more than it has patience for.
    for (name, call, fault, times) in [
        ("refused", "", Fault::Stall, 0),
        ("reset in the middle of an upload", "/model/model.onnx", Fault::Reset, 5),
        ("500 then fine", "runs/log-batch", BUSY, 5),
        ("stalled upload", "/model/model.onnx", Fault::Stall, 1),
        ("403 by host check", "", WRONG_HOST, ALWAYS),
        ("gone between two steps", "runs/set-tag", Fault::LastAnswer, 1),
        ("a page instead of a run", "runs/create", PAGE, 5),
        ("a page instead of a version", "model-versions/create", PAGE, 5),
        ("a page instead of an upload", "/model/model.json", PAGE, 5),
        ("the created run is not heard of", "runs/create", Fault::LoseAnswer, 1),
        ("the created version is not heard of", "model-versions/create", Fault::HoldAnswer, 1),
        ("the end is not heard of", "runs/update", Fault::LoseAnswer, 5),
    ] {
        let tenant = Uuid::new_v4().to_string();
        let before = world.proxy.faults();
        match times {
            0 => world.proxy.close(),
            times => world.proxy.set(call, fault, times),
        }
        let trained = train(&service, &tenant).await;
        predict(&service, &tenant).await;
        if matches!(times, 0 | ALWAYS) {
            assert_eq!(trained["run_id"], "", "{name}: {trained}");
            assert!(trained["message"].as_str().expect("a text").contains("tracking is pending"), "{name}");
        } else {
            service.until(name, async || world.proxy.faults() > before).await;
        }
        predict(&service, &tenant).await;
        world.proxy.heal().await;
        world.until_empty(&service).await;
        let found = world.one_complete_run_each(&service, &tenant, &[trained]).await.remove(0);
        assert_eq!(found, files, "{name}: the same files with the same sizes");
    }
    assert_eq!(world.packs(), 0, "a complete run leaves no copy");
    service.stop().await;
}

/// The worst moments to die: MLflow has done what it was told, and nobody heard of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_killed_process_leaves_no_half_run() {
    let world = World::new(&[]).await;
    let tenant = Uuid::new_v4().to_string();
    let mut trained = vec![];
    for calls in [
        &["runs/create", "runs/log-batch", "runs/log-inputs", "/feature_importance.json"][..],
        &["runs/set-tag", "model-versions/create", "runs/update"],
    ] {
        let service = world.program.serve().await;
        for call in calls {
            let before = world.proxy.faults();
            world.proxy.set(call, Fault::HoldAnswer, 1);
            let answer = train(&service, &tenant).await;
            assert_eq!(answer["run_id"], "", "{call}: {answer}");
            trained.push(answer);
            service.until(call, async || world.proxy.faults() > before).await;
            predict(&service, &tenant).await;
        }
        service.kill().await;
        // Those that are there belong to the dead until their leases run out.
        world.database.as_owner("UPDATE tracking_outbox SET lease_until = now() + interval '1 hour'").await;
    }
    assert_eq!(world.outbox_rows("state = 'pending'").await, trained.len() as i64);
    let service = world.program.serve().await;
    world.database.as_owner("UPDATE tracking_outbox SET lease_until = now()").await;
    world.until_empty(&service).await;
    let files = world.one_complete_run_each(&service, &tenant, &trained).await;
    assert!(files.iter().all(|of_run| of_run.keys().eq(files[0].keys())), "{files:?}");
    assert_eq!(world.packs(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_refused_run_is_parked_until_somebody_says_otherwise() {
    let world = World::new(&[]).await;
    let service = world.program.serve().await;
    let tenant = Uuid::new_v4().to_string();
    world.proxy.set("runs/log-batch", REFUSAL, ALWAYS);
    let trained = train(&service, &tenant).await;
    service.until("parked", async || world.outbox_rows("state = 'parked'").await == 1).await;
    let listed = world.program.prints(&["tracking", "list"]);
    let row = listed.lines().nth(1).expect("a row");
    let model = trained["model_id"].as_str().expect("an id");
    for word in ["parked", &tenant, model, "values", "INVALID_PARAMETER_VALUE"] {
        assert!(row.contains(word), "{word}: {row}");
    }
    let parked = r#"binah_tracking_outbox_rows{state="parked"} 1"#;
    let metrics = async || service.public("/metrics").await.expect("metrics");
    service.until("the metric", async || metrics().await.contains(parked)).await;

    world.proxy.heal().await;
    assert_eq!(world.program.prints(&["tracking", "retry"]), "1 parked run is pending again\n");
    world.until_empty(&service).await;
    world.one_complete_run_each(&service, &tenant, &[trained]).await;
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_attempt_that_lost_its_row_changes_nothing() {
    let world = World::new(&[]).await;
    let service = world.program.serve().await;
    world.proxy.set("runs/set-tag", Fault::HoldAnswer, 1);
    train(&service, &Uuid::new_v4().to_string()).await;
    service.until("held", async || world.proxy.faults() == 1).await;
    // As another process's worker would after the lease.
    let claim = "UPDATE tracking_outbox SET fence = fence + 1, attempts = attempts + 1, lease_until = now() + interval '1 hour'";
    world.database.as_owner(claim).await;
    // The attempt is called off, and gives back what is no longer its own.
    service.stop().await;
    let untouched =
        "attempts = 2 AND fence = 2 AND lease_until > now() AND step = 'describe' AND run_id <> ''";
    assert_eq!(world.outbox_rows(untouched).await, 1);
}

/// `cargo test --test it tracking::outbox::what_a_training_waits -- --ignored --nocapture`; `BINAH_ML` names
/// another build to compare with.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "a measurement"]
#[expect(clippy::print_stdout, reason = "the figures of a run")]
async fn what_a_training_waits() {
    let direct = [("MLFLOW_WAIT_SECONDS", "60"), ("MLFLOW_TRACKING_URI", servers::mlflow().await)];
    let mut world = World::new(&direct).await;
    if let Some(binary) = std::env::var_os("BINAH_ML") {
        world.program.binary = binary.into();
    }
    let service = world.program.serve().await;
    let tenant = Uuid::new_v4().to_string();
    let mut seconds = vec![];
    for _ in 0..30 {
        let started = std::time::Instant::now();
        train(&service, &tenant).await;
        seconds.push(started.elapsed().as_secs_f64());
    }
    seconds.sort_by(f64::total_cmp);
    println!("a training, p50: {:.0} ms, p90: {:.0} ms", seconds[15] * 1e3, seconds[27] * 1e3);
    let metrics = service.public("/metrics").await.expect("metrics");
    for line in metrics.lines().filter(|line| line.contains("binah_tracking")) {
        println!("{line}");
    }
    service.stop().await;
}
