//! Rows from Neo4j: attributes and relationships of projects and properties, and `:TrainingData`.
//!
//! [`GraphSource`] is the one door. It runs templates only: ours (`templates/*.cypher`, one a model type) and
//! the operator's, each proved to touch the nodes of one tenant alone (`check`) and to be read-only
//! (EXPLAIN). Every query runs in the scope of a tenant ([`crate::auth::tenant`]), which is bound as
//! `$tenantId`; `$today` is the day of the training. Community edition has no row-level rules, and read mode
//! is no security: users never send Cypher.
//!
//! A template returns `entity_id` (text or integer), the features by name, and perhaps `observed_at` and the
//! target; to add a default one, write `templates/<model type>.cypher` and name it in `template`.

mod check;
mod decode;
mod loader;
mod session;
mod template;

use std::path::PathBuf;
use std::time::Duration;

use chrono::NaiveDate;
use secrecy::SecretString;

pub use loader::load;
pub use template::TemplateError;

use super::table::KeyedTable;
use crate::catalog::ModelType;
use crate::config::Neo4jConfig;
use crate::error::{Error, FieldError, Result};
use session::Session;
use template::{Template, Templates};

/// What a `training_data_query` that names a template begins with.
pub const PREFIX: &str = "cypher:";
/// A template's column with the target, if it does not use the catalog's name.
const TARGET: &str = "target";

/// How to reach Neo4j, and what a query may take.
#[derive(Debug, Clone)]
pub struct GraphOptions {
    /// `bolt://`, `bolt+s://`, `neo4j://` or `neo4j+s://` address; port 7687 unless named.
    pub uri: String,
    /// Login.
    pub user: String,
    /// Its password.
    pub password: SecretString,
    /// A certificate authority of one's own (PEM) for the `+s` schemes; else the system's.
    pub ca_certificate: Option<PathBuf>,
    /// Most connections.
    pub max_connections: usize,
    /// How long a connection may take to be made.
    pub connect_timeout: Duration,
    /// How long a query may take: the server stops it then, and the client a second later.
    pub query_timeout: Duration,
    /// Most rows of one query.
    pub max_rows: usize,
    /// The operator's templates: `<name>.cypher` files.
    pub templates: Option<PathBuf>,
}

impl From<&Neo4jConfig> for GraphOptions {
    /// With at most 5,000,000 rows and no templates of the operator.
    fn from(config: &Neo4jConfig) -> Self {
        Self {
            uri: config.uri.clone(),
            user: config.user.clone(),
            password: config.password.clone(),
            ca_certificate: config.ca_file.clone(),
            max_connections: config.max_connections,
            connect_timeout: config.connect_timeout,
            query_timeout: config.query_timeout,
            max_rows: 5_000_000,
            templates: None,
        }
    }
}

/// Neo4j as a source of training rows.
pub struct GraphSource {
    session: Session,
    templates: Templates,
}

impl std::fmt::Debug for GraphSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GraphSource").field("templates", &self.templates).finish_non_exhaustive()
    }
}

impl GraphSource {
    /// Reads and checks the templates; connects when the first query runs.
    ///
    /// # Errors
    /// [`OpenError`] with the file and reason of a template, or what is wrong with the address. The
    /// service must not start then.
    pub fn open(options: &GraphOptions) -> Result<Self, OpenError> {
        let templates = Templates::load(options.templates.as_deref())?;
        Ok(Self { session: Session::open(options)?, templates })
    }

    /// Asks the server whether it takes every template for read-only. Templates that were not asked
    /// about are asked about before their first run.
    ///
    /// # Errors
    /// [`OpenError::Template`] stops the start; [`OpenError::Unavailable`] means that Neo4j is down
    /// now, and the service may start without it.
    pub async fn verify(&self) -> Result<(), OpenError> {
        for template in self.templates.all() {
            self.session.verify(template).await?;
        }
        Ok(())
    }

    /// Names of the operator's templates, in alphabetical order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.templates.names()
    }

    /// The rows of the current tenant by the default template of `model_type`.
    ///
    /// # Errors
    /// [`Error::NoTenantScope`] outside a scope, [`Error::Unavailable`] naming Neo4j when it is down or takes
    /// too long, [`Error::Invalid`] for values that are no features.
    pub async fn rows(&self, model_type: ModelType, today: NaiveDate) -> Result<KeyedTable> {
        let target = model_type.target.map(|target| target.name);
        self.session.rows(self.templates.default_of(model_type), model_type, target, today).await
    }

    /// The rows of the current tenant by the operator's template `name`. The target is the column of the
    /// catalog's name, else the column `target`.
    ///
    /// # Errors
    /// Those of [`Self::check_name`] and [`Self::rows`].
    pub async fn named_rows(
        &self,
        name: &str,
        model_type: ModelType,
        today: NaiveDate,
    ) -> Result<KeyedTable> {
        let (template, target) = self.named(name, model_type)?;
        self.session.rows(template, model_type, target, today).await
    }

    /// Whether the operator's template `name` is there and fits the model type.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an unknown name, listing the known ones, and for a template without the target.
    pub fn check_name(&self, name: &str, model_type: ModelType) -> Result<()> {
        self.named(name, model_type).map(|_| ())
    }

    /// The template of that name and its column with the target.
    fn named(&self, name: &str, model_type: ModelType) -> Result<(&Template, Option<&'static str>)> {
        let refuse = |msg: String| {
            let input = serde_json::Value::from(format!("{PREFIX}{name}"));
            Err(Error::invalid(FieldError::body("cypher_template", ["training_data_query"], msg, input)))
        };
        let Some(template) = self.templates.named(name) else {
            let known = self.names().collect::<Vec<_>>().join(", ");
            return refuse(if known.is_empty() {
                format!("There is no Cypher template '{name}'; none is installed")
            } else {
                format!("There is no Cypher template '{name}'; there are: {known}")
            });
        };
        let Some(target) = model_type.target.map(|target| target.name) else { return Ok((template, None)) };
        match [target, TARGET].into_iter().find(|column| template.has_column(column)) {
            Some(column) => Ok((template, Some(column))),
            None => refuse(format!(
                "The Cypher template '{name}' returns no column '{target}' or '{TARGET}', which {model_type} learns"
            )),
        }
    }
}

/// Why Neo4j cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A template is refused.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// The settings cannot be used.
    #[error("NEO4J_URI: {0}")]
    Settings(String),
    /// The server does not answer.
    #[error(transparent)]
    Unavailable(Error),
}

#[cfg(test)]
mod tests;
