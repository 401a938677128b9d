//! `binah-ml migrate`: the schema of this build, and the login that serves.

use std::io::Write;

use binah_ml::{
    config::Config,
    error::BoxError,
    storage::{self, Login, MigrateReport},
};

pub(crate) async fn run(config: &Config) -> Result<(), BoxError> {
    let report = migrate(config).await?;
    let mut out = std::io::stdout().lock();
    if report.created_database {
        writeln!(out, "Created database {}", config.postgres.database)?;
    }
    for migration in &report.applied {
        writeln!(out, "Applied {migration}")?;
    }
    if report.applied.is_empty() {
        writeln!(out, "The schema is up to date")?;
    }
    Ok(writeln!(out, "Login {}: {}", config.postgres.user, report.login)?)
}

pub(crate) async fn migrate(config: &Config) -> Result<MigrateReport, binah_ml::Error> {
    let service = Login { name: config.postgres.user.clone(), password: config.postgres.password.clone() };
    storage::migrate(&config.postgres.owner(), &service).await
}
