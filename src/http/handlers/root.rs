//! `GET /`: what this service is.

use axum::{Json, extract::State};
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::{API_VERSION, AppState};

#[derive(Serialize, ToSchema)]
pub(in crate::http) struct About {
    #[schema(example = "Binah ML")]
    service: &'static str,
    /// Version of the HTTP contract.
    #[schema(example = "0.2.0")]
    version: &'static str,
    description: &'static str,
    #[schema(example = "operational")]
    status: &'static str,
    #[schema(example = "required")]
    authentication: &'static str,
    /// Path of the documentation, or `disabled`.
    #[schema(example = "/docs")]
    docs: &'static str,
}

/// What this service is
#[utoipa::path(get, path = "/", tag = "Service", responses((status = 200, body = About)))]
pub(in crate::http) async fn root(State(app): State<AppState>) -> Json<About> {
    Json(About {
        service: "Binah ML",
        version: API_VERSION,
        description: "Machine Learning training and inference with MLFlow - JWT Secured",
        status: "operational",
        authentication: "required",
        docs: if app.config.production { "disabled" } else { "/docs" },
    })
}
