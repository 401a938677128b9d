//! What becomes of a job.

use crate::{Error, Result};

/// State of a job. `Queued` and `Training` may follow each other in both directions: a worker hands a job
/// back, or is lost; the other three are final.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum JobState {
    /// Waits for a worker.
    Queued,
    /// A worker has it, under a lease.
    Training,
    /// Ended with a model, or found that none was needed.
    Completed,
    /// Ended with an error.
    Failed,
    /// Ended because somebody said so.
    Cancelled,
}

impl JobState {
    /// Every state.
    pub const ALL: [Self; 5] = [Self::Queued, Self::Training, Self::Completed, Self::Failed, Self::Cancelled];

    /// Name in the table and the API.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Training => "training",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// The state of that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// Whether nothing follows it.
    #[must_use]
    pub fn is_final(self) -> bool {
        !matches!(self, Self::Queued | Self::Training)
    }

    /// Whether `next` may follow. The table holds every statement to it (migration 0013).
    #[must_use]
    pub fn may_become(self, next: Self) -> bool {
        match self {
            // Nothing is completed or failed that nobody worked on.
            Self::Queued => matches!(next, Self::Training | Self::Cancelled),
            Self::Training => next != Self::Training,
            Self::Completed | Self::Failed | Self::Cancelled => false,
        }
    }
}

impl TryFrom<String> for JobState {
    type Error = Error;

    fn try_from(name: String) -> Result<Self> {
        Self::parse(&name).ok_or_else(|| Error::internal(format!("no such state: {name}")))
    }
}

impl std::fmt::Display for JobState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back_and_ends_are_final() {
        for state in JobState::ALL {
            assert_eq!(JobState::parse(state.name()), Some(state));
            assert!(!state.may_become(state));
            assert_eq!(state.is_final(), JobState::ALL.iter().all(|&next| !state.may_become(next)));
        }
        assert_eq!(JobState::parse("ready"), None);
    }
}
