//! The worker: takes jobs from the queue and trains them, so many at a time, under a lease each.

use std::{sync::Arc, time::Duration};

use tokio::{sync::Semaphore, time::Instant};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::Instrument;

use super::{KeptError, Trainer, control::Control};
use crate::{
    auth::tenant,
    error::{Error, Result},
    jobs::{Beat, Claim, JobState, Jobs, Retry, signal_within},
};

/// How often the queue is looked at without a signal.
const LOOK: Duration = Duration::from_secs(1);
/// Longest time between two heartbeats: an order to stop that lost its signal is heard then.
const LONGEST_BEAT: Duration = Duration::from_secs(1);
/// How long a shutdown waits for a claim that is under way.
const LAST_TURN: Duration = Duration::from_secs(2);
/// Longest pause while the database is away.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Runs the trainings of the queue. Any number of processes may do so. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Worker {
    jobs: Jobs,
    trainer: Arc<Trainer>,
    places: Arc<Semaphore>,
    running: TaskTracker,
    /// Running jobs go back to the queue.
    hand_back: CancellationToken,
    /// For operators: host and process.
    name: Arc<str>,
}

/// Why a training ended that did not end by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CalledOff {
    /// Somebody wants it cancelled.
    Cancelled,
    /// Another worker has the job, or may have it.
    LeaseLost,
    /// This process is shutting down.
    HandedBack,
}

impl Worker {
    /// A worker of `places` trainings at a time; does nothing by itself.
    #[must_use]
    pub fn new(jobs: Jobs, trainer: Arc<Trainer>, places: usize) -> Self {
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        Self {
            jobs,
            trainer,
            places: Arc::new(Semaphore::new(places)),
            running: TaskTracker::new(),
            hand_back: CancellationToken::new(),
            name: format!("{}:{}", host.trim(), std::process::id()).into(),
        }
    }

    /// Claims and trains until `stop`; then takes no more, and what it has goes on: see [`finish`](Self::finish).
    pub async fn run(&self, stop: CancellationToken) {
        let mut pause = LOOK;
        loop {
            let place = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                place = Arc::clone(&self.places).acquire_owned() => place,
            };
            // The semaphore is never closed.
            let Ok(place) = place else { return };
            let claim = tokio::select! {
                biased;
                claim = self.jobs.claim(&self.name) => claim,
                // A claim under way is nearly always there in time; else its lease runs out.
                () = async { stop.cancelled().await; tokio::time::sleep(LAST_TURN).await } => return,
            };
            match claim {
                Ok(Some(claim)) => {
                    pause = LOOK;
                    let span = tracing::info_span!(
                        "training", job = %claim.job_id, tenant = %claim.tenant, model_type = %claim.model_type,
                        attempt = claim.attempt
                    );
                    let worker = self.clone();
                    let work = async move {
                        worker.work(&claim).await;
                        drop(place);
                    };
                    self.running.spawn(work.instrument(span));
                    continue;
                }
                Ok(None) => pause = LOOK,
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "the queue cannot be read");
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
            drop(place);
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.jobs.signals().queued() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// After [`run`](Self::run): lets the jobs that run finish for up to `grace`, and hands the others back to the queue,
    /// where they lose no attempt.
    pub async fn finish(&self, grace: Duration) {
        self.running.close();
        if tokio::time::timeout(grace, self.running.wait()).await.is_err() {
            tracing::info!(
                jobs = self.running.len(),
                "the grace period is over: trainings go back to the queue"
            );
            self.hand_back.cancel();
            self.running.wait().await;
        }
    }

    /// Trains a claimed job to one of its ends. What cannot be noted is noted by the lease, when it runs out.
    async fn work(&self, claim: &Claim) {
        let work = async {
            let control = Arc::new(Control::default());
            let outcome = tokio::select! {
                biased;
                outcome = self.trainer.train(claim, &control) => Ok(outcome),
                end = self.keep(claim, &control) => Err(end),
            };
            // Also for the pool, where the training may still be at a tree.
            control.stop();
            self.end(claim, outcome).await
        };
        let started = Instant::now();
        let result = match tenant::scope(claim.tenant, work).await {
            Ok(result) => result,
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "the job is left to its lease");
                "left"
            }
        };
        metrics::histogram!("binah_training_seconds", "model_type" => claim.model_type.name, "outcome" => result)
            .record(started.elapsed().as_secs_f64());
    }

    /// Prolongs the lease until the training has to stop.
    async fn keep(&self, claim: &Claim, control: &Control) -> CalledOff {
        let every = (self.jobs.limits().lease / 4).min(LONGEST_BEAT);
        let mut cancels = self.jobs.signals().cancels();
        let mut told = None;
        loop {
            tokio::select! {
                () = self.hand_back.cancelled() => return CalledOff::HandedBack,
                () = signal_within(&mut cancels, claim.job_id, every) => {}
            }
            let progress = control.progress();
            let news = Some(&progress).filter(|progress| told.as_ref() != Some(*progress));
            let beat = self.jobs.beat(claim, news).await;
            told = Some(progress);
            match beat {
                Ok(Beat::Kept) => {}
                Ok(Beat::CancelRequested) => return CalledOff::Cancelled,
                // The training is about to say so itself.
                Ok(Beat::Ended) => return std::future::pending().await,
                Ok(Beat::Lost) => return CalledOff::LeaseLost,
                Err(error) => tracing::warn!(error = &error as &dyn std::error::Error, "lease not prolonged"),
            }
        }
    }

    /// Notes how a training ended; its name for the metrics.
    async fn end(&self, claim: &Claim, outcome: Result<Result<()>, CalledOff>) -> Result<&'static str> {
        let error = match outcome {
            Ok(Ok(())) => return Ok(JobState::Completed.name()),
            Ok(Err(Error::LeaseLost)) | Err(CalledOff::LeaseLost) => {
                tracing::warn!("the lease was lost: another worker has the training");
                return Ok("lease_lost");
            }
            Ok(Err(Error::Cancelled)) | Err(CalledOff::Cancelled) => {
                self.jobs.cancelled(claim).await?;
                tracing::info!("training cancelled");
                return Ok(JobState::Cancelled.name());
            }
            Err(CalledOff::HandedBack) => {
                self.jobs.release(claim, Retry::HandedBack).await?;
                return Ok("handed_back");
            }
            Ok(Err(error)) => error,
        };
        tracing::warn!(error = &error as &dyn std::error::Error, code = error.code(), "training failed");
        if let Some(retry) = self.may_pass(claim, &error) {
            self.jobs.release(claim, retry).await?;
            return Ok("postponed");
        }
        self.jobs.fail(claim, &error.to_string(), &KeptError::new(&error).to_value()).await?;
        Ok(error.code())
    }

    /// Whether and when another attempt may do better. Somebody who waits for an answer hears at once that a
    /// dependency is away; but a job that only our own database failed goes on.
    fn may_pass(&self, claim: &Claim, error: &Error) -> Option<Retry> {
        let Error::Unavailable { dependency, .. } = error else { return None };
        let patient = claim.request["patient"] == true;
        let retry = if *dependency == "Postgres" { Retry::Soon } else { Retry::Later };
        let may_wait = claim.attempt < self.jobs.limits().attempts && (patient || retry == Retry::Soon);
        may_wait.then_some(retry)
    }
}
