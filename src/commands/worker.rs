//! `binah-ml worker`: trainings without the API.

use binah_ml::{app::App, config::Config, error::BoxError, telemetry};

use super::serve::termination;

pub(crate) async fn run(config: Config) -> Result<(), BoxError> {
    telemetry::init_logs(&config.log)?;
    if config.training.workers == 0 {
        return Err("WORKERS is 0: a worker that runs no trainings has nothing to do".into());
    }
    let metrics = telemetry::init_metrics()?;
    App::build(config, metrics).await?.work(termination()).await
}
