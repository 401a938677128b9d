//! `binah-ml healthcheck`: what a container's health check runs, so that the image needs no curl.

use std::time::Duration;

use binah_ml::{config::Config, error::BoxError};

pub(crate) async fn run(config: &Config) -> Result<(), BoxError> {
    let url = format!("http://127.0.0.1:{}/health", config.api.port);
    let client = reqwest::Client::builder().timeout(Duration::from_secs(3)).no_proxy().build()?;
    client.get(url).send().await?.error_for_status()?;
    Ok(())
}
