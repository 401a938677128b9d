//! A tenant's own part of MLflow, and what keeps it apart from the other tenants' parts.

use super::TrackingError;
use super::client::{Client, RegisteredModel};
use super::run::TENANT_TAG;
use super::tracker::Tracker;

/// Where a tenant's experiment, runs and registered models are. Its steps are in the file beside.
///
/// | settings | experiment | registered model | apart by |
/// |---|---|---|---|
/// | neither of the two | `<name>/<tenant>` | a name that carries the tenant | names |
/// | one tenant only | `<name>/<tenant>` | any name | the model's tag `tenant_id`, against other services on the same server |
/// | workspaces | `<name>` | any name | the server: the tenant's workspace, named by its id |
#[derive(Debug, Clone)]
pub struct Namespace {
    pub(super) client: Client,
    pub(super) tenant_id: String,
    /// Name of the experiment.
    pub(super) experiment: String,
    /// The tenant's workspace, if it has one.
    pub(super) workspace: Option<String>,
    /// Registered models' names, with `{model_type}`.
    model_name: String,
    /// Whether another tenant's registered model may have the same name.
    names_are_shared: bool,
}

impl Tracker {
    /// The tenant's namespace; its workspace is made if it is not there.
    ///
    /// # Errors
    /// [`TrackingError::Invalid`] for another tenant than the only one; those of [`Client::in_workspace`].
    pub async fn namespace(&self, tenant_id: &str) -> Result<Namespace, TrackingError> {
        let config = &self.names;
        if config.single_tenant.as_deref().is_some_and(|only| only != tenant_id) {
            let rule = "the service is bound to another one (SINGLE_TENANT)";
            return Err(TrackingError::Invalid { what: "tenant", value: tenant_id.to_owned(), rule });
        }
        let client = self.client();
        let workspace = config.workspaces.then(|| tenant_id.to_owned());
        let (client, experiment) = match &workspace {
            Some(name) => (client.in_workspace(name).await?, config.experiment_name.clone()),
            None => (client.clone(), format!("{}/{tenant_id}", config.experiment_name)),
        };
        Ok(Namespace {
            client,
            tenant_id: tenant_id.to_owned(),
            experiment,
            names_are_shared: workspace.is_none() && !config.model_name.contains("{tenant_id}"),
            workspace,
            model_name: config.model_name.replace("{tenant_id}", tenant_id),
        })
    }
}

impl Namespace {
    /// Its calls go to the tenant's workspace, if it has one.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Name of the registered model of a model type.
    pub(super) fn registered_name(&self, model_type: &str) -> String {
        self.model_name.replace("{model_type}", model_type)
    }

    /// Whether the registered model of that name is this tenant's: by its name or workspace, else by its tag.
    ///
    /// # Errors
    /// [`TrackingError::Invalid`] if it is another tenant's, or nobody's.
    pub(super) async fn check_owner(&self, name: &str) -> Result<(), TrackingError> {
        if self.names_are_shared {
            self.check_tags(name, &self.client.registered_model(name).await?)?;
        }
        Ok(())
    }

    /// As [`check_owner`](Self::check_owner), of a model at hand.
    pub(super) fn check_tags(&self, name: &str, model: &RegisteredModel) -> Result<(), TrackingError> {
        let is_own = model.tags.iter().any(|tag| tag.key == TENANT_TAG && tag.value == self.tenant_id);
        if is_own || !self.names_are_shared {
            return Ok(());
        }
        let rule = "a registered model of that name is there without this tenant's id as its tag tenant_id";
        Err(TrackingError::Invalid { what: "model name", value: name.to_owned(), rule })
    }
}
