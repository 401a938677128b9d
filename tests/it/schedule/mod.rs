//! Retraining by schedules: a service that trains, and schedulers beside it whose clock the test holds.

mod api;
mod new_rows;
mod outcomes;
mod times;

use std::{ops::Range, sync::Arc, time::Duration};

use binah_ml::{
    auth::tenant::scope,
    catalog::ModelType,
    config::RetrainConfig,
    jobs::Jobs,
    registry::{ArtifactStore, Registry},
    schedule::Schedules,
    storage::{
        Database,
        records::{self, Cell, Record},
    },
    training::{Sources, Submitter},
};
use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::support::{Service, TENANT_A, tenant};

const COST: &str = "cost_forecasting";
const PATH: &str = "/api/ml/models/cost_forecasting/schedule";

struct World {
    service: Service,
    database: Database,
    /// By the service's own settings.
    schedules: Schedules,
}

impl World {
    /// A service that retrains by default, and whose own scheduler finds nothing due for hours.
    async fn new(settings: &[(&str, &str)]) -> Self {
        let hour = format!("0 {} * * *", (Utc::now() + TimeDelta::hours(12)).format("%H"));
        let mut all = vec![("AUTO_RETRAIN", "true"), ("RETRAIN_SCHEDULE", &hour)];
        all.extend(settings);
        let service = Service::start_with(&all).await;
        let database = service.database();
        let schedules = scheduler(&service, &database, service.config.retrain.clone());
        Self { service, database, schedules }
    }

    /// A service with a model of tenant A, trained on sixty records.
    async fn trained(settings: &[(&str, &str)]) -> Self {
        let world = Self::new(settings).await;
        world.insert(0..60, 100.0).await;
        world.service.train(TENANT_A, COST, json!({})).await.ok();
        world
    }

    /// A scheduler with other settings.
    fn scheduler(&self, change: impl FnOnce(&mut RetrainConfig)) -> Schedules {
        let mut settings = self.service.config.retrain.clone();
        change(&mut settings);
        scheduler(&self.service, &self.database, settings)
    }

    /// Records of tenant A, one a day, that cost so much a square foot.
    async fn insert(&self, numbers: Range<u32>, per_sqft: f64) {
        let record = |number: u32| {
            let sqft = f64::from(1_000 + number * 37 % 500);
            Record {
                entity_id: format!("e{number}"),
                observed_at: Some(DateTime::UNIX_EPOCH + TimeDelta::days(number.into())),
                values: vec![
                    Cell::Number(sqft),
                    Cell::Number(f64::from(number % 7)),
                    Cell::Number(f64::from(number % 3 + 1)),
                    Cell::Text("commercial".to_owned()),
                    Cell::Number(2020.0),
                    Cell::Number(sqft * per_sqft),
                ],
            }
        };
        scope(tenant(TENANT_A), async {
            let mut transaction = self.database.tenant_transaction("test").await.expect("begins");
            records::insert(&mut transaction, cost(), numbers.map(record)).await.expect("inserts");
            transaction.commit().await.expect("commits");
        })
        .await;
    }

    async fn turn(&self, now: DateTime<Utc>) {
        self.schedules.turn(now).await.expect("looks");
    }

    /// Lets the trainings that are queued end.
    async fn rest(&self) {
        while self.service.unfinished_trainings().await > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Looks at `now`, and lets what it queued end.
    async fn turn_and_rest(&self, now: DateTime<Utc>) {
        self.turn(now).await;
        self.rest().await;
    }

    async fn document(&self) -> Value {
        self.service.get(PATH, TENANT_A).await.ok()
    }

    async fn put(&self, body: Value) -> Value {
        self.service.send("PUT", PATH, TENANT_A, "admin", Some(body)).await.ok()
    }

    /// When the schedule is due next.
    async fn due(&self) -> DateTime<Utc> {
        time(&self.document().await["next_run_at"])
    }

    async fn retrainings(&self) -> i64 {
        self.service.count("SELECT count(*) FROM training_jobs WHERE origin = 'schedule'").await
    }

    async fn versions(&self) -> i64 {
        self.service.count("SELECT count(*) FROM ml_models").await
    }
}

fn cost() -> ModelType {
    ModelType::parse(COST).expect("known")
}

fn time(value: &Value) -> DateTime<Utc> {
    let text = value.as_str().unwrap_or_else(|| panic!("no time: {value}"));
    text.parse::<NaiveDateTime>().expect("a time").and_utc()
}

fn scheduler(service: &Service, database: &Database, settings: RetrainConfig) -> Schedules {
    let config = &service.config;
    let jobs = Jobs::new(database.clone(), config.training.queue);
    let sources = Sources {
        database: database.clone(),
        queries: None,
        graph: None,
        max_rows: config.training.max_rows,
    };
    let submitter = Submitter::new(jobs, Arc::new(sources), Duration::ZERO, CancellationToken::new());
    let store = ArtifactStore::open(&config.model_registry_path).expect("opens");
    Schedules::new(database.clone(), Registry::new(database.clone(), store), submitter, settings)
}
