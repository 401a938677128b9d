//! From settings to what the rooms that connect somewhere take.

use super::{Config, ConfigError, PostgresConfig};
use crate::{
    features::neo4j::GraphOptions,
    http::{AllowedOrigins, HttpConfig},
    storage::{ConnectConfig, Login, PoolConfig},
    tracking::{ClientConfig, TrackerConfig},
    xgboost,
};

impl PostgresConfig {
    /// As the unprivileged login that serves.
    #[must_use]
    pub fn service(&self) -> ConnectConfig {
        let login = Login { name: self.user.clone(), password: self.password.clone() };
        ConnectConfig {
            host: self.host.clone(),
            port: self.port,
            database: self.database.clone(),
            login,
            ssl_mode: self.ssl_mode,
        }
    }

    /// As the owner of the tables, for migrations.
    #[must_use]
    pub fn owner(&self) -> ConnectConfig {
        let login = Login { name: self.owner_user.clone(), password: self.owner_password.clone() };
        self.service().with_login(login)
    }

    /// As the login that runs what tenants write, if that is switched on.
    #[must_use]
    pub fn query(&self) -> Option<ConnectConfig> {
        self.query_login.clone().map(|login| self.service().with_login(login))
    }

    /// How the serving process uses its connections.
    #[must_use]
    pub fn pool(&self) -> PoolConfig {
        PoolConfig { max_connections: self.max_connections, ..PoolConfig::default() }
    }
}

impl Config {
    /// MLflow and how trainings are named there.
    ///
    /// # Errors
    /// Names the address if it does not parse.
    pub fn tracker(&self) -> Result<TrackerConfig, ConfigError> {
        let mlflow = &self.mlflow;
        let uri = mlflow.tracking_uri.parse().map_err(|error| {
            ConfigError::new("MLFLOW_TRACKING_URI", format!("'{}': {error}", mlflow.tracking_uri))
        })?;
        let mut client = ClientConfig::new(uri);
        client.username = mlflow.username.clone();
        client.password = mlflow.password.clone();
        client.token = mlflow.token.clone();
        client.insecure_tls = mlflow.insecure_tls;
        client.ca_certificate.clone_from(&mlflow.ca_certificate);
        client.timeout = mlflow.timeout;
        Ok(TrackerConfig {
            model_name: mlflow.model_name.clone(),
            workspaces: mlflow.workspaces,
            single_tenant: self.single_tenant.map(|tenant| tenant.to_string()),
            ..TrackerConfig::new(client, &mlflow.experiment_name)
        })
    }

    /// What the HTTP surface needs to know.
    #[must_use]
    pub fn http(&self) -> HttpConfig {
        let strict = self.environment.is_strict();
        HttpConfig {
            production: strict,
            allowed_origins: if strict {
                AllowedOrigins::List(self.api.cors_origins.clone())
            } else {
                AllowedOrigins::Any
            },
            max_body_bytes: self.api.max_body_bytes,
            serve_metrics: self.api.metrics_port.is_none(),
            mlflow_uri: self.mlflow.tracking_uri.clone(),
            database: format!("{}:{}/{}", self.postgres.host, self.postgres.port, self.postgres.database),
            tenant_isolation_enabled: self.tenant_isolation,
            single_tenant: self.single_tenant,
            ..HttpConfig::default()
        }
    }

    /// The graph that trainings read, if there is one.
    #[must_use]
    pub fn graph(&self) -> Option<GraphOptions> {
        let options = GraphOptions::from(self.neo4j.as_ref()?);
        Some(GraphOptions {
            max_rows: self.training.max_rows,
            templates: self.cypher_templates.clone(),
            ..options
        })
    }

    /// Where libxgboost may lie.
    #[must_use]
    pub fn xgboost(&self) -> xgboost::Search {
        xgboost::Search { library: self.xgboost_lib.clone(), deps: Some(crate::dev::deps()) }
    }
}
