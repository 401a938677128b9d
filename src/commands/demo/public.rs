//! The public data sets, imported for a tenant of their own as `binah-ml import` does it.

use std::path::Path;

use binah_ml::{
    auth::{TenantId, tenant},
    config::Config,
    dev::real_data::{AMES, CREDIT, DataSet},
    error::BoxError,
    import::{self, Destination, Options},
};
use uuid::Uuid;

use super::{say, walkthrough::TENANT_C};
use crate::commands::import::owner;

/// A data set that stands in the database.
pub(super) struct Imported {
    pub(super) set: DataSet,
    /// Gives its rows as they are sent inline.
    pub(super) query: String,
}

/// Imports both; nothing where the files are absent.
pub(super) async fn import(config: &Config, folder: &Path) -> Result<Vec<Imported>, BoxError> {
    let mut imported = vec![];
    let owner = owner(config);
    let role = config.postgres.query_login.as_ref().map(|login| login.name.as_str());
    for set in [AMES, CREDIT] {
        let file = folder.join(set.file);
        if !file.is_file() {
            say(&format!("Without the public data set {}", file.display()));
            continue;
        }
        let destination = Destination::Table { name: set.table.to_owned(), replace: true };
        // As the inline rows are read.
        let options = Options { trim: true, ..Options::default() };
        let done = tenant::scope(TenantId::trusted(Uuid::try_parse(TENANT_C)?), async {
            let plan = import::plan(&owner, &file, destination, options, Box::new(|_| ())).await?;
            let loaded = import::load(&owner, &plan, role, Box::new(|_| ())).await?;
            Ok::<_, import::ImportError>((plan, loaded))
        });
        let (plan, loaded) = done.await?;
        let (rows, millis) = (loaded.rows, loaded.elapsed.as_millis());
        say(&format!("Imported {rows} rows of {} for tenant {TENANT_C} in {millis} ms", set.file));
        let columns: Vec<&str> = plan.columns.iter().map(|column| column.name.as_str()).collect();
        imported.push(Imported { set, query: set.select(&columns) });
    }
    owner.close().await;
    Ok(imported)
}
