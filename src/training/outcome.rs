//! How a training ended, as its job keeps it: what the answer says whoever gives it, and however late.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::{
    error::{Error, FieldError, Result},
    inference::request::version_label,
    jobs::Job,
    registry::Verdict,
    storage::records::Mark,
};

/// A finished training.
#[derive(Debug, Clone)]
pub struct TrainOutcome {
    /// Row in `training_jobs`.
    pub job_id: Uuid,
    /// MLflow run; empty while tracking is pending.
    pub run_id: String,
    /// `runs:/<run_id>/model`; empty while tracking is pending.
    pub model_uri: String,
    /// When the training ended.
    pub finished_at: DateTime<Utc>,
    /// What the worker kept.
    pub kept: KeptOutcome,
}

/// What the worker that completed a training keeps of it for the answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct KeptOutcome {
    /// Row in `ml_models`.
    pub model_id: Uuid,
    /// "v1.0", "v2.0", ...
    pub model_version: String,
    /// Validation metrics by name.
    pub metrics: Map<String, Value>,
    /// What happened, for a person.
    pub message: String,
    /// Whether it is served, and why.
    pub promotion: Decision,
    /// Things that the caller should know about the data.
    pub warnings: Vec<String>,
    /// The rows were those of the newest version: it stands, and no other was trained.
    #[serde(default)]
    pub unchanged: bool,
    /// How far the record table was read, where the rows came from there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub records: Option<Mark>,
}

/// The decision about the champion.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// Whether the new version is the champion.
    pub promoted: bool,
    /// The champion now: "v1.0".
    pub champion: String,
    /// Name of the grounds.
    pub decision: String,
    /// The grounds for a person.
    pub reason: String,
    /// What was compared on the same held-out rows, if anything could be.
    pub metric: Option<String>,
    /// The new version's number.
    pub value: Option<f64>,
    /// The number of the champion until then.
    pub champion_value: Option<f64>,
}

impl Decision {
    pub(super) fn new(model_version: &str, verdict: &Verdict) -> Self {
        let before = verdict.kept_champion().map(version_label);
        Self {
            promoted: verdict.promoted,
            champion: before.unwrap_or_else(|| model_version.to_owned()),
            decision: verdict.decision.to_owned(),
            reason: verdict.reason.clone(),
            metric: verdict.score.map(|score| score.metric.to_owned()),
            value: verdict.score.map(|score| score.value),
            champion_value: verdict.score.map(|score| score.champion_value),
        }
    }
}

impl TrainOutcome {
    /// Of a completed job.
    ///
    /// # Errors
    /// [`Error::Internal`] for a job whose row does not say how it ended.
    pub fn of(job: &Job) -> Result<Self> {
        let kept =
            job.outcome.clone().ok_or_else(|| Error::internal("a completed job without an outcome"))?;
        let mut kept: KeptOutcome = serde_json::from_value(kept).map_err(Error::internal)?;
        let run_id = job.run_id.clone().unwrap_or_default();
        if run_id.is_empty() && !kept.unchanged {
            let pending = "; tracking is pending: MLflow did not take the run yet, it is logged later";
            kept.message.push_str(pending);
        }
        let finished_at = job.completed_at.unwrap_or(job.created_at);
        Ok(Self { job_id: job.id, run_id, model_uri: job.model_uri(), finished_at, kept })
    }
}

/// An error as a job keeps it, so that every answer about the job says the same.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KeptError {
    /// [`Error::code`].
    pub code: String,
    /// For a person.
    pub message: String,
    /// Of [`Error::Invalid`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<FieldError>,
    /// Of [`Error::Unavailable`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dependency: Option<String>,
    /// Of [`Error::Abandoned`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempts: Option<u32>,
}

/// What may be away; an error names one of them.
const DEPENDENCIES: [&str; 4] = ["Postgres", "Neo4j", "libxgboost", "The model registry's file store"];

impl KeptError {
    /// What is kept of an error: what its text tells a caller, never a cause.
    #[must_use]
    pub fn new(error: &Error) -> Self {
        let mut kept = Self {
            code: error.code().to_owned(),
            message: error.to_string(),
            faults: vec![],
            dependency: None,
            attempts: None,
        };
        match error {
            Error::Invalid(faults) => kept.faults.clone_from(faults),
            Error::Unavailable { dependency, .. } => kept.dependency = Some((*dependency).to_owned()),
            Error::Abandoned { attempts } => kept.attempts = Some(*attempts),
            _ => {}
        }
        kept
    }

    /// Of a failed job.
    #[must_use]
    pub fn of(job: &Job) -> Self {
        let kept = job.error.clone().and_then(|error| serde_json::from_value(error).ok());
        kept.unwrap_or_else(|| Self::new(&Error::internal("a failed job without an error")))
    }

    /// As JSON, for the job's row.
    #[must_use]
    pub(super) fn to_value(&self) -> Value {
        json!(self)
    }

    /// The error again, but for its cause, which the worker has logged.
    #[must_use]
    pub fn into_error(self) -> Error {
        let source = || "kept with the job; its worker has logged the cause".into();
        let dependency = self.dependency.as_deref().unwrap_or_default();
        match self.code.as_str() {
            "invalid" => Error::Invalid(self.faults),
            "cancelled" => Error::Cancelled,
            "unavailable" => Error::Unavailable {
                dependency: DEPENDENCIES
                    .into_iter()
                    .find(|&known| known == dependency)
                    .unwrap_or("A dependency"),
                source: source(),
            },
            "abandoned" => Error::Abandoned { attempts: self.attempts.unwrap_or_default() },
            _ => Error::Internal(source()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_the_same_after_it_was_kept() {
        let fault = FieldError::body("too_few_rows", ["data"], "20 rows are needed", json!(3));
        for error in [
            Error::invalid(fault.with_ctx(json!({"min": 20}))),
            Error::Cancelled,
            Error::Abandoned { attempts: 3 },
            Error::internal("secret"),
        ]
        .into_iter()
        .chain(DEPENDENCIES.map(|dependency| Error::Unavailable { dependency, source: "secret".into() }))
        {
            let kept = KeptError::new(&error).to_value();
            assert!(!kept.to_string().contains("secret"), "{kept}");
            let again: KeptError = serde_json::from_value(kept).expect("reads back");
            let again = again.into_error();
            assert_eq!((again.code(), again.to_string()), (error.code(), error.to_string()));
            match (&error, &again) {
                (Error::Invalid(before), Error::Invalid(after)) => assert_eq!(before, after),
                (Error::Invalid(_), _) => panic!("{again}"),
                _ => {}
            }
        }
    }
}
