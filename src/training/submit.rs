//! Trainings as callers see them: queued at once, waited for if they like.

use std::{sync::Arc, time::Duration};

use serde_json::json;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{KeptError, Sources, SubmitOptions, TrainOutcome, TrainRequest, request::StoredRequest};
use crate::{
    auth::Caller,
    catalog::Hyperparameters,
    error::{Error, Result},
    jobs::{Enqueued, Job, JobState, Jobs, NewJob, Origin, signal_within},
};

/// How often a waiter looks by itself: signals may get lost.
const LOOK: Duration = Duration::from_secs(1);

/// Queues trainings and waits for them. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Submitter {
    jobs: Jobs,
    sources: Arc<Sources>,
    /// How long an answer waits for the run in MLflow.
    tracking_wait: Duration,
    /// Cancelled when this process cannot wait any longer.
    leaving: CancellationToken,
}

/// What a waiter learns.
#[derive(Debug, Clone)]
pub enum Awaited {
    /// The training is completed.
    Done(Box<TrainOutcome>),
    /// It goes on without this process, which is shutting down.
    GoesOn(Box<Job>),
}

impl Submitter {
    /// `leaving` ends every wait.
    #[must_use]
    pub fn new(
        jobs: Jobs,
        sources: Arc<Sources>,
        tracking_wait: Duration,
        leaving: CancellationToken,
    ) -> Self {
        Self { jobs, sources, tracking_wait, leaving }
    }

    /// The queue.
    #[must_use]
    pub fn jobs(&self) -> &Jobs {
        &self.jobs
    }

    /// Queues a training for the tenant of the open scope. What the request itself says is checked first; what its
    /// rows say, the training finds.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a bad request; [`Error::QueueFull`] and [`Error::Busy`] when too many wait.
    pub async fn submit(
        &self,
        caller: &Caller,
        request: TrainRequest,
        options: SubmitOptions,
    ) -> Result<Enqueued> {
        self.sources.choose(&request)?;
        self.enqueue(&caller.user_id, request, options, Origin::Api, false).await
    }

    /// Queues a retraining, which is left out if the rows are those of the newest version.
    ///
    /// # Errors
    /// As [`submit`](Self::submit).
    pub async fn resubmit(
        &self,
        user_id: &str,
        request: TrainRequest,
        options: SubmitOptions,
    ) -> Result<Enqueued> {
        self.sources.choose(&request)?;
        self.enqueue(user_id, request, options, Origin::Schedule, true).await
    }

    async fn enqueue(
        &self,
        user_id: &str,
        mut train: TrainRequest,
        options: SubmitOptions,
        origin: Origin,
        only_if_changed: bool,
    ) -> Result<Enqueued> {
        let params =
            Hyperparameters::check(train.model_type, train.hyperparameters_field, &train.hyperparameters)?;
        let rows =
            train.data.take().map(|rows| serde_json::to_vec(&rows)).transpose().map_err(Error::internal)?;
        let (model_type, validation_split) = (train.model_type, train.validation_split);
        let query = train.training_data_query.clone();
        let request =
            StoredRequest { train, inline: rows.is_some(), patient: options.patient, only_if_changed };
        let new = NewJob {
            model_type,
            user_id,
            request: json!(request),
            rows,
            hyperparameters: json!(params),
            validation_split,
            training_data_query: query.as_deref(),
            origin,
            priority: options.priority,
            idempotency_key: options.idempotency_key.as_deref(),
        };
        self.jobs.enqueue(new).await
    }

    /// Waits for the end of a job of the open scope's tenant, and then, a bounded time, for its run in MLflow. The
    /// training goes on when the future is dropped.
    ///
    /// # Errors
    /// What the training failed with; [`Error::Cancelled`].
    pub async fn wait(&self, job_id: Uuid) -> Result<Awaited> {
        // Before the first look, so that no change falls between.
        let mut changes = self.jobs.signals().changes();
        let mut logged_by = None;
        loop {
            match self.jobs.get(job_id).await {
                Ok(job) => {
                    if let Some(answer) = self.answer(&job, &mut logged_by)? {
                        return Ok(answer);
                    }
                    if self.leaving.is_cancelled() {
                        return Ok(Awaited::GoesOn(Box::new(job)));
                    }
                }
                // The job is safe, and Postgres may be back in a moment.
                Err(Error::Unavailable { .. }) if !self.leaving.is_cancelled() => {}
                Err(error) => return Err(error),
            }
            let longest = logged_by.map_or(LOOK, |by: Instant| LOOK.min(by - Instant::now()));
            tokio::select! {
                () = self.leaving.cancelled() => {}
                () = signal_within(&mut changes, job_id, longest) => {}
            }
        }
    }

    /// The answer that a job allows; `None`: wait on.
    fn answer(&self, job: &Job, logged_by: &mut Option<Instant>) -> Result<Option<Awaited>> {
        match job.state {
            JobState::Queued | JobState::Training => Ok(None),
            JobState::Failed => Err(KeptError::of(job).into_error()),
            JobState::Cancelled => Err(Error::Cancelled),
            JobState::Completed => {
                let by = *logged_by.get_or_insert_with(|| Instant::now() + self.tracking_wait);
                let in_time = Instant::now() < by && !self.leaving.is_cancelled();
                if job.run_id.is_none() && job.being_logged && in_time {
                    return Ok(None);
                }
                Ok(Some(Awaited::Done(Box::new(TrainOutcome::of(job)?))))
            }
        }
    }
}
