//! Reading a JSON body, with every way in which it can be wrong answered as FastAPI answers it.
//!
//! The order: size, readable at all (400), JSON syntax (422), an object (422); then the handler's
//! own [`Fields`] check the schema. The content type decides whether the bytes are JSON at all.

mod encoding;
pub(super) mod fields;
mod json_error;
mod uuid_text;

use std::time::Duration;

use axum::{
    body::Body,
    extract::{FromRequest, Request},
};
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use http::{HeaderMap, header};
use serde_json::{Value, json};

use crate::{Error, Result, error::FieldError, http::AppState};

/// Longest silence between two parts of a body. A client that stops sending must not hold a
/// connection for ever.
const BODY_IDLE: Duration = Duration::from_secs(30);

/// Bodies up to this many bytes are parsed on the async thread; larger ones would hold up the
/// requests beside them.
const PARSED_IN_PLACE: usize = 256 << 10;

/// The JSON object that a request carries, in at most `LIMIT` bytes and at most those of the settings.
#[derive(Debug)]
pub(super) struct JsonObject<const LIMIT: usize = { usize::MAX }>(pub(super) serde_json::Map<String, Value>);

impl<const LIMIT: usize> FromRequest<AppState> for JsonObject<LIMIT> {
    type Rejection = Error;

    async fn from_request(request: Request, state: &AppState) -> Result<Self> {
        let (parts, body) = request.into_parts();
        let bytes = read(&parts.headers, body, state.config.max_body_bytes.min(LIMIT)).await?;
        let is_json = is_json(&parts.headers);
        if bytes.len() <= PARSED_IN_PLACE {
            return object(is_json, &bytes).map(Self);
        }
        let parsing = tokio::task::spawn_blocking(move || object(is_json, &bytes));
        parsing.await.map_err(Error::internal)?.map(Self)
    }
}

async fn read(headers: &HeaderMap, body: Body, limit: usize) -> Result<Bytes> {
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if announced.is_some_and(|length: u64| length > limit as u64) {
        return Err(Error::BodyTooLarge { limit });
    }
    let mut parts = body.into_data_stream();
    let mut bytes = BytesMut::new();
    while let Some(part) =
        tokio::time::timeout(BODY_IDLE, parts.next()).await.map_err(|_| Error::UnreadableBody)?
    {
        let part = part.map_err(|_| Error::UnreadableBody)?;
        if bytes.len() + part.len() > limit {
            return Err(Error::BodyTooLarge { limit });
        }
        bytes.extend_from_slice(&part);
    }
    Ok(bytes.freeze())
}

/// Whether the body is declared to be JSON: no content type, `application/json` or `application/*+json`.
fn is_json(headers: &HeaderMap) -> bool {
    let Some(declared) = headers.get(header::CONTENT_TYPE).filter(|value| !value.is_empty()) else {
        return true;
    };
    let declared = String::from_utf8_lossy(declared.as_bytes()).to_lowercase();
    let media_type = declared.split(';').next().unwrap_or_default().trim();
    match media_type.split_once('/') {
        Some(("application", subtype)) => {
            subtype == "json" || (subtype.ends_with("+json") && !subtype.contains('/'))
        }
        _ => false,
    }
}

fn object(is_json: bool, bytes: &[u8]) -> Result<serde_json::Map<String, Value>> {
    let value = match (bytes, is_json) {
        (b"", _) => Value::Null,
        (_, true) => parse(&encoding::decode(bytes)?)?,
        (_, false) => String::from_utf8_lossy(bytes).into(),
    };
    match value {
        Value::Object(object) => Ok(object),
        Value::Null => Err(at_body("missing", "Field required", Value::Null)),
        other => {
            let msg = "Input should be a valid dictionary or object to extract fields from";
            Err(at_body("model_attributes_type", msg, other))
        }
    }
}

fn parse(text: &str) -> Result<Value> {
    serde_json::from_str(text).map_err(|error| match json_error::find(text) {
        Some(found) => {
            let ctx = json!({ "error": found.message });
            Error::invalid(
                FieldError::body("json_invalid", [found.position], "JSON decode error", json!({}))
                    .with_ctx(ctx),
            )
        }
        // Python reads what serde_json does not: only nesting deeper than its limit is left.
        None => {
            tracing::debug!(%error, "body nested too deeply");
            Error::UnreadableBody
        }
    })
}

fn at_body(kind: &'static str, msg: &str, input: Value) -> Error {
    Error::invalid(FieldError::body(kind, std::iter::empty::<Value>(), msg, input))
}

#[cfg(test)]
mod tests;
