//! The real queue in a database of its own, with what a test alone may do to it.

use std::collections::{BTreeMap, BTreeSet};

use binah_ml::{
    Error,
    auth::{TenantId, tenant::scope},
    catalog::ModelType,
    features::{Feature, FeatureKind, FeatureSchema},
    jobs::{Claim, IdempotencyKey, JobState, Jobs, Limits, NewJob, Origin, Progress, Retry, Stage},
    registry::{ArtifactStore, NewModel, Outcome, Registry, Verdict},
};
use serde_json::{Map, json};
use sqlx::{AssertSqlSafe, FromRow, PgConnection, query_as, query_scalar, raw_sql};
use tokio::sync::Mutex;
use uuid::Uuid;

use super::model::{Answer, Claimed, Job, Op, Order};
use crate::support::{TestDatabase, tenant};

/// In the order of the database, which decides between tenants that were never served.
const TENANTS: [&str; 3] = [
    "0a000000-0000-4000-8000-000000000000",
    "5b000000-0000-4000-8000-000000000000",
    "fc000000-0000-4000-8000-000000000000",
];

pub struct World {
    _database: TestDatabase,
    /// One for the whole test: they are dear.
    owner: Mutex<PgConnection>,
    jobs: Jobs,
    registry: Registry,
    _folder: tempfile::TempDir,
    /// Of each job, in the order of the model's.
    pub ids: Vec<Uuid>,
    /// Whose each job is, likewise.
    pub tenants: Vec<TenantId>,
    /// Of each claim, likewise.
    pub claims: Vec<Claim>,
}

/// What the real queue answered, before it is known which of the model's jobs it is about.
#[derive(Debug)]
pub enum Told {
    Queued(Uuid, bool),
    Claimed(Claim),
    Reaped(Vec<(Uuid, JobState)>),
    Plain(Answer),
}

/// A row, as far as the model knows of it.
#[derive(Debug, FromRow)]
struct Row {
    id: Uuid,
    status: String,
    attempts: i32,
    fence: i64,
    cancel_requested: bool,
    leased: bool,
    ended: bool,
    paused: bool,
    has_model: bool,
    files: Vec<String>,
}

pub fn tenant_of(index: usize) -> TenantId {
    tenant(TENANTS[index])
}

pub fn type_of(index: usize) -> ModelType {
    ModelType::all().nth(index).expect("a catalog type")
}

impl World {
    pub async fn new(limits: Limits) -> Self {
        let database = TestDatabase::new().await;
        let service = database.service_with(6);
        let folder = tempfile::tempdir().expect("a folder");
        let store = ArtifactStore::open(folder.path().to_str().expect("UTF-8")).expect("opens");
        Self {
            jobs: Jobs::new(service.clone(), limits),
            registry: Registry::new(service, store),
            owner: Mutex::new(database.owner_connection().await),
            _database: database,
            _folder: folder,
            ids: vec![],
            tenants: vec![],
            claims: vec![],
        }
    }

    /// An empty queue again.
    pub async fn clear(&mut self) {
        let tables =
            "training_jobs, training_job_files, ml_models, model_metadata, model_aliases, tracking_outbox";
        self.as_owner(&format!("TRUNCATE {tables} CASCADE")).await;
        // Rows that are none of the queue's, in states that would be in its way.
        self.as_owner(&format!(
            "INSERT INTO training_jobs (id, tenant_id, model_type, status)
             SELECT gen_random_uuid(), '{}', 'cost_forecasting', status
               FROM unnest(ARRAY['queued', 'training', 'training', 'completed']) AS status",
            TENANTS[0]
        ))
        .await;
        self.ids.clear();
        self.claims.clear();
    }

    pub async fn run(&self, op: &Op) -> Told {
        match *op {
            Op::Enqueue(ref order) => self.enqueue(order).await,
            Op::Claim => match self.jobs.claim("a test").await.expect("claims") {
                Some(claim) => Told::Claimed(claim),
                None => Told::Plain(Answer::Claimed(None)),
            },
            Op::Beat(claim) => {
                let claim = &self.claims[claim];
                let progress = progress();
                let beat = scope(claim.tenant, self.jobs.beat(claim, Some(&progress))).await;
                Told::Plain(Answer::Beat(beat.expect("beats")))
            }
            Op::Checkpoint(claim) => {
                let claim = &self.claims[claim];
                held(scope(claim.tenant, self.jobs.write_checkpoint(claim, 0, b"trees")).await)
            }
            Op::Register(claim) => {
                let claim = &self.claims[claim];
                completed(scope(claim.tenant, self.register(claim)).await)
            }
            Op::Complete(claim) => {
                let claim = &self.claims[claim];
                let (model_id, nothing) = (Uuid::nil(), json!({}));
                let complete = self.jobs.complete_without_model(claim, model_id, &nothing, &nothing);
                completed(scope(claim.tenant, complete).await)
            }
            Op::Fail(claim) => self.fail(&self.claims[claim]).await,
            Op::Stop(claim) => {
                let claim = &self.claims[claim];
                held(scope(claim.tenant, self.jobs.cancelled(claim)).await)
            }
            Op::HandBack(claim) => {
                let claim = &self.claims[claim];
                held(scope(claim.tenant, self.jobs.release(claim, Retry::HandedBack)).await)
            }
            Op::Postpone(claim) => self.postpone(&self.claims[claim]).await,
            Op::Cancel(job) => match scope(self.tenants[job], self.jobs.cancel(self.ids[job])).await {
                Ok(state) => Told::Plain(Answer::State(state)),
                Err(Error::Conflict(_)) => Told::Plain(Answer::Conflict),
                Err(error) => panic!("{error:?}"),
            },
            Op::Expire(job) => {
                self.as_owner(&format!(
                    "UPDATE training_jobs SET lease_until = clock_timestamp() - interval '1 ms'
                      WHERE id = '{}' AND status = 'training'",
                    self.ids[job]
                ))
                .await;
                Told::Plain(Answer::Nothing)
            }
            Op::Reap => {
                let reaped = self.jobs.reap().await.expect("reaps");
                Told::Reaped(reaped.iter().map(|reaped| (reaped.job_id, reaped.state)).collect())
            }
            Op::TimePasses => {
                self.as_owner("UPDATE training_jobs SET run_at = now() WHERE run_at > now()").await;
                Told::Plain(Answer::Nothing)
            }
        }
    }

    async fn enqueue(&self, order: &Order) -> Told {
        let key = order.key.map(|key| format!("key-{key}"));
        let request = json!({ "n": order.request });
        let stands_for = request.clone();
        let new = NewJob {
            model_type: type_of(order.model_type),
            user_id: "ann",
            request,
            rows: order.rows.then(|| b"[]".to_vec()),
            hyperparameters: json!({}),
            validation_split: 0.2,
            training_data_query: None,
            origin: Origin::Api,
            priority: order.priority,
            idempotency_key: key.as_deref().map(|key| IdempotencyKey { key, stands_for: &stands_for }),
        };
        match scope(tenant_of(order.tenant), self.jobs.enqueue(new)).await {
            Ok(queued) => Told::Queued(queued.id, queued.created),
            Err(Error::QueueFull { .. }) => Told::Plain(Answer::Full),
            Err(Error::Invalid(faults)) if faults[0].kind == "idempotency_key_reused" => {
                Told::Plain(Answer::KeyReused)
            }
            Err(error) => panic!("{error:?}"),
        }
    }

    async fn fail(&self, claim: &Claim) -> Told {
        let error = json!({"code": "internal", "message": "no"});
        held(scope(claim.tenant, self.jobs.fail(claim, "no", &error)).await)
    }

    async fn postpone(&self, claim: &Claim) -> Told {
        if claim.attempt >= self.jobs.limits().attempts {
            return self.fail(claim).await;
        }
        held(scope(claim.tenant, self.jobs.release(claim, Retry::Soon)).await)
    }

    async fn register(&self, claim: &Claim) -> Result<(), Error> {
        loop {
            let champion = self.registry.champion(claim.model_type).await?;
            let verdict = Verdict {
                promoted: true,
                decision: "always",
                reason: "a test".into(),
                champion: champion.as_ref().map(|champion| champion.id),
                champion_version: champion.map(|champion| champion.version),
                score: None,
                margin: 0.0,
            };
            let size = Feature { name: "size".into(), kind: FeatureKind::Numeric, optional: false };
            let new = NewModel {
                claim,
                model_type: claim.model_type,
                schema: &FeatureSchema { features: vec![size], target: None, dropped: vec![] },
                hyperparameters: json!({}),
                metrics: json!({}),
                importance: json!({}),
                n_rows: 1,
                data_digest: "5e".repeat(32),
                seed: 1,
                data_source: "inline",
                verdict: &verdict,
                files: vec![("model.bml".into(), b"trees".to_vec().into())],
                outcome: Outcome(&|_| Ok(json!({}))),
                run: None,
            };
            if self.registry.register(new).await?.is_some() {
                return Ok(());
            }
        }
    }

    /// The model's answer, with the ids that it stands for; `None` if it is not what was told.
    pub fn agrees(&self, told: &Told, answer: &Answer, ids: &mut BTreeMap<usize, Uuid>) -> bool {
        let mut is = |job: usize, id: Uuid| *ids.entry(job).or_insert(id) == id;
        match (told, answer) {
            (Told::Queued(id, created), Answer::Queued { job, created: expected }) => {
                created == expected && is(*job, *id)
            }
            (Told::Claimed(claim), Answer::Claimed(Some(Claimed { job, attempt, .. }))) => {
                claim.attempt == *attempt && is(*job, claim.job_id)
            }
            (Told::Reaped(reaped), Answer::Reaped(expected)) => {
                let found: BTreeSet<_> = reaped
                    .iter()
                    .filter_map(|(id, state)| {
                        let job = ids.iter().find(|(_, known)| *known == id)?.0;
                        Some((*job, state.name()))
                    })
                    .collect();
                found == *expected && found.len() == reaped.len()
            }
            (Told::Plain(told), answer) => told == answer,
            _ => false,
        }
    }

    /// The first difference between the rows and the model's jobs.
    pub async fn difference(&self, jobs: &[Job], ids: &BTreeMap<usize, Uuid>) -> Option<String> {
        let rows: Vec<Row> = query_as(
            "SELECT id, status, attempts, fence, cancel_requested_at IS NOT NULL AS cancel_requested,
                    lease_until IS NOT NULL AS leased, completed_at IS NOT NULL AS ended, run_at > now() AS paused,
                    EXISTS (SELECT FROM ml_models m WHERE m.job_id = j.id) AS has_model,
                    ARRAY(SELECT name FROM training_job_files f WHERE f.job_id = j.id ORDER BY name) AS files
               FROM training_jobs j WHERE request IS NOT NULL ORDER BY created_at, id",
        )
        .fetch_all(&mut *self.owner.lock().await)
        .await
        .expect("reads");
        if rows.len() != jobs.len() {
            return Some(format!("{} rows for {} jobs", rows.len(), jobs.len()));
        }
        let difference = |(index, job): (usize, &Job)| {
            let row = rows.iter().find(|row| ids.get(&index) == Some(&row.id));
            let is_that = |row: &Row| {
                let running = job.state == JobState::Training;
                row.status == job.state.name()
                    && (row.attempts.unsigned_abs(), row.fence) == (job.attempts, job.fence)
                    && (row.cancel_requested, row.has_model) == (job.cancel_requested, job.has_model)
                    && (row.leased, row.ended) == (running, job.state.is_final())
                    && (row.paused == job.paused || job.state != JobState::Queued)
                    && row.files.iter().map(String::as_str).eq(job.files.iter().copied())
            };
            (!row.is_some_and(is_that)).then(|| format!("{row:?} should be {job:?}"))
        };
        jobs.iter().enumerate().find_map(difference)
    }

    /// Places of the jobs in the order of their birth, which the database alone knows after a race.
    pub async fn ranks(&self) -> Vec<Uuid> {
        query_scalar("SELECT id FROM training_jobs WHERE request IS NOT NULL ORDER BY created_at, id")
            .fetch_all(&mut *self.owner.lock().await)
            .await
            .expect("reads")
    }

    /// Tenants that were ever served, first the one whose turn lies back the longest.
    pub async fn turns(&self) -> Vec<usize> {
        let tenants: Vec<Uuid> = query_scalar(
            "SELECT tenant_id FROM training_jobs WHERE claimed_at IS NOT NULL
              GROUP BY tenant_id ORDER BY max(claimed_at)",
        )
        .fetch_all(&mut *self.owner.lock().await)
        .await
        .expect("reads");
        let index = |id: &Uuid| (0..TENANTS.len()).find(|&index| tenant_of(index).uuid() == *id);
        tenants.iter().map(|id| index(id).expect("a tenant of the test")).collect()
    }

    /// Files that jobs have.
    pub async fn files(&self) -> i64 {
        query_scalar("SELECT count(*) FROM training_job_files")
            .fetch_one(&mut *self.owner.lock().await)
            .await
            .expect("counts")
    }

    /// Everything that the queue keeps, to see that nothing has changed.
    pub async fn everything(&self) -> String {
        query_scalar(
            "SELECT concat((SELECT string_agg(to_jsonb(j)::text, ' ' ORDER BY id) FROM training_jobs j),
                           (SELECT string_agg(to_jsonb(f)::text, ' ' ORDER BY job_id, name) FROM training_job_files f),
                           (SELECT string_agg(id::text, ' ' ORDER BY id) FROM ml_models))",
        )
        .fetch_one(&mut *self.owner.lock().await)
        .await
        .expect("reads")
    }

    /// The pause of a job is as long as it should be, about `mean` seconds; from here on it lasts until
    /// [`Op::TimePasses`].
    pub async fn hold_pause(&self, job: usize, mean: f64) {
        // What RETURNING reads by itself is the row as it was before.
        let pause: f64 = query_scalar(
            "UPDATE training_jobs j SET run_at = now() + interval '1 day' WHERE id = $1
          RETURNING (SELECT extract(epoch FROM o.run_at - o.updated_at)::float8 FROM training_jobs o WHERE o.id = j.id)",
        )
        .bind(self.ids[job])
        .fetch_one(&mut *self.owner.lock().await)
        .await
        .expect("updates");
        assert!((mean * 0.5..mean * 1.5 + 1.0).contains(&pause), "{pause} s, about {mean} s expected");
    }

    async fn as_owner(&self, statements: &str) {
        let statements = raw_sql(AssertSqlSafe(statements));
        statements.execute(&mut *self.owner.lock().await).await.expect("the statements run");
    }
}

fn held(result: Result<bool, Error>) -> Told {
    Told::Plain(Answer::Held(result.expect("the database answers")))
}

fn completed(result: Result<(), Error>) -> Told {
    Told::Plain(match result {
        Ok(()) => Answer::Completed,
        Err(Error::LeaseLost) => Answer::LeaseLost,
        Err(Error::Cancelled) => Answer::StopOrdered,
        Err(error) => panic!("{error:?}"),
    })
}

fn progress() -> Progress {
    Progress {
        stage: Stage::Fitting,
        percent: 50,
        rounds_done: 1,
        rounds_total: 2,
        eta_seconds: None,
        metrics: Map::new(),
    }
}
