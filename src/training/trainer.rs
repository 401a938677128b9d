//! One training, from the request to the registered version and its run in MLflow.

use std::{sync::Arc, time::Instant};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::{
    Gate, Rooms, SplitKind, TrainOutcome, TrainRequest,
    evaluate::{Evaluation, evaluate},
    fit::{FitContext, Fitted, fit},
    flavors::{Provenance, flavors},
    gate::Admission,
    promotion::{self, Champion, Comparison, HeldOut},
    report::{self, Material, Shown},
    source::{Loaded, Origin},
    split::Split,
    stages::{Seconds, Stopwatch},
};
use crate::{
    auth::{Caller, TenantId, tenant},
    catalog::{Family, Hyperparameters, ModelType},
    config::TrainingConfig,
    error::{Error, Result},
    features::{
        pipeline::{DataProfile, RowsDigest},
        query,
    },
    forest::codec::native,
    inference::{LoadedModel, model::NATIVE_FILE, request::version_label},
    jobs::{Jobs, NewJob},
    outbox::Outgoing,
    registry::{ModelRecord, NewModel, Verdict},
    tracking::{Flavor, PackedRun},
};

/// File name of XGBoost's own format in the registry and in MLflow.
pub const XGBOOST_FILE: &str = "model.json";

/// File name of the [`DataProfile`] in the registry, as JSON.
pub const PROFILE_FILE: &str = "profile.json";

/// Trains models.
#[derive(Debug)]
pub struct Trainer {
    gate: Gate,
    jobs: Jobs,
    running: TaskTracker,
    rooms: Rooms,
}

/// What the fitting stage hands to the storing stages.
pub(super) struct Trained {
    pub(super) model: Arc<LoadedModel>,
    pub(super) fitted: Fitted,
    pub(super) evaluation: Evaluation,
    held_out: Arc<HeldOut>,
    /// With the champion that was there when the fitting began.
    comparison: Comparison,
    pub(super) importance: Vec<(String, f64)>,
    pub(super) native: Bytes,
    pub(super) digest: RowsDigest,
    pub(super) profile: DataProfile,
    /// The profile as it is kept.
    profile_json: Bytes,
    /// The model in all its forms, for MLflow.
    pub(super) flavors: Vec<Flavor>,
    pub(super) n_train: usize,
    pub(super) n_validation: usize,
    pub(super) dropped_rows: usize,
    pub(super) split: SplitKind,
    /// Where the rows came from.
    pub(super) origin: Origin,
    /// The first training row, for MLflow's input example.
    pub(super) example: Vec<f32>,
    /// Pictures and tables.
    pub(super) shown: Shown,
    /// What the stages took.
    pub(super) seconds: Seconds,
}

/// A training in progress.
pub(super) struct Task {
    pub(super) tenant: TenantId,
    pub(super) job: Uuid,
    pub(super) caller: Caller,
    pub(super) model_type: ModelType,
    pub(super) params: Hyperparameters,
    pub(super) validation_split: f64,
    pub(super) seed: u64,
    /// Of the tenant's own query.
    pub(super) query_hash: Option<String>,
    pub(super) started_at: DateTime<Utc>,
}

impl Trainer {
    /// Starts the training threads.
    ///
    /// # Errors
    /// If the operating system grants none.
    pub fn new(config: &TrainingConfig, rooms: Rooms) -> Result<Self> {
        let jobs = Jobs::new(rooms.database.clone());
        Ok(Self { gate: Gate::new(config)?, jobs, running: TaskTracker::new(), rooms })
    }

    /// Trains a model for the tenant of the open scope. The training goes on when the future is
    /// dropped: a client that hangs up loses the answer, not the model.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a bad request or rows that nothing can be learnt from,
    /// [`Error::Busy`] when all slots and the queue are taken.
    pub async fn train(self: &Arc<Self>, caller: &Caller, request: TrainRequest) -> Result<TrainOutcome> {
        self.rooms.sources.choose(&request)?;
        let tenant = tenant::current()?;
        let params = Hyperparameters::check(
            request.model_type,
            request.hyperparameters_field,
            &request.hyperparameters,
        )?;
        let admission = self.gate.admit()?;
        let (trainer, caller) = (Arc::clone(self), caller.clone());
        let work = async move { trainer.start(tenant, caller, params, request, admission).await };
        let work = tracing::Instrument::in_current_span(tenant::scope(tenant, work));
        self.running.spawn(work).await.map_err(Error::internal)?
    }

    /// Completes when no training runs any more, also none whose client has hung up.
    pub async fn drained(&self) {
        self.running.close();
        self.running.wait().await;
    }

    async fn start(
        &self,
        tenant: TenantId,
        caller: Caller,
        params: Hyperparameters,
        request: TrainRequest,
        admission: Admission,
    ) -> Result<TrainOutcome> {
        let new = NewJob {
            model_type: request.model_type,
            caller: &caller,
            hyperparameters: &json!(params),
            validation_split: request.validation_split,
            training_data_query: request.training_data_query.as_deref(),
        };
        let task = Task {
            tenant,
            job: self.jobs.start(new).await?,
            caller,
            model_type: request.model_type,
            params,
            validation_split: request.validation_split,
            seed: request.seed,
            query_hash: request.training_data_query.as_deref().map(query::hash),
            started_at: Utc::now(),
        };
        self.run(&task, request, &admission).await
    }

    async fn run(&self, task: &Task, request: TrainRequest, admission: &Admission) -> Result<TrainOutcome> {
        let outcome = self.train_and_register(task, request, admission).await;
        let seconds = (Utc::now() - task.started_at).as_seconds_f64();
        let result = outcome.as_ref().map_or_else(Error::code, |_| "completed");
        metrics::histogram!("binah_training_seconds", "model_type" => task.model_type.name, "outcome" => result)
            .record(seconds);
        if let Err(error) = &outcome {
            tracing::warn!(job = %task.job, error = %error, code = error.code(), "training failed");
            // The caller gets the first error, whatever comes of noting it down.
            if let Err(error) = self.jobs.fail(task.job, &error.to_string()).await {
                tracing::error!(job = %task.job, error = &error as &dyn std::error::Error, "job not marked failed");
            }
        }
        outcome
    }

    async fn train_and_register(
        &self,
        task: &Task,
        request: TrainRequest,
        admission: &Admission,
    ) -> Result<TrainOutcome> {
        let mut stopwatch = Stopwatch::start();
        let loaded = self.rooms.sources.read(&request, &task.caller, task.started_at).await?;
        let seconds_read = stopwatch.lap();
        let champion = self.champion(task).await?;
        let mut trained = self.fit(task, request, loaded, champion.clone(), admission).await?;
        trained.seconds.read = seconds_read;
        let draft = report::training_run(task, &trained).pack();
        let (record, verdict) = self.promote(task, &trained, &draft, champion, admission).await?;
        self.rooms.cache.insert(record.tenant, record.id, Arc::clone(&trained.model)).await;
        Ok(self.track(task, &trained, &record, verdict, draft).await)
    }

    async fn champion(&self, task: &Task) -> Result<Option<Champion>> {
        Champion::load(&self.rooms.registry, &self.rooms.cache, task.model_type).await
    }

    /// Registers the model with the verdict on it. If the champion was replaced meanwhile, it is judged anew.
    async fn promote(
        &self,
        task: &Task,
        trained: &Trained,
        draft: &PackedRun,
        mut champion: Option<Champion>,
        admission: &Admission,
    ) -> Result<(ModelRecord, Verdict)> {
        let family = task.model_type.family;
        let mut comparison = trained.comparison.clone();
        loop {
            let verdict = promotion::decide(self.rooms.promotion, family, &comparison, champion.as_ref());
            if let Some(record) = self.register(task, trained, &verdict, draft).await? {
                return Ok((record, verdict));
            }
            champion = self.champion(task).await?;
            let (held_out, now) = (Arc::clone(&trained.held_out), champion.clone());
            let value = promotion::own_value(family, &trained.evaluation.metrics);
            let compare = move || promotion::compare(family, value, &held_out, now.as_ref());
            comparison = self.gate.run(admission, compare).await?;
        }
    }

    /// The CPU part, behind the gate.
    async fn fit(
        &self,
        task: &Task,
        request: TrainRequest,
        loaded: Loaded,
        champion: Option<Champion>,
        admission: &Admission,
    ) -> Result<Trained> {
        let model_type = task.model_type;
        let params = task.params.clone();
        let threads = self.gate.threads();
        let library = match model_type.family {
            Family::BoostedRegression => Some(self.rooms.library.get()?),
            Family::RandomForest | Family::IsolationForest => None,
        };
        let mut stopwatch = Stopwatch::start();
        let work = move || {
            let mut seconds = Seconds { queued: stopwatch.lap(), ..Seconds::default() };
            let (mut dataset, origin) = loaded.dataset(&request)?;
            let split = Split::new(&dataset, request.split, request.validation_split, request.seed)?;
            let held_out = HeldOut::take(&mut dataset, &split);
            seconds.prepare = stopwatch.lap();
            let context = FitContext { seed: request.seed, threads, library: library.as_deref() };
            let fitted = fit(model_type.family, &params, &dataset, &split, context)?;
            let model = LoadedModel::new(dataset.schema.clone(), &fitted.ensemble)?;
            seconds.fit = stopwatch.lap();
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
            Ok(Trained {
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
            })
        };
        self.gate.run(admission, work).await?
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
                job_id: task.job,
                model_type: task.model_type,
                caller: &task.caller,
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
                run: Some(Outgoing { files: &draft.files, document: &document }),
            })
            .await
    }

    /// Waits for the run, a bounded time. The model and the run are safe by now, whatever comes of it.
    async fn track(
        &self,
        task: &Task,
        trained: &Trained,
        record: &ModelRecord,
        verdict: Verdict,
        draft: PackedRun,
    ) -> TrainOutcome {
        let run = report::with_version(draft, task, trained, record, &verdict);
        let started = Instant::now();
        let tracked = self.rooms.outbox.log(record.id, run, self.rooms.tracking_wait).await;
        metrics::histogram!("binah_tracking_wait_seconds").record(started.elapsed().as_secs_f64());
        let (run_id, model_uri) =
            tracked.map_or_else(Default::default, |tracked| (tracked.run_id, tracked.model_uri));
        TrainOutcome {
            job_id: task.job,
            model_id: record.id,
            model_version: version_label(record.version),
            message: report::message(task, trained, record, &verdict, !run_id.is_empty()),
            run_id,
            model_uri,
            metrics: trained.evaluation.metrics.clone(),
            warnings: trained
                .evaluation
                .warnings
                .iter()
                .cloned()
                .chain(report::not_served(record, &verdict))
                .collect(),
            verdict,
            finished_at: Utc::now(),
        }
    }
}
