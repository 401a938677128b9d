//! The whole service from its settings: what `main` runs and what the tests run.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{
    auth::Tokens,
    config::Config,
    error::{BoxError, Error, Result},
    features::{
        neo4j::{GraphSource, OpenError},
        query::{Policy, QueryConfig, TenantQuery},
    },
    http::{self, AppState, Readiness, Services},
    inference::{ModelCache, Predictor},
    lifecycle::Lifecycle,
    outbox::Outbox,
    registry::{ArtifactStore, Registry},
    storage::{Database, privileges},
    tls,
    tracking::Tracker,
    training::{Rooms, Sources, Trainer},
    xgboost::LazyLibrary,
};

/// How often the background looks at the database for `/health/ready`.
const DATABASE_CHECK: Duration = Duration::from_secs(2);
/// How long the start waits for Neo4j.
const GRAPH_CHECK: Duration = Duration::from_secs(10);

/// The service, ready to be served.
pub struct App {
    state: AppState,
    database: Database,
    outbox: Outbox,
    config: Config,
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("App").field("config", &self.config).finish_non_exhaustive()
    }
}

impl App {
    /// Puts the rooms together. No dependency that is down keeps the service from starting: without the database it
    /// is not ready, and a graph is asked again when it is needed. Neo4j is waited for up to 10 s, Postgres as long
    /// as a connection may take.
    ///
    /// # Errors
    /// For a setting or a Cypher template that cannot work, and in production for a login that row-level
    /// security does not bind.
    pub async fn build(config: Config, prometheus: PrometheusHandle) -> Result<Self> {
        tls::install_provider();
        warn_of_settings(&config);
        let graph = graph(&config).await.map_err(Error::internal)?;
        let database = Database::new(&config.postgres.service(), &config.postgres.pool());
        let readiness = Arc::new(Readiness::default());
        check_login(&config, &database, &readiness).await?;
        let outbox = outbox(&config, &database)?;
        let services = services(&config, &database, graph, outbox.clone(), readiness, prometheus)?;
        Ok(Self { state: AppState::new(services), database, outbox, config })
    }

    /// Serves until `shutdown` completes, then finishes the requests in flight.
    ///
    /// # Errors
    /// If the port of the metrics cannot be opened.
    pub async fn serve(
        self,
        listener: TcpListener,
        shutdown: impl Future<Output = ()>,
    ) -> Result<(), BoxError> {
        let background = CancellationToken::new();
        let _stop_background = background.clone().drop_guard();
        tokio::spawn(watch_database(
            self.database.clone(),
            Arc::clone(&self.state.readiness),
            background.clone(),
        ));
        tokio::spawn(upkeep(self.state.prometheus.clone(), background.clone()));
        let worker = tokio::spawn({
            let outbox = self.outbox.clone();
            async move { outbox.drain().await }
        });
        if let Some(port) = self.config.api.metrics_port {
            let metrics = TcpListener::bind((self.config.api.host.as_str(), port)).await?;
            let router = http::routes::metrics_router(self.state.clone());
            tokio::spawn(http::serve(metrics, router, background.clone().cancelled_owned(), Duration::ZERO));
        }
        tracing::info!(address = %listener.local_addr()?, environment = ?self.config.environment, "serving");
        let readiness = Arc::clone(&self.state.readiness);
        let shutdown = async {
            shutdown.await;
            tracing::info!("shutting down: finishing the requests in flight");
            readiness.start_draining();
        };
        let grace = self.config.api.shutdown_grace;
        let finished = http::serve(listener, http::router(self.state.clone()), shutdown, grace).await;
        // A training goes on when its client hangs up, and also it is finished.
        let drained = tokio::time::timeout(grace, self.state.trainer.drained()).await.is_ok();
        if !(finished && drained) {
            tracing::warn!("some requests or trainings did not finish within the grace period");
        }
        // Runs that are not complete are given back to the outbox.
        let _ = tokio::time::timeout(grace, async { tokio::join!(self.outbox.stopped(), worker) }).await;
        self.database.close().await;
        Ok(())
    }
}

/// Models and their runs, as the service's own login.
pub(crate) fn outbox(config: &Config, database: &Database) -> Result<Outbox> {
    let registry = Registry::new(database.clone(), ArtifactStore::open(&config.model_registry_path)?);
    let tracker = Tracker::new(config.tracker().map_err(Error::internal)?).map_err(Error::internal)?;
    Ok(Outbox::new(database.clone(), registry, tracker))
}

/// The rooms behind the HTTP surface. Touches nothing outside but the folder of the models.
pub(crate) fn services(
    config: &Config,
    database: &Database,
    graph: Option<GraphSource>,
    outbox: Outbox,
    readiness: Arc<Readiness>,
    prometheus: PrometheusHandle,
) -> Result<Services> {
    let registry = outbox.registry().clone();
    let lifecycle = Lifecycle::new(registry.clone(), outbox.tracker().clone(), config.mlflow.wait);
    let library = LazyLibrary::new(config.xgboost());
    let cache = ModelCache::new(config.model_cache_bytes);
    let trainer = Trainer::new(
        &config.training,
        Rooms {
            database: database.clone(),
            sources: Sources {
                database: database.clone(),
                queries: config.postgres.query().map(|connect| {
                    TenantQuery::new(&connect, database.clone(), Policy::records(), QueryConfig::default())
                }),
                graph,
                max_rows: config.training.max_rows,
            },
            registry: registry.clone(),
            cache: cache.clone(),
            promotion: config.promotion,
            outbox,
            tracking_wait: config.mlflow.wait,
            library,
        },
    )?;
    Ok(Services {
        config: config.http(),
        tokens: Tokens::new(config.token.clone()),
        trainer: Arc::new(trainer),
        predictor: Predictor::new(database.clone(), registry.clone(), cache),
        registry,
        lifecycle,
        readiness,
        prometheus,
        started: Instant::now(),
    })
}

fn warn_of_settings(config: &Config) {
    if !config.tenant_isolation {
        tracing::warn!(
            "ENABLE_TENANT_ISOLATION=false is for development; row-level security stays on all the same"
        );
    }
    // What is set and has no effect would otherwise look as if it worked.
    if config.neo4j.is_none() && config.cypher_templates.is_some() {
        tracing::warn!("CYPHER_TEMPLATES_DIR is set, and NEO4J_URI is not: no template will run");
    }
    if config.retrain.enabled {
        tracing::warn!("AUTO_RETRAIN is set, and this build does not retrain by itself yet");
    }
}

/// The graph with its templates checked. Whether the server takes them for read-only is asked now if it is
/// there, else before each is run.
async fn graph(config: &Config) -> Result<Option<GraphSource>, OpenError> {
    let Some(options) = config.graph() else {
        tracing::info!("Neo4j is off (NEO4J_URI is empty): trainings read Postgres alone");
        return Ok(None);
    };
    let graph = GraphSource::open(&options)?;
    let names = graph.names().collect::<Vec<_>>().join(", ");
    match tokio::time::timeout(GRAPH_CHECK, graph.verify()).await {
        Ok(Ok(())) => tracing::info!(uri = options.uri, templates = names, "Neo4j"),
        Ok(Err(OpenError::Unavailable(error))) => {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                uri = options.uri,
                "Neo4j is not there yet"
            );
        }
        Ok(Err(error)) => return Err(error),
        Err(_) => tracing::warn!(uri = options.uri, "Neo4j does not answer yet"),
    }
    Ok(Some(graph))
}

/// Production refuses a login that row-level security does not bind; elsewhere it is a warning.
async fn check_login(config: &Config, database: &Database, readiness: &Readiness) -> Result<()> {
    let findings = match privileges::check(database).await {
        Ok(findings) => findings,
        Err(error) => {
            tracing::warn!(error = &error as &dyn std::error::Error, "Postgres is not there yet");
            return Ok(());
        }
    };
    readiness.set_database_up(true);
    for finding in &findings {
        tracing::warn!(%finding, "database login");
    }
    match findings.into_iter().find(privileges::Finding::breaks_isolation) {
        Some(finding) if config.environment.is_strict() => Err(Error::internal(finding)),
        _ => Ok(()),
    }
}

async fn watch_database(database: Database, readiness: Arc<Readiness>, stop: CancellationToken) {
    loop {
        let up = database.ping().await.is_ok();
        if up != readiness.database_up() {
            tracing::info!(up, "Postgres");
        }
        readiness.set_database_up(up);
        tokio::select! {
            () = tokio::time::sleep(DATABASE_CHECK) => {}
            () = stop.cancelled() => return,
        }
    }
}

/// Histograms keep their samples until somebody asks; without a scraper they would only grow.
async fn upkeep(prometheus: PrometheusHandle, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs(5)) => prometheus.run_upkeep(),
            () = stop.cancelled() => return,
        }
    }
}
