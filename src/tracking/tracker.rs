//! Logs a finished training: six steps, each of which may be run again.

use std::sync::Arc;

use backon::Retryable;
use tokio::sync::Semaphore;

use super::TrackingError;
use super::client::{Client, ClientConfig, ModelVersion, Pair, Run, RunInfo, RunStatus};
use super::model_folder::MODEL_FOLDER;
use super::run::{JOB_TAG, Tracked, TrainingRun};

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
    /// After a passing failure ([`TrackingError::is_transient`]) the run is left open, to be taken
    /// up by the next call; after any other it is marked FAILED as well as that can be done, and
    /// the next call still takes it up.
    pub async fn log(&self, training: &TrainingRun) -> Result<Tracked, TrackingError> {
        let _permit = self.permits.acquire().await.expect("the semaphore is never closed");
        let run = self.open(training).await?;
        match self.complete(training, &run).await {
            Ok(version) => Ok(Tracked {
                model_uri: format!("runs:/{}/{MODEL_FOLDER}", run.info.run_id),
                run_id: run.info.run_id,
                registered_model: version.name,
                registered_version: version.version,
            }),
            Err(error) => {
                if !error.is_transient() {
                    let failed = (&run.info.run_id, RunStatus::Failed, training.finished_at);
                    if let Err(second) = self.client.update_run(failed.0, failed.1, failed.2).await {
                        tracing::warn!(run_id = run.info.run_id, %second, "MLflow run could not be marked FAILED");
                    }
                }
                Err(error)
            }
        }
    }

    async fn complete(&self, training: &TrainingRun, run: &Run) -> Result<ModelVersion, TrackingError> {
        if run.info.status == RunStatus::Finished {
            return self.register(training, &run.info).await;
        }
        self.log_values(training, &run.info).await?;
        self.upload(training, &run.info).await?;
        self.describe(training, &run.info).await?;
        let version = self.register(training, &run.info).await?;
        self.finish(training, &run.info).await?;
        Ok(version)
    }

    /// Step 1: the job's run, found by its tag or created.
    ///
    /// # Errors
    /// As every call.
    pub async fn open(&self, training: &TrainingRun) -> Result<Run, TrackingError> {
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
    async fn find_or_create(&self, name: &str, training: &TrainingRun) -> Result<Run, TrackingError> {
        let job_id = training.job_id.to_string();
        let step = async || {
            let experiment = self.client.experiment(name, &tenant_tags(training)).await?;
            match self.client.find_run(&experiment, JOB_TAG, &job_id).await? {
                Some(run) => Ok(run),
                None => self.client.create_run(&experiment, &training.opening()).await,
            }
        };
        step.retry(self.client.retry().backoff()).when(worth_searching_again).await
    }

    /// Step 2: params, metrics, curves, tags, note and data set.
    ///
    /// # Errors
    /// As every call.
    pub async fn log_values(&self, training: &TrainingRun, run: &RunInfo) -> Result<(), TrackingError> {
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
    pub async fn upload(&self, training: &TrainingRun, run: &RunInfo) -> Result<(), TrackingError> {
        let model = training.model.files(&mlmodel(training, run));
        for file in training.files.iter().chain(&model) {
            self.client.upload(run, file).await?;
        }
        Ok(())
    }

    /// Step 4: the run's page learns that `model/` is a model. The tag is what `runs/log-model`
    /// appends to; set as a whole, it can be set again.
    ///
    /// # Errors
    /// As every call.
    pub async fn describe(&self, training: &TrainingRun, run: &RunInfo) -> Result<(), TrackingError> {
        let document = mlmodel(training, run);
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
    pub async fn register(
        &self,
        training: &TrainingRun,
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
    pub async fn finish(&self, training: &TrainingRun, run: &RunInfo) -> Result<(), TrackingError> {
        self.client.update_run(&run.run_id, RunStatus::Finished, training.finished_at).await
    }
}

fn tenant_tags(training: &TrainingRun) -> Vec<Pair> {
    vec![Pair::new("tenant_id", &training.tenant_id)]
}

/// The same training gives the same document: the uuid is the job's.
fn mlmodel(training: &TrainingRun, run: &RunInfo) -> serde_json::Value {
    let uuid = training.job_id.simple().to_string();
    training.model.mlmodel(&run.run_id, &uuid, training.finished_at)
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
