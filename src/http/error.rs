//! The one file that knows which status code a failure has.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header};
use serde_json::{Value, json};

use crate::{Error, error::FieldError};

/// Where pydantic explains the rules that share its names.
const RULES: &str = "https://errors.pydantic.dev/2.5/v/";

/// pydantic's names among ours. `json_invalid` is not here: FastAPI makes that one itself, without a link.
const PYDANTIC_RULES: [&str; 30] = [
    "bool_parsing",
    "bool_type",
    "datetime_parsing",
    "datetime_type",
    "dict_type",
    "extra_forbidden",
    "finite_number",
    "float_parsing",
    "float_type",
    "greater_than",
    "greater_than_equal",
    "int_from_float",
    "int_parsing",
    "int_type",
    "less_than",
    "less_than_equal",
    "list_type",
    "literal_error",
    "missing",
    "model_attributes_type",
    "string_pattern_mismatch",
    "string_too_long",
    "string_too_short",
    "string_type",
    "string_unicode",
    "too_long",
    "too_short",
    "uuid_parsing",
    "uuid_type",
    "value_error",
];

/// Seconds after which a retry makes sense when a dependency is down.
const RETRY_UNAVAILABLE: u32 = 5;

/// The failure's stable name, carried to the log line of the request.
#[derive(Debug, Clone, Copy)]
pub(super) struct ErrorCode(pub(super) &'static str);

impl Error {
    /// The HTTP status of the failure.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::InvalidToken => StatusCode::UNAUTHORIZED,
            // FastAPI's bearer scheme answers 403 where no token came; clients rely on it.
            Self::NotAuthenticated
            | Self::NotBearer
            | Self::TenantMismatch
            | Self::NoTenant
            | Self::AdminRequired => StatusCode::FORBIDDEN,
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::Invalid(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::UnreadableBody => StatusCode::BAD_REQUEST,
            Self::BodyTooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Cancelled | Self::Conflict(_) => StatusCode::CONFLICT,
            Self::QueueFull { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::Busy { .. } | Self::TooManyStreams { .. } | Self::Unavailable { .. } => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::Abandoned { .. }
            | Self::LeaseLost
            | Self::CorruptArtifact { .. }
            | Self::NoTenantScope
            | Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// What the client reads: the text that was written for it, never a cause.
    pub(super) fn detail(&self) -> Value {
        match self {
            Self::Invalid(errors) => errors.iter().map(with_link).collect(),
            Self::NoTenantScope | Self::Internal(_) => json!("Internal Server Error"),
            told => json!(told.to_string()),
        }
    }

    fn log(&self) {
        let code = self.code();
        match self {
            Self::Internal(cause) => tracing::error!(code, cause = %chain(cause.as_ref()), "request failed"),
            Self::NoTenantScope => tracing::error!(code, "request failed"),
            Self::Unavailable { dependency, source } => {
                tracing::warn!(code, dependency, cause = %chain(source.as_ref()), "request failed");
            }
            Self::CorruptArtifact { model, source } => {
                tracing::error!(code, model, cause = %chain(source.as_ref()), "request failed");
            }
            _ => {}
        }
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |error| error.source())
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}

fn with_link(error: &FieldError) -> Value {
    let mut entry = json!(error);
    if PYDANTIC_RULES.binary_search(&&*error.kind).is_ok() {
        entry["url"] = json!(format!("{RULES}{}", error.kind));
    }
    entry
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        self.log();
        let mut response = detail(self.status(), self.detail());
        response.extensions_mut().insert(ErrorCode(self.code()));
        let headers = response.headers_mut();
        match self {
            Self::InvalidToken => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            Self::Busy { retry_after }
            | Self::TooManyStreams { retry_after }
            | Self::QueueFull { retry_after, .. } => {
                headers.insert(header::RETRY_AFTER, retry_after.into());
            }
            Self::Unavailable { .. } => {
                headers.insert(header::RETRY_AFTER, RETRY_UNAVAILABLE.into());
            }
            _ => {}
        }
        response
    }
}

fn detail(status: StatusCode, detail: Value) -> Response {
    (status, Json(json!({ "detail": detail }))).into_response()
}

/// No route has this path.
pub(super) fn no_such_path() -> Response {
    detail(StatusCode::NOT_FOUND, json!("Not Found"))
}

/// The path is there, the method is not. `allow` lists those that are.
pub(super) fn no_such_method(allow: &str) -> Response {
    let mut response = detail(StatusCode::METHOD_NOT_ALLOWED, json!("Method Not Allowed"));
    if let Ok(allow) = HeaderValue::from_str(allow) {
        response.headers_mut().insert(header::ALLOW, allow);
    }
    response
}

/// A handler panicked.
pub(super) fn panicked(panic: &(dyn std::any::Any + Send)) -> Response {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or_default();
    tracing::error!(panic = text, "request panicked");
    let mut response = detail(StatusCode::INTERNAL_SERVER_ERROR, json!("Internal Server Error"));
    response.extensions_mut().insert(ErrorCode("panic"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_sorted_for_the_search() {
        assert!(PYDANTIC_RULES.is_sorted());
    }

    #[test]
    fn only_rules_of_pydantic_have_a_link() {
        let error = |kind| with_link(&FieldError::body(kind, ["x"], "msg", Value::Null));
        assert_eq!(error("missing")["url"], "https://errors.pydantic.dev/2.5/v/missing");
        assert_eq!(error("too_many_categories").get("url"), None);
        assert_eq!(error("json_invalid").get("url"), None);
    }

    #[test]
    fn causes_stay_inside() {
        let secret = || std::io::Error::other("password of 10.0.0.7");
        for (error, status, detail) in [
            (Error::internal(secret()), 500, "Internal Server Error"),
            (Error::NoTenantScope, 500, "Internal Server Error"),
            (
                Error::Unavailable { dependency: "Postgres", source: secret().into() },
                503,
                "Postgres is not available",
            ),
            (Error::Busy { retry_after: 9 }, 503, "The training queue is full; try again later"),
            (
                Error::CorruptArtifact { model: "roi_prediction v1.0".into(), source: secret().into() },
                500,
                "The stored roi_prediction v1.0 is missing or corrupt; train a new version",
            ),
        ] {
            assert_eq!(error.detail(), json!(detail));
            let response = error.into_response();
            assert_eq!(response.status(), status);
            assert_eq!(response.headers().contains_key(header::RETRY_AFTER), status == 503);
        }
    }
}
