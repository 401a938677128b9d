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

/// Computes when rows are due that were planned by other settings, or not at all yet. Returns whether there may
/// be more of them.
pub(super) async fn plan_some(
    transaction: &mut WorkerTransaction,
    settings: &RetrainConfig,
    now: DateTime<Utc>,
) -> Result<bool> {
    let default = Plan::new(&super::Schedule::Default, settings).text();
    let statement = format!(
        "SELECT {COLUMNS} FROM training_schedules
          WHERE kind IN ('default', 'cron')
            AND planned_by IS DISTINCT FROM CASE kind WHEN 'default' THEN $1 ELSE cron || ' ' || time_zone || $2 END
          ORDER BY tenant_id, model_type LIMIT {PLANNED} FOR UPDATE SKIP LOCKED"
    );
    let rows: Vec<Row> = query_as(AssertSqlSafe(statement))
        .bind(&default)
        .bind(plan::suffix(settings.jitter))
        .fetch_all(&mut **transaction)
        .await?;
    let mut planned = Planned::default();
    for row in &rows {
        let schedule = row.schedule();
        let plan = Plan::new(&schedule, settings);
        planned.tenants.push(row.tenant_id);
        planned.model_types.push(row.model_type.as_str());
        // A row that was never planned misses nothing since its birth; other settings begin now.
        let from = if row.is_planned() { now } else { row.created_at };
        planned.due.push(plan.due_after(from, row.tenant_id, &row.model_type));
    }
    query(
        "UPDATE training_schedules s
            SET due_at = planned.due_at,
                planned_by = CASE kind WHEN 'default' THEN $4 ELSE cron || ' ' || time_zone || $5 END
           FROM unnest($1::uuid[], $2::text[], $3::timestamptz[]) AS planned (tenant_id, model_type, due_at)
          WHERE s.tenant_id = planned.tenant_id AND s.model_type = planned.model_type",
    )
    .bind(planned.tenants)
    .bind(planned.model_types)
    .bind(planned.due)
    .bind(default)
    .bind(plan::suffix(settings.jitter))
    .execute(&mut **transaction)
    .await?;
    Ok(rows.len() as i64 == PLANNED)
}

#[derive(Default)]
struct Planned<'a> {
    tenants: Vec<Uuid>,
    model_types: Vec<&'a str>,
    due: Vec<Option<DateTime<Utc>>>,
}

/// Claims rows that are due, those first that are due the longest.
pub(super) async fn claim_some(
    transaction: &mut WorkerTransaction,
    now: DateTime<Utc>,
) -> Result<Vec<Claim>> {
    let columns =
        COLUMNS.split(',').map(|column| format!("s.{}", column.trim())).collect::<Vec<_>>().join(", ");
    let statement = format!(
        "UPDATE training_schedules s SET claimed_until = $1::timestamptz + $2
           FROM (SELECT tenant_id, model_type FROM training_schedules
                  WHERE due_at <= $1 AND (claimed_until IS NULL OR claimed_until <= $1)
                  ORDER BY due_at LIMIT {BATCH} FOR UPDATE SKIP LOCKED) due
          WHERE s.tenant_id = due.tenant_id AND s.model_type = due.model_type RETURNING {columns}"
    );
    let rows: Vec<Row> = query_as(AssertSqlSafe(statement))
        .bind(now)
        .bind(interval(LEASE))
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
    next: Option<DateTime<Utc>>,
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
            SET due_at = CASE WHEN due_at = $4 THEN $5 ELSE due_at END, claimed_until = NULL,
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
    .bind(next)
    .bind(now)
    .bind(outcome)
    .bind(job_id)
    .bind(message.as_deref())
    .bind(mark.map(|mark| mark.rows))
    .bind(mark.map(|mark| mark.last_id))
    .execute(&mut **transaction)
    .await?;
    Ok(finished.rows_affected() == 1)
}
