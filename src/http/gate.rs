//! The gate before every route: first the method (405), then the token (403, 401), then its tenant where
//! the service is bound to one (403), then the tenant scope in which the handler runs.

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::header;
use tracing::Span;

use super::{
    AppState, error,
    routes::{Access, Route},
};
use crate::{Error, auth::tenant};

/// The middleware of one route.
pub(super) async fn pass(
    State((route, state)): State<(&'static Route, AppState)>,
    mut request: Request,
    next: Next,
) -> Response {
    if !route.methods.iter().any(|method| *method == request.method().as_str()) {
        return error::no_such_method(&route.methods.join(", "));
    }
    if route.access == Access::Public {
        return next.run(request).await;
    }
    let authorization = request.headers().get(header::AUTHORIZATION).map(http::HeaderValue::as_bytes);
    let caller = match state.tokens.authenticate(authorization) {
        Ok(caller) => caller,
        Err(error) => return error.into_response(),
    };
    let span = Span::current();
    span.record("tenant", caller.tenant_claim.as_str());
    span.record("user", caller.user_id.as_str());
    let tenant = caller.tenant;
    if state.config.single_tenant.is_some_and(|only| tenant != Some(only)) {
        return Error::TenantMismatch.into_response();
    }
    request.extensions_mut().insert(caller);
    match tenant {
        Some(tenant) => tenant::scope(tenant, next.run(request)).await,
        None => next.run(request).await,
    }
}
