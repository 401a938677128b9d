//! Runs of ours that say they are being written, and perhaps nobody writes.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::TrackingError;
use super::client::{Run, RunStatus};
use super::run::{JOB_TAG, SOURCE, SOURCE_TAG, TENANT_TAG};
use super::tracker::Tracker;

/// Most pages of experiments that are looked through, a thousand each.
const MOST_PAGES: usize = 50;
/// Says on a run why it ended so.
const CLOSED_TAG: &str = "binah.closed";

/// A run of this service that is RUNNING.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnfinishedRun {
    /// 32 hex digits.
    pub run_id: String,
    /// Whose it is, by its tag.
    pub tenant_id: Uuid,
    /// Its training, by its tag.
    pub job_id: Uuid,
}

impl UnfinishedRun {
    /// None for a run without our tags.
    fn of(run: Run) -> Option<Self> {
        let id =
            |name| run.data.tags.iter().find(|tag| tag.key == name).and_then(|tag| tag.value.parse().ok());
        Some(Self { tenant_id: id(TENANT_TAG)?, job_id: id(JOB_TAG)?, run_id: run.info.run_id })
    }
}

impl Tracker {
    /// Runs of this service that are RUNNING and began before `before`, of all tenants, outside of
    /// workspaces. Of each thousand of the first 50,000 experiments a thousand runs at most.
    ///
    /// # Errors
    /// As every call.
    pub async fn unfinished_runs(&self, before: DateTime<Utc>) -> Result<Vec<UnfinishedRun>, TrackingError> {
        let only = self.names.single_tenant.as_deref().unwrap_or_default();
        let prefix = format!("{}/{only}", self.names.experiment_name);
        let client = self.client();
        let (mut found, mut next) = (vec![], None);
        for _ in 0..MOST_PAGES {
            let (experiments, page) = client.experiments_below(&prefix, next.as_deref()).await?;
            if !experiments.is_empty() {
                let runs = client.running_runs(&experiments, (SOURCE_TAG, SOURCE), before).await?;
                found.extend(runs.into_iter().filter_map(UnfinishedRun::of));
            }
            next = page;
            if next.is_none() {
                break;
            }
        }
        Ok(found)
    }

    /// Ends a run that nobody works on any more; false if it has ended since it was found.
    ///
    /// # Errors
    /// As every call.
    pub async fn close_run(
        &self,
        run: &UnfinishedRun,
        status: RunStatus,
        ended_at: DateTime<Utc>,
    ) -> Result<bool, TrackingError> {
        let client = self.client();
        if client.run(&run.run_id).await?.info.status != RunStatus::Running {
            return Ok(false);
        }
        let reason = "left open by an earlier version of binah-ml";
        client.set_tag(&run.run_id, CLOSED_TAG, reason).await?;
        client.update_run(&run.run_id, status, ended_at).await?;
        Ok(true)
    }
}
