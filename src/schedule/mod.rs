//! Retraining: when a tenant's model type is trained again, by itself.
//!
//! A row of `training_schedules` stands for each type that a tenant has a model of. It says `default`: the
//! settings of the service decide; `none`; `cron`: at times of its own; or `new_rows`: when the records have
//! changed enough.
//!
//! # Once per time
//! Every process looks for rows that are due ([`Schedules::turn`]), and one of them claims such a row for a
//! while. It queues a job under a key made of the row's time, and then moves the row to its next time after now. A
//! process that dies in between leaves the row due: the next one finds the job by its key. Times that passed
//! while nobody was there are one.
//!
//! # By whose settings
//! A row says what its time was computed from. A process computes it anew by its own settings for rows that are new,
//! for those that it has worked on, and twice in its life for all others (`takeover.rs`), but for what is due or
//! claimed: that comes first. A time of the same expression stays the same time, in whatever window. While the default
//! is off in a process, it leaves the times of the default to those in which it is on.
//!
//! # What is trained
//! What the newest version was trained with, by [`crate::training`]: it leaves a training out whose rows have not
//! changed, and the registry decides whether a new version is served. What became of it is noted on the
//! row once the job has ended.
//!
//! The clock is a parameter everywhere but in [`Schedules::run`].

mod claim;
mod cron;
mod due;
mod outcome;
mod plan;
mod row;
mod takeover;
mod turn;
mod view;

pub use cron::{Cron, Zone};
pub use outcome::Outcome;
pub use row::{Entry, Last};
pub use view::ScheduleView;

use std::sync::{Arc, Mutex};

use self::takeover::Takeovers;
use crate::{
    config::RetrainConfig,
    registry::Registry,
    storage::{
        Database,
        records::{Change, Mark},
    },
    training::Submitter,
};

/// Schedules of the tenant whose scope is open, and the scheduler of all tenants. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Schedules {
    database: Database,
    registry: Registry,
    submitter: Submitter,
    settings: RetrainConfig,
    /// Of this process: its clones' too.
    takeovers: Arc<Mutex<Takeovers>>,
}

/// When a model type is retrained.
#[derive(Debug, Clone, PartialEq)]
pub enum Schedule {
    /// As the settings say: at `RETRAIN_SCHEDULE` if `AUTO_RETRAIN` is on, else never.
    Default,
    /// Never.
    None,
    /// At these times, whatever the settings say.
    Cron(Box<Cron>),
    /// When the tenant's records of the type have changed so much since they were last read.
    NewRows(Threshold),
}

/// How much the records have to change; at least one of them is there, and either is enough.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Threshold {
    /// Records that came, from 1.
    pub rows: Option<i64>,
    /// Records that came or went, as a share of those that were read, above 0.
    pub share: Option<f64>,
}

impl Threshold {
    /// Whether so many records that came and went since `mark` are enough.
    fn is_reached(self, mark: Mark, change: Change) -> bool {
        let share = (change.new + change.gone) as f64 / mark.rows.max(1) as f64;
        self.rows.is_some_and(|rows| change.new >= rows) || self.share.is_some_and(|least| share >= least)
    }
}

impl Schedule {
    /// Name in the table and the API.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::None => "none",
            Self::Cron(_) => "cron",
            Self::NewRows(_) => "new_rows",
        }
    }
}

impl Schedules {
    /// Retrains what `registry` has through `submitter`, by `settings`. Does nothing by itself.
    #[must_use]
    pub fn new(
        database: Database,
        registry: Registry,
        submitter: Submitter,
        settings: RetrainConfig,
    ) -> Self {
        Self { database, registry, submitter, settings, takeovers: Arc::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_threshold_counts_what_came_and_shares_what_went_too() {
        let mark = Mark { rows: 100, last_id: 700 };
        let reached =
            |rows, share, new, gone| Threshold { rows, share }.is_reached(mark, Change { new, gone });
        assert!(reached(Some(10), None, 10, 0) && !reached(Some(10), None, 9, 50));
        assert!(reached(None, Some(0.1), 4, 6) && !reached(None, Some(0.1), 4, 5));
        assert!(
            reached(Some(10), Some(0.9), 10, 0) && reached(Some(50), Some(0.1), 10, 0),
            "either is enough"
        );
        let empty = Threshold { rows: None, share: Some(0.5) };
        let none = Mark { rows: 0, last_id: 0 };
        assert!(empty.is_reached(none, Change { new: 1, gone: 0 }));
        assert!(!empty.is_reached(none, Change { new: 0, gone: 0 }));
    }
}
