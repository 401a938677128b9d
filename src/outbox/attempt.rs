//! One attempt at a claimed row.

use std::time::Duration;

use super::{
    Outbox,
    row::{self, Claim, LEASE, Next},
};
use crate::{
    Error, Result,
    catalog::ModelType,
    error::BoxError,
    tracking::{Outlook, PackedRun, Step, Tracked, TrackingError, Watch},
};

/// Attempts that count, before a run is parked.
const MAX_ATTEMPTS: i32 = 20;
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// Why an attempt did not complete its run.
#[derive(Debug)]
enum Failure {
    /// The process ends.
    Stopped,
    /// Another attempt has the row, or may have it.
    Lost,
    /// Our own database or file store.
    Ours(Error),
    /// MLflow is away, for every run.
    Away(TrackingError),
    /// MLflow, for this run.
    Theirs(TrackingError),
}

impl Outbox {
    /// Logs the claimed run (`None`: as its row has it) in its tenant's open scope, and notes in the row
    /// what came of it.
    pub(super) async fn attempt(&self, claim: Claim, run: Option<PackedRun>) {
        let attempt = async {
            if claim.attempts > MAX_ATTEMPTS {
                // Nobody noted how the ones before ended: they took their process with them.
                return Err(Failure::Ours(Error::internal("too many attempts did not come back")));
            }
            let run = match run {
                Some(run) => run,
                None => self.read(&claim).await?,
            };
            let tracked = self.log_claimed(&claim, &run).await?;
            self.complete(&claim, &tracked).await?;
            if let Some(model_type) = ModelType::parse(&run.model_type) {
                self.inner.lifecycle.follow(model_type, Some(claim.model_id)).await;
            }
            Ok(tracked)
        };
        let outcome = tokio::select! {
            biased;
            () = self.inner.stop.cancelled() => Err(Failure::Stopped),
            failure = self.keep(&claim) => Err(failure),
            outcome = attempt => outcome,
        };
        match outcome {
            Ok(tracked) => {
                self.set_up(true);
                metrics::counter!("binah_tracking_attempts_total", "outcome" => "completed").increment(1);
                tracing::info!(
                    run_id = tracked.run_id,
                    attempt = claim.attempts,
                    "run is complete in MLflow"
                );
            }
            Err(failure) => self.note(&claim, failure).await,
        }
    }

    /// Gives a row back that was not worked on.
    pub(super) async fn give_back(&self, claim: &Claim) {
        self.note(claim, Failure::Stopped).await;
    }

    async fn log_claimed(&self, claim: &Claim, run: &PackedRun) -> Result<Tracked, Failure> {
        let watch = Lease { outbox: self, claim };
        match self.inner.tracker.log_watched(run, &watch).await {
            Ok(tracked) => Ok(tracked),
            Err(TrackingError::CalledOff { .. }) => Err(Failure::Lost),
            // Nobody there, or a closed door. Where the server is well, the door is this run's alone.
            Err(error) if error.outlook() == Outlook::Away => {
                let is_well = self.inner.tracker.client().health().await.is_ok();
                Err(if is_well { Failure::Theirs(error) } else { Failure::Away(error) })
            }
            Err(error) => Err(Failure::Theirs(error)),
        }
    }

    async fn read(&self, claim: &Claim) -> Result<PackedRun, Failure> {
        let mut transaction = self.inner.database.tenant_snapshot("tracking_read").await?;
        let (mut run, files) = row::read(&mut transaction, claim).await?.ok_or(Failure::Lost)?;
        transaction.commit().await?;
        run.files = files.read(self.inner.registry.store(), claim.tenant).await?;
        Ok(run)
    }

    /// Notes the run on model and job, and deletes the row, in one transaction.
    async fn complete(&self, claim: &Claim, tracked: &Tracked) -> Result<(), Failure> {
        let mut transaction = self.inner.database.tenant_transaction("tracking_complete").await?;
        let files = row::delete(&mut transaction, claim).await?.ok_or(Failure::Lost)?;
        let version = Some(tracked.registered_version.as_str());
        let linked = crate::registry::link_run(
            &mut transaction,
            claim.model_id,
            &tracked.run_id,
            &tracked.model_uri,
            version,
        );
        linked.await?;
        transaction.commit().await?;
        files.remove(self.inner.registry.store()).await;
        Ok(())
    }

    /// Prolongs the lease in good time until it is lost. A database that is away for a moment loses
    /// nothing: the lease lasts longer.
    async fn keep(&self, claim: &Claim) -> Failure {
        loop {
            tokio::time::sleep(LEASE / 4).await;
            match self.renew(claim, None, None).await {
                Ok(true) => {}
                Ok(false) => return Failure::Lost,
                Err(error) => tracing::warn!(error = &error as &dyn std::error::Error, "lease not prolonged"),
            }
        }
    }

    async fn renew(&self, claim: &Claim, step: Option<Step>, run_id: Option<&str>) -> Result<bool> {
        let mut transaction = self.inner.database.tenant_transaction("tracking_renew").await?;
        let renewed = row::renew(&mut transaction, claim, step.map(Step::name), run_id).await?;
        transaction.commit().await?;
        Ok(renewed)
    }

    /// Gives the row back as the failure asks. What cannot be noted is noted by the lease, when it runs out.
    async fn note(&self, claim: &Claim, failure: Failure) {
        if let Failure::Away(error) = &failure
            && self.set_up(false)
        {
            tracing::warn!(%error, "MLflow is away");
        }
        let Some((next, outcome)) = next(&failure, claim.attempts) else {
            return tracing::warn!("the attempt ends: the row is not known to be its own any more");
        };
        metrics::counter!("binah_tracking_attempts_total", "outcome" => outcome).increment(1);
        let error = failure.cause();
        match (&error, next.pause) {
            (None, _) => {}
            (Some(error), Some(_)) => {
                tracing::warn!(error, attempt = claim.attempts, "tracking is pending");
            }
            (Some(error), None) => {
                tracing::error!(error, attempt = claim.attempts, "run is parked: see `binah-ml tracking`");
            }
        }
        let noted = async {
            let mut transaction = self.inner.database.tenant_transaction("tracking_release").await?;
            row::release(&mut transaction, claim, next, error.as_deref()).await?;
            transaction.commit().await
        };
        if let Err(error) = noted.await {
            tracing::warn!(error = &error as &dyn std::error::Error, "the row is left to its lease");
        }
    }
}

/// What follows from a failure, and its name; `None` if the row is not ours to change.
fn next(failure: &Failure, attempts: i32) -> Option<(Next, &'static str)> {
    let counted = |outcome| {
        let doublings = u32::try_from(attempts - 1).unwrap_or(0).min(16);
        let pause = (FIRST_PAUSE * 2_u32.pow(doublings)).min(LONGEST_PAUSE);
        if attempts < MAX_ATTEMPTS {
            (Next { counts: true, pause: Some(pause) }, outcome)
        } else {
            (Next { counts: true, pause: None }, "parked")
        }
    };
    let uncounted = |pause| Next { counts: false, pause: Some(pause) };
    Some(match failure {
        Failure::Lost => return None,
        Failure::Stopped => (uncounted(Duration::ZERO), "stopped"),
        Failure::Ours(Error::CorruptArtifact { .. }) => (Next { counts: true, pause: None }, "parked"),
        // A store that is away says nothing of this run.
        Failure::Ours(Error::Unavailable { .. }) => (uncounted(LONGEST_PAUSE / 10), "failed"),
        Failure::Ours(_) => counted("failed"),
        Failure::Away(_) => (uncounted(FIRST_PAUSE), "away"),
        Failure::Theirs(error) if error.outlook() == Outlook::Lasting => {
            (Next { counts: true, pause: None }, "parked")
        }
        Failure::Theirs(_) => counted("failed"),
    })
}

impl Failure {
    /// What happened, with its innermost cause.
    fn cause(&self) -> Option<String> {
        let error: &dyn std::error::Error = match self {
            Self::Stopped | Self::Lost => return None,
            Self::Ours(error) => error,
            Self::Away(error) | Self::Theirs(error) => error,
        };
        let mut text = error.to_string();
        let mut cause = error.source();
        while let Some(inner) = cause {
            let inner_text = inner.to_string();
            if !text.contains(&inner_text) {
                text = format!("{text}: {inner_text}");
            }
            cause = inner.source();
        }
        Some(text)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Ours(error)
    }
}

/// Asks before each step whether the row is still this attempt's.
struct Lease<'a> {
    outbox: &'a Outbox,
    claim: &'a Claim,
}

impl Watch for Lease<'_> {
    async fn before(&self, step: Step, run_id: Option<&str>) -> Result<(), TrackingError> {
        match self.outbox.renew(self.claim, Some(step), run_id).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(TrackingError::CalledOff { step }),
            Err(error) => {
                let error: BoxError = error.into();
                tracing::warn!(error, %step, "the attempt stops: whether it has the row is not known");
                Err(TrackingError::CalledOff { step })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_five_minutes_and_end_in_parking() {
        let passing = || {
            Failure::Theirs(TrackingError::Timeout { call: "runs/create", after: Duration::from_secs(60) })
        };
        let pause = |attempts| next(&passing(), attempts).map(|(next, _)| next.pause.map(|p| p.as_secs()));
        assert_eq!(
            [1, 2, 5, 9, 10, 19, 20, 21].map(pause),
            [
                Some(Some(1)),
                Some(Some(2)),
                Some(Some(16)),
                Some(Some(256)),
                Some(Some(300)),
                Some(Some(300)),
                Some(None),
                Some(None)
            ]
        );
    }

    #[test]
    fn an_absent_server_parks_nothing_and_a_refusal_parks_at_once() {
        let refused = |status, code: Option<&str>| {
            let code = code.map(str::to_owned);
            TrackingError::Refused { call: "x", status, code, message: String::new() }
        };
        let host = TrackingError::HostRefused { host: "mlflow:5000".into() };
        for away in [host, refused(401, None), refused(403, None), refused(404, None)] {
            assert_eq!(away.outlook(), Outlook::Away, "{away}");
        }
        let outcome = |failure: Failure| next(&failure, 40).map(|(next, name)| (next.counts, name));
        assert_eq!(outcome(Failure::Away(refused(403, None))), Some((false, "away")));
        assert_eq!(outcome(Failure::Stopped), Some((false, "stopped")));
        assert_eq!(outcome(Failure::Lost), None);
        let first = |error| next(&Failure::Theirs(error), 1).map(|(_, name)| name);
        assert_eq!(first(refused(400, Some("INVALID_PARAMETER_VALUE"))), Some("parked"));
        assert_eq!(first(refused(500, None)), Some("failed"));
        assert_eq!(first(refused(403, None)), Some("failed"), "this run's alone");
    }
}
