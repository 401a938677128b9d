//! Models and their versions: rows in `ml_models`, bytes in the artifact store.
//!
//! A version becomes visible in one transaction, after its files are safe; a file is read only
//! against the checksum of its row.

mod alias;
mod artifacts;
mod change;
mod metrics;
mod model;
mod promotion;
mod register;
mod versions;

use serde_json::Value;
use sqlx::query_scalar;
use uuid::Uuid;

pub use alias::{Alias, AliasTarget, CHALLENGER, CHAMPION};
pub use artifacts::{Artifact, ArtifactStore, Artifacts};
pub use metrics::{ModelMetrics, VersionMetrics};
pub use model::ModelRecord;
pub use promotion::{Promotion, Score, Verdict};
pub use register::{NewModel, Outcome};
pub use versions::{Filter, Page, Position, State, Version, VersionDetail};

use crate::{
    Result,
    catalog::ModelType,
    inference::VersionSelector,
    jobs::job_changed,
    storage::{Database, TenantTransaction, storable_text},
};

/// The registry of the tenant whose scope is open. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Registry {
    database: Database,
    store: ArtifactStore,
}

impl Registry {
    /// A registry over both halves.
    #[must_use]
    pub fn new(database: Database, store: ArtifactStore) -> Self {
        Self { database, store }
    }

    /// Where the models' files are.
    #[must_use]
    pub fn store(&self) -> &ArtifactStore {
        &self.store
    }

    /// Keeps the files and makes the model the newest version of its type; completes its job. `None`, and
    /// nothing kept, if the champion is another by now than the one that the verdict names: judge again.
    ///
    /// # Errors
    /// `Error::Cancelled` if the job has ended meanwhile; `Error::Unavailable` if Postgres or
    /// the store is away. No version is then visible.
    pub async fn register(&self, new: NewModel<'_>) -> Result<Option<ModelRecord>> {
        register::register(self, new).await
    }

    /// The version that predictions are answered with; `None` before the first training.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn champion(&self, model_type: ModelType) -> Result<Option<ModelRecord>> {
        let mut transaction = self.database.tenant_snapshot("registry_champion").await?;
        let record = model::find(&mut transaction, model_type, &VersionSelector::Champion).await?;
        transaction.commit().await?;
        Ok(record)
    }

    /// The newest ready version, served or not; `None` before the first training.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn newest(&self, model_type: ModelType) -> Result<Option<ModelRecord>> {
        let mut transaction = self.database.tenant_snapshot("registry_newest").await?;
        let record = model::find(&mut transaction, model_type, &VersionSelector::Latest).await?;
        transaction.commit().await?;
        Ok(record)
    }

    /// The bytes of one file of a model.
    ///
    /// # Errors
    /// `Error::CorruptArtifact` if it is missing, changed, or another tenant's.
    pub async fn read(&self, model: &ModelRecord, file: &str) -> Result<bytes::Bytes> {
        self.store.get(model, file).await
    }

    /// Metrics of the champion and of all versions.
    ///
    /// # Errors
    /// `Error::NotFound` if the tenant has no model of that type yet.
    pub async fn metrics(&self, model_type: ModelType) -> Result<ModelMetrics> {
        let mut transaction = self.database.tenant_snapshot("registry_metrics").await?;
        let metrics = metrics::of(&mut transaction, model_type).await?;
        transaction.commit().await?;
        metrics.ok_or_else(|| model::not_found(model_type, &VersionSelector::Champion))
    }
}

/// The model that a request means: the champion, the highest ready version, the one that an alias points to,
/// or the given one, ready or deprecated.
/// Rows without artifacts, as the platform inserts them, cannot be loaded and do not count.
///
/// # Errors
/// `Error::NotFound`, which says to train first if the tenant has no model of that type.
pub async fn resolve(
    transaction: &mut TenantTransaction,
    model_type: ModelType,
    version: &VersionSelector,
) -> Result<ModelRecord> {
    model::resolve(transaction, model_type, version).await
}

/// Notes the MLflow run of a model, also on its job. A model that is gone has none.
///
/// # Errors
/// Those of the database.
pub async fn link_run(
    transaction: &mut TenantTransaction,
    model_id: Uuid,
    run_id: &str,
    model_uri: &str,
    registered_version: Option<&str>,
) -> Result<()> {
    let jobs: Vec<Uuid> = query_scalar(
        "WITH model AS (
             UPDATE ml_models SET mlflow_run_id = $2, mlflow_model_uri = $3,
                    mlflow_registered_version = coalesce($4, mlflow_registered_version), updated_at = now()
              WHERE id = $1 AND tenant_id = $5)
         UPDATE training_jobs SET mlflow_run_id = $2, updated_at = now(), revision = revision + 1
          WHERE model_id = $1 AND tenant_id = $5 RETURNING id",
    )
    .bind(model_id)
    .bind(&*storable_text(run_id))
    .bind(&*storable_text(model_uri))
    .bind(registered_version)
    .bind(transaction.tenant().uuid())
    .fetch_all(&mut **transaction)
    .await?;
    for job_id in jobs {
        job_changed(transaction, job_id).await?;
    }
    Ok(())
}

/// A JSON object, or an empty one for anything else.
fn object(value: Option<Value>) -> serde_json::Map<String, Value> {
    match value {
        Some(Value::Object(fields)) => fields,
        _ => serde_json::Map::new(),
    }
}
