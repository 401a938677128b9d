//! `GET /metrics`: Prometheus' text format.

use axum::{extract::State, response::IntoResponse};
use http::header;

use crate::http::AppState;

pub(in crate::http) async fn prometheus(State(app): State<AppState>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], app.prometheus.render())
}
