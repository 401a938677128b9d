//! Rows of `training_schedules`, as the tenant of the open scope reads and writes them.

use chrono::{DateTime, Utc};
use sqlx::{AssertSqlSafe, FromRow, query, query_as};
use uuid::Uuid;

use super::{Cron, Outcome, Schedule, Threshold, Zone};
use crate::{
    Result,
    auth::TenantId,
    catalog::ModelType,
    storage::{TenantTransaction, records::Mark, storable_text},
};

pub(super) const COLUMNS: &str = "tenant_id, model_type, kind, cron, time_zone, new_rows, changed_share, set_by, set_at, created_at, due_at,
    planned_by, claimed_until, last_run_at, last_job_id, last_outcome, last_message, marked_rows, marked_id, marked_at";

/// The outcome of a row whose job has not been seen to end.
pub(super) const QUEUED: &str = "queued";

/// A model type's schedule and what became of it so far.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Whose.
    pub tenant: TenantId,
    /// What is retrained.
    pub model_type: ModelType,
    /// When.
    pub schedule: Schedule,
    /// User id of who has set it.
    pub set_by: Option<String>,
    /// When that was.
    pub set_at: Option<DateTime<Utc>>,
    /// When the type's first version came.
    pub(super) created_at: DateTime<Utc>,
    /// When a scheduler looks at it next.
    pub(super) due_at: Option<DateTime<Utc>>,
    /// What `due_at` was computed from; `None`: it was not yet.
    pub(super) planned_by: Option<String>,
    /// What became of it the last time.
    pub last: Option<Last>,
    /// The records when they last led to a retraining, or counting began.
    pub(super) marked: Option<(Mark, DateTime<Utc>)>,
}

/// What became of a schedule the last time.
#[derive(Debug, Clone, PartialEq)]
pub struct Last {
    /// When.
    pub run_at: DateTime<Utc>,
    /// The training; `None`: there was none.
    pub job_id: Option<Uuid>,
    /// Name of an [`Outcome`], or `queued` while the job has not been seen to end.
    pub outcome: String,
    /// The same for a person.
    pub message: Option<String>,
}

impl Entry {
    /// Of a type that has no row.
    pub(super) fn unset(tenant: TenantId, model_type: ModelType, created_at: DateTime<Utc>) -> Self {
        Self {
            tenant,
            model_type,
            schedule: Schedule::Default,
            set_by: None,
            set_at: None,
            created_at,
            due_at: None,
            planned_by: None,
            last: None,
            marked: None,
        }
    }
}

impl Last {
    /// The job that has not been seen to end.
    pub(super) fn waiting_for(&self) -> Option<Uuid> {
        self.job_id.filter(|_| self.outcome == QUEUED)
    }
}

#[derive(Debug, FromRow)]
pub(super) struct Row {
    pub(super) tenant_id: Uuid,
    pub(super) model_type: String,
    kind: String,
    cron: Option<String>,
    time_zone: Option<String>,
    new_rows: Option<i64>,
    changed_share: Option<f64>,
    set_by: Option<String>,
    set_at: Option<DateTime<Utc>>,
    pub(super) created_at: DateTime<Utc>,
    pub(super) due_at: Option<DateTime<Utc>>,
    pub(super) planned_by: Option<String>,
    pub(super) claimed_until: Option<DateTime<Utc>>,
    last_run_at: Option<DateTime<Utc>>,
    last_job_id: Option<Uuid>,
    last_outcome: Option<String>,
    last_message: Option<String>,
    marked_rows: Option<i64>,
    marked_id: Option<i64>,
    marked_at: Option<DateTime<Utc>>,
}

impl Row {
    /// An expression that cannot be read any more, such as for a zone that is no more, has no times.
    pub(super) fn schedule(&self) -> Schedule {
        match self.kind.as_str() {
            "none" => Schedule::None,
            "new_rows" => Schedule::NewRows(Threshold { rows: self.new_rows, share: self.changed_share }),
            "cron" => {
                let zone = self.time_zone.as_deref().unwrap_or_default();
                let cron = Zone::parse(zone)
                    .and_then(|zone| Cron::parse(self.cron.as_deref().unwrap_or_default(), zone));
                cron.map_or_else(
                    |problem| {
                        tracing::error!(tenant = %self.tenant_id, model_type = self.model_type, problem, "no schedule");
                        Schedule::None
                    },
                    |cron| Schedule::Cron(Box::new(cron)),
                )
            }
            _ => Schedule::Default,
        }
    }

    /// `None` for a type that the catalog does not know.
    pub(super) fn into_entry(self) -> Option<Entry> {
        let schedule = self.schedule();
        let last = self.last_run_at.zip(self.last_outcome).map(|(run_at, outcome)| Last {
            run_at,
            job_id: self.last_job_id,
            outcome,
            message: self.last_message,
        });
        let mark = self.marked_rows.zip(self.marked_id).map(|(rows, last_id)| Mark { rows, last_id });
        Some(Entry {
            tenant: TenantId::trusted(self.tenant_id),
            model_type: ModelType::parse(&self.model_type)?,
            schedule,
            set_by: self.set_by,
            set_at: self.set_at,
            created_at: self.created_at,
            due_at: self.due_at,
            planned_by: self.planned_by,
            last,
            marked: mark.zip(self.marked_at),
        })
    }
}

/// Those of the tenant, of one type or all.
pub(super) async fn read(
    transaction: &mut TenantTransaction,
    model_type: Option<ModelType>,
) -> Result<Vec<Entry>> {
    let statement = format!(
        "SELECT {COLUMNS} FROM training_schedules
          WHERE tenant_id = $1 AND ($2::text IS NULL OR model_type = $2) ORDER BY model_type"
    );
    let rows: Vec<Row> = query_as(AssertSqlSafe(statement))
        .bind(transaction.tenant().uuid())
        .bind(model_type.map(|model_type| model_type.name))
        .fetch_all(&mut **transaction)
        .await?;
    Ok(rows.into_iter().filter_map(Row::into_entry).collect())
}

/// A schedule that takes the place of the one before.
#[derive(Debug)]
pub(super) struct Replacement<'a> {
    pub(super) model_type: ModelType,
    pub(super) schedule: &'a Schedule,
    pub(super) set_by: &'a str,
    pub(super) set_at: DateTime<Utc>,
    pub(super) due_at: Option<DateTime<Utc>>,
    pub(super) planned_by: String,
}

/// Replaces a schedule. What became of the one before stays.
pub(super) async fn replace(transaction: &mut TenantTransaction, new: Replacement<'_>) -> Result<()> {
    let (cron, threshold) = match new.schedule {
        Schedule::Cron(cron) => (Some(cron), None),
        Schedule::NewRows(threshold) => (None, Some(threshold)),
        Schedule::Default | Schedule::None => (None, None),
    };
    query(
        "INSERT INTO training_schedules (tenant_id, model_type, kind, cron, time_zone, new_rows, changed_share, set_by,
             set_at, due_at, planned_by)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
         ON CONFLICT (tenant_id, model_type) DO UPDATE
            SET kind = excluded.kind, cron = excluded.cron, time_zone = excluded.time_zone, new_rows = excluded.new_rows,
                changed_share = excluded.changed_share, set_by = excluded.set_by, set_at = excluded.set_at,
                due_at = excluded.due_at, planned_by = excluded.planned_by,
                marked_rows = NULL, marked_id = NULL, marked_at = NULL",
    )
    .bind(transaction.tenant().uuid())
    .bind(new.model_type.name)
    .bind(new.schedule.name())
    .bind(cron.map(|cron| cron.text()))
    .bind(cron.map(|cron| cron.zone().name()))
    .bind(threshold.and_then(|threshold| threshold.rows))
    .bind(threshold.and_then(|threshold| threshold.share))
    .bind(&*storable_text(new.set_by))
    .bind(new.set_at)
    .bind(new.due_at)
    .bind(new.planned_by)
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

/// Notes how the job of a row has ended; false if somebody has done so, or the row has another job by now.
pub(super) async fn settle(
    transaction: &mut TenantTransaction,
    model_type: &str,
    job_id: Uuid,
    outcome: Outcome,
    message: &str,
) -> Result<bool> {
    let settled = query(
        "UPDATE training_schedules SET last_outcome = $4, last_message = $5
          WHERE tenant_id = $1 AND model_type = $2 AND last_job_id = $3 AND last_outcome = 'queued'",
    )
    .bind(transaction.tenant().uuid())
    .bind(model_type)
    .bind(job_id)
    .bind(outcome.name())
    .bind(&*storable_text(message))
    .execute(&mut **transaction)
    .await?;
    Ok(settled.rows_affected() == 1)
}
