//! Jobs whose worker was lost: taken from it when its lease has run out.

use std::time::Duration;

use sqlx::query_as;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{JobState, Jobs, files, signals};
use crate::{
    Error, Result,
    auth::TenantId,
    storage::{ANSWER, Worker, in_time},
};

/// A job that was taken from its worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reaped {
    /// Whose.
    pub tenant: TenantId,
    /// Which.
    pub job_id: Uuid,
    /// Queued again; cancelled, as was asked for before; failed, if it has lost too many workers, and the last one without
    /// getting on.
    pub state: JobState,
}

impl Reaped {
    fn tell(&self) {
        tracing::warn!(job = %self.job_id, tenant = %self.tenant, state = %self.state, "a worker was lost");
        metrics::counter!("binah_training_workers_lost_total").increment(1);
    }
}

/// How often lost jobs are looked for.
const LOOK: Duration = Duration::from_secs(1);

impl Jobs {
    /// Takes lost jobs from their workers until `stop`.
    pub async fn watch_leases(&self, stop: CancellationToken) {
        let watch = async {
            loop {
                tokio::time::sleep(LOOK).await;
                match self.reap().await {
                    Ok(reaped) => reaped.iter().for_each(Reaped::tell),
                    Err(error) => self.wait_out(&error).await,
                }
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = watch => {}
        }
    }

    /// Until the database is back, and then for a lease: while it was away no worker could prolong one, and they are
    /// as well as this process.
    async fn wait_out(&self, error: &Error) {
        tracing::debug!(error = error as &dyn std::error::Error, "leases cannot be watched");
        while self.database.ping().await.is_err() {
            tokio::time::sleep(LOOK).await;
        }
        tokio::time::sleep(self.limits.lease).await;
    }

    /// Takes every job whose lease has run out from its worker, of all tenants. Any number of processes may do so.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn reap(&self) -> Result<Vec<Reaped>> {
        in_time(ANSWER, self.take_lost()).await
    }

    async fn take_lost(&self) -> Result<Vec<Reaped>> {
        let given_up = Error::Abandoned { attempts: self.limits.attempts };
        let mut transaction = self.database.worker_transaction(Worker::Training, "job_reap").await?;
        // The first loss may be anybody's: a process that was killed. Later ones may be the job's own doing, and jobs
        // that were lost together do not come back together. One that has got on since it was claimed is not given up.
        let rows: Vec<(Uuid, Uuid, String)> = query_as(
            "WITH lost AS (
                 SELECT id, CASE WHEN cancel_requested_at IS NOT NULL THEN 'cancelled'
                                 WHEN attempts < $1::int THEN 'queued'
                                 WHEN EXISTS (SELECT FROM training_job_files f
                                               WHERE f.tenant_id = l.tenant_id AND f.job_id = l.id
                                                 AND starts_with(f.name, $4) AND f.written_at > l.claimed_at) THEN 'queued'
                                 ELSE 'failed' END AS next
                   FROM training_jobs l
                  WHERE status = 'training' AND request IS NOT NULL AND lease_until < clock_timestamp()
                    FOR UPDATE SKIP LOCKED)
             UPDATE training_jobs j
                SET status = next, fence = fence + 1, lease_until = NULL, worker = NULL, updated_at = now(),
                    revision = revision + 1, progress = NULL,
                    run_at = now() + CASE WHEN attempts < 2 THEN interval '0'
                                          ELSE least(300, power(2, least(attempts, 12) - 2)) * (0.5 + random()) * interval '1 s' END,
                    completed_at = CASE WHEN next <> 'queued' THEN now() END,
                    error_message = CASE WHEN next = 'failed' THEN $2 END,
                    error = CASE WHEN next = 'failed' THEN json_build_object('code', $3::text, 'message', $2::text, 'attempts', $1::int) END
               FROM lost WHERE j.id = lost.id
          RETURNING j.tenant_id, j.id, next",
        )
        .bind(i32::try_from(self.limits.attempts).unwrap_or(i32::MAX))
        .bind(given_up.to_string())
        .bind(given_up.code())
        .bind(files::CHECKPOINT)
        .fetch_all(&mut *transaction)
        .await?;
        let mut reaped = Vec::with_capacity(rows.len());
        for (tenant, job_id, state) in rows {
            let (tenant, state) = (TenantId::trusted(tenant), JobState::try_from(state)?);
            if state.is_final() {
                files::remove(&mut transaction, tenant, job_id).await?;
            }
            signals::job_queued(&mut transaction, job_id).await?;
            reaped.push(Reaped { tenant, job_id, state });
        }
        transaction.commit().await?;
        Ok(reaped)
    }
}
