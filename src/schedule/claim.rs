//! The rows of all tenants: planned, claimed while they are due, let go.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::{AssertSqlSafe, query, query_as};
use uuid::Uuid;

use super::{
    Entry, Outcome,
    plan::{self, Plan},
    row::{COLUMNS, QUEUED, Row},
};
use crate::{
    Result,
    config::RetrainConfig,
    storage::{TenantTransaction, WorkerTransaction, interval, records::Mark, storable_text},
};

/// How long a claim holds: far longer than a batch takes. Who could not queue a job lets it lapse.
pub(super) const LEASE: Duration = Duration::from_secs(120);
/// Rows of one claim.
pub(super) const BATCH: i64 = 50;
/// Rows that are planned in one transaction.
const PLANNED: i64 = 500;

/// The right of one scheduler to a row that is due.
#[derive(Debug)]
pub(super) struct Claim {
    pub(super) entry: Entry,
    /// When it was due.
    pub(super) due_at: DateTime<Utc>,
    token: DateTime<Utc>,
}

/// What a scheduler made of a claimed row.
#[derive(Debug)]
pub(super) enum Made {
    /// A job, for these records where they are counted.
    Queued(Uuid, Option<Mark>),
    /// Nothing, for a reason that is shown; counting begins anew with these records.
    Ended(Outcome, String, Option<Mark>),
    /// Nothing that is shown, but that these records are where counting begins.
    Marked(Mark),
    /// Nothing that is shown.
    Nothing,
}

/// When a row is due next.
#[derive(Debug)]
pub(super) struct Next {
    /// `None`: never.
    pub(super) due_at: Option<DateTime<Utc>>,
    /// What that was computed from.
    pub(super) planned_by: String,
}

/// Which rows a scheduler plans.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// Those that nobody has planned yet.
    New,
    /// Those that other settings planned, as well.
    All,
}

/// A row's place among all, which are gone through in this order: tenant, type.
pub(super) type Place = (Uuid, String);

/// Computes when the next rows after a place are due. Returns the place where they end, if there may be more.
///
/// What is due or claimed is left as it is, or its time would be lost: who works on it plans it anew. But where the
/// default is off, what is due of it is not wanted any more.
pub(super) async fn plan_some(
    transaction: &mut WorkerTransaction,
    settings: &RetrainConfig,
    reach: Reach,
    after: &Place,
    now: DateTime<Utc>,
) -> Result<Option<Place>> {
    let default = Plan::new(&super::Schedule::Default, settings).text();
    let statement = format!(
        "SELECT {COLUMNS} FROM training_schedules
          WHERE kind IN ('default', 'cron') AND (tenant_id, model_type) > ($1, $2)
            AND (planned_by IS NULL
                 OR ($3 AND planned_by <> CASE kind WHEN 'default' THEN $4 ELSE cron || ' ' || time_zone || $5 END
                     AND (claimed_until IS NULL OR claimed_until <= $6)
                     AND (due_at IS NULL OR due_at > $6 OR (kind = 'default' AND NOT $7))))
          ORDER BY tenant_id, model_type LIMIT {PLANNED} FOR UPDATE SKIP LOCKED"
    );
    let mut rows: Vec<Row> = query_as(AssertSqlSafe(statement))
        .bind(after.0)
        .bind(&after.1)
        .bind(reach == Reach::All)
        .bind(default)
        .bind(plan::suffix(settings.jitter))
        .bind(now)
        .bind(settings.enabled)
        .fetch_all(&mut **transaction)
        .await?;
    let mut planned = Planned::default();
    for row in &rows {
        let schedule = row.schedule();
        let plan = Plan::new(&schedule, settings);
        let due_after = |from| plan.due_after(from, row.tenant_id, &row.model_type);
        let due_at = match &row.planned_by {
            // It was never planned, and misses nothing since its birth.
            None => due_after(row.created_at),
            // Other times begin now.
            Some(text) => row
                .due_at
                .and_then(|due_at| plan.moved(due_at, text, row.tenant_id, &row.model_type))
                .or_else(|| due_after(now)),
        };
        planned.tenants.push(row.tenant_id);
        planned.model_types.push(row.model_type.as_str());
        planned.due.push(due_at);
        planned.by.push(plan.text());
    }
    query(
        "UPDATE training_schedules s SET due_at = planned.due_at, planned_by = planned.planned_by
           FROM unnest($1::uuid[], $2::text[], $3::timestamptz[], $4::text[])
                AS planned (tenant_id, model_type, due_at, planned_by)
          WHERE s.tenant_id = planned.tenant_id AND s.model_type = planned.model_type",
    )
    .bind(planned.tenants)
    .bind(planned.model_types)
    .bind(planned.due)
    .bind(planned.by)
    .execute(&mut **transaction)
    .await?;
    let more = rows.len() as i64 == PLANNED;
    Ok(rows.pop().filter(|_| more).map(|last| (last.tenant_id, last.model_type)))
}

#[derive(Default)]
struct Planned<'a> {
    tenants: Vec<Uuid>,
    model_types: Vec<&'a str>,
    due: Vec<Option<DateTime<Utc>>>,
    by: Vec<String>,
}

/// Claims rows that are due, those first that are due the longest. Rows of the default only where it is on: where it
/// is off they are due by the settings of others, who know what to do with them.
pub(super) async fn claim_some(
    transaction: &mut WorkerTransaction,
    settings: &RetrainConfig,
    now: DateTime<Utc>,
) -> Result<Vec<Claim>> {
    let columns =
        COLUMNS.split(',').map(|column| format!("s.{}", column.trim())).collect::<Vec<_>>().join(", ");
    let statement = format!(
        "UPDATE training_schedules s SET claimed_until = $1::timestamptz + $2
           FROM (SELECT tenant_id, model_type FROM training_schedules
                  WHERE due_at <= $1 AND (claimed_until IS NULL OR claimed_until <= $1)
                    AND (kind <> 'default' OR $3)
                  ORDER BY due_at LIMIT {BATCH} FOR UPDATE SKIP LOCKED) due
          WHERE s.tenant_id = due.tenant_id AND s.model_type = due.model_type RETURNING {columns}"
    );
    let rows: Vec<Row> = query_as(AssertSqlSafe(statement))
        .bind(now)
        .bind(interval(LEASE))
        .bind(settings.enabled)
        .fetch_all(&mut **transaction)
        .await?;
    let claim = |row: Row| {
        let (due_at, token) = row.due_at.zip(row.claimed_until)?;
        Some(Claim { entry: row.into_entry()?, due_at, token })
    };
    Ok(rows.into_iter().filter_map(claim).collect())
}

/// Rows whose job has not been seen to end: tenant, type, job.
pub(super) async fn waiting(transaction: &mut WorkerTransaction) -> Result<Vec<(Uuid, String, Uuid)>> {
    Ok(query_as(
        "SELECT tenant_id, model_type, last_job_id FROM training_schedules
          WHERE last_outcome = 'queued' AND last_job_id IS NOT NULL ORDER BY last_run_at",
    )
    .fetch_all(&mut **transaction)
    .await?)
}

/// Moves a claimed row to its next time and notes what was made of it, in the scope of its tenant; false if the
/// claim has lapsed and is another's. Who has set another schedule meanwhile has set its next time as well.
pub(super) async fn finish(
    transaction: &mut TenantTransaction,
    claim: &Claim,
    made: &Made,
    now: DateTime<Utc>,
    next: Next,
) -> Result<bool> {
    let (outcome, job_id, message, mark) = match made {
        Made::Queued(job_id, mark) => (Some(QUEUED), Some(*job_id), None, *mark),
        Made::Ended(outcome, message, mark) => {
            (Some(outcome.name()), None, Some(storable_text(message)), *mark)
        }
        Made::Marked(mark) => (None, None, None, Some(*mark)),
        Made::Nothing => (None, None, None, None),
    };
    let finished = query(
        "UPDATE training_schedules
            SET due_at = CASE WHEN due_at = $4 THEN $5 ELSE due_at END,
                planned_by = CASE WHEN due_at = $4 THEN $12 ELSE planned_by END, claimed_until = NULL,
                last_run_at = CASE WHEN $7::text IS NULL THEN last_run_at ELSE $6 END,
                last_job_id = CASE WHEN $7::text IS NULL THEN last_job_id ELSE $8 END,
                last_message = CASE WHEN $7::text IS NULL THEN last_message ELSE $9 END,
                last_outcome = coalesce($7, last_outcome),
                marked_rows = coalesce($10, marked_rows), marked_id = coalesce($11, marked_id),
                marked_at = CASE WHEN $10::bigint IS NULL THEN marked_at ELSE now() END
          WHERE tenant_id = $1 AND model_type = $2 AND claimed_until = $3",
    )
    .bind(claim.entry.tenant.uuid())
    .bind(claim.entry.model_type.name)
    .bind(claim.token)
    .bind(claim.due_at)
    .bind(next.due_at)
    .bind(now)
    .bind(outcome)
    .bind(job_id)
    .bind(message.as_deref())
    .bind(mark.map(|mark| mark.rows))
    .bind(mark.map(|mark| mark.last_id))
    .bind(next.planned_by)
    .execute(&mut **transaction)
    .await?;
    Ok(finished.rows_affected() == 1)
}
