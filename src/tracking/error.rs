//! What can go wrong with MLflow, and whether trying again later can help.

use std::time::Duration;

/// A failed exchange with MLflow.
#[derive(Debug, thiserror::Error)]
pub enum TrackingError {
    /// No answer came: connection refused, name unknown, TLS failed, broken off.
    #[error("MLflow is unreachable ({call}): {source}")]
    Unreachable {
        /// The call that failed.
        call: &'static str,
        /// Why, without the address (it may carry a password).
        source: reqwest::Error,
    },
    /// The server took the call but did not answer in time; it may or may not have been carried out.
    #[error("MLflow did not answer {call} within {after:?}")]
    Timeout {
        /// The call that failed.
        call: &'static str,
        /// The limit of one request.
        after: Duration,
    },
    /// The server answered with an error.
    #[error("MLflow refused {call}: {status} {}: {message}", .code.as_deref().unwrap_or("-"))]
    Refused {
        /// The call that failed.
        call: &'static str,
        /// HTTP status.
        status: u16,
        /// MLflow's `error_code`; none when the body was not MLflow's JSON (a proxy, basic auth).
        code: Option<String>,
        /// MLflow's message, or the start of the body.
        message: String,
    },
    /// The server's DNS rebinding guard does not know the name by which we call it.
    #[error(
        "MLflow refused the host name {host:?}: start the server with `--allowed-hosts {host}` \
         (with the port; the list replaces the defaults), or override the Host header"
    )]
    HostRefused {
        /// The Host header that was sent.
        host: String,
    },
    /// A success status with a body that is not the call's answer (a captive proxy, a login page).
    #[error("MLflow's answer to {call} cannot be read: {reason}")]
    UnreadableAnswer {
        /// The call that failed.
        call: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The server keeps no workspaces, and tenants are to be kept apart by them.
    #[error(
        "MLflow has no workspaces, and MLFLOW_WORKSPACES=true keeps tenants apart by them: start MLflow 3.17 or \
         later with `--enable-workspaces`"
    )]
    NoWorkspaces,
    /// The run's artifacts live in a store that cannot be written through MLflow.
    #[error(
        "Artifacts of this run go to {uri:?}, which cannot be written through MLflow: start the server with \
         `--artifacts-destination` and without `--default-artifact-root`, or give the workspace a \
         default_artifact_root below mlflow-artifacts:/"
    )]
    UnsupportedArtifactStore {
        /// The run's artifact address.
        uri: String,
    },
    /// The attempt's [`Watch`](super::Watch) called it off.
    #[error("the attempt was called off before {step}")]
    CalledOff {
        /// The step that was not begun.
        step: super::Step,
    },
    /// A name, path or setting that MLflow cannot take.
    #[error("{what} {value:?} is not usable in MLflow: {rule}")]
    Invalid {
        /// What it names.
        what: &'static str,
        /// The offending value.
        value: String,
        /// The rule it breaks.
        rule: &'static str,
    },
}

/// What a failure says of the next attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outlook {
    /// Nobody was there, or nobody let us in: the failure says nothing of this run. Worth trying as soon
    /// as [`health`](super::client::Client::health) is good.
    Away,
    /// The same attempt may succeed later.
    Passing,
    /// It will not, unless somebody changes something.
    Lasting,
}

impl TrackingError {
    /// What it says of the next attempt. An answer without MLflow's JSON under a refusing status is not
    /// MLflow's: a proxy's, a login's, another server's.
    #[must_use]
    pub fn outlook(&self) -> Outlook {
        match self {
            Self::HostRefused { .. } | Self::Refused { status: 401 | 403, .. } => Outlook::Away,
            Self::Refused { status: 404 | 405 | 407, code: None, .. } => Outlook::Away,
            _ if self.never_arrived() => Outlook::Away,
            _ if self.is_transient() => Outlook::Passing,
            _ => Outlook::Lasting,
        }
    }

    /// Whether the same call may succeed later without anyone changing anything.
    ///
    /// MLflow reports an exhausted database pool as 400 `BAD_REQUEST`, hence that odd one; under
    /// the same code MLflow 2 reports rows that are there already, which no repetition changes.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Timeout { .. } | Self::UnreadableAnswer { .. } => true,
            Self::Refused { status, code, .. } => {
                matches!(status, 408 | 429 | 500 | 502 | 503 | 504)
                    || (*status == 400 && code.as_deref() == Some("BAD_REQUEST") && !self.is_duplicate())
            }
            _ => false,
        }
    }

    /// The API call that failed, if it was one.
    #[must_use]
    pub fn call(&self) -> Option<&'static str> {
        match self {
            Self::Unreachable { call, .. }
            | Self::Timeout { call, .. }
            | Self::Refused { call, .. }
            | Self::UnreadableAnswer { call, .. } => Some(call),
            _ => None,
        }
    }

    /// Whether the server certainly has not carried the call out, so that repeating it is safe
    /// even where a repetition would create a second thing.
    pub(crate) fn never_arrived(&self) -> bool {
        matches!(self, Self::Unreachable { source, .. } if source.is_connect())
    }

    /// Whether what the call names exists already.
    pub(crate) fn already_exists(&self) -> bool {
        matches!(self, Self::Refused { code: Some(code), .. } if code == "RESOURCE_ALREADY_EXISTS")
            || self.is_duplicate()
    }

    /// Whether the server's database (SQLite, PostgreSQL, MySQL) refused a second equal row.
    /// MLflow 2 hands that out where two calls race, and for a non-finite metric that it has.
    fn is_duplicate(&self) -> bool {
        const WORDS: [&str; 3] = ["UNIQUE constraint failed", "duplicate key value", "Duplicate entry"];
        matches!(self, Self::Refused { code: Some(code), message, .. }
            if code == "BAD_REQUEST" && WORDS.iter().any(|words| message.contains(words)))
    }

    /// Whether whatever is at that address knows no such page. It need not be MLflow.
    pub(super) fn is_no_such_page(&self) -> bool {
        matches!(self, Self::Refused { status: 404 | 405, code: None, .. })
    }

    /// Whether the server says itself where an experiment's files go.
    pub(super) fn refuses_artifact_location(&self) -> bool {
        matches!(self, Self::Refused { status: 400, message, .. }
            if message.contains("artifact_location cannot be specified when workspaces are enabled"))
    }

    /// Whether what the call names does not exist.
    pub(crate) fn is_missing(&self) -> bool {
        matches!(self, Self::Refused { code: Some(code), .. } if code == "RESOURCE_DOES_NOT_EXIST")
    }

    /// Whether a cached experiment id is stale: the experiment was deleted or purged meanwhile.
    pub(crate) fn experiment_is_gone(&self) -> bool {
        self.is_missing()
            || matches!(self, Self::Refused { status: 400, message, .. } if message.contains("must be in the 'active' state"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_pool_passes_and_a_duplicate_does_not() {
        let refused = |message: &str| TrackingError::Refused {
            call: "runs/log-batch",
            status: 400,
            code: Some("BAD_REQUEST".into()),
            message: message.into(),
        };
        let pool = refused("QueuePool limit of size 5 overflow 10 reached");
        assert!(pool.is_transient() && !pool.already_exists());
        let twice = refused("(sqlite3.IntegrityError) UNIQUE constraint failed: metrics.key");
        assert!(!twice.is_transient() && twice.already_exists());
    }
}
