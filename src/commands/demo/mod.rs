//! `binah-ml demo`: the main job on this machine, with nothing installed by hand.
//!
//! Starts a private Postgres, MLflow and Neo4j, loads two tenants' sample portfolios, serves the API,
//! and then does through HTTP what a client of the platform would do: train, look, predict.

mod client;
mod public;
mod summary;
mod walkthrough;

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use binah_ml::{
    app::App,
    auth::{TenantId, tenant},
    config::Config,
    dev::{Durability, PrivateMlflow, PrivateNeo4j, PrivatePostgres, portfolio::TenantProfile, sample},
    error::BoxError,
    storage::Database,
    telemetry,
};
use clap::Args;
use tokio::net::TcpListener;
use uuid::Uuid;

use super::{
    migrate, serve,
    token::{TENANT_A, TENANT_B},
};

/// Arguments of `demo`.
#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Stop after the summary instead of serving until Ctrl-C.
    #[arg(long)]
    exit: bool,
    /// Folder that keeps databases, models and logs between runs.
    #[arg(long, env = "DATA", default_value = "data")]
    data: PathBuf,
    /// Folder with the real data sets ames.csv and credit_data.csv.
    #[arg(long, env = "REAL_DATA", default_value = "../shared/data")]
    real_data: PathBuf,
}

pub(crate) async fn run(args: &DemoArgs, config: Config) -> Result<(), BoxError> {
    let begin = Instant::now();
    // The summary is what the demo is about; LOG_LEVEL=info shows the service's own lines as well.
    let log = binah_ml::config::LogConfig {
        level: std::env::var("LOG_LEVEL").unwrap_or_else(|_| "warn".into()),
        json: false,
    };
    telemetry::init_logs(&log).map_err(|error| error.to_string())?;
    let mut interrupted = std::pin::pin!(serve::termination());
    tokio::select! {
        result = demo(args, config, begin) => result,
        () = &mut interrupted => {
            say("Stopped.");
            Ok(())
        }
    }
}

async fn demo(args: &DemoArgs, mut config: Config, begin: Instant) -> Result<(), BoxError> {
    if config.single_tenant.is_some() {
        return Err("SINGLE_TENANT is set, and the demo has two tenants: unset it".into());
    }
    say(&format!("Data and logs in {}", args.data.display()));
    let workspaces = config.mlflow.workspaces.then_some("--enable-workspaces");
    let mut mlflow = PrivateMlflow::start_with(&args.data.join("mlflow"), workspaces)?;
    let mut neo4j = start_neo4j(args)?;
    say("Starting Postgres");
    let postgres = PrivatePostgres::start(&args.data.join("postgres"), Durability::Durable).await?;
    use_private_servers(&mut config, &postgres, &mlflow, neo4j.as_ref(), args);

    say("Migrating the database");
    migrate::migrate(&config).await?;
    load_samples(&config).await?;
    let imported = public::import(&config, &args.real_data).await?;

    say("Waiting for MLflow and Neo4j (10 to 60 seconds)");
    let graph = async {
        if let Some(neo4j) = &mut neo4j {
            neo4j.ready(|_| ()).await?;
            load_graphs(&config).await?;
        }
        Ok::<_, BoxError>(())
    };
    let mut last = 0;
    let tracking = mlflow.ready(|waited| {
        if waited.as_secs() >= last + 10 {
            last = waited.as_secs();
            say(&format!("  still starting, {last} s"));
        }
    });
    tokio::try_join!(graph, async { Ok(tracking.await?) })?;

    let listener = TcpListener::bind((config.api.host.as_str(), config.api.port))
        .await
        .map_err(|error| format!("API_PORT {}: {error}", config.api.port))?;
    let base = format!("http://{}", listener.local_addr()?);
    let tokens = binah_ml::auth::Tokens::new(config.token.clone());
    let mlflow_url = mlflow.url().to_owned();
    let neo4j_url = config.neo4j.as_ref().map(|neo4j| neo4j.uri.clone());
    let app = App::build(config, telemetry::init_metrics().map_err(|error| error.to_string())?).await?;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let served = tokio::spawn(app.serve(listener, async {
        let _ = stopped.await;
    }));

    let client = client::Client::new(&base);
    let graph = neo4j_url.is_some();
    let report = walkthrough::run(&client, &tokens, &args.real_data, &imported, graph).await?;
    let addresses = summary::Addresses { api: &base, mlflow: &mlflow_url, neo4j: neo4j_url.as_deref() };
    summary::print(&report, &addresses, begin.elapsed())?;
    if !args.exit {
        say("\nServing until Ctrl-C.");
        served.await??;
        return Ok(());
    }
    let _ = stop.send(());
    served.await??;
    let stop_neo4j = async {
        match neo4j {
            Some(neo4j) => neo4j.stop().await,
            None => Ok(()),
        }
    };
    tokio::try_join!(mlflow.stop(), postgres.stop(), stop_neo4j)?;
    if report.failures() > 0 { Err(format!("{} steps failed", report.failures()).into()) } else { Ok(()) }
}

/// Both tenants' portfolios, loaded once.
async fn load_samples(config: &Config) -> Result<(), BoxError> {
    let database = Database::new(&config.postgres.service(), &config.postgres.pool());
    for (id, profile) in [(TENANT_A, TenantProfile::metropolitan()), (TENANT_B, TenantProfile::regional())] {
        let tenant = TenantId::trusted(Uuid::try_parse(id)?);
        let loaded = tenant::scope(tenant, sample::load(&database, &profile)).await?;
        if loaded > 0 {
            say(&format!("Loaded {loaded} sample records for tenant {id}"));
        }
    }
    database.close().await;
    Ok(())
}

/// Neo4j, or none where its jars are not: the demo then shows everything but the graph. It is killed at the
/// end, for its orderly shutdown takes ten seconds; what was committed is there at the next start.
fn start_neo4j(args: &DemoArgs) -> Result<Option<PrivateNeo4j>, BoxError> {
    match PrivateNeo4j::start(&args.data.join("neo4j"), Durability::Scratch) {
        Ok(neo4j) => Ok(Some(neo4j)),
        Err(error @ binah_ml::dev::Error::Missing { .. }) => {
            say(&format!("Without Neo4j, trainings read Postgres alone: {error}"));
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

/// Both tenants' graphs, loaded once.
async fn load_graphs(config: &Config) -> Result<(), BoxError> {
    let Some(options) = config.graph() else { return Ok(()) };
    for profile in [TenantProfile::metropolitan(), TenantProfile::regional()] {
        let loaded = sample::load_graph(&options, &profile).await?;
        if loaded > 0 {
            say(&format!("Loaded {loaded} nodes of the graph for tenant {}", profile.tenant_id));
        }
    }
    Ok(())
}

/// The private servers take the place of those in the environment; everything else there holds.
fn use_private_servers(
    config: &mut Config,
    postgres: &PrivatePostgres,
    mlflow: &PrivateMlflow,
    neo4j: Option<&PrivateNeo4j>,
    args: &DemoArgs,
) {
    config.postgres.host = postgres.host().to_owned();
    config.postgres.port = postgres.port();
    config.postgres.owner_user = postgres.user().to_owned();
    config.postgres.owner_password = postgres.password().to_owned().into();
    config.mlflow.tracking_uri = mlflow.url().to_owned();
    config.neo4j = neo4j.map(PrivateNeo4j::config);
    if std::env::var_os("MODEL_REGISTRY_PATH").is_none() {
        config.model_registry_path = args.data.join("models").display().to_string();
    }
    if std::env::var_os("API_HOST").is_none() {
        config.api.host = "127.0.0.1".to_owned();
    }
    config.api.shutdown_grace = Duration::from_secs(5);
}

#[expect(clippy::print_stderr, reason = "progress for the person at the terminal")]
fn say(line: &str) {
    eprintln!("{line}");
}
