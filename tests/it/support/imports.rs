//! Imports of small files, as `binah-ml import` does them.

use std::path::{Path, PathBuf};

use binah_ml::{
    auth::{TenantId, tenant::scope},
    import::{self, Destination, Loaded, Options, Plan},
    storage::{ConnectConfig, Database, PoolConfig, imported_tables},
};

use super::database::QUERY;

/// The database as the tables' owner.
pub fn owner(config: &ConnectConfig) -> Database {
    Database::new(config, &PoolConfig { max_connections: 2, ..PoolConfig::default() })
}

/// A file that lives as long as the folder.
pub fn file(folder: &tempfile::TempDir, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
    let path = folder.path().join(name);
    std::fs::write(&path, content).expect("written");
    path
}

/// Plans and loads.
pub async fn import(
    config: &ConnectConfig,
    tenant: TenantId,
    file: &Path,
    destination: Destination,
    options: Options,
) -> import::Result<(Plan, Loaded)> {
    let owner = owner(config);
    let done = scope(tenant, async {
        let plan = import::plan(&owner, file, destination, options, Box::new(|_| ())).await?;
        let loaded = import::load(&owner, &plan, Some(QUERY), Box::new(|_| ())).await?;
        Ok((plan, loaded))
    });
    let done = done.await;
    owner.close().await;
    done
}

/// The text of a CSV file into a table of the tenant.
pub async fn import_text(
    config: &ConnectConfig,
    tenant: TenantId,
    table: &str,
    text: &str,
) -> import::Result<(Plan, Loaded)> {
    let folder = tempfile::tempdir().expect("a folder");
    let file = file(&folder, "file.csv", text);
    import(config, tenant, &file, into_table(table), Options::default()).await
}

/// Appended, or made.
pub fn into_table(name: &str) -> Destination {
    Destination::Table { name: name.to_owned(), replace: false }
}

/// Where the tenant's table really is, with its schema.
pub async fn physical(config: &ConnectConfig, tenant: TenantId, table: &str) -> String {
    let owner = owner(config);
    let name = scope(tenant, async {
        let mut transaction = owner.tenant_snapshot("test").await.expect("begins");
        let table = imported_tables::find(&mut transaction, table).await.expect("asked").expect("is there");
        format!("{}.{}", imported_tables::SCHEMA, table.physical_name)
    });
    let name = name.await;
    owner.close().await;
    name
}
