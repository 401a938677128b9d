//! The model registry: models, versions, their tags, aliases.

use std::collections::BTreeMap;

use serde_json::json;

use super::super::TrackingError;
use super::runs::quotable;
use super::wire::{Done, ModelFound, ModelVersion, Pair, RegisteredModel, VersionCreated, VersionsFound};
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

    /// The version of that number, with its tags.
    ///
    /// # Errors
    /// As every call.
    pub async fn model_version(&self, name: &str, version: &str) -> Result<ModelVersion, TrackingError> {
        let query = [("name", limits::model_name(name)?), ("version", version)];
        let found = self.get("model-versions/get", &query).await;
        found.map(|VersionCreated { model_version }| model_version)
    }

    /// Sets one tag of a version.
    ///
    /// # Errors
    /// As every call.
    pub async fn set_version_tag(&self, name: &str, version: &str, tag: &Pair) -> Result<(), TrackingError> {
        let (name, value) = (limits::model_name(name)?, limits::cut(&tag.value, limits::TAG_CHARS));
        let body = json!({"name": name, "version": version, "key": limits::key(&tag.key), "value": value});
        self.merge("model-versions/set-tag", &body).await
    }

    /// The registered model: its tags, and where its aliases point.
    ///
    /// # Errors
    /// As every call.
    pub async fn registered_model(&self, name: &str) -> Result<RegisteredModel, TrackingError> {
        let found = self.get("registered-models/get", &[("name", limits::model_name(name)?)]).await;
        found.map(|ModelFound { registered_model }| registered_model)
    }

    /// Takes an alias away; one that is not there counts as taken.
    ///
    /// # Errors
    /// As every call.
    pub async fn delete_alias(&self, name: &str, alias: &str) -> Result<(), TrackingError> {
        let query = [("name", limits::model_name(name)?), ("alias", alias)];
        let call = "registered-models/alias";
        let url = format!("api/2.0/mlflow/{call}");
        let request = || self.request(reqwest::Method::DELETE, &url).json(&json!(BTreeMap::from(query)));
        self.call(call, Repeat::Idempotent, request).await.map(|Done {}| ())
    }

    /// Points `alias` (letters, digits, `_-`; not `latest`, not `v<digits>`) to a version, away from
    /// where it pointed before.
    ///
    /// # Errors
    /// As every call.
    pub async fn set_alias(&self, name: &str, alias: &str, version: &str) -> Result<(), TrackingError> {
        let body = json!({"name": limits::model_name(name)?, "alias": alias, "version": version});
        self.merge("registered-models/alias", &body).await
    }
}
