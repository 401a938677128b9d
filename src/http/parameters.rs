//! Checking what a request says outside its body.

use std::collections::HashMap;

use axum::extract::Query;
use http::Uri;
use serde_json::Value;

use super::body::fields::Violation;
use crate::{Error, Result, error::FieldError};

/// Parts of a path, a query or the headers, checked one after the other, so that one answer names every fault.
#[derive(Debug, Default)]
pub(super) struct Parts {
    errors: Vec<FieldError>,
}

impl Parts {
    pub(super) fn check<T>(
        &mut self,
        place: [&str; 2],
        value: impl Into<Value>,
        parse: impl FnOnce(&Value) -> Result<T, Violation>,
    ) -> Option<T> {
        let value = value.into();
        match parse(&value) {
            Ok(parsed) => Some(parsed),
            Err(violation) => {
                self.errors.push(violation.at(&place, crate::error::echo(&value)));
                None
            }
        }
    }

    /// A parameter of the query, if it is there.
    pub(super) fn query<T>(
        &mut self,
        query: &HashMap<String, String>,
        name: &str,
        parse: impl FnOnce(&Value) -> Result<T, Violation>,
    ) -> Option<T> {
        let value = query.get(name)?.as_str();
        self.check(["query", name], value, parse)
    }

    /// Notes that a parameter of the query is missing.
    pub(super) fn missing(&mut self, name: &str) {
        let loc = vec!["query".into(), name.into()];
        let msg = "Field required".to_owned();
        self.errors.push(FieldError { kind: "missing".into(), loc, msg, input: Value::Null, ctx: None });
    }

    pub(super) fn finish<T>(self, build: impl FnOnce() -> Option<T>) -> Result<T> {
        match build() {
            Some(built) if self.errors.is_empty() => Ok(built),
            _ => Err(Error::Invalid(self.errors)),
        }
    }
}

/// The query's parameters; of one that is repeated the last.
pub(super) fn query(uri: &Uri) -> HashMap<String, String> {
    Query::try_from_uri(uri).map(|Query(query)| query).unwrap_or_default()
}

/// Both, or all that is wrong with either.
pub(super) fn both<A, B>(first: Result<A>, second: Result<B>) -> Result<(A, B)> {
    match (first, second) {
        (Ok(first), Ok(second)) => Ok((first, second)),
        (Err(Error::Invalid(mut errors)), Err(Error::Invalid(more))) => {
            errors.extend(more);
            Err(Error::Invalid(errors))
        }
        (Err(error), _) | (_, Err(error)) => Err(error),
    }
}
