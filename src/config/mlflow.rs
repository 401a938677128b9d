//! The tracking server.

use std::{path::PathBuf, time::Duration};

use secrecy::SecretString;

use super::{ConfigError, settings::Settings};
use crate::auth::TenantId;

/// The tracking server.
#[derive(Debug, Clone)]
pub struct MlflowConfig {
    /// Base address.
    pub tracking_uri: String,
    /// First part of each tenant's experiment name; all of it where the tenant has a workspace.
    pub experiment_name: String,
    /// Artifact location of new experiments, if not the server's proxy.
    pub artifact_root: Option<String>,
    /// Name of the registered model, with `{model_type}`, and with `{tenant_id}` where tenants share names.
    pub model_name: String,
    /// Whether each tenant has a workspace of its own.
    pub workspaces: bool,
    /// Basic authentication.
    pub username: Option<String>,
    /// Basic authentication.
    pub password: Option<SecretString>,
    /// Bearer token, instead of user and password.
    pub token: Option<SecretString>,
    /// Whether the server's certificate is not checked.
    pub insecure_tls: bool,
    /// PEM file of the authorities that may have signed it, beside the system's.
    pub ca_certificate: Option<PathBuf>,
    /// Limit of one request.
    pub timeout: Duration,
    /// How long a training's answer waits for its run.
    pub wait: Duration,
}

impl MlflowConfig {
    /// `single_tenant`: the only tenant of the service, if it has one.
    pub(super) fn read(
        settings: &Settings<'_>,
        single_tenant: Option<TenantId>,
    ) -> Result<Self, ConfigError> {
        let tracking_uri = settings.text("MLFLOW_TRACKING_URI", "http://localhost:5000");
        if !tracking_uri.starts_with("http://") && !tracking_uri.starts_with("https://") {
            return Err(ConfigError::new(
                "MLFLOW_TRACKING_URI",
                "must be the http:// or https:// address of a server",
            ));
        }
        let model_name = settings.text("MLFLOW_MODEL_NAME", "{tenant_id}_{model_type}");
        let workspaces = settings.flag("MLFLOW_WORKSPACES", false)?;
        let is_shared = !workspaces && single_tenant.is_none();
        if !model_name.contains("{model_type}") || (is_shared && !model_name.contains("{tenant_id}")) {
            return Err(ConfigError::new(
                "MLFLOW_MODEL_NAME",
                "must contain {model_type}, and {tenant_id} unless MLFLOW_WORKSPACES or SINGLE_TENANT is set",
            ));
        }
        Ok(Self {
            tracking_uri: tracking_uri.trim_end_matches('/').to_owned(),
            experiment_name: settings.text("MLFLOW_EXPERIMENT_NAME", "binah-ml"),
            artifact_root: settings.get("MLFLOW_ARTIFACT_ROOT"),
            model_name,
            workspaces,
            username: settings.get("MLFLOW_TRACKING_USERNAME"),
            password: settings.secret("MLFLOW_TRACKING_PASSWORD"),
            token: settings.secret("MLFLOW_TRACKING_TOKEN"),
            insecure_tls: settings.flag("MLFLOW_TRACKING_INSECURE_TLS", false)?,
            ca_certificate: settings.get("MLFLOW_TRACKING_SERVER_CERT_PATH").map(PathBuf::from),
            timeout: Duration::from_secs(settings.positive("MLFLOW_HTTP_REQUEST_TIMEOUT", 60)? as u64),
            wait: Duration::from_secs(settings.parse("MLFLOW_WAIT_SECONDS", 10)?),
        })
    }
}
