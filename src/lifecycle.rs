//! Use case: the life of a version after its training: aliases, rollback, deprecation. Postgres decides,
//! MLflow follows.

use std::time::Duration;

use uuid::Uuid;

use crate::{
    auth::{Caller, tenant},
    catalog::ModelType,
    error::{BoxError, Result},
    inference::VersionSelector,
    registry::{Alias, ModelRecord, Registry, VersionDetail},
    tracking::{AliasState, Pair, Tracker, VersionState},
};

/// Changes versions and tells MLflow.
#[derive(Debug, Clone)]
pub struct Lifecycle {
    registry: Registry,
    tracker: Tracker,
    /// How long an answer waits for MLflow.
    wait: Duration,
}

/// What was done, and whether MLflow has it already.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// The version that it is about.
    pub version: ModelRecord,
    /// The champion until then, where a rollback replaced it.
    pub replaced: Option<ModelRecord>,
    /// Whether MLflow's aliases and tags say the same; if not, it was away or does not know the version yet.
    pub mlflow_follows: bool,
}

impl Lifecycle {
    /// Changes `registry`; `tracker` follows within `wait`.
    #[must_use]
    pub fn new(registry: Registry, tracker: Tracker, wait: Duration) -> Self {
        Self { registry, tracker, wait }
    }

    /// Points an alias to a version.
    ///
    /// # Errors
    /// As [`Registry::set_alias`].
    pub async fn set_alias(
        &self,
        caller: &Caller,
        model_type: ModelType,
        alias: &Alias,
        version: &VersionSelector,
    ) -> Result<Change> {
        let record = self.registry.set_alias(caller, model_type, alias, version).await?;
        tracing::info!(model = %record.id, version = record.version, %alias, "alias set");
        Ok(self.told(model_type, record, None).await)
    }

    /// Takes an alias away; whether MLflow follows.
    ///
    /// # Errors
    /// As [`Registry::remove_alias`].
    pub async fn remove_alias(&self, caller: &Caller, model_type: ModelType, alias: &Alias) -> Result<bool> {
        self.registry.remove_alias(caller, model_type, alias).await?;
        tracing::info!(%model_type, %alias, "alias taken away");
        Ok(self.follow(model_type, None).await)
    }

    /// Makes the champion before this one the champion again.
    ///
    /// # Errors
    /// As [`Registry::rollback`].
    pub async fn rollback(&self, caller: &Caller, model_type: ModelType) -> Result<Change> {
        let (record, replaced) = self.registry.rollback(caller, model_type).await?;
        tracing::info!(model = %record.id, version = record.version, from = replaced.version, "rolled back");
        Ok(self.told(model_type, record, Some(replaced)).await)
    }

    /// Takes a version out of service.
    ///
    /// # Errors
    /// As [`Registry::deprecate`].
    pub async fn deprecate(
        &self,
        caller: &Caller,
        model_type: ModelType,
        version: &VersionSelector,
    ) -> Result<Change> {
        let record = self.registry.deprecate(caller, model_type, version).await?;
        tracing::info!(model = %record.id, version = record.version, "deprecated");
        Ok(self.told(model_type, record, None).await)
    }

    async fn told(
        &self,
        model_type: ModelType,
        version: ModelRecord,
        replaced: Option<ModelRecord>,
    ) -> Change {
        let mlflow_follows = self.follow(model_type, Some(version.id)).await;
        Change { version, replaced, mlflow_follows }
    }

    /// Brings MLflow to what the registry says of a type's aliases, and of the version `touched`. Best
    /// effort, bounded: the change is safe in Postgres. Whether MLflow says the same now.
    pub async fn follow(&self, model_type: ModelType, touched: Option<Uuid>) -> bool {
        let work = async {
            let (state, is_whole) = self.state(model_type, touched).await?;
            let follows = self.tracker.follow_aliases(&state).await?;
            Ok::<_, BoxError>(is_whole && follows)
        };
        match tokio::time::timeout(self.wait, work).await.map_err(BoxError::from).and_then(|done| done) {
            Ok(is_whole) => is_whole,
            Err(error) => {
                tracing::warn!(%model_type, %error, "MLflow's aliases do not follow yet");
                false
            }
        }
    }

    /// The state to be followed, read anew, and whether MLflow knows every version in it.
    async fn state(&self, model_type: ModelType, touched: Option<Uuid>) -> Result<(AliasState, bool)> {
        let (pointers, details) = self.registry.aliases(model_type, touched).await?;
        let registered = |id: Uuid| {
            let record =
                details.iter().map(|detail| &detail.version.record).find(|record| record.id == id)?;
            record.registered_version.clone()
        };
        let mut is_whole = details.iter().all(|detail| detail.version.record.registered_version.is_some());
        let mut aliases = vec![];
        for (alias, model) in pointers {
            match model.map(registered) {
                None => aliases.push((alias, None)),
                Some(Some(version)) => aliases.push((alias, Some(version))),
                // Not logged yet: the alias follows with its run.
                Some(None) => is_whole = false,
            }
        }
        let versions = details.iter().filter_map(|detail| {
            let record = &detail.version.record;
            Some(VersionState {
                version: record.registered_version.clone()?,
                run_id: record.mlflow_run_id.clone(),
                tags: tags(detail),
            })
        });
        let state = AliasState {
            tenant_id: tenant::current()?.to_string(),
            model_type: model_type.name.to_owned(),
            aliases,
            versions: versions.collect(),
        };
        Ok((state, is_whole))
    }
}

/// Metrics that a version's page shows; the run has all of them.
const SHOWN_METRICS: [&str; 6] = ["rmse", "mae", "r2", "accuracy", "auc_roc", "anomaly_rate"];

/// What a version's page in MLflow says of it.
fn tags(detail: &VersionDetail) -> Vec<Pair> {
    let record = &detail.version.record;
    let mut tags = vec![
        Pair::new("tenant_id", record.tenant.to_string()),
        Pair::new("state", record.status.as_str()),
        Pair::new("model_version", record.version_label()),
    ];
    tags.extend(record.mlflow_run_id.as_deref().map(|run| Pair::new("run_id", run)));
    tags.extend(record.data_digest.as_deref().map(|digest| Pair::new("data_digest", digest)));
    let main = record.metrics.iter().filter(|(name, _)| SHOWN_METRICS.contains(&name.as_str()));
    tags.extend(main.map(|(name, value)| Pair::new(format!("metric.{name}"), value.to_string())));
    tags.extend(detail.promotions.first().map(|last| {
        let word = if last.promoted { "promoted" } else { "not promoted" };
        Pair::new("promotion", format!("{word} ({}): {}", last.decision, last.reason))
    }));
    tags
}
