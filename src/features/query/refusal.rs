//! Why a query is not run.

use serde_json::{Value, json};
use sqlparser::tokenizer::{Location, Span};

use crate::{Error, error::FieldError};

/// Field of the training request that holds the query.
const FIELD: &str = "training_data_query";

/// A query that is not run, or that failed: what is wrong, and where. Nothing of it comes from
/// the database.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}{}", place(self))]
pub struct Refusal {
    /// Stable name of the rule: `query_syntax`, `query_function`, `query_relation`, ...
    pub kind: &'static str,
    /// What is wrong, for a person.
    pub message: String,
    /// Line and column in the text, from 1; `None` where it concerns the whole.
    pub at: Option<(u64, u64)>,
}

fn place(refusal: &Refusal) -> String {
    refusal.at.map(|(line, column)| format!(" (line {line}, column {column})")).unwrap_or_default()
}

impl Refusal {
    /// About the whole query.
    pub(super) fn whole(kind: &'static str, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), at: None }
    }

    /// About the part at `span`.
    pub(super) fn at(kind: &'static str, message: impl Into<String>, span: Span) -> Self {
        Self::located(kind, message, span.start)
    }

    pub(super) fn located(kind: &'static str, message: impl Into<String>, location: Location) -> Self {
        let known = location.line > 0;
        Self { kind, message: message.into(), at: known.then_some((location.line, location.column)) }
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        let error = FieldError::body(refusal.kind, [FIELD], refusal.to_string(), Value::Null);
        Self::invalid(match refusal.at {
            Some((line, column)) => error.with_ctx(json!({ "line": line, "column": column })),
            None => error,
        })
    }
}
