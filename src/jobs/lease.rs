//! Heartbeats: the lease prolonged, the progress told, the orders heard.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sqlx::query_scalar;

use super::{Claim, JobState, Jobs, signals};
use crate::{
    Result,
    storage::{in_time, interval},
};

/// How far a training is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// What it does.
    pub stage: Stage,
    /// Share of the work that is done, 0 to 100; an estimate.
    pub percent: u8,
    /// Trees or rounds that are done.
    pub rounds_done: u32,
    /// Trees or rounds that were asked for; 0 as long as that is not known. Early stopping may do with fewer.
    pub rounds_total: u32,
    /// Seconds until the trees are grown, at the pace so far.
    pub eta_seconds: Option<f64>,
    /// Metrics of the last round: `train_rmse`, `validation_rmse`.
    pub metrics: Map<String, Value>,
}

/// What a training does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Nothing yet.
    Starting,
    /// Waits until other trainings give memory back.
    WaitingForMemory,
    /// Reads the rows from their source.
    Reading,
    /// Waits for a thread of the training pool.
    WaitingForThread,
    /// Turns rows into the model's columns.
    Preparing,
    /// Grows trees.
    Fitting,
    /// Judges the model on the held-out rows, writes its files and draws its pictures.
    Evaluating,
    /// Keeps the version.
    Registering,
}

/// What a heartbeat found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beat {
    /// The job is this worker's for another lease.
    Kept,
    /// It is, and somebody wants it to stop.
    CancelRequested,
    /// This claim has ended the job already.
    Ended,
    /// The job is somebody else's, or gone.
    Lost,
}

impl Jobs {
    /// Prolongs the lease of a claim in the open scope of its tenant, and tells its progress if there is news.
    ///
    /// # Errors
    /// Those of the database; the lease then holds as long as it held before.
    pub async fn beat(&self, claim: &Claim, progress: Option<&Progress>) -> Result<Beat> {
        // In time for another one, over another connection.
        in_time(self.limits.lease / 3, self.prolong(claim, progress)).await
    }

    async fn prolong(&self, claim: &Claim, progress: Option<&Progress>) -> Result<Beat> {
        let mut transaction = self.database.tenant_transaction("job_beat").await?;
        let cancel: Option<bool> = query_scalar(
            "UPDATE training_jobs
                SET lease_until = clock_timestamp() + $4, progress = coalesce($5, progress), updated_at = now(),
                    revision = revision + ($5 IS NOT NULL)::int
              WHERE id = $1 AND tenant_id = $2 AND fence = $3 AND status = 'training'
          RETURNING cancel_requested_at IS NOT NULL",
        )
        .bind(claim.job_id)
        .bind(claim.tenant.uuid())
        .bind(claim.fence)
        .bind(interval(self.limits.lease))
        .bind(progress.map(|progress| json!(progress)))
        .fetch_optional(&mut *transaction)
        .await?;
        let beat = match cancel {
            Some(false) => Beat::Kept,
            Some(true) => Beat::CancelRequested,
            None => {
                let status: Option<String> = query_scalar(
                    "SELECT status FROM training_jobs WHERE id = $1 AND tenant_id = $2 AND fence = $3",
                )
                .bind(claim.job_id)
                .bind(claim.tenant.uuid())
                .bind(claim.fence)
                .fetch_optional(&mut *transaction)
                .await?;
                let ended = status.as_deref().and_then(JobState::parse).is_some_and(JobState::is_final);
                if ended { Beat::Ended } else { Beat::Lost }
            }
        };
        if cancel.is_some() && progress.is_some() {
            signals::job_changed(&mut transaction, claim.job_id).await?;
        }
        transaction.commit().await?;
        Ok(beat)
    }
}
