//! Settings of the graph database.

use std::{path::PathBuf, time::Duration};

use secrecy::SecretString;

use super::{ConfigError, settings::Settings};

/// The graph database.
#[derive(Debug, Clone)]
pub struct Neo4jConfig {
    /// `bolt://`, `bolt+s://`, `neo4j://` or `neo4j+s://` address.
    pub uri: String,
    /// Login.
    pub user: String,
    /// Its password.
    pub password: SecretString,
    /// A certificate authority of one's own (PEM) for the `+s` schemes; else the system's.
    pub ca_file: Option<PathBuf>,
    /// Most connections of one process.
    pub max_connections: usize,
    /// How long a connection may take to be made.
    pub connect_timeout: Duration,
    /// How long a query may take.
    pub query_timeout: Duration,
}

impl Neo4jConfig {
    /// A server by its address and login; the rest as by default: 8 connections, 3 s to connect, 60 s a
    /// query, the system's certificate authorities.
    #[must_use]
    pub fn new(uri: impl Into<String>, user: impl Into<String>, password: impl Into<SecretString>) -> Self {
        Self {
            uri: uri.into(),
            user: user.into(),
            password: password.into(),
            ca_file: None,
            max_connections: 8,
            connect_timeout: Duration::from_secs(3),
            query_timeout: Duration::from_secs(60),
        }
    }

    /// `None` when `NEO4J_URI` is empty: the source is off.
    pub(super) fn read(settings: &Settings<'_>) -> Result<Option<Self>, ConfigError> {
        let Some(uri) = settings.get("NEO4J_URI") else { return Ok(None) };
        if !["bolt://", "bolt+s://", "neo4j://", "neo4j+s://"].iter().any(|scheme| uri.starts_with(scheme)) {
            let problem = "must begin with bolt://, bolt+s://, neo4j:// or neo4j+s://";
            return Err(ConfigError::new("NEO4J_URI", problem));
        }
        let user = settings.text("NEO4J_USER", "neo4j");
        let default = Self::new(uri, user, settings.secret("NEO4J_PASSWORD").unwrap_or_default());
        let seconds = |name, default: Duration| -> Result<Duration, ConfigError> {
            Ok(Duration::from_secs(settings.positive(name, default.as_secs() as usize)? as u64))
        };
        Ok(Some(Self {
            ca_file: settings.get("NEO4J_CA_FILE").map(PathBuf::from),
            max_connections: settings.positive("NEO4J_MAX_CONNECTIONS", default.max_connections)?,
            connect_timeout: seconds("NEO4J_CONNECT_TIMEOUT_SECONDS", default.connect_timeout)?,
            query_timeout: seconds("NEO4J_QUERY_TIMEOUT_SECONDS", default.query_timeout)?,
            ..default
        }))
    }
}
