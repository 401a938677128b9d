//! Runs that were left RUNNING by versions of the service that had no outbox: closed once, at the start.
//!
//! Closed is a run whose training has ended an hour ago, here, and that no row is to complete. A run whose
//! training this database does not know is another service's. An attempt ends its run before it deletes its
//! row: a run that is RUNNING after no row was found is nobody's.

use std::{collections::BTreeMap, time::Duration};

use chrono::Utc;

use super::{Outbox, row};
use crate::{
    auth::{TenantId, tenant},
    error::BoxError,
    tracking::{Outlook, UnfinishedRun, client::RunStatus},
};

/// Time since the end of a training after which nobody logs its run without an outbox: earlier versions waited
/// for MLflow for seconds.
const ABANDONED: Duration = Duration::from_secs(3600);
const FIRST_PAUSE: Duration = Duration::from_secs(2);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

impl Outbox {
    /// When MLflow is first found well: says whether it can keep tenants apart as it is to, and closes abandoned
    /// runs. Returns when that is done, or the process ends.
    pub async fn first_look(&self) {
        let mut pause = FIRST_PAUSE;
        loop {
            let looked = tokio::select! {
                () = self.inner.stop.cancelled() => return,
                looked = self.look() => looked,
            };
            let Err(error) = looked else { return };
            tracing::debug!(error, "MLflow is looked at again");
            tokio::select! {
                () = self.inner.stop.cancelled() => return,
                () = tokio::time::sleep(pause) => pause = (pause * 2).min(LONGEST_PAUSE),
            }
        }
    }

    async fn look(&self) -> Result<(), BoxError> {
        let found = async {
            self.inner.tracker.verify().await?;
            self.inner.tracker.unfinished_runs(Utc::now() - ABANDONED).await
        };
        let found = match found.await {
            Err(error) if error.outlook() == Outlook::Lasting => {
                tracing::error!(%error, "MLflow cannot be used as it is set up");
                return Ok(());
            }
            found => found?,
        };
        let mut by_tenant: BTreeMap<_, Vec<UnfinishedRun>> = BTreeMap::new();
        for run in found {
            by_tenant.entry(run.tenant_id).or_default().push(run);
        }
        let mut closed = 0;
        for (tenant, runs) in by_tenant {
            closed += tenant::scope(TenantId::trusted(tenant), self.close_abandoned(&runs)).await?;
        }
        if closed > 0 {
            tracing::info!(closed, "runs that earlier versions left open are closed in MLflow");
        }
        Ok(())
    }

    /// Closes those of the tenant's runs whose trainings have ended, and that are in no row; how many.
    async fn close_abandoned(&self, runs: &[UnfinishedRun]) -> Result<usize, BoxError> {
        let jobs: Vec<_> = runs.iter().map(|run| run.job_id).collect();
        let mut transaction = self.inner.database.tenant_snapshot("tracking_orphans").await?;
        let ended = row::ended_jobs(&mut transaction, &jobs, ABANDONED).await?;
        transaction.commit().await?;
        let mut closed = 0;
        for run in runs {
            let Some(job) = ended.iter().find(|job| job.id == run.job_id) else { continue };
            let status = if job.is_cancelled { RunStatus::Killed } else { RunStatus::Failed };
            closed += usize::from(self.inner.tracker.close_run(run, status, job.ended_at).await?);
        }
        Ok(closed)
    }
}
