//! The steps of a training into its tenant's namespace, each of which may be run again.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Write;

use backon::Retryable;

use super::TrackingError;
use super::client::{ArtifactFile, ModelVersion, Pair, Run, RunInfo, RunStatus};
use super::model_folder::{Folder, MODEL_FOLDER};
use super::namespace::Namespace;
use super::run::{JOB_TAG, TENANT_TAG, TrainingRun};

impl Namespace {
    /// Step 1: the job's run, found by its tag or created.
    ///
    /// # Errors
    /// As every call.
    pub async fn open<M: Folder>(&self, training: &TrainingRun<M>) -> Result<Run, TrackingError> {
        self.find_or_open(training).await.map(|(run, _)| run)
    }

    /// The run, and whether it was there.
    pub(super) async fn find_or_open<M: Folder>(
        &self,
        training: &TrainingRun<M>,
    ) -> Result<(Run, bool), TrackingError> {
        match self.find_or_create(training).await {
            Err(error) if error.experiment_is_gone() => {
                self.client.forget_experiment(&self.experiment);
                self.find_or_create(training).await
            }
            other => other,
        }
    }

    /// A creation is never repeated blindly: its answer may be what got lost. The search before it
    /// is repeated too.
    async fn find_or_create<M: Folder>(
        &self,
        training: &TrainingRun<M>,
    ) -> Result<(Run, bool), TrackingError> {
        let job_id = training.job_id.to_string();
        let step = async || {
            let experiment = self.client.experiment(&self.experiment, &tenant_tags(training)).await?;
            match self.client.find_run(&experiment, JOB_TAG, &job_id).await? {
                Some(run) => Ok((run, true)),
                None => {
                    let run = self.client.create_run(&experiment, &training.opening()).await?;
                    Ok((run, false))
                }
            }
        };
        step.retry(self.client.retry().backoff()).when(worth_searching_again).await
    }

    /// Step 2: params, metrics, curves, tags, note and data set.
    ///
    /// # Errors
    /// As every call.
    pub async fn log_values<M: Folder>(
        &self,
        training: &TrainingRun<M>,
        run: &RunInfo,
    ) -> Result<(), TrackingError> {
        let mut values = training.values();
        if let Some(workspace) = &self.workspace {
            let note = values.tags.iter_mut().filter(|(key, _)| key == "mlflow.note.content");
            note.for_each(|(_, note)| {
                let _ = write!(note, "\nIn Python first: `mlflow.set_workspace(\"{workspace}\")`.\n");
            });
        }
        self.client.log_batch(&run.run_id, &values).await?;
        match &training.dataset {
            Some(dataset) => self.client.log_inputs(&run.run_id, dataset).await,
            None => Ok(()),
        }
    }

    /// Step 3: all files; those that are there already are overwritten with the same bytes.
    ///
    /// # Errors
    /// As every call.
    pub async fn upload<M: Folder>(
        &self,
        training: &TrainingRun<M>,
        run: &RunInfo,
    ) -> Result<(), TrackingError> {
        self.upload_all(training, run, &HashMap::new()).await
    }

    /// Step 3 of a run that was begun: the files that the server does not have in full. MLmodel is
    /// always written: its length may be that of another attempt's.
    pub(super) async fn upload_missing<M: Folder>(
        &self,
        training: &TrainingRun<M>,
        run: &RunInfo,
    ) -> Result<(), TrackingError> {
        let folder = |path: &str| path.rsplit_once('/').map_or_else(String::new, |(folder, _)| folder.into());
        let folders: BTreeSet<String> = training.files.iter().map(|file| folder(&file.path)).collect();
        let mut there = HashMap::new();
        for folder in folders {
            match self.client.artifact_sizes(&run.run_id, &folder).await {
                Ok(sizes) => there.extend(sizes),
                Err(error) => {
                    tracing::debug!(%error, folder, "MLflow does not tell which files it has: all are sent");
                }
            }
        }
        self.upload_all(training, run, &there).await
    }

    async fn upload_all<M: Folder>(
        &self,
        training: &TrainingRun<M>,
        run: &RunInfo,
        there: &HashMap<String, u64>,
    ) -> Result<(), TrackingError> {
        let is_there = |file: &ArtifactFile| there.get(&file.path) == Some(&(file.bytes.len() as u64));
        for file in training.files.iter().filter(|file| !is_there(file)) {
            self.client.upload(run, file).await?;
        }
        for file in training.model.contents(&training.mlmodel(&run.run_id)) {
            self.client.upload(run, &file).await?;
        }
        Ok(())
    }

    /// Step 4: the run's page learns that `model/` is a model. The tag is what `runs/log-model`
    /// appends to; set as a whole, it can be set again.
    ///
    /// # Errors
    /// As every call.
    pub async fn describe<M: Folder>(
        &self,
        training: &TrainingRun<M>,
        run: &RunInfo,
    ) -> Result<(), TrackingError> {
        let document = training.mlmodel(&run.run_id);
        let shown = ["run_id", "artifact_path", "utc_time_created", "model_uuid", "flavors"];
        let entry: serde_json::Map<_, _> =
            shown.into_iter().map(|key| (key.to_owned(), document[key].clone())).collect();
        let history = serde_json::Value::from(vec![entry]).to_string();
        self.client.set_tag(&run.run_id, "mlflow.log-model.history", &history).await
    }

    /// Step 5: the registered model and its version from this run, found or created.
    ///
    /// # Errors
    /// As every call.
    pub async fn register<M: Folder>(
        &self,
        training: &TrainingRun<M>,
        run: &RunInfo,
    ) -> Result<ModelVersion, TrackingError> {
        let name = self.registered_name(&training.model_type);
        let source = format!("{}/{MODEL_FOLDER}", run.artifact_uri);
        let mut tags = tenant_tags(training);
        tags.push(Pair::new("model_type", &training.model_type));
        self.client.ensure_registered_model(&name, &tags).await?;
        self.check_owner(&name).await?;
        tags.push(Pair::new(JOB_TAG, training.job_id.to_string()));
        tags.push(Pair::new("version", training.version.to_string()));
        let step = async || match self.client.find_model_version(&name, &run.run_id).await? {
            Some(version) => Ok(version),
            None => self.client.create_model_version(&name, &source, &run.run_id, &tags).await,
        };
        step.retry(self.client.retry().backoff()).when(worth_searching_again).await
    }

    /// Step 6: the run is FINISHED, which says that all steps are done.
    ///
    /// # Errors
    /// As every call.
    pub async fn finish<M: Folder>(
        &self,
        training: &TrainingRun<M>,
        run: &RunInfo,
    ) -> Result<(), TrackingError> {
        self.client.update_run(&run.run_id, RunStatus::Finished, training.finished_at).await
    }
}

fn tenant_tags<M>(training: &TrainingRun<M>) -> Vec<Pair> {
    vec![Pair::new(TENANT_TAG, &training.tenant_id)]
}

/// Failures of a creation that a new search may find to have been a success. What never arrived
/// was repeated by the client already, and a timeout has taken all the patience there is.
fn worth_searching_again(error: &TrackingError) -> bool {
    matches!(error.call(), Some("runs/create" | "model-versions/create"))
        && error.is_transient()
        && !error.never_arrived()
        && !matches!(error, TrackingError::Timeout { .. })
}
