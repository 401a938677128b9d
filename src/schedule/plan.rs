//! When a schedule is due: its times, moved by an offset that is a tenant's and model type's own.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{Cron, Schedule};
use crate::config::RetrainConfig;

/// What the times of a row are computed from, by the settings of this process.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Plan<'a> {
    cron: Option<&'a Cron>,
    window: Duration,
}

impl<'a> Plan<'a> {
    pub(super) fn new(schedule: &'a Schedule, settings: &'a RetrainConfig) -> Self {
        let cron = match schedule {
            Schedule::Default => settings.enabled.then_some(&settings.cron),
            Schedule::Cron(cron) => Some(&**cron),
            Schedule::None | Schedule::NewRows(_) => None,
        };
        Self { cron, window: settings.jitter }
    }

    /// The times, if the schedule has any.
    pub(super) fn cron(&self) -> Option<&'a Cron> {
        self.cron
    }

    /// Two plans with the same text have the same times.
    pub(super) fn text(&self) -> String {
        self.cron.map_or_else(|| "never".to_owned(), |cron| format!("{cron}{}", suffix(self.window)))
    }

    /// The first time after `now`; `None`: never.
    pub(super) fn due_after(
        &self,
        now: DateTime<Utc>,
        tenant: Uuid,
        model_type: &str,
    ) -> Option<DateTime<Utc>> {
        let offset = offset(tenant, model_type, self.window);
        Some(self.cron?.next_after(now - offset)? + offset)
    }

    /// When a time that a row was planned for comes by this plan, which may be over: it is moved from its offset in
    /// the one window to that in the other. Another window alone must not have it come twice, or not at all. `None`:
    /// this plan has other times.
    pub(super) fn moved(
        &self,
        due_at: DateTime<Utc>,
        planned_by: &str,
        tenant: Uuid,
        model_type: &str,
    ) -> Option<DateTime<Utc>> {
        let window = window_of(planned_by.strip_prefix(&self.cron?.to_string())?)?;
        Some(due_at - offset(tenant, model_type, window) + offset(tenant, model_type, self.window))
    }
}

/// What [`Plan::text`] ends in where there are times.
pub(super) fn suffix(window: Duration) -> String {
    format!(" +{}s", window.as_secs())
}

/// The window that [`suffix`] was made of.
fn window_of(suffix: &str) -> Option<Duration> {
    let seconds: u32 = suffix.strip_prefix(" +")?.strip_suffix('s')?.parse().ok()?;
    Some(Duration::from_secs(seconds.into()))
}

/// Whole seconds below `window`, the same at every time of a tenant's model type, and spread over tenants.
fn offset(tenant: Uuid, model_type: &str, window: Duration) -> TimeDelta {
    let mut hash = Sha256::new_with_prefix(b"binah-ml schedule\n");
    hash.update(tenant.as_bytes());
    hash.update(model_type);
    let draw = hash.finalize().iter().take(8).fold(0, |draw, &byte| draw << 8 | u64::from(byte));
    let seconds = draw % window.as_secs().max(1);
    TimeDelta::seconds(i64::try_from(seconds).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::Zone;

    const WINDOW: Duration = Duration::from_secs(900);

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().expect("a time")
    }

    fn settings(enabled: bool, jitter: Duration) -> RetrainConfig {
        let zone = Zone::parse("UTC").expect("a zone");
        let cron = Cron::parse("0 2 * * *", zone).expect("valid");
        RetrainConfig { enabled, cron, jitter, check: Duration::from_secs(60) }
    }

    #[test]
    fn offsets_stay_in_the_window_and_fill_it() {
        let seconds: Vec<i64> = (0..2_000)
            .map(|tenant| offset(Uuid::from_u128(tenant), "roi_prediction", WINDOW).num_seconds())
            .collect();
        assert!(seconds.iter().all(|seconds| (0..900).contains(seconds)));
        for quarter in 0..4 {
            let inside = seconds.iter().filter(|&&seconds| seconds / 225 == quarter).count();
            assert!((400..600).contains(&inside), "{inside} of 2,000 in quarter {quarter}");
        }
        let types = ["cost_forecasting", "roi_prediction"];
        let [a, b] = types.map(|model_type| offset(Uuid::nil(), model_type, WINDOW));
        assert_ne!(a, b, "a tenant's types are spread as well");
        assert_eq!(offset(Uuid::nil(), types[0], Duration::ZERO), TimeDelta::zero());
    }

    #[test]
    fn every_time_comes_once_with_the_same_offset() {
        let settings = settings(true, WINDOW);
        let plan = Plan::new(&Schedule::Default, &settings);
        let tenant = Uuid::from_u128(7);
        let offset = offset(tenant, "roi_prediction", WINDOW);
        let next = |now| plan.due_after(now, tenant, "roi_prediction");
        let first = at("2026-03-01T02:00:00Z") + offset;
        assert_eq!(next(at("2026-03-01T01:00:00Z")), Some(first));
        assert_eq!(
            next(first - TimeDelta::seconds(1)),
            Some(first),
            "the time itself is past, its offset is not"
        );
        assert_eq!(next(first), Some(first + TimeDelta::days(1)));
        assert_eq!(
            next(first + TimeDelta::days(9)),
            Some(first + TimeDelta::days(10)),
            "missed ones are past"
        );
    }

    #[test]
    fn a_time_stays_the_same_time_in_another_window() {
        let (narrow, wide) = (settings(true, Duration::ZERO), settings(true, WINDOW));
        let [narrow, wide] = [&narrow, &wide].map(|settings| Plan::new(&Schedule::Default, settings));
        let tenant = Uuid::from_u128(7);
        let time = at("2026-03-01T02:00:00Z");
        let in_wide = time + offset(tenant, "roi_prediction", WINDOW);
        let moved = |plan: &Plan<'_>, due_at, planned_by: &str| {
            plan.moved(due_at, planned_by, tenant, "roi_prediction")
        };
        assert_eq!(moved(&wide, time, &narrow.text()), Some(in_wide));
        assert_eq!(moved(&narrow, in_wide, &wide.text()), Some(time));
        assert_eq!(moved(&wide, in_wide, &wide.text()), Some(in_wide));
        for other in ["0 3 * * * UTC +0s", "0 2 * * * Asia/Tokyo +0s", "0 2 * * * UTC", "never", ""] {
            assert_eq!(moved(&wide, time, other), None, "{other}");
        }
        let off = settings(false, WINDOW);
        assert_eq!(moved(&Plan::new(&Schedule::Default, &off), time, &wide.text()), None);
    }

    #[test]
    fn the_default_is_what_the_settings_say() {
        let (on, off) = (settings(true, WINDOW), settings(false, WINDOW));
        assert_eq!(Plan::new(&Schedule::Default, &on).text(), "0 2 * * * UTC +900s");
        assert_eq!(Plan::new(&Schedule::Default, &off).text(), "never");
        let own = Schedule::Cron(Box::new(on.cron.clone()));
        assert_eq!(Plan::new(&own, &off).text(), "0 2 * * * UTC +900s", "whatever AUTO_RETRAIN says");
        assert_eq!(Plan::new(&Schedule::None, &on).text(), "never");
    }
}
