//! Logs a finished training: six steps, each of which may be run again.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use backon::Retryable;
use tokio::sync::Semaphore;

use super::client::{ArtifactFile, Client, ClientConfig, ModelVersion, Pair, Run, RunInfo, RunStatus};
use super::model_folder::{Folder, MODEL_FOLDER};
use super::run::{JOB_TAG, Tracked, TrainingRun};
use super::{Outlook, TrackingError};

/// Where trainings are logged.
#[derive(Debug, Clone)]
pub struct TrackerConfig {
    /// The server.
    pub client: ClientConfig,
    /// A tenant's runs are in the experiment `<experiment_name>/<tenant>`.
    pub experiment_name: String,
    /// Registered model's name, with `{tenant_id}` and `{model_type}`.
    pub model_name: String,
    /// Trainings logged at the same time. MLflow's database pool takes 15 connections, and a burst
    /// beyond it waits 30 s to fail: 4 to 8.
    pub concurrency: usize,
}

impl TrackerConfig {
    /// The defaults: `{tenant_id}_{model_type}`, four at a time.
    #[must_use]
    pub fn new(client: ClientConfig, experiment_name: impl Into<String>) -> Self {
        Self {
            client,
            experiment_name: experiment_name.into(),
            model_name: "{tenant_id}_{model_type}".to_owned(),
            concurrency: 4,
        }
    }
}

/// Logs trainings; clones share connections, cache and the limit of concurrency.
#[derive(Debug, Clone)]
pub struct Tracker {
    client: Client,
    experiment_name: String,
    model_name: String,
    permits: Arc<Semaphore>,
}

/// What [`Tracker::log`] does, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// Experiment and run.
    Open,
    /// Params, metrics, tags, data set.
    Values,
    /// Files.
    Upload,
    /// The tag that marks the model.
    Describe,
    /// The registered version.
    Register,
    /// FINISHED.
    Finish,
}

impl Step {
    /// A stable name for logs and tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Values => "values",
            Self::Upload => "upload",
            Self::Describe => "describe",
            Self::Register => "register",
            Self::Finish => "finish",
        }
    }
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// Learns of each step before it begins, and may call the attempt off.
pub trait Watch: Sync {
    /// Before `step`; the run is known from the second one on.
    ///
    /// # Errors
    /// [`TrackingError::CalledOff`] ends the attempt here.
    fn before(
        &self,
        step: Step,
        run_id: Option<&str>,
    ) -> impl Future<Output = Result<(), TrackingError>> + Send;
}

struct Unwatched;

impl Watch for Unwatched {
    async fn before(&self, _: Step, _: Option<&str>) -> Result<(), TrackingError> {
        Ok(())
    }
}

impl Tracker {
    /// A tracker; connects on first use.
    ///
    /// # Errors
    /// [`TrackingError::Invalid`] for a setting that cannot work.
    pub fn new(config: TrackerConfig) -> Result<Self, TrackingError> {
        let TrackerConfig { client, experiment_name, model_name, concurrency } = config;
        if !(model_name.contains("{tenant_id}") && model_name.contains("{model_type}")) {
            let rule = "must hold {tenant_id} and {model_type}: tenants share one namespace";
            return Err(TrackingError::Invalid { what: "model name", value: model_name, rule });
        }
        let permits = Arc::new(Semaphore::new(concurrency.max(1)));
        Ok(Self { client: Client::new(client)?, experiment_name, model_name, permits })
    }

    /// The client, for health checks and for what is beyond one training.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Name of the registered model of a tenant's model type.
    pub(super) fn registered_name(&self, tenant_id: &str, model_type: &str) -> String {
        self.model_name.replace("{tenant_id}", tenant_id).replace("{model_type}", model_type)
    }

    /// Logs the training, or takes up where an earlier attempt stopped; a training that is there
    /// already is only looked up. One attempt per job at a time.
    ///
    /// # Errors
    /// After a failure that may pass ([`TrackingError::outlook`]) the run is left open, to be taken
    /// up by the next call; after a lasting one it is marked FAILED as well as that can be done, and
    /// the next call still takes it up.
    pub async fn log<M: Folder>(&self, training: &TrainingRun<M>) -> Result<Tracked, TrackingError> {
        self.log_watched(training, &Unwatched).await
    }

    /// As [`log`](Self::log); `watch` is asked before each step.
    ///
    /// # Errors
    /// As there, and [`TrackingError::CalledOff`].
    pub async fn log_watched<M: Folder>(
        &self,
        training: &TrainingRun<M>,
        watch: &impl Watch,
    ) -> Result<Tracked, TrackingError> {
        let _permit = self.permits.acquire().await.expect("the semaphore is never closed");
        watch.before(Step::Open, None).await?;
        let (run, begun) = self.find_or_open(training).await?;
        match self.complete(training, &run, begun, watch).await {
            Ok(version) => Ok(Tracked {
                model_uri: format!("runs:/{}/{MODEL_FOLDER}", run.info.run_id),
                run_id: run.info.run_id,
                registered_model: version.name,
                registered_version: version.version,
            }),
            Err(error) => {
                if !matches!(error, TrackingError::CalledOff { .. }) && error.outlook() == Outlook::Lasting {
                    let failed = (&run.info.run_id, RunStatus::Failed, training.finished_at);
                    if let Err(second) = self.client.update_run(failed.0, failed.1, failed.2).await {
                        tracing::warn!(run_id = run.info.run_id, %second, "MLflow run could not be marked FAILED");
                    }
                }
                Err(error)
            }
        }
    }

    async fn complete<M: Folder>(
        &self,
        training: &TrainingRun<M>,
        run: &Run,
        begun: bool,
        watch: &impl Watch,
    ) -> Result<ModelVersion, TrackingError> {
        let info = &run.info;
        let run_id = Some(info.run_id.as_str());
        if info.status == RunStatus::Finished {
            watch.before(Step::Register, run_id).await?;
            return self.register(training, info).await;
        }
        watch.before(Step::Values, run_id).await?;
        self.log_values(training, info).await?;
        watch.before(Step::Upload, run_id).await?;
        if begun {
            self.upload_missing(training, info).await?
        } else {
            self.upload(training, info).await?
        }
        watch.before(Step::Describe, run_id).await?;
        self.describe(training, info).await?;
        watch.before(Step::Register, run_id).await?;
        let version = self.register(training, info).await?;
        watch.before(Step::Finish, run_id).await?;
        self.finish(training, info).await?;
        Ok(version)
    }

    /// Step 1: the job's run, found by its tag or created.
    ///
    /// # Errors
    /// As every call.
    pub async fn open<M: Folder>(&self, training: &TrainingRun<M>) -> Result<Run, TrackingError> {
        self.find_or_open(training).await.map(|(run, _)| run)
    }

    /// The run, and whether it was there.
    async fn find_or_open<M: Folder>(&self, training: &TrainingRun<M>) -> Result<(Run, bool), TrackingError> {
        let name = format!("{}/{}", self.experiment_name, training.tenant_id);
        match self.find_or_create(&name, training).await {
            Err(error) if error.experiment_is_gone() => {
                self.client.forget_experiment(&name);
                self.find_or_create(&name, training).await
            }
            other => other,
        }
    }

    /// A creation is never repeated blindly: its answer may be what got lost. The search before it
    /// is repeated too.
    async fn find_or_create<M: Folder>(
        &self,
        name: &str,
        training: &TrainingRun<M>,
    ) -> Result<(Run, bool), TrackingError> {
        let job_id = training.job_id.to_string();
        let step = async || {
            let experiment = self.client.experiment(name, &tenant_tags(training)).await?;
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
        self.client.log_batch(&run.run_id, &training.values()).await?;
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
    async fn upload_missing<M: Folder>(
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
        let name = self.registered_name(&training.tenant_id, &training.model_type);
        let source = format!("{}/{MODEL_FOLDER}", run.artifact_uri);
        let mut tags = tenant_tags(training);
        tags.push(Pair::new("model_type", &training.model_type));
        self.client.ensure_registered_model(&name, &tags).await?;
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
    vec![Pair::new("tenant_id", &training.tenant_id)]
}

/// Failures of a creation that a new search may find to have been a success. What never arrived
/// was repeated by the client already, and a timeout has taken all the patience there is.
fn worth_searching_again(error: &TrackingError) -> bool {
    matches!(error.call(), Some("runs/create" | "model-versions/create"))
        && error.is_transient()
        && !error.never_arrived()
        && !matches!(error, TrackingError::Timeout { .. })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(model_name: &str) -> TrackerConfig {
        let uri = reqwest::Url::parse("http://127.0.0.1:5000").expect("an address");
        TrackerConfig { model_name: model_name.into(), ..TrackerConfig::new(ClientConfig::new(uri), "binah") }
    }

    #[test]
    fn a_name_that_tenants_would_share_is_refused() {
        assert!(Tracker::new(config("{tenant_id}.{model_type}")).is_ok());
        for bad in ["{model_type}", "{tenant_id}", ""] {
            assert!(Tracker::new(config(bad)).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn logging_can_be_spawned() {
        fn assert_send<T: Send>(_: T) {}
        let _check = |tracker: &Tracker, training: &TrainingRun| assert_send(tracker.log(training));
    }
}
