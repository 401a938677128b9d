//! The whole service from its settings: what `main` runs and what the tests run.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use metrics_exporter_prometheus::PrometheusHandle;
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::{
    auth::Tokens,
    config::Config,
    error::{BoxError, Error, Result},
    features::{
        neo4j::{GraphSource, OpenError},
        query::{Policy, QueryConfig, TenantQuery},
    },
    http::{self, AppState, Leave, Readiness, Services, Streams},
    inference::{ModelCache, Predictor},
    jobs::Jobs,
    lifecycle::Lifecycle,
    outbox::Outbox,
    registry::{ArtifactStore, Registry},
    schedule::Schedules,
    storage::{Database, privileges},
    tls,
    tracking::Tracker,
    training::{Rooms, Sources, Submitter, Trainer, Worker},
    xgboost::LazyLibrary,
};

/// How often the background looks at the database for `/health/ready`.
const DATABASE_CHECK: Duration = Duration::from_secs(2);
/// How long an answer may take that no training holds up any more.
const ANSWER: Duration = Duration::from_secs(2);
/// How long the start waits for Neo4j.
const GRAPH_CHECK: Duration = Duration::from_secs(10);

/// The service, ready to be served.
pub struct App {
    state: AppState,
    background: Background,
    /// Ends the waits of requests.
    leaving: CancellationToken,
}

/// What works beside the requests, of this process or for all.
pub(crate) struct Background {
    config: Config,
    database: Database,
    jobs: Jobs,
    worker: Worker,
    outbox: Outbox,
    schedules: Schedules,
    readiness: Arc<Readiness>,
    prometheus: PrometheusHandle,
}

/// The background at work: what has to be waited for, and the end of the rest.
struct Running {
    claims: Option<JoinHandle<()>>,
    stop_claims: CancellationToken,
    outbox: JoinHandle<()>,
    _stop_all: DropGuard,
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("App").field("config", &self.background.config).finish_non_exhaustive()
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
        let database = Database::new(&config.postgres.service(), &config.postgres.pool())
            .with_single_tenant(config.single_tenant);
        let readiness = Arc::new(Readiness::default());
        check_login(&config, &database, &readiness).await?;
        let outbox = outbox(&config, &database)?;
        let leaving = CancellationToken::new();
        let parts = Parts { database, graph, outbox, readiness, prometheus, leaving: leaving.clone() };
        let (services, background) = assemble(config, parts)?;
        Ok(Self { state: AppState::new(services), background, leaving })
    }

    /// Serves until `shutdown` completes, then until load balancers have noticed, and finishes the requests in flight.
    /// Trainings that do not end within the grace period go back to the queue.
    ///
    /// # Errors
    /// If the port of the metrics cannot be opened.
    pub async fn serve(
        self,
        listener: TcpListener,
        shutdown: impl Future<Output = ()>,
    ) -> Result<(), BoxError> {
        let Self { state, background, leaving } = self;
        let api = &background.config.api;
        let (delay, grace) = (api.shutdown_delay, api.shutdown_grace);
        tracing::info!(address = %listener.local_addr()?, environment = ?background.config.environment, "serving");
        let mut running = background.start(&state).await?;
        let draining = CancellationToken::new();
        let _stop_serving = draining.clone().drop_guard();
        let mut served = tokio::spawn({
            let draining = draining.clone().cancelled_owned();
            let router = http::router(state);
            // A wait for a training ends with the grace period; what is left of an answer needs a moment.
            let leave = Leave { delay, grace: grace + ANSWER };
            async move { http::serve(listener, router, draining, leave).await }
        });
        shutdown.await;
        let end = Instant::now() + delay + grace;
        background.start_draining(&running);
        draining.cancel();
        let answers = async {
            // Who waits for a training may wait for another process's.
            let in_time = tokio::time::timeout_at(end.into(), &mut served).await;
            leaving.cancel();
            match in_time {
                Ok(served) => served,
                Err(_) => served.await,
            }
        };
        let (answered, finished) = tokio::join!(answers, background.finish(&mut running, end));
        finished?;
        if !answered? {
            tracing::warn!("some requests did not finish within the grace period");
        }
        background.database.close().await;
        Ok(())
    }

    /// Runs trainings until `shutdown` completes, without the API; metrics and health have `METRICS_PORT`.
    ///
    /// # Errors
    /// If that port cannot be opened.
    pub async fn work(self, shutdown: impl Future<Output = ()>) -> Result<(), BoxError> {
        let Self { state, background, .. } = self;
        tracing::info!(trainings = background.config.training.workers, "working");
        let mut running = background.start(&state).await?;
        shutdown.await;
        background.start_draining(&running);
        background.finish(&mut running, Instant::now() + background.config.api.shutdown_grace).await?;
        background.database.close().await;
        Ok(())
    }
}

impl Background {
    /// Starts all of it.
    async fn start(&self, state: &AppState) -> Result<Running, BoxError> {
        let stop = CancellationToken::new();
        let stop_all = stop.clone().drop_guard();
        if let Some(port) = self.config.api.metrics_port {
            let metrics = TcpListener::bind((self.config.api.host.as_str(), port)).await?;
            let router = http::routes::metrics_router(state.clone());
            tokio::spawn(http::serve(metrics, router, stop.clone().cancelled_owned(), Leave::AT_ONCE));
        }
        tokio::spawn(watch_database(self.database.clone(), Arc::clone(&self.readiness), stop.clone()));
        tokio::spawn(upkeep(self.prometheus.clone(), stop.clone()));
        tokio::spawn({
            let (jobs, stop) = (self.jobs.clone(), stop.clone());
            async move { tokio::join!(jobs.listen(stop.clone()), jobs.watch_leases(stop)) }
        });
        tokio::spawn({
            let (schedules, stop) = (self.schedules.clone(), stop.clone());
            async move { schedules.run(stop).await }
        });
        let outbox = tokio::spawn({
            let outbox = self.outbox.clone();
            async move { outbox.drain().await }
        });
        let stop_claims = CancellationToken::new();
        let claims = (self.config.training.workers > 0).then(|| {
            let (worker, stop) = (self.worker.clone(), stop_claims.clone());
            tokio::spawn(async move { worker.run(stop).await })
        });
        Ok(Running { claims, stop_claims, outbox, _stop_all: stop_all })
    }

    /// Not ready any more, and takes no more trainings.
    fn start_draining(&self, running: &Running) {
        tracing::info!("shutting down: finishing the requests and trainings under way");
        self.readiness.start_draining();
        running.stop_claims.cancel();
    }

    /// Lets the trainings end until `end`, hands back the others, and stops the rest.
    async fn finish(&self, running: &mut Running, end: Instant) -> Result<(), BoxError> {
        if let Some(claims) = running.claims.take() {
            claims.await?;
        }
        self.worker.finish(end.saturating_duration_since(Instant::now())).await;
        // Runs that are not complete are given back to the outbox.
        let stopped = async { tokio::join!(self.outbox.stopped(), &mut running.outbox) };
        let _ = tokio::time::timeout(self.config.api.shutdown_grace, stopped).await;
        Ok(())
    }
}

/// Models and their runs, as the service's own login.
pub(crate) fn outbox(config: &Config, database: &Database) -> Result<Outbox> {
    let registry = Registry::new(database.clone(), ArtifactStore::open(&config.model_registry_path)?);
    let tracker = Tracker::new(config.tracker().map_err(Error::internal)?).map_err(Error::internal)?;
    Ok(Outbox::new(database.clone(), registry, tracker))
}

/// What the rooms are put together from.
pub(crate) struct Parts {
    pub(crate) database: Database,
    pub(crate) graph: Option<GraphSource>,
    pub(crate) outbox: Outbox,
    pub(crate) readiness: Arc<Readiness>,
    pub(crate) prometheus: PrometheusHandle,
    pub(crate) leaving: CancellationToken,
}

/// The rooms behind the HTTP surface, and those beside it. Touches nothing outside but the folder of the models.
pub(crate) fn assemble(config: Config, parts: Parts) -> Result<(Services, Background)> {
    let Parts { database, graph, outbox, readiness, prometheus, leaving } = parts;
    let registry = outbox.registry().clone();
    let lifecycle = Lifecycle::new(registry.clone(), outbox.tracker().clone(), config.mlflow.wait);
    let cache = ModelCache::new(config.model_cache_bytes);
    let jobs = Jobs::new(database.clone(), config.training.queue);
    let sources = Arc::new(Sources {
        database: database.clone(),
        queries: config.postgres.query().map(|connect| {
            // A result is in memory before anybody knows its size.
            let default = QueryConfig::default();
            let max_bytes =
                default.max_bytes.min(usize::try_from(config.training.memory).unwrap_or(usize::MAX));
            let limits = QueryConfig { max_bytes, max_rows: config.training.max_rows, ..default };
            TenantQuery::new(&connect, database.clone(), Policy::records(), limits)
        }),
        graph,
        max_rows: config.training.max_rows,
    });
    let submitter = Submitter::new(jobs.clone(), Arc::clone(&sources), config.mlflow.wait, leaving);
    let schedules =
        Schedules::new(database.clone(), registry.clone(), submitter.clone(), config.retrain.clone());
    let rooms = Rooms {
        jobs: jobs.clone(),
        sources,
        registry: registry.clone(),
        cache: cache.clone(),
        promotion: config.promotion,
        outbox: outbox.clone(),
        tracking_wait: config.mlflow.wait,
        library: LazyLibrary::new(config.xgboost()),
    };
    let trainer = Arc::new(Trainer::new(&config.training, rooms)?);
    let services = Services {
        config: config.http(),
        tokens: Tokens::new(config.token.clone()),
        submitter,
        predictor: Predictor::new(database.clone(), registry.clone(), cache),
        registry,
        lifecycle,
        schedules: schedules.clone(),
        streams: Streams::default(),
        readiness: Arc::clone(&readiness),
        prometheus: prometheus.clone(),
        started: Instant::now(),
    };
    let worker = Worker::new(jobs.clone(), trainer, config.training.workers);
    let background = Background { config, database, jobs, worker, outbox, schedules, readiness, prometheus };
    Ok((services, background))
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

/// Production refuses a login that row-level security does not bind, or whose workers it may not keep to the single
/// tenant; elsewhere it is a warning.
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
