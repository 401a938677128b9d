//! Ends, and hand-backs. Each names the claim's fencing token: false or an error says that the job is another's.

use std::time::Duration;

use serde_json::Value;
use sqlx::{query, query_scalar};
use uuid::Uuid;

use super::{Claim, JobState, Jobs, files, signals};
use crate::{
    Error, Result,
    storage::{ANSWER, TenantTransaction, in_time, interval, storable, storable_text},
};

/// Mean pause before the second attempt; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The same where something else than Postgres is away: by the fifth attempt it has had two and a half minutes.
const FIRST_LONG_PAUSE: Duration = Duration::from_secs(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// Whether and when a job that was given back is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// At once; the attempt does not count: it was not the job's fault.
    HandedBack,
    /// After a pause of seconds that grows with the attempts, half to one and a half times as long.
    Soon,
    /// The same in minutes: what is away may have to be started.
    Later,
}

/// What a completed job leaves.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Completion<'a> {
    /// The model that stands now.
    pub(crate) model_id: Uuid,
    /// Its metrics.
    pub(crate) metrics: &'a Value,
    /// What the answer says beside them.
    pub(crate) outcome: &'a Value,
}

/// Completes a claimed job, in the transaction that makes its model a version.
///
/// # Errors
/// [`Error::Cancelled`] if somebody wants it cancelled; [`Error::LeaseLost`] if the claim does not hold any
/// more. The caller must then not commit.
pub(crate) async fn complete(
    transaction: &mut TenantTransaction,
    claim: &Claim,
    completion: Completion<'_>,
) -> Result<()> {
    let completed = query(
        "UPDATE training_jobs
            SET status = 'completed', model_id = $4, metrics = $5, outcome = $6::json, progress = NULL, lease_until = NULL,
                completed_at = now(), updated_at = now(), revision = revision + 1
          WHERE id = $1 AND tenant_id = $2 AND fence = $3 AND status = 'training' AND cancel_requested_at IS NULL",
    )
    .bind(claim.job_id)
    .bind(transaction.tenant().uuid())
    .bind(claim.fence)
    .bind(completion.model_id)
    .bind(&*storable(completion.metrics))
    .bind(completion.outcome.to_string())
    .execute(&mut **transaction)
    .await?;
    if completed.rows_affected() == 1 {
        files::remove(transaction, claim.tenant, claim.job_id).await?;
        return signals::job_ended(transaction, claim.job_id).await;
    }
    let cancelled: Option<bool> = query_scalar(
        "SELECT cancel_requested_at IS NOT NULL FROM training_jobs WHERE id = $1 AND tenant_id = $2 AND fence = $3
            AND status = 'training'",
    )
    .bind(claim.job_id)
    .bind(transaction.tenant().uuid())
    .bind(claim.fence)
    .fetch_optional(&mut **transaction)
    .await?;
    Err(if cancelled == Some(true) { Error::Cancelled } else { Error::LeaseLost })
}

impl Jobs {
    /// Completes a claimed job that found that no new model is needed.
    ///
    /// # Errors
    /// [`Error::Cancelled`] if somebody wants it cancelled, [`Error::LeaseLost`] if the claim does not hold any more; those of the database.
    pub async fn complete_without_model(
        &self,
        claim: &Claim,
        model_id: Uuid,
        metrics: &Value,
        outcome: &Value,
    ) -> Result<()> {
        let completed = async {
            let mut transaction = self.database.tenant_transaction("job_complete").await?;
            complete(&mut transaction, claim, Completion { model_id, metrics, outcome }).await?;
            transaction.commit().await
        };
        in_time(ANSWER, completed).await
    }

    /// Ends a claimed job with a message that its user may read, and with the whole error for the answer.
    /// False if the claim does not hold any more.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn fail(&self, claim: &Claim, message: &str, error: &Value) -> Result<bool> {
        in_time(ANSWER, self.end(claim, JobState::Failed, Some((message, error)))).await
    }

    /// Ends a claimed job as cancelled; false if the claim does not hold any more.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn cancelled(&self, claim: &Claim) -> Result<bool> {
        in_time(ANSWER, self.end(claim, JobState::Cancelled, None)).await
    }

    async fn end(&self, claim: &Claim, state: JobState, error: Option<(&str, &Value)>) -> Result<bool> {
        let mut transaction = self.database.tenant_transaction("job_end").await?;
        let ended = query(
            "UPDATE training_jobs
                SET status = $4, error_message = $5, error = $6::json, lease_until = NULL,
                    completed_at = now(), updated_at = now(), revision = revision + 1
              WHERE id = $1 AND tenant_id = $2 AND fence = $3 AND status = 'training'",
        )
        .bind(claim.job_id)
        .bind(claim.tenant.uuid())
        .bind(claim.fence)
        .bind(state.name())
        .bind(error.map(|(message, _)| storable_text(message)).as_deref())
        .bind(error.map(|(_, error)| error.to_string()))
        .execute(&mut *transaction)
        .await?;
        let ours = ended.rows_affected() == 1;
        if ours {
            files::remove(&mut transaction, claim.tenant, claim.job_id).await?;
            signals::job_ended(&mut transaction, claim.job_id).await?;
        }
        transaction.commit().await?;
        Ok(ours)
    }

    /// Gives a claimed job back to the queue; one that somebody wants cancelled ends there and then. False if the claim
    /// does not hold any more. A job whose attempts are used up is not for this: [`fail`](Self::fail) it.
    ///
    /// # Errors
    /// Those of the database; the job is then taken over when its lease ends.
    pub async fn release(&self, claim: &Claim, retry: Retry) -> Result<bool> {
        let released = in_time(ANSWER, self.give_back(claim, retry)).await?;
        if released { Ok(true) } else { self.cancelled(claim).await }
    }

    async fn give_back(&self, claim: &Claim, retry: Retry) -> Result<bool> {
        let (pause, counts) = match retry {
            Retry::HandedBack => (Duration::ZERO, false),
            Retry::Soon => (pause(FIRST_PAUSE, claim.attempt), true),
            Retry::Later => (pause(FIRST_LONG_PAUSE, claim.attempt), true),
        };
        let mut transaction = self.database.tenant_transaction("job_release").await?;
        let released = query(
            "UPDATE training_jobs
                SET status = 'queued', run_at = clock_timestamp() + $4 * (0.5 + random()), lease_until = NULL,
                    worker = NULL, attempts = attempts - $5, fence = fence + 1, progress = NULL,
                    updated_at = now(), revision = revision + 1
              WHERE id = $1 AND tenant_id = $2 AND fence = $3 AND status = 'training' AND cancel_requested_at IS NULL",
        )
        .bind(claim.job_id)
        .bind(claim.tenant.uuid())
        .bind(claim.fence)
        .bind(interval(pause))
        .bind(i32::from(!counts))
        .execute(&mut *transaction)
        .await?;
        let ours = released.rows_affected() == 1;
        if ours {
            signals::job_queued(&mut transaction, claim.job_id).await?;
        }
        transaction.commit().await?;
        Ok(ours)
    }
}

/// Mean pause after so many attempts.
fn pause(first: Duration, attempts: u32) -> Duration {
    (first * 2_u32.pow(attempts.saturating_sub(1).min(16))).min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_five_minutes() {
        let seconds = |first, attempts: [u32; 6]| attempts.map(|n| pause(first, n).as_secs());
        assert_eq!(seconds(FIRST_PAUSE, [1, 2, 3, 9, 10, 100]), [1, 2, 4, 256, 300, 300]);
        assert_eq!(seconds(FIRST_LONG_PAUSE, [1, 2, 3, 4, 5, 100]), [10, 20, 40, 80, 160, 300]);
    }
}
