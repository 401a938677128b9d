//! The one place that speaks Bolt: binds the tenant, keeps time, reads rows into columns.

use std::path::Path;
use std::time::Duration;

use chrono::NaiveDate;
use neo4rs::{ConfigBuilder, Graph, Query, summary};
use secrecy::ExposeSecret;
use serde_json::json;

use super::decode::Columns;
use super::template::{Template, TemplateError};
use super::{GraphOptions, OpenError};
use crate::auth::tenant;
use crate::catalog::ModelType;
use crate::error::{Error, FieldError, Result};
use crate::features::table::KeyedTable;

/// The dependency's name in errors.
const NEO4J: &str = "Neo4j";
/// Rows of one PULL.
const FETCH_SIZE: usize = 4_096;
/// What the client grants beyond the server's own limit, for the answer's way.
const GRACE: Duration = Duration::from_secs(1);

/// Codes of a statement that cannot be run as it stands, or not over these values.
const STATEMENT: &str = "Neo.ClientError.Statement.";
/// Codes of a procedure or function that refused its arguments.
const PROCEDURE: &str = "Neo.ClientError.Procedure.";
/// The code of a statement that writes.
const ACCESS_MODE: &str = "Neo.ClientError.Statement.AccessMode";

/// A pool of connections.
pub(super) struct Session {
    graph: Graph,
    /// Host and port, to find out quickly whether somebody is there.
    address: String,
    connect_timeout: Duration,
    query_timeout: Duration,
    max_rows: usize,
}

impl Session {
    pub(super) fn open(options: &GraphOptions) -> Result<Self, OpenError> {
        // The driver asks for the process's own.
        crate::tls::install_provider();
        let mut config = ConfigBuilder::default()
            .uri(&options.uri)
            .user(&options.user)
            .password(options.password.expose_secret())
            .fetch_size(FETCH_SIZE)
            .max_connections(options.max_connections)
            // Also the longest wait for an answer: a query may be silent up to its own limit.
            .connection_timeout(options.query_timeout + 2 * GRACE);
        if let Some(certificate) = &options.ca_certificate {
            config = config.with_client_certificate(certificate);
        }
        let settings = |error: neo4rs::Error| OpenError::Settings(error.to_string());
        let graph = config.build().and_then(Graph::connect).map_err(settings)?;
        Ok(Self {
            graph,
            address: address(&options.uri)?,
            connect_timeout: options.connect_timeout,
            query_timeout: options.query_timeout,
            max_rows: options.max_rows,
        })
    }

    /// The driver, for the loader.
    pub(super) fn graph(&self) -> &Graph {
        &self.graph
    }

    /// The template's rows of the current tenant.
    pub(super) async fn rows(
        &self,
        template: &Template,
        model_type: ModelType,
        target: Option<&str>,
        today: NaiveDate,
    ) -> Result<KeyedTable> {
        let tenant = tenant::current()?;
        self.verify(template).await.map_err(|error| match error {
            OpenError::Unavailable(error) => error,
            other => Error::internal(other),
        })?;
        let query = Query::new(template.text.clone())
            .param("tenantId", tenant.to_string())
            .param("today", today)
            .extra("tx_timeout", milliseconds(self.query_timeout));
        let read = async {
            let failed = |error| failure_of_values(error, template);
            let mut stream = self.graph.execute_read(query).await.map_err(failed)?;
            let mut columns = Columns::new(&template.columns, model_type, target);
            while let Some(row) = stream.next().await.map_err(failed)? {
                if columns.len() == self.max_rows {
                    return Err(columns.too_many(self.max_rows));
                }
                columns.push(&row)?;
            }
            Ok(columns.finish())
        };
        self.in_time(read).await
    }

    /// EXPLAIN: nothing is run, and the server says what the query would do.
    pub(super) async fn verify(&self, template: &Template) -> Result<(), OpenError> {
        if template.is_verified() {
            return Ok(());
        }
        let query = Query::new(format!("EXPLAIN {}", template.text))
            .param("tenantId", "")
            .param("today", NaiveDate::default())
            .extra("tx_timeout", milliseconds(self.query_timeout));
        let explain = async {
            let stream = match self.graph.execute_read(query).await {
                Ok(stream) => stream,
                // A server that is ill says so with other codes.
                Err(neo4rs::Error::Neo4j(error)) if error.code().starts_with(STATEMENT) => {
                    return Ok(Err(error.message().lines().next().unwrap_or_default().to_owned()));
                }
                Err(error) => return Err(failure(error)),
            };
            let summary = stream.finish().await.map_err(failure)?;
            Ok(match summary.query_type() {
                summary::Type::Read => Ok(()),
                other => Err(format!("the server does not call it read-only but {other:?}")),
            })
        };
        match self.in_time(explain).await.map_err(OpenError::Unavailable)? {
            Ok(()) => {
                template.set_verified();
                Ok(())
            }
            Err(reason) => Err(TemplateError { file: template.file.clone(), reason }.into()),
        }
    }

    /// A server that is not there is found out by connecting, in seconds; the driver itself would wait for
    /// as long as a query may take.
    pub(super) async fn in_time<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        match tokio::time::timeout(self.connect_timeout, tokio::net::TcpStream::connect(&self.address)).await
        {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => return Err(unavailable(error)),
            Err(_) => return Err(unavailable(format!("no connection to {} in time", self.address))),
        }
        let limit = self.query_timeout + GRACE;
        let late = || Err(unavailable(format!("no answer within {} s", limit.as_secs())));
        tokio::time::timeout(limit, work).await.unwrap_or_else(|_| late())
    }
}

/// `host:port` of a `scheme://host[:port]` address.
fn address(uri: &str) -> Result<String, OpenError> {
    let wrong = || OpenError::Settings("must be bolt://host:port, or with bolt+s, neo4j, neo4j+s".into());
    let (scheme, rest) = uri.split_once("://").ok_or_else(wrong)?;
    if !["bolt", "bolt+s", "neo4j", "neo4j+s"].contains(&scheme) {
        return Err(wrong());
    }
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    match host {
        "" => Err(wrong()),
        _ if host.contains('@') => Err(OpenError::Settings("must not hold a login; set NEO4J_USER".into())),
        _ if has_port => Ok(host.to_owned()),
        _ => Ok(format!("{host}:7687")),
    }
}

fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

fn unavailable(source: impl Into<crate::error::BoxError>) -> Error {
    Error::Unavailable { dependency: NEO4J, source: source.into() }
}

/// What the driver reports, for the operator: a wrong password, a query that takes too long. Of what the server says
/// only the code: its messages quote values, which are tenants'.
pub(super) fn failure(error: neo4rs::Error) -> Error {
    match error {
        neo4rs::Error::Neo4j(server) if server.code().starts_with(STATEMENT) => {
            Error::internal(server.code().to_owned())
        }
        neo4rs::Error::Neo4j(server) => unavailable(server.code().to_owned()),
        neo4rs::Error::RoutingTableError((code, _)) => unavailable(code),
        neo4rs::Error::UnexpectedMessage(_)
        | neo4rs::Error::UnknownMessage(_)
        | neo4rs::Error::UnknownType(_)
        | neo4rs::Error::InvalidTypeMarker(_)
        | neo4rs::Error::DeserializationError(_) => {
            unavailable("an answer that the driver does not understand")
        }
        other => unavailable(other),
    }
}

/// As [`failure`], of a template that the server has accepted: what it cannot run now, it cannot run over the
/// tenant's values.
fn failure_of_values(error: neo4rs::Error, template: &Template) -> Error {
    match &error {
        neo4rs::Error::Neo4j(server)
            if server.code() != ACCESS_MODE
                && (server.code().starts_with(STATEMENT) || server.code().starts_with(PROCEDURE)) =>
        {
            // Its name only: the folder is the operator's.
            let name = Path::new(&template.file).file_stem().unwrap_or_default().to_string_lossy();
            let msg = format!(
                "The Cypher template '{name}' cannot be computed over the graph: a property has another type or form \
                 than the template expects"
            );
            Error::invalid(FieldError::body("graph_value", ["training_data_query"], msg, json!(name)))
        }
        _ => failure(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_a_port() {
        let host = |uri| address(uri).ok();
        assert_eq!(host("bolt://db").as_deref(), Some("db:7687"));
        assert_eq!(host("neo4j+s://db.example:1/x").as_deref(), Some("db.example:1"));
        assert_eq!(host("bolt+s://[::1]:7").as_deref(), Some("[::1]:7"));
        for wrong in ["db:7687", "http://db", "bolt://", "bolt://user:word@db", "bolt+ssc://db"] {
            assert_eq!(host(wrong), None, "{wrong}");
        }
    }
}
