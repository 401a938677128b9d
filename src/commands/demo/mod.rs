//! `binah-ml demo`: the main job on this machine, with nothing installed by hand.
//!
//! Starts a private Postgres and MLflow, loads two tenants' sample portfolios, serves the API, and
//! then does through HTTP what a client of the platform would do: train, look, predict.

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
    dev::{Durability, PrivateMlflow, PrivatePostgres, portfolio::TenantProfile, sample},
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
    say(&format!("Data and logs in {}", args.data.display()));
    let mut mlflow = PrivateMlflow::start(&args.data.join("mlflow"))?;
    say("Starting Postgres");
    let postgres = PrivatePostgres::start(&args.data.join("postgres"), Durability::Durable).await?;
    use_private_servers(&mut config, &postgres, &mlflow, args);

    say("Migrating the database");
    migrate::migrate(&config).await?;
    load_samples(&config).await?;
    let imported = public::import(&config, &args.real_data).await?;

    say("Waiting for MLflow (10 to 60 seconds)");
    let mut last = 0;
    mlflow
        .ready(|waited| {
            if waited.as_secs() >= last + 10 {
                last = waited.as_secs();
                say(&format!("  still starting, {last} s"));
            }
        })
        .await?;

    let listener = TcpListener::bind((config.api.host.as_str(), config.api.port))
        .await
        .map_err(|error| format!("API_PORT {}: {error}", config.api.port))?;
    let base = format!("http://{}", listener.local_addr()?);
    let tokens = binah_ml::auth::Tokens::new(config.token.clone());
    let mlflow_url = mlflow.url().to_owned();
    let app = App::build(config, telemetry::init_metrics().map_err(|error| error.to_string())?).await?;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let served = tokio::spawn(app.serve(listener, async {
        let _ = stopped.await;
    }));

    let client = client::Client::new(&base);
    let report = walkthrough::run(&client, &tokens, &args.real_data, &imported).await?;
    summary::print(&report, &base, &mlflow_url, begin.elapsed())?;
    if !args.exit {
        say("\nServing until Ctrl-C.");
        served.await??;
        return Ok(());
    }
    let _ = stop.send(());
    served.await??;
    mlflow.stop().await?;
    postgres.stop().await?;
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

/// The private servers take the place of those in the environment; everything else there holds.
fn use_private_servers(
    config: &mut Config,
    postgres: &PrivatePostgres,
    mlflow: &PrivateMlflow,
    args: &DemoArgs,
) {
    config.postgres.host = postgres.host().to_owned();
    config.postgres.port = postgres.port();
    config.postgres.owner_user = postgres.user().to_owned();
    config.postgres.owner_password = postgres.password().to_owned().into();
    config.mlflow.tracking_uri = mlflow.url().to_owned();
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
