//! What the handlers work with.

use std::{
    ops::Deref,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use metrics_exporter_prometheus::PrometheusHandle;
use tokio_util::sync::CancellationToken;

use super::{cors::AllowedOrigins, streams::Streams};
use crate::{
    auth::{TenantId, Tokens},
    inference::Predictor,
    lifecycle::Lifecycle,
    registry::Registry,
    schedule::Schedules,
    training::Submitter,
};

/// Everything that a handler can reach; cheap to clone.
#[derive(Clone)]
pub struct AppState(Arc<Services>);

/// The parts of [`AppState`].
pub struct Services {
    /// Settings of this room.
    pub config: HttpConfig,
    /// Verifies tokens.
    pub tokens: Tokens,
    /// Use case of `POST /api/ml/train`, and the queue behind it.
    pub submitter: Submitter,
    /// Use case of `POST /api/ml/predict`.
    pub predictor: Predictor,
    /// Models and their metrics.
    pub registry: Registry,
    /// Changes to versions.
    pub lifecycle: Lifecycle,
    /// When models are retrained.
    pub schedules: Schedules,
    /// Who is told how jobs go on.
    pub streams: Streams,
    /// Whether this replica should get requests.
    pub readiness: Arc<Readiness>,
    /// Renders `/metrics`.
    pub prometheus: PrometheusHandle,
    /// When the process started.
    pub started: Instant,
}

/// Settings of the HTTP surface.
#[derive(Debug, Clone)]
pub struct HttpConfig {
    /// Production has no `/docs` and no `/redoc`.
    pub production: bool,
    /// Origins whose pages may call the service.
    pub allowed_origins: AllowedOrigins,
    /// Largest request body in bytes.
    pub max_body_bytes: usize,
    /// Most inline training rows in one request.
    pub max_rows: usize,
    /// Whether `/metrics` is served here; false where it has a port of its own.
    pub serve_metrics: bool,
    /// MLflow's address, for `/health`.
    pub mlflow_uri: String,
    /// `host:port/database` without credentials, for `/health`.
    pub database: String,
    /// For `/health`; false is possible outside production only.
    pub tenant_isolation_enabled: bool,
    /// The only tenant whose tokens are let in; `None`: all.
    pub single_tenant: Option<TenantId>,
}

impl Default for HttpConfig {
    /// Development.
    fn default() -> Self {
        Self {
            production: false,
            allowed_origins: AllowedOrigins::Any,
            max_body_bytes: 16 << 20,
            max_rows: 1_000_000,
            serve_metrics: true,
            mlflow_uri: "http://localhost:5000".into(),
            database: "localhost:5432/binah_ml".into(),
            tenant_isolation_enabled: true,
            single_tenant: None,
        }
    }
}

/// Whether this replica should get requests. A probe must answer in milliseconds whatever is down,
/// so it asks nobody: the background check of the database writes here what it last saw.
#[derive(Debug, Default)]
pub struct Readiness {
    database_up: AtomicBool,
    draining: CancellationToken,
}

impl Readiness {
    /// Notes what the last check of Postgres saw. Without Postgres neither training nor prediction
    /// works; MLflow and Neo4j do not count, predictions go on without them.
    pub fn set_database_up(&self, up: bool) {
        self.database_up.store(up, Ordering::Relaxed);
    }

    /// Notes that the service shuts down: requests in flight are finished, new ones should go elsewhere.
    pub fn start_draining(&self) {
        self.draining.cancel();
    }

    /// Cancelled when the service shuts down: an answer without an end of its own ends then.
    #[must_use]
    pub fn draining(&self) -> &CancellationToken {
        &self.draining
    }

    /// Whether Postgres answered the last check.
    #[must_use]
    pub fn database_up(&self) -> bool {
        self.database_up.load(Ordering::Relaxed)
    }

    /// Whether requests should come here.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.database_up() && !self.draining.is_cancelled()
    }
}

impl AppState {
    /// The state of one service.
    #[must_use]
    pub fn new(services: Services) -> Self {
        Self(Arc::new(services))
    }
}

impl Deref for AppState {
    type Target = Services;

    fn deref(&self) -> &Services {
        &self.0
    }
}

impl std::fmt::Debug for AppState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AppState").field("config", &self.config).finish_non_exhaustive()
    }
}
