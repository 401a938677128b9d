//! The commands of the `binah-ml` program.

mod demo;
mod doctor;
mod healthcheck;
mod import;
mod migrate;
mod serve;
mod token;
mod tracking;
mod worker;

use std::{error::Error, process::ExitCode};

use binah_ml::{config::Config, error::BoxError};
use clap::{Parser, Subcommand};

/// Tenant-safe training and prediction of tree ensembles over HTTP.
///
/// Settings come from the environment or a .env file; .env.example lists them all.
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the API (the default command).
    Serve(serve::ServeArgs),
    /// Run trainings of the queue, without the API.
    Worker,
    /// Bring the database up to date and set up the service's login, as the tables' owner.
    Migrate,
    /// Look for what breaks the isolation of tenants in the live database.
    Doctor(doctor::DoctorArgs),
    /// Import a tenant's CSV or Parquet file, for training_data_query or as records.
    Import(Box<import::ImportArgs>),
    /// List the runs that MLflow has not got yet, or try those again that were given up.
    Tracking(tracking::TrackingArgs),
    /// Try everything on this machine: private servers, sample data, models, predictions.
    Demo(demo::DemoArgs),
    /// Print a token for tests.
    Token(token::TokenArgs),
    /// Ask the service on this machine how it is; exit status 0 if it is well.
    Healthcheck(healthcheck::HealthcheckArgs),
}

/// Runs the command line; every failure is one line on standard error.
pub(crate) fn run() -> ExitCode {
    let cli = Cli::parse();
    // The doctor's 1 says that isolation is broken.
    let failure = if matches!(cli.command, Some(Command::Doctor(_))) { 2 } else { 1 };
    binah_ml::tls::install_provider();
    match Config::from_env().map_err(Into::into).and_then(|config| dispatch(cli, config)) {
        Ok(status) => status,
        Err(error) => {
            complain(error.as_ref());
            ExitCode::from(failure)
        }
    }
}

fn dispatch(cli: Cli, config: Config) -> Result<ExitCode, BoxError> {
    let command = cli.command.unwrap_or(Command::Serve(serve::ServeArgs::default()));
    if let Command::Token(args) = &command {
        token::run(args, &config)?;
        return Ok(ExitCode::SUCCESS);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        match command {
            Command::Doctor(args) => return doctor::run(&args, &config).await,
            Command::Serve(args) => serve::run(&args, config).await?,
            Command::Worker => worker::run(config).await?,
            Command::Migrate => migrate::run(&config).await?,
            Command::Import(args) => import::run(*args, &config).await?,
            Command::Tracking(args) => tracking::run(&args, &config).await?,
            Command::Demo(args) => demo::run(&args, config).await?,
            Command::Healthcheck(args) => healthcheck::run(&args, &config).await?,
            Command::Token(_) => {}
        }
        Ok(ExitCode::SUCCESS)
    })
}

/// The error with its causes, in one line unless a cause itself has several.
#[expect(clippy::print_stderr, reason = "the program's own last words")]
fn complain(error: &dyn Error) {
    let mut line = format!("binah-ml: {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !line.ends_with(&text) {
            line.push_str(": ");
            line.push_str(&text);
        }
        cause = error.source();
    }
    eprintln!("{}", harmless(&line));
}

/// Without what a terminal would obey: a cause may quote a file or a server.
fn harmless(text: &str) -> String {
    text.replace(|c: char| c.is_control() && c != '\n', "\u{fffd}")
}

#[cfg(test)]
mod tests {
    #[test]
    fn last_words_do_not_command_the_terminal() {
        assert_eq!(super::harmless("a\u{1b}[2Jb\nc\r"), "a\u{fffd}[2Jb\nc\u{fffd}");
    }
}
