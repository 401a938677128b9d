//! Trainings as jobs: their list, one of them whole, its cancellation, and the stream of its changes. Wire types that
//! these handlers share.

pub(in crate::http) mod cancel;
pub(in crate::http) mod events;
pub(in crate::http) mod list;
pub(in crate::http) mod show;

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use chrono::Utc;
use http::{StatusCode, header};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;
use uuid::Uuid;

use super::train::TrainResponse;
use crate::{
    Error, Result,
    auth::tenant,
    catalog::ModelType,
    http::{body::fields, parameters::Parts, timestamp::naive_utc},
    jobs::{Job, JobState, Stage},
    training::{KeptError, TrainOutcome},
};

/// A training, from the queue to its end. Who reads it as the answer of a finished training finds the same names.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct JobSummary {
    job_id: Uuid,
    #[schema(example = "cost_forecasting")]
    model_type: String,
    tenant_id: Uuid,
    /// `queued`, `training`, `completed`, `failed` or `cancelled`.
    #[schema(example = "training")]
    status: &'static str,
    /// How it stands, for a person.
    #[schema(example = "Training: 120 of 500 rounds")]
    message: String,
    /// What it does; of a training that failed or was cancelled: what it did last.
    #[schema(value_type = Option<String>, example = "fitting")]
    stage: Option<Stage>,
    /// Share of the work that is done, 0 to 100; an estimate.
    percent: u8,
    /// Trees or rounds that are done.
    rounds_done: Option<u32>,
    /// Those that were asked for; early stopping may do with fewer.
    rounds_total: Option<u32>,
    /// Until the trees are grown, at the pace so far.
    eta_seconds: Option<f64>,
    /// Of the model, once it is there; before that of the newest round.
    #[schema(value_type = Object, example = json!({"train_rmse": 1250000.5}))]
    metrics: Value,
    /// Place among the tenant's trainings that wait, from 1.
    queue_position: Option<i64>,
    /// How often a worker began it.
    attempts: i32,
    /// Of a training that waits because a dependency is away: when it is tried again. UTC.
    next_attempt_at: Option<String>,
    /// -10 to 10; the higher the sooner, among the tenant's own.
    priority: i16,
    /// `api` or `schedule`; null for one that came by neither.
    #[schema(example = "api")]
    origin: Option<String>,
    /// Whether it is to stop.
    cancel_requested: bool,
    /// UTC, as all times.
    created_at: String,
    started_at: Option<String>,
    completed_at: Option<String>,
    /// Of the end, else of this answer.
    #[schema(example = "2026-11-22T14:28:22.277204")]
    timestamp: String,
    /// MLflow run; empty as long as there is none.
    run_id: String,
    /// `runs:/<run_id>/model`; empty as long as there is none.
    model_uri: String,
    model_id: Option<Uuid>,
    #[schema(example = "v1.0")]
    model_version: Option<String>,
    /// Grows with each change: the `id` of its event.
    revision: i64,
}

/// A training with all that is known of it.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct JobPage {
    #[serde(flatten)]
    summary: JobSummary,
    /// All effective ones.
    #[schema(value_type = Object)]
    hyperparameters: Value,
    validation_split: Option<f64>,
    /// The tenant's own SELECT, or `cypher:<name>`.
    training_data_query: Option<String>,
    /// User id.
    created_by: Option<String>,
    /// Of a completed one: what a client that waits is answered.
    result: Option<TrainResponse>,
    /// Of a failed one.
    error: Option<JobError>,
}

/// Why a training failed.
#[derive(Debug, Serialize, ToSchema)]
struct JobError {
    /// Stable name of the failure.
    #[schema(example = "invalid")]
    code: String,
    message: String,
    /// Status of the answer that a client who waits gets.
    #[schema(example = 422)]
    status: u16,
    /// Its `detail`: a text, or the list of what is wrong.
    detail: Value,
}

impl JobSummary {
    /// Of a job of the open scope's tenant.
    fn new(job: &Job) -> Result<Self> {
        let (progress, now) = (job.progress.as_ref(), Utc::now());
        let metrics = job.metrics.clone().filter(Value::is_object);
        Ok(Self {
            job_id: job.id,
            model_type: job.model_type.clone(),
            tenant_id: tenant::current()?.uuid(),
            status: job.state.name(),
            message: message(job),
            stage: progress.map(|progress| progress.stage),
            percent: match job.state {
                JobState::Completed => 100,
                _ => progress.map_or(0, |progress| progress.percent),
            },
            rounds_done: progress.map(|progress| progress.rounds_done),
            rounds_total: progress.map(|progress| progress.rounds_total).filter(|&total| total > 0),
            eta_seconds: progress.and_then(|progress| progress.eta_seconds),
            metrics: metrics
                .unwrap_or_else(|| json!(progress.map(|p| &p.metrics).cloned().unwrap_or_default())),
            queue_position: job.queue_position,
            attempts: job.attempts,
            next_attempt_at: (job.state == JobState::Queued && job.run_at > now)
                .then(|| naive_utc(job.run_at)),
            priority: job.priority,
            origin: job.origin.clone(),
            cancel_requested: job.cancel_requested_at.is_some(),
            created_at: naive_utc(job.created_at),
            started_at: job.started_at.map(naive_utc),
            completed_at: job.completed_at.map(naive_utc),
            timestamp: naive_utc(job.completed_at.unwrap_or(now)),
            model_uri: job.model_uri(),
            run_id: job.run_id.clone().unwrap_or_default(),
            model_id: job.model_id,
            model_version: job
                .outcome
                .as_ref()
                .and_then(|kept| Some(kept["model_version"].as_str()?.to_owned())),
            revision: job.revision,
        })
    }
}

impl JobPage {
    /// Of a job of the open scope's tenant.
    pub(super) fn new(job: Job) -> Result<Self> {
        let summary = JobSummary::new(&job)?;
        let outcome = TrainOutcome::of(&job).ok().filter(|_| job.state == JobState::Completed);
        let result = ModelType::parse(&job.model_type)
            .zip(outcome)
            .map(|(model_type, outcome)| TrainResponse::new(model_type, summary.tenant_id, outcome));
        let error = (job.state == JobState::Failed).then(|| JobError::of(&job));
        Ok(Self {
            summary,
            hyperparameters: job.hyperparameters.unwrap_or_else(|| json!({})),
            validation_split: job.validation_split,
            training_data_query: job.training_data_query,
            created_by: job.user_id,
            result,
            error,
        })
    }
}

impl JobError {
    fn of(job: &Job) -> Self {
        let kept = KeptError::of(job);
        let code = kept.code.clone();
        let error = kept.into_error();
        Self { code, message: message(job), status: error.status().as_u16(), detail: error.detail() }
    }
}

/// How a job stands, for a person.
fn message(job: &Job) -> String {
    match job.state {
        JobState::Queued => match job.queue_position {
            Some(position) => format!("Waiting: number {position} of the tenant's trainings"),
            None => "Waiting".to_owned(),
        },
        JobState::Training if job.cancel_requested_at.is_some() => "Stopping".to_owned(),
        JobState::Training => match &job.progress {
            Some(progress) if progress.rounds_total > 0 => {
                format!("Training: {} of {} rounds", progress.rounds_done, progress.rounds_total)
            }
            _ => "Training".to_owned(),
        },
        JobState::Completed => {
            TrainOutcome::of(job).map_or("Completed".to_owned(), |outcome| outcome.kept.message)
        }
        JobState::Failed => job.error_message.clone().unwrap_or_else(|| "Failed".to_owned()),
        JobState::Cancelled => Error::Cancelled.to_string(),
    }
}

/// The answer to who does not wait for a job's end: 202 as long as it goes on.
pub(super) fn accepted(job: Job) -> Result<Response> {
    let location = [(header::LOCATION, format!("/api/ml/jobs/{}", job.id))];
    Ok((under_way(&job), location, Json(JobPage::new(job)?)).into_response())
}

fn under_way(job: &Job) -> StatusCode {
    if job.state.is_final() { StatusCode::OK } else { StatusCode::ACCEPTED }
}

/// The id in a job's path.
fn job_id(sent: String) -> Result<Uuid> {
    let mut parts = Parts::default();
    let id = parts.check(["path", "job_id"], sent, fields::uuid);
    parts.finish(|| id)
}
