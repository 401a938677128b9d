//! Versions, artifacts, jobs and the prediction log.

use binah_ml::{
    Error,
    auth::{TenantId, tenant::scope},
    catalog::ModelType,
    features::{Feature, FeatureKind, FeatureSchema},
    inference::VersionSelector,
    jobs::{Claim, Jobs, Limits, NewJob, Origin},
    registry::{ArtifactStore, ModelRecord, NewModel, Outcome, Registry, Verdict, link_run, resolve},
    storage::{Database, prediction_log},
};
use serde_json::{Value, json};
use sqlx::{query_as, query_scalar};
use uuid::Uuid;

use crate::support::{TENANT_A, TENANT_B, TestDatabase, tenant};

const USER: &str = "cccccccc-cccc-cccc-cccc-cccccccccccc";

struct Bench {
    database: TestDatabase,
    service: Database,
    registry: Registry,
    jobs: Jobs,
    folder: tempfile::TempDir,
}

fn cost() -> ModelType {
    ModelType::parse("cost_forecasting").expect("known")
}

fn schema() -> FeatureSchema {
    let kind = FeatureKind::Categorical { categories: vec!["a".into(), "b".into()], numbered: vec![] };
    FeatureSchema {
        features: vec![
            Feature { name: "size".into(), kind: FeatureKind::Numeric, optional: false },
            Feature { name: "kind".into(), kind, optional: true },
        ],
        target: Some("total_cost".into()),
        dropped: vec![],
    }
}

impl Bench {
    async fn new() -> Self {
        let database = TestDatabase::new().await;
        let service = database.service();
        let folder = tempfile::tempdir().expect("a folder");
        // Below a folder that does not exist yet.
        let path = folder.path().join("registry/models");
        let store = ArtifactStore::open(path.to_str().expect("UTF-8")).expect("opens");
        let registry = Registry::new(service.clone(), store);
        Self { database, jobs: Jobs::new(service.clone(), Limits::default()), service, registry, folder }
    }

    /// Queues a job, and claims one: that, or another's which waited longer.
    async fn start(&self, tenant: TenantId) -> Claim {
        let new = NewJob {
            model_type: cost(),
            user_id: USER,
            request: json!({}),
            rows: Some(b"[]".to_vec()),
            hyperparameters: json!({"max_depth": 6}),
            validation_split: 0.2,
            training_data_query: None,
            origin: Origin::Api,
            priority: 0,
            idempotency_key: None,
        };
        scope(tenant, self.jobs.enqueue(new)).await.expect("queues");
        loop {
            if let Some(claim) = self.jobs.claim("a test").await.expect("claims") {
                return claim;
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    }

    async fn register(&self, claim: &Claim) -> Result<ModelRecord, Error> {
        let new = NewModel {
            claim,
            model_type: cost(),
            schema: &schema(),
            hyperparameters: json!({"max_depth": 6}),
            metrics: json!({"rmse": 0.1, "r2": 0.30000000000000004}),
            importance: json!({"size": 0.75, "kind": 0.25}),
            n_rows: 100,
            data_digest: "5e".repeat(32),
            seed: u64::MAX,
            data_source: "inline",
            verdict: &self.verdict().await,
            files: vec![
                ("model.bml".into(), b"trees".to_vec().into()),
                ("model.ubj".into(), vec![1; 3].into()),
            ],
            outcome: Outcome(&|record| Ok(json!({"version": record.version}))),
            run: None,
        };
        match self.registry.register(new).await? {
            Some(record) => Ok(record),
            // Another training was quicker: judge again.
            None => Box::pin(self.register(claim)).await,
        }
    }

    /// Every version is promoted over the champion that is there.
    async fn verdict(&self) -> Verdict {
        let champion = self.registry.champion(cost()).await.expect("reads");
        Verdict {
            promoted: true,
            decision: "always",
            reason: "a test".into(),
            champion: champion.as_ref().map(|champion| champion.id),
            champion_version: champion.map(|champion| champion.version),
            score: None,
            margin: 0.0,
        }
    }

    async fn train(&self, tenant: TenantId) -> ModelRecord {
        let claim = self.start(tenant).await;
        scope(claim.tenant, self.register(&claim)).await.expect("registers")
    }

    fn files(&self) -> usize {
        let tenants = self.folder.path().join("registry/models");
        let count =
            std::process::Command::new("find").arg(tenants).args(["-type", "f"]).output().expect("find");
        count.stdout.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()).count()
    }
}

#[tokio::test]
async fn a_registered_model_comes_back_as_it_was() {
    let bench = Bench::new().await;
    let (a, b) = (tenant(TENANT_A), tenant(TENANT_B));
    let first = bench.train(a).await;
    let second = bench.train(a).await;
    assert_eq!((first.version, second.version), (1, 2));
    assert_eq!(bench.train(b).await.version, 1, "each tenant counts for itself");
    assert_eq!(second.schema, Some(schema()));
    assert_eq!((second.seed, second.n_rows), (Some(u64::MAX), Some(100)));
    assert_eq!(second.data_digest, Some("5e".repeat(32)));
    assert_eq!(second.metrics["r2"], json!(0.30000000000000004));
    scope(a, async {
        let mut tx = bench.service.tenant_transaction("test").await.expect("begins");
        assert_eq!(resolve(&mut tx, cost(), &VersionSelector::Latest).await.expect("found"), second);
        assert_eq!(resolve(&mut tx, cost(), &VersionSelector::Number(1)).await.expect("found"), first);
        assert_eq!(resolve(&mut tx, cost(), &VersionSelector::Champion).await.expect("found"), second);
        drop(tx);
        assert_eq!(&bench.registry.read(&second, "model.bml").await.expect("reads")[..], b"trees");
        let mut tx = bench.service.tenant_transaction("test").await.expect("begins");
        link_run(&mut tx, second.id, "run", "runs:/run/model", Some("2")).await.expect("links");
        tx.commit().await.expect("commits");
        let linked =
            bench.registry.detail(cost(), &VersionSelector::Latest).await.expect("found").version.record;
        assert_eq!(linked.mlflow_run_id.as_deref(), Some("run"));
        let metrics = bench.registry.metrics(cost()).await.expect("found");
        assert_eq!(metrics.versions.iter().map(|version| version.version).collect::<Vec<_>>(), [2, 1]);
        assert_eq!(metrics.champion.metrics["rmse"], json!(0.1));
    })
    .await;
    let job: (String, Option<Uuid>, Option<String>, Option<Value>, String) = query_as(
        "SELECT status, model_id, mlflow_run_id, metrics, user_id FROM training_jobs WHERE model_id = $1",
    )
    .bind(second.id)
    .fetch_one(&mut bench.database.owner_connection().await)
    .await
    .expect("the job");
    let metrics = json!({"rmse": 0.1, "r2": 0.30000000000000004});
    assert_eq!(job, ("completed".into(), Some(second.id), Some("run".into()), Some(metrics), USER.into()));
}

/// What a version of the service that knows no aliases serves.
#[tokio::test]
async fn without_an_alias_the_newest_ready_version_is_the_champion() {
    let bench = Bench::new().await;
    let first = bench.train(tenant(TENANT_A)).await;
    bench.train(tenant(TENANT_A)).await;
    let pointed = format!("UPDATE model_aliases SET model_id = '{}'", first.id);
    for (change, version) in [
        ("SELECT 1", 2),
        (pointed.as_str(), 1),
        ("UPDATE ml_models SET status = 'deprecated' WHERE version = 1", 2),
        ("UPDATE ml_models SET status = 'ready'; DELETE FROM model_aliases", 2),
    ] {
        bench.database.as_owner(change).await;
        let champion = scope(tenant(TENANT_A), bench.registry.champion(cost())).await.expect("reads");
        assert_eq!(champion.map(|champion| champion.version), Some(version), "{change}");
    }
}

#[tokio::test]
async fn what_is_not_there_says_what_to_do() {
    let bench = Bench::new().await;
    let of_b = bench.train(tenant(TENANT_B)).await;
    scope(tenant(TENANT_A), async {
        let find = async |version: VersionSelector| {
            bench.registry.detail(cost(), &version).await.expect_err("nothing there").to_string()
        };
        assert_eq!(
            find(VersionSelector::Latest).await,
            "No trained cost_forecasting model for this tenant; train one first with POST /api/ml/train"
        );
        for (version, name) in [
            (VersionSelector::Number(7), "v7.0"),
            (VersionSelector::Number(u32::MAX), "v4294967295.0"),
            (VersionSelector::Alias("champion".into()), "champion"),
            (VersionSelector::Alias("no\0alias".into()), "no\0alias"),
        ] {
            assert_eq!(find(version).await, format!("Model version '{name}' of cost_forecasting not found"));
        }
        assert!(matches!(bench.registry.metrics(cost()).await, Err(Error::NotFound(_))));
        assert_eq!(
            bench.registry.champion(cost()).await.expect("reads"),
            None,
            "{of_b:?} is another tenant's"
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_trainings_count_without_gap_or_double() {
    let bench = std::sync::Arc::new(Bench::new().await);
    let trainings = (0..24).map(|i| {
        let bench = bench.clone();
        tokio::spawn(async move { bench.train(tenant(if i % 2 == 0 { TENANT_A } else { TENANT_B })).await })
    });
    let mut versions = std::collections::BTreeMap::<_, Vec<i32>>::new();
    for model in futures::future::join_all(trainings).await {
        let model = model.expect("runs");
        versions.entry(model.tenant).or_default().push(model.version);
    }
    for of_tenant in versions.values_mut() {
        of_tenant.sort_unstable();
        assert_eq!(*of_tenant, (1..=12).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn a_damaged_file_fails_that_model_only() {
    let bench = Bench::new().await;
    let (good, bad) = (bench.train(tenant(TENANT_A)).await, bench.train(tenant(TENANT_A)).await);
    let path = bench.folder.path().join("registry/models").join(&bad.artifacts["model.bml"].path);
    assert!(path.ends_with(format!("{}/cost_forecasting/{}/model.bml", bad.tenant, bad.id)));
    let mut foreign = bad.clone();
    foreign.tenant = tenant(TENANT_B);
    for damage in ["changed", "missing", "not listed", "foreign"] {
        let error = match damage {
            "changed" => {
                std::fs::write(&path, b"treez").expect("writes");
                bench.registry.read(&bad, "model.bml").await
            }
            "missing" => {
                std::fs::remove_file(&path).expect("removes");
                bench.registry.read(&bad, "model.bml").await
            }
            "not listed" => bench.registry.read(&bad, "../../model.bml").await,
            _ => bench.registry.read(&foreign, "model.ubj").await,
        }
        .expect_err(damage);
        assert_eq!(error.code(), "corrupt_artifact", "{damage}");
        let message = error.to_string();
        assert_eq!(message, "The stored cost_forecasting v2.0 is missing or corrupt; train a new version");
    }
    assert_eq!(&bench.registry.read(&good, "model.bml").await.expect("reads")[..], b"trees");
}

#[tokio::test]
async fn a_training_that_has_ended_registers_nothing() {
    let bench = Bench::new().await;
    let cancelled = bench.start(tenant(TENANT_A)).await;
    scope(tenant(TENANT_A), async {
        bench.jobs.cancel(cancelled.job_id).await.expect("is noted");
        assert!(matches!(bench.register(&cancelled).await, Err(Error::Cancelled)), "it still runs");
        assert!(bench.jobs.cancelled(&cancelled).await.expect("ends"));
        assert!(matches!(bench.register(&cancelled).await, Err(Error::LeaseLost)));
    })
    .await;
    let failed = bench.start(tenant(TENANT_A)).await;
    scope(tenant(TENANT_A), async {
        let error = json!({"code": "invalid", "message": "not\0enough rows"});
        assert!(bench.jobs.fail(&failed, "not\0enough rows", &error).await.expect("fails"));
        assert!(matches!(bench.register(&failed).await, Err(Error::LeaseLost)));
        assert!(matches!(bench.jobs.cancel(failed.job_id).await, Err(Error::Conflict(_))));
        assert!(!bench.jobs.cancelled(&failed).await.expect("has no effect"));
        let mut tx = bench.service.tenant_snapshot("test").await.expect("begins");
        let job: (String, Option<String>, Option<Uuid>) =
            query_as("SELECT status, error_message, created_by FROM training_jobs WHERE id = $1")
                .bind(failed.job_id)
                .fetch_one(&mut *tx)
                .await
                .expect("the job");
        assert_eq!(job.0, "failed");
        assert_eq!(job.1.as_deref(), Some("not\u{fffd}enough rows"));
        assert_eq!(job.2.map(|id| id.to_string()), Some(USER.to_owned()));
        let models: i64 =
            query_scalar("SELECT count(*) FROM ml_models").fetch_one(&mut *tx).await.expect("counts");
        assert_eq!(models, 0);
    })
    .await;
    assert_eq!(bench.files(), 0, "the files went with it");
}

#[tokio::test]
async fn a_prediction_is_kept_whatever_it_holds() {
    let bench = Bench::new().await;
    let features = json!({"name\u{0}": "nul \u{0} inside", "size": 1e300});
    scope(tenant(TENANT_A), async {
        let mut tx = bench.service.tenant_transaction("predict").await.expect("begins");
        let new = prediction_log::NewPrediction {
            id: Uuid::nil(),
            model_id: Uuid::max(),
            model_type: cost(),
            model_version: "v1.0",
            features: &features,
            result: &json!({"value": 1.5}),
            confidence: None,
            user_id: "o'hara",
        };
        prediction_log::insert(&mut tx, &new).await.expect("inserts");
        tx.commit().await.expect("commits");
        let mut tx = bench.service.tenant_snapshot("test").await.expect("begins");
        let kept: (Value, Value, Option<Uuid>, String) =
            query_as("SELECT input_features, prediction_result, created_by, user_id FROM predictions")
                .fetch_one(&mut *tx)
                .await
                .expect("the row");
        assert_eq!(kept.0["name\u{fffd}"], "nul \u{fffd} inside");
        assert_eq!((kept.1, kept.2, kept.3), (json!({"value": 1.5}), None, "o'hara".to_owned()));
    })
    .await;
}
