//! Orders to stop.

use sqlx::query_scalar;
use uuid::Uuid;

use super::{JobState, Jobs, files, read, signals};
use crate::{Error, Result};

impl Jobs {
    /// Cancels a job of the open scope's tenant: a queued one at once, a running one as soon as its worker
    /// hears of it, within about a second. The state that it is in now: `cancelled`, or `training` until then.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a job that the tenant does not have, [`Error::Conflict`] for one that has
    /// completed or failed; cancelling a cancelled one again is fine.
    pub async fn cancel(&self, job_id: Uuid) -> Result<JobState> {
        let mut transaction = self.database.tenant_transaction("job_cancel").await?;
        let status: Option<String> = query_scalar(
            "UPDATE training_jobs
                SET status = CASE status WHEN 'queued' THEN 'cancelled' ELSE status END,
                    completed_at = CASE status WHEN 'queued' THEN now() END,
                    cancel_requested_at = coalesce(cancel_requested_at, now()),
                    updated_at = now(), revision = revision + 1
              WHERE id = $1 AND tenant_id = $2 AND request IS NOT NULL AND status IN ('queued', 'training')
          RETURNING status",
        )
        .bind(job_id)
        .bind(transaction.tenant().uuid())
        .fetch_optional(&mut *transaction)
        .await?;
        let state = match status.as_deref().and_then(JobState::parse) {
            Some(state) => {
                if state.is_final() {
                    let tenant = transaction.tenant();
                    files::remove(&mut transaction, tenant, job_id).await?;
                } else {
                    signals::job_to_stop(&mut transaction, job_id).await?;
                }
                signals::job_changed(&mut transaction, job_id).await?;
                state
            }
            None => match read::state(&mut transaction, job_id).await? {
                None => return Err(read::not_found()),
                Some(JobState::Cancelled) => JobState::Cancelled,
                Some(state @ (JobState::Completed | JobState::Failed)) => {
                    return Err(Error::Conflict(format!("The job has {state} already")));
                }
                Some(_) => {
                    return Err(Error::Conflict(
                        "The job is none of the queue's; it cannot be cancelled".into(),
                    ));
                }
            },
        };
        transaction.commit().await?;
        Ok(state)
    }
}
