//! Every route on one page. The router, the 405 answers with their `allow`, the redirects and the
//! test of unauthorised requests all read this table: a route that is not in it does not exist.
//!
//! To add one: write its handler in `handlers/`, name it here and, if clients should know it, in
//! [`super::openapi`].

use std::{any::Any, sync::Arc};

use axum::{
    Router,
    middleware::{from_fn, from_fn_with_state},
    routing::{MethodRouter, any, get, put},
};
use tower_http::catch_panic::CatchPanicLayer;

use super::{
    AppState, HttpConfig, cors, error, gate,
    handlers::{
        docs, health, jobs, live, me, ml_health, model_metrics, models, openapi_json, predict, prometheus,
        ready, redoc, root, train,
    },
    observe, path,
};

/// One path of the API.
pub struct Route {
    /// The pattern; `{name}` stands for one segment.
    pub path: &'static str,
    /// Allowed methods, as `allow` lists them. HEAD is allowed only where it is named.
    pub methods: &'static [&'static str],
    /// Who may call it.
    pub access: Access,
    /// Where it is served.
    pub served: Served,
    /// Takes any method: the gate before it knows the allowed ones, and axum would take HEAD for
    /// GET and put an `allow` of its own on what the layers answer.
    handler: fn() -> MethodRouter<AppState>,
}

/// Who may call a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Everyone.
    Public,
    /// Who has a valid token; the handler runs in the tenant's scope.
    Token,
}

/// Where a route is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Served {
    /// Everywhere.
    Always,
    /// Not in production.
    Development,
    /// Unless metrics have a port of their own.
    Metrics,
}

use Access::{Public, Token};
use Served::{Always, Development, Metrics};

const GET: &[&str] = &["GET"];
const POST: &[&str] = &["POST"];
/// The documentation, which the old service served by plain routes that know HEAD.
const PAGE: &[&str] = &["GET", "HEAD"];

#[rustfmt::skip]
static ROUTES: [Route; 27] = [
    Route { path: "/",                       methods: GET,  access: Public, served: Always,      handler: || any(root::root) },
    Route { path: "/health",                 methods: GET,  access: Public, served: Always,      handler: || any(health::health) },
    Route { path: "/health/live",            methods: GET,  access: Public, served: Always,      handler: || any(live::live) },
    Route { path: "/health/ready",           methods: GET,  access: Public, served: Always,      handler: || any(ready::ready) },
    Route { path: "/metrics",                methods: GET,  access: Public, served: Metrics,     handler: || any(prometheus::prometheus) },
    Route { path: "/openapi.json",           methods: PAGE, access: Public, served: Always,      handler: || any(openapi_json::openapi_json) },
    Route { path: "/docs",                   methods: PAGE, access: Public, served: Development, handler: || any(docs::page) },
    Route { path: "/docs/oauth2-redirect",   methods: PAGE, access: Public, served: Development, handler: || any(docs::oauth2_redirect) },
    Route { path: "/docs/assets/{file}",     methods: PAGE, access: Public, served: Development, handler: || any(docs::asset) },
    Route { path: "/redoc",                  methods: PAGE, access: Public, served: Development, handler: || any(redoc::page) },
    Route { path: "/me",                     methods: GET,  access: Token,  served: Always,      handler: || any(me::me) },
    Route { path: "/api/ml/health",          methods: GET,  access: Token,  served: Always,      handler: || any(ml_health::ml_health) },
    Route { path: "/api/ml/train",           methods: POST, access: Token,  served: Always,      handler: || any(train::train) },
    Route { path: "/api/ml/predict",         methods: POST, access: Token,  served: Always,      handler: || any(predict::predict) },
    Route { path: "/api/ml/jobs",            methods: GET,  access: Token,  served: Always,      handler: || any(jobs::list::list) },
    // Two handlers, each for its method: the gate has refused all others before axum looks.
    Route { path: "/api/ml/jobs/{job_id}",   methods: &["GET", "DELETE"], access: Token, served: Always,
                                                                                                 handler: || get(jobs::show::show).delete(jobs::cancel::cancel) },
    Route { path: "/api/ml/jobs/{job_id}/events", methods: GET, access: Token, served: Always,   handler: || any(jobs::events::events) },
    Route { path: "/api/ml/models/{tenant_id}/{model_type}/metrics", methods: GET, access: Token, served: Always,
                                                                                                 handler: || any(model_metrics::model_metrics) },
    Route { path: "/api/ml/models",          methods: GET,  access: Token,  served: Always,      handler: || any(models::list::models) },
    Route { path: "/api/ml/models/{model_type}/versions", methods: GET, access: Token, served: Always,
                                                                                                 handler: || any(models::list::versions) },
    Route { path: "/api/ml/models/{model_type}/versions/{version}", methods: GET, access: Token, served: Always,
                                                                                                 handler: || any(models::version::version) },
    Route { path: "/api/ml/models/{model_type}/versions/{version}/deprecate", methods: POST, access: Token, served: Always,
                                                                                                 handler: || any(models::deprecate::deprecate) },
    Route { path: "/api/ml/models/{model_type}/compare", methods: GET, access: Token, served: Always,
                                                                                                 handler: || any(models::compare::compare) },
    Route { path: "/api/ml/models/{model_type}/aliases/{alias}", methods: &["PUT", "DELETE"], access: Token, served: Always,
                                                                                                 handler: || put(models::alias::set).delete(models::alias::remove) },
    Route { path: "/api/ml/models/{model_type}/rollback", methods: POST, access: Token, served: Always,
                                                                                                 handler: || any(models::rollback::rollback) },
    Route { path: "/api/ml/models/{model_type}/schedule", methods: &["GET", "PUT", "DELETE"], access: Token, served: Always,
                                                                                                 handler: || get(models::schedule::get::get).put(models::schedule::set::set).delete(models::schedule::reset::reset) },
    Route { path: "/api/ml/schedules",       methods: GET,  access: Token,  served: Always,      handler: || any(models::schedule::list::list) },
];

/// The routes that a service with these settings has.
pub fn table(config: &HttpConfig) -> impl Iterator<Item = &'static Route> + use<> {
    let (production, metrics) = (config.production, config.serve_metrics);
    ROUTES.iter().filter(move |route| match route.served {
        Always => true,
        Development => !production,
        Metrics => metrics,
    })
}

/// The whole HTTP surface.
pub fn router(state: AppState) -> Router {
    let router = table(&state.config).fold(Router::new(), |router, route| {
        let gate = from_fn_with_state((route, state.clone()), gate::pass);
        router.route(route.path, (route.handler)().layer(gate))
    });
    finish(router, state)
}

/// What surrounds the routes, from the inside out; see the module's page.
pub(super) fn finish(routes: Router<AppState>, state: AppState) -> Router {
    let origins = Arc::new(state.config.allowed_origins.clone());
    let inner = routes
        .fallback(path::fallback)
        .layer(CatchPanicLayer::custom(|panic: Box<dyn Any + Send>| error::panicked(panic.as_ref())))
        .layer(from_fn_with_state(origins, cors::answer))
        .layer(from_fn(observe::record))
        .with_state(state);
    // A layer of the router itself would run after the route was chosen.
    Router::new().fallback_service(inner).layer(from_fn(path::decode))
}

/// Metrics and probes, for a port of their own: all that a worker has.
pub fn metrics_router(state: AppState) -> Router {
    Router::new()
        .route("/metrics", get(prometheus::prometheus))
        .route("/health/live", get(live::live))
        .route("/health/ready", get(ready::ready))
        .with_state(state)
}
