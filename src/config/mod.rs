//! Every setting, from the environment or a `.env` file, checked once at the start.
//!
//! One struct per concern; a setting that cannot be used stops the start with one line that names
//! it. Secrets are [`SecretString`]s and never printed.

mod connections;
mod mlflow;
mod neo4j;
mod settings;
#[cfg(test)]
mod tests;

use std::{num::NonZeroU32, path::PathBuf, time::Duration};

use secrecy::{ExposeSecret, SecretString};

pub use mlflow::MlflowConfig;
pub use neo4j::Neo4jConfig;
pub use settings::ConfigError;
use settings::Settings;

use crate::{
    auth::{TenantId, TokenConfig},
    jobs::Limits,
    schedule::{Cron, Zone},
    storage::{Login, SslMode},
};

/// The documented secret of development; production refuses it.
pub const DEVELOPMENT_SECRET: &str =
    "your-super-secret-key-change-this-in-production-at-least-32-characters-long";

/// Shortest secret that production accepts, in bytes: HS256 wants as much as its hash.
const SHORTEST_SECRET: usize = 32;

/// All settings.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where we run.
    pub environment: Environment,
    /// The HTTP listener.
    pub api: ApiConfig,
    /// How tokens are verified.
    pub token: TokenConfig,
    /// Whether tenants are kept apart; only ever false in development, and then only in name:
    /// row-level security stays on.
    pub tenant_isolation: bool,
    /// The only tenant that is served; `None`: all.
    pub single_tenant: Option<TenantId>,
    /// The database.
    pub postgres: PostgresConfig,
    /// The tracking server.
    pub mlflow: MlflowConfig,
    /// The graph database; `None` when it is switched off.
    pub neo4j: Option<Neo4jConfig>,
    /// The operator's Cypher templates, `<name>.cypher` files.
    pub cypher_templates: Option<PathBuf>,
    /// Where model files are kept: a folder, or a URL that begins with `s3://`, `gs://`, `az://`.
    pub model_registry_path: String,
    /// Most bytes of models that are kept in memory to predict with.
    pub model_cache_bytes: u64,
    /// How trainings share the machine.
    pub training: TrainingConfig,
    /// Which new versions are served.
    pub promotion: PromotionConfig,
    /// Regular retraining.
    pub retrain: RetrainConfig,
    /// Where libxgboost lies, if not in one of the usual places.
    pub xgboost_lib: Option<PathBuf>,
    /// What is logged.
    pub log: LogConfig,
}

/// Where we run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Environment {
    /// Documentation pages on, any CORS origin, development secret allowed.
    Development,
    /// Like production, for a staging cluster.
    Staging,
    /// Everything strict.
    Production,
}

impl Environment {
    /// Whether development's conveniences are off.
    #[must_use]
    pub fn is_strict(self) -> bool {
        self != Self::Development
    }
}

/// The HTTP listener.
#[derive(Debug, Clone)]
pub struct ApiConfig {
    /// Address to listen on.
    pub host: String,
    /// Port to listen on.
    pub port: u16,
    /// Port of its own for `/metrics`; `None`: on the API's port.
    pub metrics_port: Option<u16>,
    /// Origins that browsers may call from in production.
    pub cors_origins: Vec<String>,
    /// Largest request body in bytes.
    pub max_body_bytes: usize,
    /// How long a shutdown still takes requests: until load balancers have noticed.
    pub shutdown_delay: Duration,
    /// How long a shutdown then waits for requests in flight.
    pub shutdown_grace: Duration,
}

/// The database: the unprivileged login that serves, and the owner that migrates.
#[derive(Debug, Clone)]
pub struct PostgresConfig {
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Database name.
    pub database: String,
    /// The service's login.
    pub user: String,
    /// Its password.
    pub password: SecretString,
    /// Owner of the tables; used by `migrate`, `import` and `doctor` alone.
    pub owner_user: String,
    /// Its password.
    pub owner_password: SecretString,
    /// Login that runs `training_data_query`; `None`: such queries are switched off.
    pub query_login: Option<Login>,
    /// Whether and how connections are encrypted.
    pub ssl_mode: SslMode,
    /// Most connections of one process.
    pub max_connections: u32,
}

/// How trainings share the machine, and the queue before it.
#[derive(Debug, Clone)]
pub struct TrainingConfig {
    /// Trainings that this process runs at the same time; 0: none, other processes do.
    pub workers: usize,
    /// Threads of one training.
    pub threads: usize,
    /// Most rows of one training.
    pub max_rows: usize,
    /// Memory that the trainings of this process may take together, in bytes.
    pub memory: u64,
    /// Rounds of boosting between two checkpoints.
    pub checkpoint_rounds: NonZeroU32,
    /// The queue of all processes.
    pub queue: Limits,
}

/// Which new versions are served: become the champion.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PromotionConfig {
    /// Who decides.
    pub policy: PromotionPolicy,
    /// Share of the champion's error by which a new version's has to be smaller, 0 to below 1. The error is
    /// rmse, or 1 - auc_roc.
    pub margin: f64,
}

/// Who decides whether a new version becomes the champion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PromotionPolicy {
    /// The metric: the better one on the same held-out rows.
    Auto,
    /// An administrator, through the API.
    Manual,
    /// Nobody: the newest is served.
    Always,
}

/// Regular retraining.
#[derive(Debug, Clone)]
pub struct RetrainConfig {
    /// Whether models without a schedule of their own are retrained.
    pub enabled: bool,
    /// When.
    pub cron: Cron,
    /// Longest offset of a tenant's model type from the times of a cron expression.
    pub jitter: Duration,
    /// Time between two counts of the records, where new ones lead to a retraining.
    pub check: Duration,
}

/// What is logged.
#[derive(Debug, Clone)]
pub struct LogConfig {
    /// A level, or a filter such as `info,binah_ml=debug`.
    pub level: String,
    /// JSON lines instead of text.
    pub json: bool,
}

impl Config {
    /// Reads the process environment, after a `.env` file in the working directory if there is one.
    ///
    /// # Errors
    /// Names the first setting that cannot be used.
    pub fn from_env() -> Result<Self, ConfigError> {
        match dotenvy::dotenv() {
            Err(error) if !error.not_found() => return Err(ConfigError::new(".env", error.to_string())),
            _ => {}
        }
        Self::from_lookup(&|name| std::env::var(name).ok())
    }

    /// Reads settings through `lookup`; an empty value counts as unset.
    ///
    /// # Errors
    /// Names the first setting that cannot be used.
    pub fn from_lookup(lookup: &dyn Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let settings = Settings::new(lookup);
        let environment = environment(&settings)?;
        let single_tenant = single_tenant(&settings)?;
        Ok(Self {
            environment,
            api: ApiConfig {
                host: settings.text("API_HOST", "0.0.0.0"),
                port: settings.parse("API_PORT", 8098)?,
                metrics_port: settings.optional("METRICS_PORT")?,
                cors_origins: origins(&settings)?,
                max_body_bytes: settings.parse("MAX_BODY_BYTES", 16 << 20)?,
                shutdown_delay: Duration::from_secs(
                    settings.parse("SHUTDOWN_DELAY_SECONDS", if environment.is_strict() { 5 } else { 0 })?,
                ),
                shutdown_grace: Duration::from_secs(settings.parse("SHUTDOWN_GRACE_SECONDS", 30)?),
            },
            token: token(&settings, environment)?,
            tenant_isolation: tenant_isolation(&settings, environment)?,
            single_tenant,
            postgres: postgres(&settings, environment)?,
            mlflow: MlflowConfig::read(&settings, single_tenant)?,
            neo4j: Neo4jConfig::read(&settings)?,
            cypher_templates: settings.get("CYPHER_TEMPLATES_DIR").map(PathBuf::from),
            model_registry_path: settings.text("MODEL_REGISTRY_PATH", "./data/models"),
            model_cache_bytes: settings.parse("MODEL_CACHE_BYTES", 512 << 20)?,
            training: training(&settings)?,
            promotion: promotion(&settings)?,
            retrain: retrain(&settings)?,
            xgboost_lib: settings.get("XGBOOST_LIB").map(PathBuf::from),
            log: LogConfig {
                level: log_level(&settings)?,
                json: settings.choice(
                    "LOG_FORMAT",
                    &["pretty", "json"],
                    if environment.is_strict() { "json" } else { "pretty" },
                )? == "json",
            },
        })
    }
}

fn environment(settings: &Settings<'_>) -> Result<Environment, ConfigError> {
    let names = ["development", "staging", "production"];
    Ok(match settings.choice("ENVIRONMENT", &names, "development")?.as_str() {
        "production" => Environment::Production,
        "staging" => Environment::Staging,
        _ => Environment::Development,
    })
}

fn origins(settings: &Settings<'_>) -> Result<Vec<String>, ConfigError> {
    let default = "http://localhost:3000,http://localhost:8092,https://app.binelek.com";
    let origins: Vec<String> =
        settings.text("CORS_ORIGINS", default).split(',').map(|origin| origin.trim().to_owned()).collect();
    match origins.iter().find(|origin| !origin.contains("://") || origin.ends_with('/')) {
        Some(origin) => Err(ConfigError::new(
            "CORS_ORIGINS",
            format!("'{origin}' is no origin; expected scheme://host[:port], separated by commas"),
        )),
        None => Ok(origins),
    }
}

fn token(settings: &Settings<'_>, environment: Environment) -> Result<TokenConfig, ConfigError> {
    let secret = settings.secret("JWT_SECRET").unwrap_or_else(|| DEVELOPMENT_SECRET.to_owned().into());
    let refuse = |problem: &str| Err(ConfigError::new("JWT_SECRET", problem));
    if environment.is_strict() {
        if secret.expose_secret() == DEVELOPMENT_SECRET {
            return refuse("is unset or the development default; set a secret of your own");
        }
        if secret.expose_secret().len() < SHORTEST_SECRET {
            return refuse("is shorter than 32 bytes; set a longer one");
        }
    }
    settings.choice("JWT_ALGORITHM", &["HS256"], "HS256")?;
    Ok(TokenConfig {
        secret,
        issuer: settings.text("JWT_ISSUER", "Binah.Auth"),
        audience: settings.text("JWT_AUDIENCE", "Binah.Platform"),
    })
}

fn tenant_isolation(settings: &Settings<'_>, environment: Environment) -> Result<bool, ConfigError> {
    let on = settings.flag("ENABLE_TENANT_ISOLATION", true)?;
    if !on && environment.is_strict() {
        return Err(ConfigError::new("ENABLE_TENANT_ISOLATION", "must not be false outside development"));
    }
    Ok(on)
}

fn single_tenant(settings: &Settings<'_>) -> Result<Option<TenantId>, ConfigError> {
    let Some(text) = settings.get("SINGLE_TENANT") else { return Ok(None) };
    match text.parse() {
        Ok(id) => Ok(Some(TenantId::trusted(id))),
        Err(_) => Err(ConfigError::new("SINGLE_TENANT", format!("must be a tenant's UUID, not '{text}'"))),
    }
}

fn postgres(settings: &Settings<'_>, environment: Environment) -> Result<PostgresConfig, ConfigError> {
    let secret = |name: &str, default: &str| match settings.secret(name) {
        Some(secret) => Ok(secret),
        None if environment.is_strict() => Err(ConfigError::new(name, "is not set")),
        None => Ok(default.to_owned().into()),
    };
    let password = secret("POSTGRES_PASSWORD", "binah_ml_app")?;
    let query_password = match settings.secret("POSTGRES_QUERY_PASSWORD") {
        None if !environment.is_strict() => Some("svc_query".to_owned().into()),
        other => other,
    };
    let query_login = query_password
        .map(|password| Login { name: settings.text("POSTGRES_QUERY_USER", "svc_query"), password });
    let owner_password = settings.secret("POSTGRES_OWNER_PASSWORD").unwrap_or_else(|| password.clone());
    Ok(PostgresConfig {
        host: settings.text("POSTGRES_HOST", "localhost"),
        port: settings.parse("POSTGRES_PORT", 5432)?,
        database: settings.text("POSTGRES_DB", "binah_ml"),
        user: settings.text("POSTGRES_USER", "binah_ml_app"),
        password,
        owner_user: settings.text("POSTGRES_OWNER_USER", "postgres"),
        owner_password,
        ssl_mode: settings
            .choice("POSTGRES_SSLMODE", &["disable", "prefer", "require", "verify-full"], "prefer")?
            .parse()
            .map_err(|problem: String| ConfigError::new("POSTGRES_SSLMODE", problem))?,
        query_login,
        max_connections: settings.positive("POSTGRES_MAX_CONNECTIONS", 16)? as u32,
    })
}

fn training(settings: &Settings<'_>) -> Result<TrainingConfig, ConfigError> {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let positive = |name, default: u32| {
        let value: NonZeroU32 = settings.parse(name, NonZeroU32::new(default).unwrap_or(NonZeroU32::MIN))?;
        Ok::<_, ConfigError>(value)
    };
    let default = Limits::default();
    Ok(TrainingConfig {
        workers: settings.parse("WORKERS", 2)?,
        threads: settings.positive("TRAINING_THREADS", cores)?,
        max_rows: settings.positive("TRAINING_MAX_ROWS", 5_000_000)?,
        memory: settings.positive("TRAINING_MEMORY_MB", 4096)? as u64 * (1 << 20),
        checkpoint_rounds: positive("TRAINING_CHECKPOINT_ROUNDS", 100)?,
        queue: Limits {
            queued: settings.positive("TRAINING_QUEUE", default.queued)?,
            queued_by_tenant: settings.positive("TENANT_TRAINING_QUEUE", default.queued_by_tenant)?,
            running_by_tenant: settings.positive("TENANT_TRAININGS", default.running_by_tenant)?,
            attempts: positive("TRAINING_ATTEMPTS", default.attempts)?.get(),
            lease: Duration::from_secs(settings.positive("TRAINING_LEASE_SECONDS", 15)? as u64),
        },
    })
}

fn promotion(settings: &Settings<'_>) -> Result<PromotionConfig, ConfigError> {
    let policy = match settings.choice("PROMOTION", &["auto", "manual", "always"], "auto")?.as_str() {
        "manual" => PromotionPolicy::Manual,
        "always" => PromotionPolicy::Always,
        _ => PromotionPolicy::Auto,
    };
    let margin: f64 = settings.parse("PROMOTION_MARGIN", 0.0)?;
    if !(0.0..1.0).contains(&margin) {
        return Err(ConfigError::new("PROMOTION_MARGIN", "must be a share from 0 to below 1"));
    }
    Ok(PromotionConfig { policy, margin })
}

fn retrain(settings: &Settings<'_>) -> Result<RetrainConfig, ConfigError> {
    let refused = |name| move |problem: String| ConfigError::new(name, format!("is no good: {problem}"));
    let zone =
        Zone::parse(&settings.text("RETRAIN_TIME_ZONE", "UTC")).map_err(refused("RETRAIN_TIME_ZONE"))?;
    let cron = Cron::parse(&settings.text("RETRAIN_SCHEDULE", "0 2 * * *"), zone);
    Ok(RetrainConfig {
        enabled: settings.flag("AUTO_RETRAIN", false)?,
        cron: cron.map_err(refused("RETRAIN_SCHEDULE"))?,
        jitter: Duration::from_secs(settings.parse::<u32>("RETRAIN_JITTER_SECONDS", 900)?.into()),
        check: Duration::from_secs(settings.positive("RETRAIN_CHECK_SECONDS", 60)? as u64),
    })
}

/// Python's level names work as well as ours.
fn log_level(settings: &Settings<'_>) -> Result<String, ConfigError> {
    let level = settings.text("LOG_LEVEL", "info").to_lowercase();
    let level = match level.as_str() {
        "warning" => "warn".to_owned(),
        "critical" | "fatal" => "error".to_owned(),
        _ => level,
    };
    match tracing_subscriber::EnvFilter::try_new(&level) {
        Ok(_) => Ok(level),
        Err(error) => Err(ConfigError::new("LOG_LEVEL", format!("'{level}': {error}"))),
    }
}
