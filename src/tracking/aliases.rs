//! MLflow's aliases and version tags, brought to what our registry says.

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
    /// MLflow's versions with their tags; other tags are left alone.
    pub versions: Vec<(String, Vec<Pair>)>,
}

impl Tracker {
    /// Makes the registered model's aliases and the versions' tags what `state` says, with as few calls
    /// as that takes. May be repeated.
    ///
    /// # Errors
    /// As every call; what was done until then stays.
    pub async fn follow_aliases(&self, state: &AliasState) -> Result<(), TrackingError> {
        let client = self.client();
        let name = self.registered_name(&state.tenant_id, &state.model_type);
        for (version, tags) in &state.versions {
            let set = client.model_version(&name, version).await?.tags;
            for tag in tags.iter().filter(|tag| !set.contains(tag)) {
                client.set_version_tag(&name, version, tag).await?;
            }
        }
        let pointing = client.aliases(&name).await?;
        for (alias, version) in &state.aliases {
            let now = pointing.iter().find(|found| found.alias == *alias).map(|found| &found.version);
            match version {
                Some(version) if now != Some(version) => client.set_alias(&name, alias, version).await?,
                None if now.is_some() => client.delete_alias(&name, alias).await?,
                _ => {}
            }
        }
        Ok(())
    }
}
