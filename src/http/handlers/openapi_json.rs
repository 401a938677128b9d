//! `GET /openapi.json`: the API's description, written once.

use std::sync::LazyLock;

use axum::response::IntoResponse;
use http::header;

use crate::http::openapi;

pub(in crate::http) async fn openapi_json() -> impl IntoResponse {
    static DOCUMENT: LazyLock<String> = LazyLock::new(|| openapi::document().to_string());
    ([(header::CONTENT_TYPE, "application/json")], DOCUMENT.as_str())
}
