//! Rows of `tracking_outbox`: birth, claims, ends.
//!
//! Every change of a claimed row names the claim's fence: an attempt that has lost its lease changes
//! nothing. All times are the database's.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::{FromRow, query, query_as, query_scalar, types::Json};
use uuid::Uuid;

use super::pack::Manifest;
use crate::{
    Error, Result,
    auth::TenantId,
    jobs::job_changed,
    storage::{Database, TenantTransaction, Worker, WorkerTransaction, interval, storable, storable_text},
    tracking::PackedRun,
};

/// How long a claim holds without a word of its attempt.
pub(super) const LEASE: Duration = Duration::from_secs(60);
/// Longest text that is kept of an error, in characters.
const ERROR_CHARS: usize = 500;
/// Most rows of [`list`].
const MAX_LISTED: i64 = 1000;

/// The right to work on a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Claim {
    pub(super) tenant: TenantId,
    pub(super) model_id: Uuid,
    fence: i64,
    /// Attempts begun, this one included.
    pub(super) attempts: i32,
}

impl Claim {
    /// The claim that [`insert`] makes.
    pub(super) fn of_birth(tenant: TenantId, model_id: Uuid) -> Self {
        Self { tenant, model_id, fence: 1, attempts: 1 }
    }
}

/// Adds the row of a new model, claimed by this process.
pub(crate) async fn insert(
    transaction: &mut TenantTransaction,
    model_id: Uuid,
    job_id: Uuid,
    run: &Value,
    files: &Manifest,
) -> Result<()> {
    query(
        "INSERT INTO tracking_outbox (tenant_id, model_id, job_id, run, files, attempts, fence, lease_until)
         VALUES ($1, $2, $3, $4, $5, 1, 1, now() + $6)",
    )
    .bind(transaction.tenant().uuid())
    .bind(model_id)
    .bind(job_id)
    .bind(&*storable(run))
    .bind(Json(files))
    .bind(interval(LEASE))
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

/// How the queue is.
#[derive(Debug, Clone, Copy, PartialEq, FromRow)]
pub struct Depth {
    /// Rows to be logged.
    pub pending: i64,
    /// Rows given up.
    pub parked: i64,
    /// Rows that could be claimed now.
    pub due: i64,
    /// Age of the oldest row in seconds; 0 if there is none.
    pub oldest: f64,
}

/// Looks at the queue of all tenants.
pub(super) async fn depth(transaction: &mut WorkerTransaction) -> Result<Depth> {
    Ok(query_as(
        "SELECT count(*) FILTER (WHERE state = 'pending') AS pending,
                count(*) FILTER (WHERE state = 'parked') AS parked,
                count(*) FILTER (WHERE state = 'pending' AND next_attempt_at <= now()
                                   AND (lease_until IS NULL OR lease_until < now())) AS due,
                coalesce(extract(epoch FROM now() - min(created_at)), 0)::float8 AS oldest
           FROM tracking_outbox",
    )
    .fetch_one(&mut **transaction)
    .await?)
}

/// Claims the row that is due the longest.
pub(super) async fn claim(transaction: &mut WorkerTransaction) -> Result<Option<Claim>> {
    let claimed: Option<(Uuid, Uuid, i64, i32)> = query_as(
        "UPDATE tracking_outbox
            SET lease_until = now() + $1, fence = fence + 1, attempts = attempts + 1
          WHERE (tenant_id, model_id) = (
                SELECT tenant_id, model_id FROM tracking_outbox
                 WHERE state = 'pending' AND next_attempt_at <= now()
                   AND (lease_until IS NULL OR lease_until < now())
                 ORDER BY next_attempt_at LIMIT 1 FOR UPDATE SKIP LOCKED)
        RETURNING tenant_id, model_id, fence, attempts",
    )
    .bind(interval(LEASE))
    .fetch_optional(&mut **transaction)
    .await?;
    Ok(claimed.map(|(tenant, model_id, fence, attempts)| Claim {
        tenant: TenantId::trusted(tenant),
        model_id,
        fence,
        attempts,
    }))
}

/// The claimed run, without its files' bytes; `None` if the claim is lost.
pub(super) async fn read(
    transaction: &mut TenantTransaction,
    claim: &Claim,
) -> Result<Option<(PackedRun, Manifest)>> {
    let row: Option<(Value, Json<Manifest>)> = query_as(
        "SELECT run, files FROM tracking_outbox WHERE tenant_id = $1 AND model_id = $2 AND fence = $3",
    )
    .bind(claim.tenant.uuid())
    .bind(claim.model_id)
    .bind(claim.fence)
    .fetch_optional(&mut **transaction)
    .await?;
    row.map(|(run, files)| Ok((serde_json::from_value(run).map_err(Error::internal)?, files.0))).transpose()
}

/// Prolongs the lease, noting how far the attempt is if there is news; false if the claim is lost.
pub(super) async fn renew(
    transaction: &mut TenantTransaction,
    claim: &Claim,
    step: Option<&str>,
    run_id: Option<&str>,
) -> Result<bool> {
    let renewed = query(
        "UPDATE tracking_outbox
            SET lease_until = now() + $4, step = coalesce($5, step), run_id = coalesce($6, run_id)
          WHERE tenant_id = $1 AND model_id = $2 AND fence = $3",
    )
    .bind(claim.tenant.uuid())
    .bind(claim.model_id)
    .bind(claim.fence)
    .bind(interval(LEASE))
    .bind(step)
    .bind(run_id)
    .execute(&mut **transaction)
    .await?;
    Ok(renewed.rows_affected() == 1)
}

/// A training that has ended, and whose run is in no row.
#[derive(Debug, Clone, FromRow)]
pub(super) struct EndedJob {
    pub(super) id: Uuid,
    pub(super) is_cancelled: bool,
    pub(super) ended_at: DateTime<Utc>,
}

/// Those of the jobs that ended longer than `age` ago and have no row here.
pub(super) async fn ended_jobs(
    transaction: &mut TenantTransaction,
    jobs: &[Uuid],
    age: Duration,
) -> Result<Vec<EndedJob>> {
    Ok(query_as(
        "SELECT id, status = 'cancelled' AS is_cancelled, ended_at
           FROM (SELECT id, tenant_id, status, coalesce(completed_at::timestamptz, updated_at) AS ended_at
                   FROM training_jobs) job
          WHERE tenant_id = $1 AND id = ANY($2) AND status IN ('completed', 'failed', 'cancelled')
            AND ended_at < now() - $3
            AND NOT EXISTS (SELECT FROM tracking_outbox waiting
                             WHERE waiting.tenant_id = $1 AND waiting.job_id = job.id)",
    )
    .bind(transaction.tenant().uuid())
    .bind(jobs)
    .bind(interval(age))
    .fetch_all(&mut **transaction)
    .await?)
}

/// How an attempt that did not complete its run leaves the row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Next {
    /// Whether the attempt counts.
    pub(super) counts: bool,
    /// The mean pause before the next one; `None`: parked.
    pub(super) pause: Option<Duration>,
}

/// Gives the row back; false if the claim is lost. Who waits for the run hears that it will take longer.
pub(super) async fn release(
    transaction: &mut TenantTransaction,
    claim: &Claim,
    next: Next,
    error: Option<&str>,
) -> Result<bool> {
    let error = error.map(|error| error.chars().take(ERROR_CHARS).collect::<String>());
    let released: Option<Uuid> = query_scalar(
        "UPDATE tracking_outbox
            SET lease_until = NULL, state = $4, next_attempt_at = now() + $5 * (0.5 + random()),
                attempts = attempts - $6, last_error = coalesce($7, last_error)
          WHERE tenant_id = $1 AND model_id = $2 AND fence = $3 RETURNING job_id",
    )
    .bind(claim.tenant.uuid())
    .bind(claim.model_id)
    .bind(claim.fence)
    .bind(if next.pause.is_some() { "pending" } else { "parked" })
    .bind(interval(next.pause.unwrap_or_default()))
    .bind(i32::from(!next.counts))
    .bind(error.as_deref().map(storable_text).as_deref())
    .fetch_optional(&mut **transaction)
    .await?;
    let Some(job_id) = released else { return Ok(false) };
    job_changed(transaction, job_id).await?;
    Ok(true)
}

/// Deletes the row; where its files were, or `None` if the claim is lost.
pub(super) async fn delete(transaction: &mut TenantTransaction, claim: &Claim) -> Result<Option<Manifest>> {
    let files: Option<Json<Manifest>> = query_scalar(
        "DELETE FROM tracking_outbox WHERE tenant_id = $1 AND model_id = $2 AND fence = $3 RETURNING files",
    )
    .bind(claim.tenant.uuid())
    .bind(claim.model_id)
    .bind(claim.fence)
    .fetch_optional(&mut **transaction)
    .await?;
    Ok(files.map(|files| files.0))
}

/// A row as an operator sees it.
#[derive(Debug, Clone, PartialEq, FromRow)]
pub struct Listed {
    /// Whose run.
    pub tenant_id: Uuid,
    /// Of which model.
    pub model_id: Uuid,
    /// `pending` or `parked`.
    pub state: String,
    /// The step that the last attempt began.
    pub step: Option<String>,
    /// Its run in MLflow, once there is one.
    pub run_id: Option<String>,
    /// Attempts that count.
    pub attempts: i32,
    /// Seconds since the training.
    pub age: f64,
    /// What the last attempt met.
    pub last_error: Option<String>,
}

/// The rows of all tenants, oldest first, at most 1,000.
///
/// # Errors
/// Those of the database.
pub async fn list(database: &Database) -> Result<Vec<Listed>> {
    let mut transaction = database.worker_transaction(Worker::Tracking, "tracking_list").await?;
    let rows = query_as(
        "SELECT tenant_id, model_id, state, step, run_id, attempts, last_error,
                extract(epoch FROM now() - created_at)::float8 AS age
           FROM tracking_outbox ORDER BY created_at LIMIT $1",
    )
    .bind(MAX_LISTED)
    .fetch_all(&mut *transaction)
    .await?;
    transaction.commit().await?;
    Ok(rows)
}

/// Makes parked rows pending again, that of one model or all; how many.
///
/// # Errors
/// Those of the database.
pub async fn retry(database: &Database, model_id: Option<Uuid>) -> Result<u64> {
    let mut transaction = database.worker_transaction(Worker::Tracking, "tracking_retry").await?;
    let done = query(
        "UPDATE tracking_outbox SET state = 'pending', attempts = 0, next_attempt_at = now()
          WHERE state = 'parked' AND ($1::uuid IS NULL OR model_id = $1)",
    )
    .bind(model_id)
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await?;
    Ok(done.rows_affected())
}
