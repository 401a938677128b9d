//! What became of a retraining.

use crate::{
    jobs::{Job, JobState},
    training::{KeptError, KeptOutcome},
};

/// How a retraining ended, or that it did not begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// A new version, which is served.
    Promoted,
    /// A new version, which is not served.
    NotPromoted,
    /// The rows are those of the newest version: nothing was trained.
    Unchanged,
    /// There was nothing to train with.
    Skipped,
    /// The training failed, or could not be asked for.
    Failed,
    /// Somebody cancelled it.
    Cancelled,
}

impl Outcome {
    /// Name in the table, the API and the metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Promoted => "promoted",
            Self::NotPromoted => "not_promoted",
            Self::Unchanged => "unchanged",
            Self::Skipped => "skipped",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Counts a retraining that has come to its end.
    pub(super) fn count(self) {
        metrics::counter!("binah_retrainings_total", "outcome" => self.name()).increment(1);
    }

    /// Of a job that has ended, with a sentence for a person; `None`: it goes on.
    pub(super) fn of(job: &Job) -> Option<(Self, String)> {
        Some(match job.state {
            JobState::Queued | JobState::Training => return None,
            JobState::Cancelled => (Self::Cancelled, "cancelled".to_owned()),
            JobState::Failed => (Self::Failed, format!("failed: {}", KeptError::of(job).message)),
            JobState::Completed => {
                let kept = job.outcome.clone().and_then(|kept| serde_json::from_value(kept).ok());
                kept.map_or_else(
                    || (Self::Failed, "failed: its outcome was not kept".to_owned()),
                    Self::completed,
                )
            }
        })
    }

    fn completed(kept: KeptOutcome) -> (Self, String) {
        let version = kept.model_version;
        let reason = kept.promotion.reason;
        if kept.unchanged {
            (Self::Unchanged, format!("unchanged: the rows are those of {version}"))
        } else if kept.promotion.promoted {
            (Self::Promoted, format!("trained {version}, promoted: {reason}"))
        } else {
            (Self::NotPromoted, format!("trained {version}, not promoted: {reason}"))
        }
    }
}
