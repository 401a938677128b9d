//! How a job goes on, for whoever waits for its end or looks on.

use std::time::Duration;

use tokio::{sync::broadcast, time::Instant};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    error::{Error, Result},
    jobs::{Job, JobState, Jobs, signal_within},
};

/// First and longest pause between two looks: signals may get lost.
const FIRST_LOOK: Duration = Duration::from_secs(1);
const LONGEST_LOOK: Duration = Duration::from_secs(5);

/// A look at one job, again and again.
#[derive(Debug)]
pub struct Watch {
    jobs: Jobs,
    job_id: Uuid,
    changes: broadcast::Receiver<Uuid>,
    /// Newest revision that was told.
    told: Option<i64>,
    over: bool,
    /// How long the end of a training is held back for its run in MLflow, and until when.
    tracking_wait: Duration,
    logged_by: Option<Instant>,
    pause: Duration,
    stop: CancellationToken,
}

impl Watch {
    pub(super) fn new(
        jobs: Jobs,
        job_id: Uuid,
        known: Option<i64>,
        tracking_wait: Duration,
        stop: CancellationToken,
    ) -> Self {
        // Before the first look, so that no change falls between.
        let changes = jobs.signals().changes();
        Self {
            jobs,
            job_id,
            changes,
            told: known,
            over: false,
            tracking_wait,
            logged_by: None,
            pause: FIRST_LOOK,
            stop,
        }
    }

    /// The job as soon as it has changed, in the open scope of its tenant; `None` once nothing follows: it has ended,
    /// or the watch has. Changes that follow each other closely are told as one. An outage of Postgres is
    /// waited out. The future may be dropped and the next change asked for anew.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a job that the tenant does not have, and those of the database.
    pub async fn next(&mut self) -> Result<Option<Job>> {
        while !self.over {
            let last = self.stop.is_cancelled();
            match self.jobs.get(self.job_id).await {
                Ok(job) => {
                    let held_back = !last && self.expects_run(&job);
                    self.over = last || (job.state.is_final() && !held_back);
                    if !held_back && self.told != Some(job.revision) {
                        self.told = Some(job.revision);
                        self.pause = FIRST_LOOK;
                        return Ok(Some(job));
                    }
                }
                Err(Error::Unavailable { .. }) if !last => {}
                Err(error) => return Err(error),
            }
            if !self.over {
                self.wait().await;
            }
        }
        Ok(None)
    }

    /// Whether a completed job is about to get its run.
    fn expects_run(&mut self, job: &Job) -> bool {
        if job.state != JobState::Completed {
            return false;
        }
        let by = *self.logged_by.get_or_insert_with(|| Instant::now() + self.tracking_wait);
        job.run_id.is_none() && job.being_logged && Instant::now() < by
    }

    /// Waits until it is worth to look again.
    async fn wait(&mut self) {
        let longest = self.logged_by.map_or(self.pause, |by| self.pause.min(by - Instant::now()));
        self.pause = (self.pause * 2).min(LONGEST_LOOK);
        tokio::select! {
            () = self.stop.cancelled() => {}
            () = signal_within(&mut self.changes, self.job_id, longest) => {}
        }
    }
}
