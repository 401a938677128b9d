//! Trainings as callers see them: queued at once, waited for if they like.

use std::{sync::Arc, time::Duration};

use serde_json::json;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    KeptError, Sources, SubmitOptions, TrainOutcome, TrainRequest, request::StoredRequest, watch::Watch,
};
use crate::{
    auth::Caller,
    catalog::Hyperparameters,
    error::{Error, Result},
    jobs::{Enqueued, IdempotencyKey, Job, JobState, Jobs, NewJob, Origin},
};

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
        // Not how the answer comes: who lost one may ask for the job instead.
        let stands_for = json!({ "train": train, "priority": options.priority });
        let key = options.idempotency_key.as_deref();
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
            idempotency_key: key.map(|key| IdempotencyKey { key, stands_for: &stands_for }),
        };
        self.jobs.enqueue(new).await
    }

    /// Waits for the end of a job of the open scope's tenant, and then, a bounded time, for its run in MLflow. The
    /// training goes on when the future is dropped.
    ///
    /// # Errors
    /// What the training failed with; [`Error::Cancelled`].
    pub async fn wait(&self, job_id: Uuid) -> Result<Awaited> {
        let mut watch = self.watch(job_id, None, self.leaving.clone());
        let mut newest = None;
        while let Some(job) = watch.next().await? {
            newest = Some(job);
        }
        let job = newest.ok_or_else(|| Error::internal("a watch that told nothing"))?;
        match job.state {
            JobState::Queued | JobState::Training => Ok(Awaited::GoesOn(Box::new(job))),
            JobState::Completed => Ok(Awaited::Done(Box::new(TrainOutcome::of(&job)?))),
            JobState::Failed => Err(KeptError::of(&job).into_error()),
            JobState::Cancelled => Err(Error::Cancelled),
        }
    }

    /// Tells how a job of the open scope's tenant goes on, from what is not `known` yet: the revision that the caller
    /// has seen. Ends with the job, or with `stop`.
    #[must_use]
    pub fn watch(&self, job_id: Uuid, known: Option<i64>, stop: CancellationToken) -> Watch {
        Watch::new(self.jobs.clone(), job_id, known, self.tracking_wait, stop)
    }
}
