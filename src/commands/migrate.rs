//! `binah-ml migrate`: the schema of this build, and the login that serves.

use std::io::Write;

use binah_ml::{
    config::Config,
    error::BoxError,
    features::query::Policy,
    storage::{self, Login, MigrateReport, query_login},
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
    let owner = config.postgres.owner();
    let report = storage::migrate(&owner, &service).await?;
    if let Some(query) = &config.postgres.query_login {
        query_login::install(&owner, &service, query, &Policy::records().tables()).await?;
    }
    Ok(report)
}
