//! Experiments: found, created or restored by name, and listed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::json;

use super::super::TrackingError;
use super::artifacts::is_proxied;
use super::runs::quotable;
use super::wire::{Done, Experiment, ExperimentCreated, ExperimentFound, ExperimentsFound, Pair};
use super::{Client, Repeat};

/// Most experiments that one page of a search holds.
const PAGE: usize = 1000;

/// The experiment that takes the runs of one whose files would go where we cannot write, below its name.
const PROXIED: &str = "proxied";

/// Id of an active experiment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExperimentId(pub(super) String);

/// Ids by workspace and name; a name is dropped when its id turns out to be gone.
#[derive(Debug, Clone, Default)]
pub(super) struct Cache(Arc<Mutex<HashMap<Key, ExperimentId>>>);

type Key = (Option<String>, String);

impl Cache {
    fn with<T>(&self, f: impl FnOnce(&mut HashMap<Key, ExperimentId>) -> T) -> T {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Client {
    /// The experiment of that name: cached, else found (and restored if it was deleted), else
    /// created with `tags` and an artifact location that the server proxies.
    ///
    /// Without that location a default server keeps a run's files in a folder of its own, answers
    /// an upload with 200 and shows nothing. An experiment that has such a place (nothing can change it)
    /// has one beside it, `<name>/proxied`.
    ///
    /// # Errors
    /// [`TrackingError::Invalid`] for an empty name or one over 500 characters.
    pub async fn experiment(&self, name: &str, tags: &[Pair]) -> Result<ExperimentId, TrackingError> {
        let key = (self.workspace.clone(), name.to_owned());
        if let Some(id) = self.experiments.with(|ids| ids.get(&key).cloned()) {
            return Ok(id);
        }
        if name.is_empty() || name.chars().count() > 500 {
            let rule = "1 to 500 characters";
            return Err(TrackingError::Invalid { what: "experiment name", value: name.to_owned(), rule });
        }
        let id = match self.find_experiment(name).await? {
            Some(found) if self.keeps_files_elsewhere(&found) => self.experiment_beside(name, tags).await?,
            Some(found) => self.restored(found).await?,
            None => self.create_experiment(name, tags).await?,
        };
        self.experiments.with(|ids| ids.insert(key, id.clone()));
        Ok(id)
    }

    /// Whether its files go where we cannot write. Within a workspace no experiment has a place of its own
    /// choice: one beside it would be no better.
    fn keeps_files_elsewhere(&self, experiment: &Experiment) -> bool {
        let place = experiment.artifact_location.as_deref();
        self.workspace.is_none() && place.is_some_and(|place| !is_proxied(place))
    }

    async fn experiment_beside(&self, name: &str, tags: &[Pair]) -> Result<ExperimentId, TrackingError> {
        let beside = format!("{name}/{PROXIED}");
        tracing::info!(experiment = name, beside, "runs go to an experiment beside, whose files are proxied");
        match self.find_experiment(&beside).await? {
            Some(found) => self.restored(found).await,
            None => self.create_experiment(&beside, tags).await,
        }
    }

    /// Drops the cached id, after a call said that the experiment is gone.
    pub fn forget_experiment(&self, name: &str) {
        self.experiments.with(|ids| ids.remove(&(self.workspace.clone(), name.to_owned())));
    }

    /// Ids of the active experiments whose names begin so, one page after the other; `page` is what the page
    /// before ended with.
    ///
    /// # Errors
    /// [`TrackingError::Invalid`] for a text with a quote.
    pub async fn experiments_below(
        &self,
        prefix: &str,
        page: Option<&str>,
    ) -> Result<(Vec<ExperimentId>, Option<String>), TrackingError> {
        quotable("experiment name", prefix)?;
        let filter = format!("name LIKE '{prefix}%'");
        let mut body = json!({"filter": filter, "max_results": PAGE});
        if let Some(page) = page {
            body["page_token"] = json!(page);
        }
        let found: ExperimentsFound = self.post("experiments/search", Repeat::Idempotent, &body).await?;
        // To LIKE, `_` is any character, and a capital is a small letter.
        let ours = found.experiments.into_iter().filter(|experiment| experiment.name.starts_with(prefix));
        let ids = ours.map(|experiment| ExperimentId(experiment.experiment_id)).collect();
        Ok((ids, found.next_page_token.filter(|token| !token.is_empty())))
    }

    async fn find_experiment(&self, name: &str) -> Result<Option<Experiment>, TrackingError> {
        match self.get("experiments/get-by-name", &[("experiment_name", name)]).await {
            Err(error) if error.is_missing() => Ok(None),
            found => found.map(|ExperimentFound { experiment }| Some(experiment)),
        }
    }

    async fn restored(&self, experiment: Experiment) -> Result<ExperimentId, TrackingError> {
        let (id, name) = (experiment.experiment_id, experiment.name);
        if experiment.lifecycle_stage == "deleted" {
            let restored: Result<Done, _> =
                self.post("experiments/restore", Repeat::Idempotent, &json!({"experiment_id": id})).await;
            match restored {
                Err(error) if !error.is_missing() => return Err(error),
                _ => tracing::info!(experiment = name, "restored a deleted MLflow experiment"),
            }
        }
        Ok(ExperimentId(id))
    }

    async fn create_experiment(&self, name: &str, tags: &[Pair]) -> Result<ExperimentId, TrackingError> {
        // The name is unique: a repetition cannot make a second one.
        let create =
            async |body| self.post::<ExperimentCreated>("experiments/create", Repeat::Idempotent, body).await;
        let body = json!({"name": name, "artifact_location": artifact_location(name), "tags": tags});
        let created = match create(&body).await {
            // A server with workspaces says itself where their files go.
            Err(error) if error.refuses_artifact_location() => {
                create(&json!({"name": name, "tags": tags})).await
            }
            created => created,
        };
        match created {
            Ok(ExperimentCreated { experiment_id }) => Ok(ExperimentId(experiment_id)),
            Err(error) if error.already_exists() => match self.find_experiment(name).await? {
                Some(found) => self.restored(found).await,
                None => Err(error),
            },
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
