//! MLflow's aliases and version tags, brought to what our registry says.

use std::collections::HashSet;

use super::TrackingError;
use super::client::Pair;
use super::tracker::Tracker;

/// What one registered model should look like. It is the whole state, not a change: applying it twice, or
/// an older one followed by a newer one, ends in the newer one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AliasState {
    /// Whose model it is.
    pub tenant_id: String,
    /// Model type, such as `cost_forecasting`.
    pub model_type: String,
    /// Aliases with MLflow's version, or none where the alias was taken away. Others are left alone: data
    /// scientists have aliases of their own.
    pub aliases: Vec<(String, Option<String>)>,
    /// MLflow's versions.
    pub versions: Vec<VersionState>,
}

/// What one of its versions should look like.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VersionState {
    /// MLflow's number.
    pub version: String,
    /// The run that it came from.
    pub run_id: Option<String>,
    /// Tags; others are left alone.
    pub tags: Vec<Pair>,
}

impl Tracker {
    /// Makes the registered model's aliases and the versions' tags what `state` says, with as few calls
    /// as that takes. May be repeated. False if some of the versions are not there: MLflow's numbers count
    /// by name and workspace, and since a version was registered, the setting of either may have changed.
    ///
    /// # Errors
    /// As every call, and those of [`namespace`](Self::namespace); what was done until then stays.
    pub async fn follow_aliases(&self, state: &AliasState) -> Result<bool, TrackingError> {
        let namespace = self.namespace(&state.tenant_id).await?;
        let client = namespace.client();
        let name = namespace.registered_name(&state.model_type);
        let model = match client.registered_model(&name).await {
            Err(error) if error.is_missing() => return Ok(false),
            model => model?,
        };
        namespace.check_tags(&name, &model)?;
        let mut there = HashSet::new();
        for VersionState { version, run_id, tags } in &state.versions {
            let found = match client.model_version(&name, version).await {
                Err(error) if error.is_missing() => continue,
                found => found?,
            };
            if run_id.as_ref().is_some_and(|run_id| *run_id != found.run_id) {
                tracing::warn!(model = name, version, "MLflow has another run under this version");
                continue;
            }
            there.insert(version);
            for tag in tags.iter().filter(|tag| !found.tags.contains(tag)) {
                client.set_version_tag(&name, version, tag).await?;
            }
        }
        for (alias, version) in &state.aliases {
            let now = model.aliases.iter().find(|found| found.alias == *alias).map(|found| &found.version);
            match version.as_ref().filter(|version| there.contains(version)) {
                Some(version) if now != Some(version) => client.set_alias(&name, alias, version).await?,
                None if now.is_some() => client.delete_alias(&name, alias).await?,
                _ => {}
            }
        }
        Ok(there.len() == state.versions.len())
    }
}
