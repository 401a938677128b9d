//! `GET /me`: what the token says.

use axum::Json;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::{auth::Caller, http::openapi::Denied};

#[derive(Serialize, ToSchema)]
pub(in crate::http) struct Me {
    #[schema(example = "user-a-001")]
    user_id: String,
    /// As the token spells it; empty for a user of the platform without a tenant.
    #[schema(example = "aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa")]
    tenant_id: String,
    /// As the token spells it; empty without one.
    #[schema(value_type = String, example = "user.a@tenant-a.com")]
    email: Value,
    /// As the token spells it: a text or, for several roles, a list; `user` without one.
    #[schema(value_type = String, example = "admin")]
    role: Value,
    #[schema(example = "Authentication successful")]
    message: &'static str,
}

/// What the token says
#[utoipa::path(
    get,
    path = "/me",
    tag = "Identity",
    responses((status = 200, body = Me), Denied),
    security(("HTTPBearer" = []))
)]
pub(in crate::http) async fn me(caller: Caller) -> Json<Me> {
    Json(Me {
        role: caller.role,
        user_id: caller.user_id,
        tenant_id: caller.tenant_claim,
        email: caller.email,
        message: "Authentication successful",
    })
}
