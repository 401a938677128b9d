//! `GET /docs`: Swagger UI from the binary itself; nothing is loaded from elsewhere.

use std::sync::Arc;

use axum::{
    extract::Path,
    response::{Html, IntoResponse, Response},
};
use http::header;

use crate::http::error;

/// The parts of Swagger UI that the page names.
const ASSETS: [&str; 3] = ["swagger-ui.css", "swagger-ui-bundle.js", "favicon-32x32.png"];

pub(in crate::http) async fn page() -> Html<&'static str> {
    Html(include_str!("docs.html"))
}

pub(in crate::http) async fn oauth2_redirect() -> Response {
    vendored("oauth2-redirect.html")
}

pub(in crate::http) async fn asset(Path(file): Path<String>) -> Response {
    if ASSETS.contains(&file.as_str()) { vendored(&file) } else { error::no_such_path() }
}

fn vendored(file: &str) -> Response {
    match utoipa_swagger_ui::serve(file, Arc::new(utoipa_swagger_ui::Config::default())) {
        Ok(Some(found)) => {
            let charset = if found.content_type == "text/html" { "; charset=utf-8" } else { "" };
            let content_type = format!("{}{charset}", found.content_type);
            let mut response =
                ([(header::CONTENT_TYPE, content_type)], found.bytes.into_owned()).into_response();
            if found.gzpipped {
                let gzip = http::HeaderValue::from_static("gzip");
                response.headers_mut().insert(header::CONTENT_ENCODING, gzip);
            }
            response
        }
        Ok(None) | Err(_) => error::no_such_path(),
    }
}
