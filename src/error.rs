//! Every failure in the words of the domain. Knows nothing of HTTP: `http::error` maps it.

use std::borrow::Cow;

use serde_json::{Map, Value};

/// What the service's functions return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failure, by whose fault it is. `Display` of the first group is meant for the caller; the
/// sources of the second group are for the log only.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request carries no bearer token.
    #[error("Not authenticated")]
    NotAuthenticated,
    /// The authorization header is not a bearer token.
    #[error("Invalid authentication credentials")]
    NotBearer,
    /// The token does not verify.
    #[error("Could not validate credentials")]
    InvalidToken,
    /// The request names another tenant than the token.
    #[error("Tenant ID in request does not match authenticated tenant")]
    TenantMismatch,
    /// The token names no tenant, and the request is about a tenant's models.
    #[error("The token names no tenant")]
    NoTenant,
    /// The caller's role does not allow it.
    #[error("Administrator role required")]
    AdminRequired,
    /// What was asked for is not there, or belongs to another tenant.
    #[error("{0}")]
    NotFound(String),
    /// It cannot be done as things stand; nothing was changed.
    #[error("{0}")]
    Conflict(String),
    /// One or more inputs are wrong; nothing was changed.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Invalid(Vec<FieldError>),
    /// The body could not be read at all (not UTF-8, broken off).
    #[error("There was an error parsing the body")]
    UnreadableBody,
    /// The body is larger than the service takes.
    #[error("Request body is larger than {limit} bytes")]
    BodyTooLarge {
        /// The limit in bytes.
        limit: usize,
    },

    /// The queue of all tenants is full.
    #[error("The training queue is full; try again later")]
    Busy {
        /// Seconds after which a retry makes sense.
        retry_after: u32,
    },
    /// The tenant has as many trainings waiting as it may.
    #[error("{limit} trainings of this tenant are waiting already; try again later")]
    QueueFull {
        /// The most that may wait.
        limit: usize,
        /// Seconds after which a retry makes sense.
        retry_after: u32,
    },
    /// This process tells as many clients how their jobs go on as it can.
    #[error("Too many event streams are open; try again later, or ask for the job itself")]
    TooManyStreams {
        /// Seconds after which a retry makes sense.
        retry_after: u32,
    },
    /// The training was cancelled before it ended.
    #[error("The training was cancelled")]
    Cancelled,
    /// A dependency does not answer.
    #[error("{dependency} is not available")]
    Unavailable {
        /// Name of the dependency as an operator knows it.
        dependency: &'static str,
        /// Why, for the log.
        #[source]
        source: BoxError,
    },
    /// The training took its worker with it too often, or lost it too often.
    #[error("The training was given up: {attempts} times its worker stopped before it was done")]
    Abandoned {
        /// How often it was tried.
        attempts: u32,
    },
    /// The job is another worker's by now: whatever this one made of it does not count.
    #[error("The training was taken over by another worker")]
    LeaseLost,
    /// The stored model file is missing or does not match its checksum.
    #[error("The stored {model} is missing or corrupt; train a new version")]
    CorruptArtifact {
        /// Model type and version.
        model: String,
        /// Why, for the log.
        #[source]
        source: BoxError,
    },
    /// Tenant data was asked for outside a tenant scope: a defect of ours, never a request's.
    #[error("No tenant scope")]
    NoTenantScope,
    /// Anything else that should not happen.
    #[error("Internal error")]
    Internal(#[source] BoxError),
}

/// The cause of a failure.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

impl Error {
    /// A stable name for logs and metrics.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotAuthenticated => "not_authenticated",
            Self::NotBearer => "not_bearer",
            Self::InvalidToken => "invalid_token",
            Self::TenantMismatch => "tenant_mismatch",
            Self::NoTenant => "no_tenant",
            Self::AdminRequired => "admin_required",
            Self::NotFound(_) => "not_found",
            Self::Conflict(_) => "conflict",
            Self::Invalid(_) => "invalid",
            Self::UnreadableBody => "unreadable_body",
            Self::BodyTooLarge { .. } => "body_too_large",
            Self::Busy { .. } => "busy",
            Self::QueueFull { .. } => "queue_full",
            Self::TooManyStreams { .. } => "too_many_streams",
            Self::Cancelled => "cancelled",
            Self::Abandoned { .. } => "abandoned",
            Self::LeaseLost => "lease_lost",
            Self::Unavailable { .. } => "unavailable",
            Self::CorruptArtifact { .. } => "corrupt_artifact",
            Self::NoTenantScope => "no_tenant_scope",
            Self::Internal(_) => "internal",
        }
    }

    /// An unexpected failure with its cause.
    pub fn internal(source: impl Into<BoxError>) -> Self {
        Self::Internal(source.into())
    }

    /// One wrong input.
    #[must_use]
    pub fn invalid(error: FieldError) -> Self {
        Self::Invalid(vec![error])
    }
}

/// Most faults of one kind that an answer names.
pub const MAX_FAULTS: usize = 20;

/// Largest input that an answer sends back, about in bytes.
const MAX_ECHO: usize = 16 << 10;

/// A request's value as an answer sends it back: null in place of a large one. A small request
/// must not cause a huge answer, nor a large request a second copy of itself.
#[must_use]
pub fn echo(value: &Value) -> Value {
    if fits(value, &mut { MAX_ECHO }) { value.clone() } else { Value::Null }
}

/// As [`echo`], of an object's fields.
#[must_use]
pub fn echo_object(fields: &Map<String, Value>) -> Value {
    if object_fits(fields, &mut { MAX_ECHO }) { Value::Object(fields.clone()) } else { Value::Null }
}

/// Takes the value's size off `budget`; stops as soon as that is spent.
fn fits(value: &Value, budget: &mut usize) -> bool {
    let own = if let Value::String(text) = value { text.len() } else { 1 };
    take(budget, own)
        && match value {
            Value::Array(items) => items.iter().all(|item| fits(item, budget)),
            Value::Object(fields) => object_fits(fields, budget),
            _ => true,
        }
}

fn object_fits(fields: &Map<String, Value>, budget: &mut usize) -> bool {
    fields.iter().all(|(key, value)| take(budget, key.len()) && fits(value, budget))
}

fn take(budget: &mut usize, size: usize) -> bool {
    let left = budget.checked_sub(size);
    *budget = left.unwrap_or(0);
    left.is_some()
}

/// One wrong input, in the shape of pydantic's error list.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct FieldError {
    /// Stable name of the rule that was broken (`missing`, `float_type`, ...).
    #[serde(rename = "type")]
    pub kind: Cow<'static, str>,
    /// Where: `["body", "features", "year"]`; numbers are list positions.
    pub loc: Vec<Value>,
    /// What is wrong, for a person.
    pub msg: String,
    /// The offending value.
    pub input: Value,
    /// Numbers and names that the message mentions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ctx: Option<Value>,
}

impl FieldError {
    /// An error at `path` below the body, such as `["features", "year"]`.
    pub fn body<L: Into<Value>>(
        kind: impl Into<Cow<'static, str>>,
        path: impl IntoIterator<Item = L>,
        msg: impl Into<String>,
        input: Value,
    ) -> Self {
        let loc = std::iter::once(Value::from("body")).chain(path.into_iter().map(Into::into)).collect();
        let input = if fits(&input, &mut { MAX_ECHO }) { input } else { Value::Null };
        Self { kind: kind.into(), loc, msg: msg.into(), input, ctx: None }
    }

    /// Adds the context of the message.
    #[must_use]
    pub fn with_ctx(mut self, ctx: Value) -> Self {
        self.ctx = Some(ctx);
        self
    }
}

impl std::fmt::Display for FieldError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.msg)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_small_inputs_are_sent_back() {
        let small = json!({"a": [1, "x"], "b": null});
        assert_eq!(echo(&small), small);
        assert_eq!(FieldError::body("missing", ["a"], "", small.clone()).input, small);
        for large in
            [json!("x".repeat(MAX_ECHO + 1)), json!([vec![0; MAX_ECHO]]), json!({"k".repeat(MAX_ECHO): 1})]
        {
            assert_eq!(echo(&large), Value::Null);
            assert_eq!(FieldError::body("missing", ["a"], "", large).input, Value::Null);
        }
    }
}
