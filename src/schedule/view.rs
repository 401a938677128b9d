//! Schedules as their tenant sees and sets them.

use chrono::{DateTime, Utc};

use super::{
    Cron, Entry, Outcome, Schedule, Schedules, Zone,
    due::not_from_records,
    plan::Plan,
    row::{self, Replacement},
};
use crate::{
    auth::Caller,
    catalog::ModelType,
    error::{Error, FieldError, Result},
    inference::VersionSelector,
    training::Again,
};

/// A schedule, its times by the settings of the service, and what became of it so far.
#[derive(Debug, Clone, PartialEq)]
pub struct ScheduleView {
    /// The schedule; what became of its last job is up to date.
    pub entry: Entry,
    /// Its times, or those of the settings in place of the default; `None`: it has none.
    pub cron: Option<Cron>,
    /// When it runs next, with its offset; `None`: never, or when the records have changed.
    pub next_run_at: Option<DateTime<Utc>>,
}

impl Schedules {
    /// The time zone of the settings.
    #[must_use]
    pub fn zone(&self) -> Zone {
        self.settings.cron.zone()
    }

    /// The schedule of a model type of the open scope's tenant.
    ///
    /// # Errors
    /// [`Error::NotFound`] if the tenant has no model of that type.
    pub async fn get(&self, model_type: ModelType, now: DateTime<Utc>) -> Result<ScheduleView> {
        let newest = self.registry.detail(model_type, &VersionSelector::Latest).await?;
        let mut transaction = self.database.tenant_snapshot("schedule_get").await?;
        let entry = row::read(&mut transaction, Some(model_type)).await?.pop();
        transaction.commit().await?;
        let entry = entry.unwrap_or_else(|| Entry::unset(newest.version.record.tenant, model_type, now));
        self.view(entry, now).await
    }

    /// The schedules of all types that the tenant has a model of, by the types' names.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn list(&self, now: DateTime<Utc>) -> Result<Vec<ScheduleView>> {
        let mut transaction = self.database.tenant_snapshot("schedule_list").await?;
        let entries = row::read(&mut transaction, None).await?;
        transaction.commit().await?;
        let mut views = Vec::with_capacity(entries.len());
        for entry in entries {
            views.push(self.view(entry, now).await?);
        }
        Ok(views)
    }

    /// Sets the schedule of a model type.
    ///
    /// # Errors
    /// [`Error::NotFound`] if the tenant has no model of that type; [`Error::Invalid`] for new rows of a model
    /// whose rows are no records.
    pub async fn set(
        &self,
        caller: &Caller,
        model_type: ModelType,
        schedule: &Schedule,
        now: DateTime<Utc>,
    ) -> Result<ScheduleView> {
        let again = self.submitter.again(&self.registry, model_type).await?;
        let plan = Plan::new(schedule, &self.settings);
        let mut transaction = self.database.tenant_transaction("schedule_set").await?;
        let due_at = match schedule {
            Schedule::NewRows(_) => {
                if let Some(reason) = uncounted(again) {
                    let kind = schedule.name().into();
                    return Err(Error::invalid(FieldError::body("not_available", ["kind"], reason, kind)));
                }
                Some(now)
            }
            _ => plan.due_after(now, transaction.tenant().uuid(), model_type.name),
        };
        let replacement = Replacement {
            model_type,
            schedule,
            set_by: &caller.user_id,
            set_at: now,
            due_at,
            planned_by: plan.text(),
        };
        row::replace(&mut transaction, replacement).await?;
        transaction.commit().await?;
        tracing::info!(%model_type, schedule = schedule.name(), "schedule set");
        self.get(model_type, now).await
    }

    async fn view(&self, mut entry: Entry, now: DateTime<Utc>) -> Result<ScheduleView> {
        let plan = Plan::new(&entry.schedule, &self.settings);
        let due_after = |from| plan.due_after(from, entry.tenant.uuid(), entry.model_type.name);
        let due_at = entry.due_at.filter(|_| plan.cron().is_some());
        let next_run_at = match &entry.planned_by {
            // What a scheduler will come to.
            None => due_after(entry.created_at),
            Some(text) if due_at.is_none() && *text != plan.text() => due_after(now),
            // By whatever settings.
            Some(_) => due_at,
        };
        let cron = plan.cron().cloned();
        if let Some(last) = &mut entry.last
            && let Some(job_id) = last.waiting_for()
        {
            match self.submitter.jobs().get(job_id).await {
                Ok(job) => match Outcome::of(&job) {
                    Some((outcome, message)) => {
                        (last.outcome, last.message) = (outcome.name().to_owned(), Some(message));
                    }
                    None => job.state.name().clone_into(&mut last.outcome),
                },
                // A scheduler will say so.
                Err(Error::NotFound(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(ScheduleView { entry, cron, next_run_at })
    }
}

/// Why new rows of the newest version cannot be counted; `None`: they can.
fn uncounted(again: Again) -> Option<String> {
    match again {
        Again::Request(request) => not_from_records(&request),
        Again::Impossible(reason) => Some(format!("new_rows counts records, and {reason}")),
    }
}
