//! Logs a finished training: six steps, each of which may be run again.

use std::sync::Arc;

use tokio::sync::Semaphore;

use super::client::{Client, ClientConfig, ModelVersion, Run, RunStatus};
use super::model_folder::{Folder, MODEL_FOLDER};
use super::namespace::Namespace;
use super::run::{Tracked, TrainingRun};
use super::{Outlook, TrackingError};

/// Where trainings are logged.
#[derive(Debug, Clone)]
pub struct TrackerConfig {
    /// The server.
    pub client: ClientConfig,
    /// A tenant's runs are in the experiment `<experiment_name>/<tenant>`; in that of its workspace,
    /// `<experiment_name>`, if it has one.
    pub experiment_name: String,
    /// Registered model's name, with `{model_type}`; with `{tenant_id}`, too, unless one of the next two
    /// settings keeps tenants' names apart.
    pub model_name: String,
    /// Whether each tenant has a workspace of its own, named by its id.
    pub workspaces: bool,
    /// The only tenant whose trainings are logged; `None`: all.
    pub single_tenant: Option<String>,
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
            workspaces: false,
            single_tenant: None,
            concurrency: 4,
        }
    }
}

/// Logs trainings; clones share connections, cache and the limit of concurrency.
#[derive(Debug, Clone)]
pub struct Tracker {
    client: Client,
    pub(super) names: Names,
    permits: Arc<Semaphore>,
}

/// The part of [`TrackerConfig`] by which tenants are kept apart.
#[derive(Debug, Clone)]
pub(super) struct Names {
    pub(super) experiment_name: String,
    pub(super) model_name: String,
    pub(super) workspaces: bool,
    pub(super) single_tenant: Option<String>,
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
        let TrackerConfig { client, experiment_name, model_name, workspaces, single_tenant, concurrency } =
            config;
        let is_apart = workspaces || single_tenant.is_some() || model_name.contains("{tenant_id}");
        if !(is_apart && model_name.contains("{model_type}")) {
            let rule = "must hold {model_type}, and {tenant_id} where tenants share one namespace";
            return Err(TrackingError::Invalid { what: "model name", value: model_name, rule });
        }
        let permits = Arc::new(Semaphore::new(concurrency.max(1)));
        let names = Names { experiment_name, model_name, workspaces, single_tenant };
        Ok(Self { client: Client::new(client)?, names, permits })
    }

    /// The client, outside of any workspace: for health checks and for what is no tenant's.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Whether the server is up, lets us in, and can keep tenants apart as it is to.
    ///
    /// # Errors
    /// What a real call would meet.
    pub async fn verify(&self) -> Result<(), TrackingError> {
        self.client.health().await?;
        if self.names.workspaces {
            // The one that is always there.
            self.client.in_workspace("default").await?;
        }
        Ok(())
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
        let namespace = self.namespace(&training.tenant_id).await?;
        let (run, begun) = namespace.find_or_open(training).await?;
        match namespace.complete(training, &run, begun, watch).await {
            Ok(version) => Ok(Tracked {
                model_uri: format!("runs:/{}/{MODEL_FOLDER}", run.info.run_id),
                run_id: run.info.run_id,
                registered_model: version.name,
                registered_version: version.version,
            }),
            Err(error) => {
                if !matches!(error, TrackingError::CalledOff { .. }) && error.outlook() == Outlook::Lasting {
                    let failed = (&run.info.run_id, RunStatus::Failed, training.finished_at);
                    if let Err(second) = namespace.client.update_run(failed.0, failed.1, failed.2).await {
                        tracing::warn!(run_id = run.info.run_id, %second, "MLflow run could not be marked FAILED");
                    }
                }
                Err(error)
            }
        }
    }
}

impl Namespace {
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
        let workspaces = |name| TrackerConfig { workspaces: true, ..config(name) };
        let single = |name| TrackerConfig { single_tenant: Some("t".into()), ..config(name) };
        assert!(Tracker::new(workspaces("{model_type}")).is_ok());
        assert!(Tracker::new(single("{model_type}")).is_ok());
        assert!(Tracker::new(workspaces("{tenant_id}")).is_err());
    }

    #[test]
    fn logging_can_be_spawned() {
        fn assert_send<T: Send>(_: T) {}
        let _check = |tracker: &Tracker, training: &TrainingRun| assert_send(tracker.log(training));
    }
}
