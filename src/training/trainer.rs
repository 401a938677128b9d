//! One training, from the claimed job to the registered version and its run in MLflow.

use std::{
    num::NonZeroU32,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use chrono::Utc;
use serde_json::{Map, Value, json};
use tokio::sync::mpsc;

use super::{
    Decision, KeptOutcome, Rooms, TrainingPool,
    control::Control,
    evaluate::evaluate,
    fit::{FitContext, MadeCheckpoint, Resume, fit},
    flavors::{Provenance, flavors},
    memory::MemoryBudget,
    promotion::{self, Champion, HeldOut},
    report::{self, Material, Shown},
    request::StoredRequest,
    split::Split,
    stages::{Seconds, Stopwatch},
    task::{Rows, Task, Trained},
};
use crate::{
    catalog::{Family, Hyperparameters},
    config::TrainingConfig,
    error::{Error, Result},
    features::{inline::Row, query},
    forest::codec::native,
    inference::{LoadedModel, model::NATIVE_FILE},
    jobs::{Claim, Stage},
    outbox::Outgoing,
    registry::{ModelRecord, NewModel, Outcome, Verdict},
    storage::{in_time, records::Mark},
    tracking::PackedRun,
    xgboost::Segment,
};

/// File name of XGBoost's own format in the registry and in MLflow.
pub const XGBOOST_FILE: &str = "model.json";

/// File name of the [`DataProfile`](crate::features::pipeline::DataProfile) in the registry, as JSON.
pub const PROFILE_FILE: &str = "profile.json";

/// No checkpoint is made sooner after the one before was kept, or after the start.
const CHECKPOINT_PAUSE: Duration = Duration::from_secs(1);

/// Nor before so many times as long have passed as the training waited for that one.
const CHECKPOINT_COSTS: u32 = 50;

/// So many times as long as a segment took to be kept, the next one waits: in between the database is there for others.
const SEGMENT_PAUSE: u32 = 10;

/// How long the database and the model store may take to say what there is, a champion's files included.
const LOOK_UP: Duration = Duration::from_secs(300);

/// How long a finished training waits for a database that is away, and how often it looks.
const LONGEST_AWAY: Duration = Duration::from_secs(600);
const AWAY_PAUSE: Duration = Duration::from_secs(1);

/// Trains models.
#[derive(Debug)]
pub struct Trainer {
    pool: TrainingPool,
    memory: MemoryBudget,
    checkpoint_rounds: NonZeroU32,
    rooms: Rooms,
}

impl Trainer {
    /// Starts the training threads.
    ///
    /// # Errors
    /// If the operating system grants none.
    pub fn new(config: &TrainingConfig, rooms: Rooms) -> Result<Self> {
        Ok(Self {
            pool: TrainingPool::new(config)?,
            memory: MemoryBudget::new(config.memory),
            checkpoint_rounds: config.checkpoint_rounds,
            rooms,
        })
    }

    /// Trains a claimed job in the open scope of its tenant, and completes it. Dropped, or ordered to stop by `control`,
    /// it leaves the job as it is.
    ///
    /// # Errors
    /// [`Error::Invalid`] for rows that nothing can be learnt from; [`Error::Cancelled`] if it was to stop;
    /// [`Error::LeaseLost`] if another worker has the job.
    pub(super) async fn train(&self, claim: &Claim, control: &Arc<Control>) -> Result<()> {
        let stored: StoredRequest = serde_json::from_value(claim.request.clone()).map_err(Error::internal)?;
        let mut request = stored.train;
        if stored.inline {
            request.data = Some(self.inline_rows(claim).await?);
        }
        let task = Task {
            claim: claim.clone(),
            model_type: request.model_type,
            params: Hyperparameters::check(
                request.model_type,
                request.hyperparameters_field,
                &request.hyperparameters,
            )?,
            validation_split: request.validation_split,
            seed: request.seed,
            query_hash: request.training_data_query.as_deref().map(query::hash),
            started_at: Utc::now(),
        };
        let newest = if stored.only_if_changed {
            in_time(LOOK_UP, self.rooms.registry.newest(task.model_type)).await?
        } else {
            None
        };
        control.enter(Stage::WaitingForMemory)?;
        let size = in_time(LOOK_UP, self.rooms.sources.size(&request)).await?;
        let mut memory = self.memory.reserve(task.peak_bytes(size), task.model_type).await?;
        control.enter(Stage::Reading)?;
        let mut stopwatch = Stopwatch::start();
        let loaded = self.rooms.sources.read(&request, &claim.user_id, task.started_at).await?;
        if let Some(size) = loaded.size() {
            memory.grow(task.peak_bytes(size), task.model_type)?;
        }
        let (seconds_read, records) = (stopwatch.lap(), loaded.records);
        let champion = self.champion(&task).await?;
        let known_digest = newest.as_ref().and_then(|newest| newest.data_digest.clone());
        let rows = Rows { request, loaded, memory };
        let fitted = self.fit(&task, rows, champion.clone(), known_digest, control).await?;
        let mut trained = match (fitted, newest) {
            (Some(trained), _) => trained,
            (None, Some(newest)) => return self.leave_unchanged(&task, &newest, records).await,
            (None, None) => return Err(Error::internal("rows are the same as those of no version")),
        };
        trained.seconds.read = seconds_read;
        control.enter(Stage::Registering)?;
        let draft = report::training_run(&task, &trained).pack();
        let (record, verdict) = self.promote(&task, &trained, &draft, champion).await?;
        self.rooms.cache.insert(record.tenant, record.id, Arc::clone(&trained.model)).await;
        let run = report::with_version(draft, &task, &trained, &record, &verdict);
        self.rooms.outbox.log(record.id, run, self.rooms.tracking_wait)
    }

    /// The rows that came with the request.
    async fn inline_rows(&self, claim: &Claim) -> Result<Vec<Row>> {
        let bytes = self.rooms.jobs.read_rows(claim).await?;
        // Gone with the job's end: whoever asks has lost it.
        let bytes = bytes.ok_or(Error::LeaseLost)?;
        let parsed = tokio::task::spawn_blocking(move || serde_json::from_slice(&bytes)).await;
        parsed.map_err(Error::internal)?.map_err(Error::internal)
    }

    /// Completes a retraining whose rows are those of the newest version.
    async fn leave_unchanged(&self, task: &Task, newest: &ModelRecord, records: Option<Mark>) -> Result<()> {
        let model_version = newest.version_label();
        let message = format!(
            "The rows of {} are those of {model_version}: nothing to learn, no new version",
            task.model_type
        );
        let metrics = newest.metrics.clone();
        let kept = KeptOutcome {
            model_id: newest.id,
            promotion: Decision {
                promoted: false,
                champion: model_version.clone(),
                decision: "unchanged".to_owned(),
                reason: "the rows have not changed".to_owned(),
                metric: None,
                value: None,
                champion_value: None,
            },
            model_version,
            metrics: metrics.clone(),
            message,
            warnings: vec![],
            unchanged: true,
            records,
        };
        let (metrics, outcome) = (Value::Object(metrics), json!(kept));
        self.rooms.jobs.complete_without_model(&task.claim, newest.id, &metrics, &outcome).await
    }

    async fn champion(&self, task: &Task) -> Result<Option<Champion>> {
        in_time(LOOK_UP, Champion::load(&self.rooms.registry, &self.rooms.cache, task.model_type)).await
    }

    /// Registers the model with the verdict on it. If the champion was replaced meanwhile, it is judged anew.
    async fn promote(
        &self,
        task: &Task,
        trained: &Trained,
        draft: &PackedRun,
        mut champion: Option<Champion>,
    ) -> Result<(ModelRecord, Verdict)> {
        let family = task.model_type.family;
        let mut comparison = trained.comparison.clone();
        let begun = Instant::now();
        loop {
            let verdict = promotion::decide(self.rooms.promotion, family, &comparison, champion.as_ref());
            match self.register(task, trained, &verdict, draft).await {
                Ok(Some(record)) => return Ok((record, verdict)),
                Ok(None) => {}
                // The model is in memory, and nobody takes the job while nobody can: hours may lie in it.
                Err(Error::Unavailable { dependency: "Postgres", .. }) if begun.elapsed() < LONGEST_AWAY => {
                    tracing::warn!("the model is kept until Postgres is back");
                    tokio::time::sleep(AWAY_PAUSE).await;
                    continue;
                }
                Err(error) => return Err(error),
            }
            champion = self.champion(task).await?;
            let (held_out, now) = (Arc::clone(&trained.held_out), champion.clone());
            let value = promotion::own_value(family, &trained.evaluation.metrics);
            let compare = move || promotion::compare(family, value, &held_out, now.as_ref());
            comparison = self.pool.run(compare).await?;
        }
    }

    /// The CPU part, on the pool. `None`: the rows are those of `known_digest`.
    async fn fit(
        &self,
        task: &Task,
        rows: Rows,
        champion: Option<Champion>,
        known_digest: Option<String>,
        control: &Arc<Control>,
    ) -> Result<Option<Trained>> {
        let model_type = task.model_type;
        let params = task.params.clone();
        let library = match model_type.family {
            Family::BoostedRegression => Some(self.rooms.library.get()?),
            Family::RandomForest | Family::IsolationForest => None,
        };
        let (keep, checkpoints) = mpsc::channel(1);
        let last = self.rooms.jobs.read_checkpoint(&task.claim).await?;
        let wanted = Arc::new(AtomicBool::new(false));
        let resume = Resume { every: self.checkpoint_rounds, last, wanted: Arc::clone(&wanted), keep };
        control.enter(Stage::WaitingForThread)?;
        let (control, threads) = (Arc::clone(control), self.pool.threads());
        let mut stopwatch = Stopwatch::start();
        let work = move || {
            let Rows { request, loaded, memory } = rows;
            let mut seconds = Seconds { queued: stopwatch.lap(), ..Seconds::default() };
            control.enter(Stage::Preparing)?;
            let (mut dataset, origin) = loaded.dataset(&request)?;
            if known_digest.is_some_and(|known| known == dataset.digest.to_string()) {
                return Ok(None);
            }
            let split = Split::new(&dataset, request.split, request.validation_split, request.seed)?;
            let held_out = HeldOut::take(&mut dataset, &split);
            seconds.prepare = stopwatch.lap();
            let context = FitContext {
                seed: request.seed,
                threads: threads.share(),
                library: library.as_deref(),
                control: &control,
                resume: &resume,
            };
            let fitted = fit(model_type.family, &params, &dataset, &split, context)?;
            let model = LoadedModel::new(dataset.schema.clone(), &fitted.ensemble)?;
            seconds.fit = stopwatch.lap();
            control.enter(Stage::Evaluating)?;
            let mut evaluation = evaluate(model_type.family, &model, &dataset, &split);
            let value = promotion::own_value(model_type.family, &evaluation.metrics);
            let comparison = promotion::compare(model_type.family, value, &held_out, champion.as_ref());
            seconds.evaluate = stopwatch.lap();
            let shares = fitted.ensemble.feature_importance();
            let native = Bytes::from(native::encode(&fitted.ensemble));
            let names = dataset.schema.names();
            let provenance = Provenance {
                family: model_type.family,
                names: &names,
                params: &params,
                n_train: split.train.len(),
                seed: request.seed,
            };
            let (flavors, warning) = flavors(&fitted, &native, provenance)?;
            evaluation.warnings.extend(warning);
            seconds.export = stopwatch.lap();
            let importance: Vec<_> = names.into_iter().zip(shares).collect();
            let shown = Shown::new(&Material {
                family: model_type.family,
                target: dataset.schema.target.as_deref().unwrap_or_default(),
                evaluation: &evaluation,
                offset: model.offset,
                importance: &importance,
                curves: &fitted.curves,
                n_trees: fitted.ensemble.trees.len(),
            });
            seconds.report = stopwatch.lap();
            Ok(Some(Trained {
                native,
                flavors,
                digest: dataset.digest,
                profile_json: serde_json::to_vec(&dataset.profile).map_err(Error::internal)?.into(),
                profile: dataset.profile,
                importance,
                shown,
                seconds,
                example: dataset.features.row(split.train[0]),
                model: Arc::new(model),
                n_train: split.train.len(),
                n_validation: split.validation.len(),
                dropped_rows: dataset.dropped_rows,
                split: split.kind,
                origin,
                fitted,
                evaluation,
                held_out: Arc::new(held_out),
                comparison,
                memory,
            }))
        };
        let mut training = pin!(self.pool.run(work));
        tokio::select! {
            // A checkpoint that is on its way is of no use any more.
            trained = &mut training => trained?,
            () = self.keep_checkpoints(&task.claim, checkpoints, &wanted) => training.await?,
        }
    }

    /// Keeps the checkpoints of a training as they come, with pauses in between, until there are no more. One that cannot
    /// be kept costs time if the worker is lost, and nothing else.
    async fn keep_checkpoints(
        &self,
        claim: &Claim,
        mut checkpoints: mpsc::Receiver<MadeCheckpoint>,
        wanted: &AtomicBool,
    ) {
        tokio::time::sleep(CHECKPOINT_PAUSE).await;
        wanted.store(true, Ordering::Relaxed);
        while let Some(MadeCheckpoint { segments, made_in }) = checkpoints.recv().await {
            let (n_segments, n_bytes) =
                (segments.len(), segments.iter().map(|segment| segment.bytes.len()).sum::<usize>());
            let begun = Instant::now();
            for Segment { first_round, bytes } in segments {
                let begun = Instant::now();
                // Until it is kept there is none after it.
                while let Err(error) = self.rooms.jobs.write_checkpoint(claim, first_round, &bytes).await {
                    tracing::warn!(error = &error as &dyn std::error::Error, "checkpoint not kept yet");
                    tokio::time::sleep(AWAY_PAUSE).await;
                }
                tokio::time::sleep(begun.elapsed() * SEGMENT_PAUSE).await;
            }
            tracing::debug!(n_segments, n_bytes, ?made_in, kept_in = ?begun.elapsed(), "checkpoint");
            tokio::time::sleep(CHECKPOINT_PAUSE.max(made_in * CHECKPOINT_COSTS)).await;
            wanted.store(true, Ordering::Relaxed);
        }
    }

    /// The version with the verdict on it, and its run in the outbox; `None` if the champion was replaced.
    async fn register(
        &self,
        task: &Task,
        trained: &Trained,
        verdict: &Verdict,
        draft: &PackedRun,
    ) -> Result<Option<ModelRecord>> {
        let mut files = vec![
            (NATIVE_FILE.to_owned(), trained.native.clone()),
            (PROFILE_FILE.to_owned(), trained.profile_json.clone()),
        ];
        if let Some(model) = &trained.fitted.xgboost {
            files.push((XGBOOST_FILE.to_owned(), model.json.clone()));
        }
        let importance: Map<String, Value> =
            trained.importance.iter().map(|(name, share)| (name.clone(), json!(share))).collect();
        let document = |record: &ModelRecord| {
            let run = report::with_version(draft.clone(), task, trained, record, verdict);
            serde_json::to_value(run).map_err(Error::internal)
        };
        self.rooms
            .registry
            .register(NewModel {
                claim: &task.claim,
                model_type: task.model_type,
                schema: &trained.model.schema,
                hyperparameters: json!(task.params),
                metrics: Value::Object(trained.evaluation.metrics.clone()),
                importance: Value::Object(importance),
                n_rows: trained.n_train + trained.n_validation,
                data_digest: trained.digest.to_string(),
                seed: task.seed,
                data_source: trained.origin.source,
                files,
                verdict,
                outcome: Outcome(&|record| Ok(json!(task.kept_outcome(trained, record, verdict)))),
                run: Some(Outgoing { files: &draft.files, document: &document }),
            })
            .await
    }
}
