//! Experiments: found, created or restored by name.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::json;

use super::super::TrackingError;
use super::wire::{Done, ExperimentCreated, ExperimentFound, Pair};
use super::{Client, Repeat};

/// Id of an active experiment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExperimentId(pub(super) String);

/// Ids by name; a name is dropped when its id turns out to be gone.
#[derive(Debug, Clone, Default)]
pub(super) struct Cache(Arc<Mutex<HashMap<String, ExperimentId>>>);

impl Cache {
    fn with<T>(&self, f: impl FnOnce(&mut HashMap<String, ExperimentId>) -> T) -> T {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Client {
    /// The experiment of that name: cached, else found (and restored if it was deleted), else
    /// created with `tags` and an artifact location that the server proxies.
    ///
    /// Without that location a default server keeps a run's files in a folder of its own, answers
    /// an upload with 200 and shows nothing.
    ///
    /// # Errors
    /// [`TrackingError::Invalid`] for an empty name or one over 500 characters.
    pub async fn experiment(&self, name: &str, tags: &[Pair]) -> Result<ExperimentId, TrackingError> {
        if let Some(id) = self.experiments.with(|ids| ids.get(name).cloned()) {
            return Ok(id);
        }
        if name.is_empty() || name.chars().count() > 500 {
            let rule = "1 to 500 characters";
            return Err(TrackingError::Invalid { what: "experiment name", value: name.to_owned(), rule });
        }
        let id = match self.find_experiment(name).await? {
            Some(id) => id,
            None => self.create_experiment(name, tags).await?,
        };
        self.experiments.with(|ids| ids.insert(name.to_owned(), id.clone()));
        Ok(id)
    }

    /// Drops the cached id, after a call said that the experiment is gone.
    pub fn forget_experiment(&self, name: &str) {
        self.experiments.with(|ids| ids.remove(name));
    }

    async fn find_experiment(&self, name: &str) -> Result<Option<ExperimentId>, TrackingError> {
        let found = self.get("experiments/get-by-name", &[("experiment_name", name)]).await;
        let ExperimentFound { experiment } = match found {
            Err(error) if error.is_missing() => return Ok(None),
            other => other?,
        };
        let id = experiment.experiment_id;
        if experiment.lifecycle_stage == "deleted" {
            let restored: Result<Done, _> =
                self.post("experiments/restore", Repeat::Idempotent, &json!({"experiment_id": id})).await;
            match restored {
                Err(error) if !error.is_missing() => return Err(error),
                _ => tracing::info!(experiment = name, "restored a deleted MLflow experiment"),
            }
        }
        Ok(Some(ExperimentId(id)))
    }

    async fn create_experiment(&self, name: &str, tags: &[Pair]) -> Result<ExperimentId, TrackingError> {
        let body = json!({"name": name, "artifact_location": artifact_location(name), "tags": tags});
        // The name is unique: a repetition cannot make a second one.
        match self.post("experiments/create", Repeat::Idempotent, &body).await {
            Ok(ExperimentCreated { experiment_id }) => Ok(ExperimentId(experiment_id)),
            Err(error) if error.already_exists() => self.find_experiment(name).await?.ok_or(error),
            Err(error) => Err(error),
        }
    }
}

/// A proxied folder named after the experiment. Names that map to one folder may share it: each
/// run has a folder of its own below.
fn artifact_location(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "_-".contains(c) { c } else { '_' };
    let folders: Vec<String> = name
        .split('/')
        .filter(|segment| !segment.is_empty())
        .map(|segment| segment.chars().map(plain).collect())
        .collect();
    format!("mlflow-artifacts:/{}", folders.join("/"))
}

#[cfg(test)]
mod tests {
    use super::artifact_location;

    #[test]
    fn artifact_locations_are_plain_folders() {
        assert_eq!(artifact_location("binah-ml/aaaa-1"), "mlflow-artifacts:/binah-ml/aaaa-1");
        assert_eq!(artifact_location("/a b//../ü:"), "mlflow-artifacts:/a_b/__/__");
    }
}
