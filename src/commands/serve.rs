//! `binah-ml serve`: the API.

use binah_ml::{app::App, config::Config, error::BoxError, telemetry};
use clap::Args;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};

use super::migrate;

/// Arguments of `serve`.
#[derive(Debug, Args, Default)]
pub(crate) struct ServeArgs {
    /// Bring the database up to date first, as its owner (POSTGRES_OWNER_USER).
    #[arg(long)]
    migrate: bool,
}

pub(crate) async fn run(args: &ServeArgs, config: Config) -> Result<(), BoxError> {
    telemetry::init_logs(&config.log)?;
    if args.migrate {
        migrate::migrate(&config).await?;
    }
    let address = (config.api.host.clone(), config.api.port);
    let listener = TcpListener::bind((address.0.as_str(), address.1))
        .await
        .map_err(|error| format!("API_HOST {}, API_PORT {}: {error}", address.0, address.1))?;
    let metrics = telemetry::init_metrics()?;
    App::build(config, metrics).await?.serve(listener, termination()).await
}

/// Completes on SIGTERM or Ctrl-C. A second signal ends the process at once.
pub(crate) async fn termination() {
    let (Ok(mut terminate), Ok(mut interrupt)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        std::process::exit(130);
    });
}
