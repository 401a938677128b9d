//! A row that is due: whether there is something to train, the job, the next time.

use chrono::{DateTime, SecondsFormat, Utc};

use super::{
    Entry, Outcome, Schedule, Schedules, Threshold,
    claim::{self, Claim, Made, Next},
    plan::Plan,
};
use crate::{
    catalog::ModelType,
    error::{Error, Result},
    jobs::{Filter, JobState, Origin},
    storage::records::{self, Mark},
    training::{Again, KeptOutcome, SubmitOptions, TrainRequest},
};

/// Who asks for retrainings, in the place of a user's id.
const USER_ID: &str = "schedule";

/// How the scheduler's idempotency keys begin. A client's are of printable ASCII (`http/body/fields.rs`): none can
/// take the key of a time that is to come, which would then stand for another request.
///
/// Jobs of the version before are named without it, and not found by these names. Where one of its schedulers was
/// ended between job and row, the time is asked for once more: that training finds the rows of the one before, and is
/// left out as unchanged.
const KEY_PREFIX: char = '§';

/// Below 0, which requests have: people come first.
const PRIORITY: i16 = -1;

impl Schedules {
    /// Works on a claimed row in the open scope of its tenant, and lets it go.
    ///
    /// # Errors
    /// If no job could be queued for now, or the database is away: the row stays due until the claim lapses.
    pub(super) async fn work(&self, claim: &Claim, now: DateTime<Utc>) -> Result<()> {
        let entry = &claim.entry;
        let plan = Plan::new(&entry.schedule, &self.settings);
        let (made, due_at) = match &entry.schedule {
            Schedule::NewRows(threshold) => {
                (self.look(entry, *threshold).await?, Some(now + self.settings.check))
            }
            // An expression that this process cannot read; one that can takes the row over.
            _ if plan.cron().is_none() => (Made::Nothing, None),
            _ => (self.at_its_time(entry, claim.due_at).await?, due_next(claim, &plan, now)),
        };
        let next = Next { due_at, planned_by: plan.text() };
        let mut transaction = self.database.tenant_transaction("schedule_finish").await?;
        let finished = claim::finish(&mut transaction, claim, &made, now, next).await?;
        transaction.commit().await?;
        match made {
            Made::Queued(job, _) => tracing::info!(%job, model_type = %entry.model_type, "retraining queued"),
            Made::Ended(outcome, message, _) if finished => {
                outcome.count();
                tracing::info!(model_type = %entry.model_type, outcome = outcome.name(), message, "no retraining");
            }
            _ => {}
        }
        Ok(())
    }

    /// The time of a schedule has come.
    async fn at_its_time(&self, entry: &Entry, due_at: DateTime<Utc>) -> Result<Made> {
        if self.goes_on(entry).await? {
            tracing::info!(model_type = %entry.model_type, "no retraining: the one before goes on");
            return Ok(Made::Nothing);
        }
        self.retrain(entry, &key(entry.model_type, "time", due_at), None).await
    }

    /// Whether the records have changed enough.
    async fn look(&self, entry: &Entry, threshold: Threshold) -> Result<Made> {
        if self.goes_on(entry).await? {
            return Ok(Made::Nothing);
        }
        let baseline = self.baseline(entry).await?;
        let mut transaction = self.database.tenant_snapshot("schedule_count").await?;
        let before = baseline.map(|(mark, _)| mark).unwrap_or_default();
        let (present, change) = records::since(&mut transaction, entry.model_type, before).await?;
        transaction.commit().await?;
        match baseline {
            None => Ok(Made::Marked(present)),
            Some((mark, marked_at)) if threshold.is_reached(mark, change) => {
                self.retrain(entry, &key(entry.model_type, "rows", marked_at), Some(present)).await
            }
            Some(_) => Ok(Made::Nothing),
        }
    }

    /// The records as they were read last, by a training or when one was queued; `None`: not that anybody knows.
    async fn baseline(&self, entry: &Entry) -> Result<Option<(Mark, DateTime<Utc>)>> {
        let filter = Filter { model_type: Some(entry.model_type), state: Some(JobState::Completed) };
        let newest = self.submitter.jobs().list(&filter, None, 1).await?.jobs.pop();
        let trained = newest.and_then(|job| {
            let kept: KeptOutcome = serde_json::from_value(job.outcome?).ok()?;
            kept.records.zip(job.completed_at)
        });
        Ok(trained.into_iter().chain(entry.marked).max_by_key(|(_, at)| *at))
    }

    /// Whether the job of the last time has not ended.
    async fn goes_on(&self, entry: &Entry) -> Result<bool> {
        let Some(job_id) = entry.last.as_ref().and_then(super::Last::waiting_for) else { return Ok(false) };
        match self.submitter.jobs().get(job_id).await {
            Ok(job) => Ok(!job.state.is_final()),
            Err(Error::NotFound(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Queues a retraining, unless that was done under this key before.
    async fn retrain(&self, entry: &Entry, key: &str, records: Option<Mark>) -> Result<Made> {
        if let Some(job_id) = self.submitter.jobs().with_key(key, Origin::Schedule).await? {
            return Ok(Made::Queued(job_id, records));
        }
        let skipped =
            |reason: String| Ok(Made::Ended(Outcome::Skipped, format!("skipped: {reason}"), records));
        let request = match self.submitter.again(&self.registry, entry.model_type).await {
            Ok(Again::Request(request)) => *request,
            Ok(Again::Impossible(reason)) => return skipped(reason),
            Err(Error::NotFound(_)) => return skipped("there is no version to train again".to_owned()),
            Err(error) => return Err(error),
        };
        if let (Some(_), Some(reason)) = (records, not_from_records(&request)) {
            return skipped(reason);
        }
        let options =
            SubmitOptions { idempotency_key: Some(key.to_owned()), priority: PRIORITY, patient: true };
        match self.submitter.resubmit(USER_ID, request, options).await {
            Ok(job) => Ok(Made::Queued(job.id, records)),
            Err(error @ (Error::Busy { .. } | Error::QueueFull { .. } | Error::Unavailable { .. })) => {
                Err(error)
            }
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "a retraining cannot be asked for");
                Ok(Made::Ended(Outcome::Failed, format!("failed: {error}"), records))
            }
        }
    }
}

/// The first time after now and after the one that was due: by another window that one may be still to come.
fn due_next(claim: &Claim, plan: &Plan<'_>, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let entry = &claim.entry;
    let (tenant, model_type) = (entry.tenant.uuid(), entry.model_type.name);
    let done =
        entry.planned_by.as_deref().and_then(|text| plan.moved(claim.due_at, text, tenant, model_type));
    plan.due_after(done.map_or(now, |done| done.max(now)), tenant, model_type)
}

/// Why records do not tell when the rows of a request change; `None`: they do.
pub(super) fn not_from_records(request: &TrainRequest) -> Option<String> {
    let table = request.model_type.table;
    let query = request.training_data_query.as_ref()?;
    let source =
        if query.trim().starts_with(crate::features::neo4j::PREFIX) { "the graph" } else { "a query" };
    Some(format!(
        "new_rows counts the records in {table}, and the rows of the newest version came from {source}"
    ))
}

fn key(model_type: ModelType, of: &str, at: DateTime<Utc>) -> String {
    format!("{KEY_PREFIX}schedule/{model_type}/{of}/{}", at.to_rfc3339_opts(SecondsFormat::Micros, true))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_client_can_send_such_a_key() {
        let model_type = ModelType::parse("roi_prediction").expect("known");
        let key = key(model_type, "time", DateTime::UNIX_EPOCH);
        assert_eq!(key, "§schedule/roi_prediction/time/1970-01-01T00:00:00.000000Z");
        assert!(!key.bytes().all(|byte| matches!(byte, b' '..=b'~')));
    }
}
