//! `binah-ml tracking`: runs that MLflow has not got yet.

use std::io::Write;

use binah_ml::{config::Config, error::BoxError, outbox::row, storage::Database};
use clap::{Args, Subcommand};
use uuid::Uuid;

/// Arguments of `tracking`.
#[derive(Debug, Args)]
pub(crate) struct TrackingArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Print the rows of the outbox, of all tenants, oldest first (at most 1,000), separated by tabs.
    List,
    /// Make parked runs pending again; a running service logs them within seconds.
    Retry {
        /// Of this model only.
        model_id: Option<Uuid>,
    },
}

pub(crate) async fn run(args: &TrackingArgs, config: &Config) -> Result<(), BoxError> {
    let database = Database::new(&config.postgres.service(), &config.postgres.pool())
        .with_single_tenant(config.single_tenant);
    let mut out = std::io::stdout().lock();
    match args.action {
        Action::List => {
            writeln!(out, "STATE\tTENANT\tMODEL\tAGE\tATTEMPTS\tSTEP\tRUN\tLAST ERROR")?;
            for row in row::list(&database).await? {
                let (step, run) = (row.step.unwrap_or_default(), row.run_id.unwrap_or_default());
                // One row, one line.
                let error = row.last_error.unwrap_or_default().replace(['\n', '\r', '\t'], " ");
                writeln!(
                    out,
                    "{}\t{}\t{}\t{:.0}s\t{}\t{step}\t{run}\t{error}",
                    row.state, row.tenant_id, row.model_id, row.age, row.attempts,
                )?;
            }
        }
        Action::Retry { model_id } => {
            let count = row::retry(&database, model_id).await?;
            writeln!(out, "{count} parked {} pending again", if count == 1 { "run is" } else { "runs are" })?;
        }
    }
    database.close().await;
    Ok(())
}
