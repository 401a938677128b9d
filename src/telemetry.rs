//! Logs and metrics: set up once, by `main`.

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::{EnvFilter, fmt::format::FmtSpan};

use crate::{config::LogConfig, error::BoxError};

/// Upper bounds of every `*_seconds` histogram: a prediction takes well under a millisecond, a
/// training seconds.
const SECONDS: [f64; 16] =
    [0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0];

/// Sends log lines to standard error: text for people, or JSON for a collector.
///
/// # Errors
/// If the filter does not parse or a subscriber is already set.
pub fn init_logs(config: &LogConfig) -> Result<(), BoxError> {
    let builder = tracing_subscriber::fmt()
        // Audit lines are no chatter: the level of the rest does not silence them. What sqlparser says
        // is the tenants' own text, which no level brings into the log.
        .with_env_filter(EnvFilter::try_new(format!("audit=info,{},sqlparser=off", config.level))?)
        .with_span_events(FmtSpan::NONE)
        .with_writer(std::io::stderr);
    if config.json {
        builder.json().flatten_event(true).with_current_span(true).with_span_list(false).try_init()
    } else {
        builder.with_target(false).try_init()
    }
}

/// Installs the recorder behind the `metrics` macros; the handle renders Prometheus text.
///
/// # Errors
/// If a recorder is already installed.
pub fn init_metrics() -> Result<PrometheusHandle, BoxError> {
    Ok(PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &SECONDS)?
        .install_recorder()?)
}
