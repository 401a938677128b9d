//! Where Postgres is, and how the service uses it.

use std::{str::FromStr, time::Duration};

use secrecy::{ExposeSecret, SecretString};
use sqlx::postgres::{PgConnectOptions, PgSslMode};

/// One database, as one user.
#[derive(Debug, Clone)]
pub struct ConnectConfig {
    /// Host name, address, or the folder of a Unix socket (begins with `/`).
    pub host: String,
    /// Port.
    pub port: u16,
    /// Database name.
    pub database: String,
    /// Who connects.
    pub login: Login,
    /// Whether and how the connection is encrypted.
    pub ssl_mode: SslMode,
}

/// A Postgres role that can log in.
#[derive(Debug, Clone)]
pub struct Login {
    /// Role name.
    pub name: String,
    /// Password; empty where the server asks for none.
    pub password: SecretString,
}

/// The part of libpq's `sslmode` that makes sense for a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SslMode {
    /// Never encrypted.
    Disable,
    /// Encrypted where the server offers it.
    #[default]
    Prefer,
    /// Encrypted or refused; the certificate is not checked.
    Require,
    /// Encrypted, certificate and host name checked.
    VerifyFull,
}

impl FromStr for SslMode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "disable" => Ok(Self::Disable),
            "prefer" => Ok(Self::Prefer),
            "require" => Ok(Self::Require),
            "verify-full" => Ok(Self::VerifyFull),
            _ => Err(format!("'{text}' is none of disable, prefer, require, verify-full")),
        }
    }
}

/// How many connections the service holds, and how long it waits.
#[derive(Debug, Clone)]
pub struct PoolConfig {
    /// Most connections of this process.
    pub max_connections: u32,
    /// How long a request waits for one before it is answered 503.
    pub acquire_timeout: Duration,
    /// How long one statement may run on the server, unless its transaction says otherwise.
    pub statement_timeout: Duration,
}

impl Default for PoolConfig {
    /// 16 connections, 5 s, 30 s.
    fn default() -> Self {
        Self {
            max_connections: 16,
            acquire_timeout: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(30),
        }
    }
}

impl ConnectConfig {
    /// The same server and database as another user.
    #[must_use]
    pub fn with_login(&self, login: Login) -> Self {
        Self { login, ..self.clone() }
    }

    /// The same server and user, another database.
    #[must_use]
    pub fn with_database(&self, database: impl Into<String>) -> Self {
        Self { database: database.into(), ..self.clone() }
    }

    /// Everything is set, so that no `PG*` variable of the environment has a say in it.
    pub(super) fn options(&self) -> PgConnectOptions {
        let options = PgConnectOptions::new_without_pgpass()
            .host(&self.host)
            .port(self.port)
            .database(&self.database)
            .username(&self.login.name)
            .password(self.login.password.expose_secret())
            .application_name("binah-ml");
        options.ssl_mode(match self.ssl_mode {
            SslMode::Disable => PgSslMode::Disable,
            SslMode::Prefer => PgSslMode::Prefer,
            SslMode::Require => PgSslMode::Require,
            SslMode::VerifyFull => PgSslMode::VerifyFull,
        })
    }
}
