//! `GET /redoc`: the API as one readable page, drawn from `openapi.json` by the page's own script.

use axum::response::Html;

pub(in crate::http) async fn page() -> Html<&'static str> {
    Html(include_str!("redoc.html"))
}
