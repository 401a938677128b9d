//! The scheduler: looks at the schedules of all tenants now and then.

use std::{
    collections::HashSet,
    sync::{MutexGuard, PoisonError},
    time::Duration,
};

use chrono::{DateTime, Utc};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;
use uuid::Uuid;

use super::{
    Outcome, Schedules,
    claim::{self, Claim, Place, Reach},
    row,
    takeover::Takeovers,
};
use crate::{
    auth::{TenantId, tenant},
    error::{Error, Result},
    storage::{ANSWER, Worker, in_time},
};

/// How often the rows are looked at.
const LOOK: Duration = Duration::from_secs(10);

/// How long it may take for all that one row that is due comes to, some ten transactions; shorter than a claim holds.
const WORK: Duration = Duration::from_secs(60);

impl Schedules {
    /// Queues what is due, until `stop`. Any number of processes may do so.
    pub async fn run(&self, stop: CancellationToken) {
        let mut troubled = false;
        loop {
            let turn = tokio::select! {
                () = stop.cancelled() => return,
                turn = self.turn(Utc::now()) => turn,
            };
            if let (Err(error), false) = (&turn, troubled) {
                tracing::warn!(error = error as &dyn std::error::Error, "schedules cannot be looked at");
            }
            troubled = turn.is_err();
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    /// Looks once at the schedules of all tenants, at the time `now`: plans those that are new, or at its time those
    /// that other settings planned, notes how retrainings have ended, queues what is due. May be dropped anywhere.
    ///
    /// # Errors
    /// Those of the database, also if it does not answer in time; what concerns one tenant alone is logged.
    pub async fn turn(&self, now: DateTime<Utc>) -> Result<()> {
        self.plan(now).await?;
        self.settle().await?;
        self.queue_due(now).await
    }

    async fn plan(&self, now: DateTime<Utc>) -> Result<()> {
        let takes_over = self.takeovers().is_due(now);
        let reach = if takes_over { Reach::All } else { Reach::New };
        // Each row once: with another process that takes over at the same time, this could go on for ever.
        let mut place = (Uuid::nil(), String::new());
        while let Some(next) = in_time(ANSWER, self.plan_some(reach, &place, now)).await? {
            place = next;
        }
        if takes_over {
            self.takeovers().note();
        }
        Ok(())
    }

    async fn plan_some(&self, reach: Reach, after: &Place, now: DateTime<Utc>) -> Result<Option<Place>> {
        let mut transaction = self.database.worker_transaction(Worker::Schedule, "schedule_plan").await?;
        let next = claim::plan_some(&mut transaction, &self.settings, reach, after, now).await?;
        transaction.commit().await?;
        Ok(next)
    }

    /// No code panics while it holds this lock.
    fn takeovers(&self) -> MutexGuard<'_, Takeovers> {
        self.takeovers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn settle(&self) -> Result<()> {
        let waiting = in_time(ANSWER, self.waiting()).await?;
        if waiting.is_empty() {
            return Ok(());
        }
        let jobs: Vec<Uuid> = waiting.iter().map(|(_, _, job_id)| *job_id).collect();
        let unfinished = in_time(ANSWER, self.submitter.jobs().unfinished(&jobs)).await?;
        let unfinished: HashSet<Uuid> = unfinished.into_iter().collect();
        for (tenant_id, model_type, job_id) in waiting {
            if !unfinished.contains(&job_id) {
                let settled = in_time(ANSWER, self.settle_one(&model_type, job_id));
                tenant::scope(TenantId::trusted(tenant_id), settled).await?;
            }
        }
        Ok(())
    }

    async fn waiting(&self) -> Result<Vec<(Uuid, String, Uuid)>> {
        let mut transaction = self.database.worker_transaction(Worker::Schedule, "schedule_waiting").await?;
        let waiting = claim::waiting(&mut transaction).await?;
        transaction.commit().await?;
        Ok(waiting)
    }

    async fn settle_one(&self, model_type: &str, job_id: Uuid) -> Result<()> {
        let ended = match self.submitter.jobs().get(job_id).await {
            Ok(job) => Outcome::of(&job),
            Err(Error::NotFound(_)) => Some((Outcome::Failed, "failed: its job is gone".to_owned())),
            Err(error) => return Err(error),
        };
        let Some((outcome, message)) = ended else { return Ok(()) };
        let mut transaction = self.database.tenant_transaction("schedule_settle").await?;
        let settled = row::settle(&mut transaction, model_type, job_id, outcome, &message).await?;
        transaction.commit().await?;
        if settled {
            outcome.count();
            tracing::info!(job = %job_id, model_type, outcome = outcome.name(), message, "retraining ended");
        }
        Ok(())
    }

    async fn queue_due(&self, now: DateTime<Utc>) -> Result<()> {
        loop {
            let claims = in_time(ANSWER, self.claim_some(now)).await?;
            if claims.is_empty() {
                return Ok(());
            }
            for claim in claims {
                let tenant = claim.entry.tenant;
                let span = tracing::info_span!("schedule", %tenant, model_type = %claim.entry.model_type);
                let work = in_time(WORK, self.work(&claim, now)).instrument(span);
                match tenant::scope(tenant, work).await {
                    Ok(()) => {}
                    // It is the same for all others: the rest of the claims lapses. One tenant's rows may be locked.
                    Err(error @ Error::Busy { .. }) => return Err(error),
                    Err(error @ Error::Unavailable { .. }) if self.database.ping().await.is_err() => {
                        return Err(error);
                    }
                    Err(error) => {
                        let error = &error as &dyn std::error::Error;
                        tracing::warn!(error, %tenant, model_type = %claim.entry.model_type, "retraining postponed");
                    }
                }
            }
        }
    }

    async fn claim_some(&self, now: DateTime<Utc>) -> Result<Vec<Claim>> {
        let mut transaction = self.database.worker_transaction(Worker::Schedule, "schedule_claim").await?;
        let claims = claim::claim_some(&mut transaction, &self.settings, now).await?;
        transaction.commit().await?;
        Ok(claims)
    }
}
