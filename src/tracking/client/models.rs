//! The model registry: models, versions, aliases.

use serde_json::json;

use super::super::TrackingError;
use super::runs::quotable;
use super::wire::{Done, ModelVersion, Pair, VersionCreated, VersionsFound};
use super::{Client, Repeat, limits};

impl Client {
    /// Creates the registered model, or leaves the existing one as it is.
    ///
    /// # Errors
    /// [`TrackingError::Invalid`] for a name outside `[A-Za-z0-9_.-]`.
    pub async fn ensure_registered_model(&self, name: &str, tags: &[Pair]) -> Result<(), TrackingError> {
        let body = json!({"name": limits::model_name(name)?, "tags": tags});
        let created: Result<serde_json::Value, _> =
            self.post("registered-models/create", Repeat::Idempotent, &body).await;
        match created {
            Err(error) if !error.already_exists() => Err(error),
            _ => Ok(()),
        }
    }

    /// The version of the model that came from the run.
    ///
    /// # Errors
    /// As every call.
    pub async fn find_model_version(
        &self,
        name: &str,
        run_id: &str,
    ) -> Result<Option<ModelVersion>, TrackingError> {
        quotable("run id", run_id)?;
        let filter = format!("name = '{}' and run_id = '{run_id}'", limits::model_name(name)?);
        let found: VersionsFound = self.get("model-versions/search", &[("filter", &filter)]).await?;
        Ok(found.model_versions.into_iter().find(|version| version.run_id == run_id))
    }

    /// Adds a version. Not idempotent: search by run first, and after a failure search again.
    ///
    /// # Errors
    /// As every call.
    pub async fn create_model_version(
        &self,
        name: &str,
        source: &str,
        run_id: &str,
        tags: &[Pair],
    ) -> Result<ModelVersion, TrackingError> {
        let body =
            json!({"name": limits::model_name(name)?, "source": source, "run_id": run_id, "tags": tags});
        let created = self.post("model-versions/create", Repeat::Creates, &body).await;
        created.map(|VersionCreated { model_version }| model_version)
    }

    /// Points `alias` (letters, digits, `_-`; not `latest`, not `v<digits>`) to a version, away from
    /// where it pointed before.
    ///
    /// # Errors
    /// As every call.
    pub async fn set_alias(&self, name: &str, alias: &str, version: &str) -> Result<(), TrackingError> {
        let body = json!({"name": limits::model_name(name)?, "alias": alias, "version": version});
        self.post("registered-models/alias", Repeat::Idempotent, &body).await.map(|Done {}| ())
    }
}
