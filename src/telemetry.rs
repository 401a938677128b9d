//! Logs and metrics: set up once, by `main`.

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tracing::Subscriber;
use tracing_subscriber::{
    EnvFilter, Layer,
    filter::filter_fn,
    fmt::{self, MakeWriter, format::FmtSpan},
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

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
    Ok(subscriber(config, std::io::stderr)?.try_init()?)
}

fn subscriber<W>(config: &LogConfig, writer: W) -> Result<impl Subscriber + Send + Sync, BoxError>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    // Audit lines are no chatter: the level of the rest does not silence them.
    let levels = EnvFilter::try_new(format!("audit=info,{}", config.level))?;
    // What sqlparser says is the tenants' own text, which no setting brings into the log.
    let no_statements = filter_fn(|metadata| !metadata.target().starts_with("sqlparser"));
    let lines = fmt::layer().with_span_events(FmtSpan::NONE).with_writer(writer);
    let lines = if config.json {
        lines.json().flatten_event(true).with_current_span(true).with_span_list(false).boxed()
    } else {
        lines.with_target(false).boxed()
    };
    Ok(tracing_subscriber::registry().with(lines).with(levels).with(no_statements))
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

#[cfg(test)]
mod tests {
    use std::{
        io::{self, Write},
        sync::{Arc, Mutex},
    };

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("no panic").write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn no_level_brings_statements_into_the_log() {
        for json in [false, true] {
            let config =
                LogConfig { level: ["info", "sqlparser::parser=debug", "sqlparser=trace"].join(","), json };
            let lines = Lines::default();
            let writer = lines.clone();
            let subscriber = subscriber(&config, move || writer.clone()).expect("a filter");
            tracing::subscriber::with_default(subscriber, || {
                tracing::info!(target: "sqlparser::parser", "CANARY");
                tracing::debug!(target: "sqlparser", "CANARY");
                tracing::debug!("too quiet");
                tracing::info!("served");
            });
            let text = String::from_utf8(lines.0.lock().expect("no panic").clone()).expect("UTF-8");
            assert!(text.contains("served") && !text.contains("CANARY") && !text.contains("quiet"), "{text}");
        }
    }
}
