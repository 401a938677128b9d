//! Workspaces: namespaces within one server (MLflow 3.17 with `--enable-workspaces`).

use reqwest::Method;
use serde_json::json;

use super::super::TrackingError;
use super::wire::WorkspaceFound;
use super::{Client, Repeat, limits};

/// Names the workspace that a call is about. A call without it is about the workspace `default`.
pub(super) const HEADER: &str = "x-mlflow-workspace";

const PATH: &str = "api/3.0/mlflow/workspaces";

impl Client {
    /// This client within the workspace of that name, which is made if it is not there. What it makes is
    /// there, and it sees nothing else.
    ///
    /// The server is asked each time: one that knows no workspaces may take the header for nothing, as
    /// MLflow 2 does, and would put all that follows into the one namespace that it has.
    ///
    /// # Errors
    /// [`TrackingError::NoWorkspaces`] from such a server; [`TrackingError::Invalid`] for a name that is
    /// none.
    pub async fn in_workspace(&self, name: &str) -> Result<Self, TrackingError> {
        let name = limits::workspace_name(name)?;
        match self.find_workspace(name).await {
            Err(error) if error.is_missing() => self.create_workspace(name).await?,
            found => found?,
        }
        Ok(Self { workspace: Some(name.to_owned()), ..self.clone() })
    }

    async fn find_workspace(&self, name: &str) -> Result<(), TrackingError> {
        const CALL: &str = "workspaces/get";
        let url = format!("{PATH}/{name}");
        match self.call(CALL, Repeat::Idempotent, || self.request(Method::GET, &url)).await {
            Ok(WorkspaceFound { workspace }) if workspace.name == name => Ok(()),
            Ok(WorkspaceFound { workspace }) => {
                let reason = format!("it is about {:?}, not {name:?}", workspace.name);
                Err(TrackingError::UnreadableAnswer { call: CALL, reason })
            }
            // An older MLflow has no such page; nor has whatever else may stand at that address.
            Err(error) if error.is_no_such_page() => {
                self.health().await?;
                Err(TrackingError::NoWorkspaces)
            }
            Err(error) => Err(error),
        }
    }

    /// With a place for files that the server proxies, whatever its default is.
    async fn create_workspace(&self, name: &str) -> Result<(), TrackingError> {
        let body =
            json!({"name": name, "default_artifact_root": format!("mlflow-artifacts:/workspaces/{name}")});
        let request = || self.request(Method::POST, PATH).json(&body);
        // The name is unique: a repetition cannot make a second one.
        match self.call::<WorkspaceFound>("workspaces/create", Repeat::Idempotent, request).await {
            Err(error) if !error.already_exists() => Err(error),
            _ => Ok(()),
        }
    }
}
