//! Jobs as people look at them.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::{AssertSqlSafe, FromRow, query_as, query_scalar};
use uuid::Uuid;

use super::{JobState, Jobs, Progress};
use crate::{
    Error, Result,
    catalog::ModelType,
    storage::{TenantTransaction, Worker},
};

/// What only one job is read with: a list of long texts would be long a hundred times.
const TEXTS: &str = "j.request, j.training_data_query";
const NO_TEXTS: &str = "NULL::json AS request, NULL::text AS training_data_query";
const COLUMNS: &str = "j.id, j.model_type, j.status, j.origin, j.priority, j.attempts, j.revision, j.user_id,
    j.hyperparameters, j.validation_split::float8 AS validation_split, j.created_at, j.started_at,
    j.completed_at, j.run_at, j.cancel_requested_at, j.progress, j.metrics, j.outcome, j.error, j.error_message,
    j.model_id, j.mlflow_run_id,
    EXISTS (SELECT FROM tracking_outbox o
             WHERE o.tenant_id = j.tenant_id AND o.model_id = j.model_id AND o.lease_until > now()) AS being_logged,
    CASE WHEN j.status = 'queued' AND j.request IS NOT NULL THEN (
        SELECT count(*) + 1 FROM training_jobs a
         WHERE a.tenant_id = j.tenant_id AND a.status = 'queued' AND a.request IS NOT NULL
           AND (a.priority > j.priority OR (a.priority = j.priority AND (a.created_at, a.id) < (j.created_at, j.id)))
    ) END AS queue_position";

/// Which jobs are asked for; nothing set: all of the tenant's.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Of this type.
    pub model_type: Option<ModelType>,
    /// In this state.
    pub state: Option<JobState>,
}

/// A job's place in the list, which begins with the newest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// When it was queued.
    pub created_at: DateTime<Utc>,
    /// Its id, among those of the same moment.
    pub id: Uuid,
}

/// A part of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// From the newest.
    pub jobs: Vec<Job>,
    /// Where the next page begins: behind this place; `None`: this is the last one.
    pub next: Option<Position>,
}

/// A row of `training_jobs`: of the queue, or the platform's.
#[derive(Debug, Clone, PartialEq, FromRow)]
pub struct Job {
    /// Its id.
    pub id: Uuid,
    /// What is trained, as the row says.
    pub model_type: String,
    /// How it stands.
    #[sqlx(rename = "status", try_from = "String")]
    pub state: JobState,
    /// `api` or `schedule`; `None`: not of the queue.
    pub origin: Option<String>,
    /// The higher the sooner.
    pub priority: i16,
    /// Claims that count.
    pub attempts: i32,
    /// Grows with each change.
    pub revision: i64,
    /// Who asked for it.
    pub user_id: Option<String>,
    /// As it was queued; `None`: not of the queue, or one of a list.
    pub request: Option<Value>,
    /// Hyperparameters by name.
    pub hyperparameters: Option<Value>,
    /// Share of the rows held out.
    pub validation_split: Option<f64>,
    /// The tenant's own SELECT; not of a list.
    pub training_data_query: Option<String>,
    /// When it was queued.
    pub created_at: DateTime<Utc>,
    /// When it was first claimed.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub completed_at: Option<DateTime<Utc>>,
    /// Not claimed before.
    pub run_at: DateTime<Utc>,
    /// Since when it is to stop.
    pub cancel_requested_at: Option<DateTime<Utc>>,
    /// How far it is, while it runs.
    #[sqlx(json(nullable))]
    pub progress: Option<Progress>,
    /// Of the model, once it is there.
    pub metrics: Option<Value>,
    /// What the answer to a completed training says beside its metrics.
    pub outcome: Option<Value>,
    /// What the answer to a failed training says.
    pub error: Option<Value>,
    /// The same in one sentence.
    pub error_message: Option<String>,
    /// The model.
    pub model_id: Option<Uuid>,
    /// Its run in MLflow, once it is complete.
    #[sqlx(rename = "mlflow_run_id")]
    pub run_id: Option<String>,
    /// Whether its run is being logged right now.
    pub being_logged: bool,
    /// Place among the tenant's queued jobs, from 1; `None`: not queued.
    pub queue_position: Option<i64>,
}

impl Job {
    /// Where MLflow has its model; empty as long as there is no run.
    #[must_use]
    pub fn model_uri(&self) -> String {
        match self.run_id.as_deref() {
            None | Some("") => String::new(),
            Some(run_id) => format!("runs:/{run_id}/model"),
        }
    }
}

impl Jobs {
    /// A job of the open scope's tenant.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a job that the tenant does not have, and those of the database.
    pub async fn get(&self, job_id: Uuid) -> Result<Job> {
        let mut transaction = self.database.tenant_snapshot("job_get").await?;
        let statement =
            format!("SELECT {COLUMNS}, {TEXTS} FROM training_jobs j WHERE j.id = $1 AND j.tenant_id = $2");
        let job: Option<Job> = query_as(AssertSqlSafe(statement))
            .bind(job_id)
            .bind(transaction.tenant().uuid())
            .fetch_optional(&mut *transaction)
            .await?;
        transaction.commit().await?;
        job.ok_or_else(not_found)
    }

    /// Those of the jobs, of any tenants, that have not ended.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn unfinished(&self, ids: &[Uuid]) -> Result<Vec<Uuid>> {
        let mut transaction = self.database.worker_transaction(Worker::Training, "job_unfinished").await?;
        let unfinished = query_scalar(
            "SELECT id FROM training_jobs WHERE id = ANY($1) AND status IN ('queued', 'training')",
        )
        .bind(ids)
        .fetch_all(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(unfinished)
    }

    /// At most `limit` jobs of the tenant behind `after`, from the newest.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn list(&self, filter: &Filter, after: Option<Position>, limit: usize) -> Result<Page> {
        let mut transaction = self.database.tenant_snapshot("job_list").await?;
        // One more than asked for tells whether there is a next page.
        let statement = format!(
            "SELECT {COLUMNS}, {NO_TEXTS} FROM training_jobs j
              WHERE j.tenant_id = $1 AND ($2::text IS NULL OR j.model_type = $2) AND ($3::text IS NULL OR j.status = $3)
                AND ($4::timestamptz IS NULL OR (j.created_at, j.id) < ($4, $5))
              ORDER BY j.created_at DESC, j.id DESC LIMIT $6"
        );
        let mut jobs: Vec<Job> = query_as(AssertSqlSafe(statement))
            .bind(transaction.tenant().uuid())
            .bind(filter.model_type.map(|model_type| model_type.name))
            .bind(filter.state.map(JobState::name))
            .bind(after.map(|after| after.created_at))
            .bind(after.map(|after| after.id))
            .bind(i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1))
            .fetch_all(&mut *transaction)
            .await?;
        transaction.commit().await?;
        let more = jobs.len() > limit;
        jobs.truncate(limit);
        let next = jobs.last().filter(|_| more);
        let next = next.map(|job| Position { created_at: job.created_at, id: job.id });
        Ok(Page { jobs, next })
    }
}

pub(super) async fn state(transaction: &mut TenantTransaction, job_id: Uuid) -> Result<Option<JobState>> {
    let status: Option<String> =
        query_scalar("SELECT status FROM training_jobs WHERE id = $1 AND tenant_id = $2")
            .bind(job_id)
            .bind(transaction.tenant().uuid())
            .fetch_optional(&mut **transaction)
            .await?;
    Ok(status.as_deref().and_then(JobState::parse))
}

/// Also for another tenant's job: nobody learns that it exists.
pub(super) fn not_found() -> Error {
    Error::NotFound("No such job".to_owned())
}
