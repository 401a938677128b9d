//! When a process makes its settings those of all rows.
//!
//! While new settings are rolled out, processes with the old ones live beside those with the new ones. If each planned
//! anew whatever the other had planned, they would do so at every look, and no time would ever come. So a process
//! does it at two ages only. Both ages are the same for all: of two processes, the one that began later has the last
//! word. What a process plans beside that are rows that are new, and each row that it has just worked on.

use chrono::{DateTime, TimeDelta, Utc};

/// When it starts; and when those that it takes the place of are gone, with whatever rows they have planned meanwhile.
const AGES: [TimeDelta; 2] = [TimeDelta::zero(), TimeDelta::hours(1)];

/// What this process has done of it.
#[derive(Debug, Default)]
pub(super) struct Takeovers {
    began: Option<DateTime<Utc>>,
    made: usize,
}

impl Takeovers {
    /// Whether this process has reached the next of the ages at `now`; its age counts from the first time that it asks.
    pub(super) fn is_due(&mut self, now: DateTime<Utc>) -> bool {
        let began = *self.began.get_or_insert(now);
        AGES.get(self.made).is_some_and(|&age| now - began >= age)
    }

    /// Notes that it has gone through all rows.
    pub(super) fn note(&mut self) {
        self.made += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_one_at_the_start_and_one_an_hour_later() {
        let began: DateTime<Utc> = "2026-03-01T02:00:00Z".parse().expect("a time");
        let mut takeovers = Takeovers::default();
        let mut is_due = |minutes| {
            let due = takeovers.is_due(began + TimeDelta::minutes(minutes));
            // The first try at the start fails.
            if due && minutes > 0 {
                takeovers.note();
            }
            due
        };
        let due: Vec<i64> =
            [0, 1, 2, 59, 60, 61, 600].into_iter().filter(|&minutes| is_due(minutes)).collect();
        assert_eq!(due, [0, 1, 60]);
    }
}
