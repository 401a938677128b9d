//! `binah-ml healthcheck`: what a container's health check runs, so that the image needs no curl.

use std::time::Duration;

use binah_ml::{config::Config, error::BoxError};
use clap::Args;

/// Arguments of `healthcheck`.
#[derive(Debug, Args)]
pub(crate) struct HealthcheckArgs {
    /// Ask a worker, which has no API: on METRICS_PORT.
    #[arg(long)]
    worker: bool,
}

pub(crate) async fn run(args: &HealthcheckArgs, config: &Config) -> Result<(), BoxError> {
    let url = match (args.worker, config.api.metrics_port) {
        (false, _) => format!("http://127.0.0.1:{}/health", config.api.port),
        (true, Some(port)) => format!("http://127.0.0.1:{port}/health/live"),
        (true, None) => return Err("METRICS_PORT is not set: a worker cannot be asked how it is".into()),
    };
    let client = reqwest::Client::builder().timeout(Duration::from_secs(3)).no_proxy().build()?;
    client.get(url).send().await?.error_for_status()?;
    Ok(())
}
