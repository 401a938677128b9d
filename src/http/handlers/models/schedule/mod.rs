//! When models are retrained: what `GET`, `PUT` and `DELETE /api/ml/models/{model_type}/schedule` answer.

pub(in crate::http) mod get;
pub(in crate::http) mod list;
mod request;
pub(in crate::http) mod reset;
pub(in crate::http) mod set;

use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::Parts;
use crate::{
    Result,
    catalog::ModelType,
    http::{body::fields, timestamp::naive_utc},
    schedule::{Schedule, ScheduleView},
};

/// When a model type is retrained, and what became of it so far.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct ScheduleDocument {
    #[schema(example = "cost_forecasting")]
    model_type: &'static str,
    /// `default`: as the service is set up; `none`, `cron`, `new_rows`: as an administrator said.
    #[schema(example = "cron")]
    kind: &'static str,
    /// Null also for a default that is off.
    #[schema(example = "30 3 * * SUN")]
    cron: Option<String>,
    #[schema(example = "Europe/Berlin")]
    time_zone: Option<&'static str>,
    rows: Option<i64>,
    share: Option<f64>,
    /// UTC; up to some minutes after the time itself, so that not all tenants come at once. Null: never, or when
    /// the records have changed.
    next_run_at: Option<String>,
    /// User id; null: nobody has set it.
    set_by: Option<String>,
    set_at: Option<String>,
    last_run_at: Option<String>,
    /// The training; null: there was none.
    last_job_id: Option<Uuid>,
    /// `queued`, `training`, `promoted`, `not_promoted`, `unchanged`, `skipped`, `failed` or `cancelled`.
    #[schema(example = "promoted")]
    last_outcome: Option<String>,
    /// The same for a person.
    #[schema(example = "trained v4.0, promoted: rmse 2210.83 against 3417.21 of v3.0")]
    last_message: Option<String>,
}

impl From<ScheduleView> for ScheduleDocument {
    fn from(ScheduleView { entry, cron, next_run_at }: ScheduleView) -> Self {
        let threshold = match entry.schedule {
            Schedule::NewRows(threshold) => Some(threshold),
            Schedule::Default | Schedule::None | Schedule::Cron(_) => None,
        };
        let last = entry.last.as_ref();
        Self {
            model_type: entry.model_type.name,
            kind: entry.schedule.name(),
            cron: cron.as_ref().map(|cron| cron.text().to_owned()),
            time_zone: cron.as_ref().map(|cron| cron.zone().name()),
            rows: threshold.and_then(|threshold| threshold.rows),
            share: threshold.and_then(|threshold| threshold.share),
            next_run_at: next_run_at.map(naive_utc),
            set_by: entry.set_by,
            set_at: entry.set_at.map(naive_utc),
            last_run_at: last.map(|last| naive_utc(last.run_at)),
            last_job_id: last.and_then(|last| last.job_id),
            last_outcome: last.map(|last| last.outcome.clone()),
            last_message: last.and_then(|last| last.message.clone()),
        }
    }
}

fn model_type(name: String) -> Result<ModelType> {
    let mut parts = Parts::default();
    let model_type = parts.check(["path", "model_type"], name, fields::model_type);
    parts.finish(|| model_type)
}
