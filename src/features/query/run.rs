//! Running a checked query inside limits, straight into columns.

use std::time::{Duration, Instant};

use super::{
    CheckedQuery, Policy, Refusal,
    audit::Audit,
    check,
    failure::refusal,
    result::{self, MAX_TEXT},
};
use crate::{
    Error, Result,
    auth::{TenantId, tenant},
    catalog::ModelType,
    features::{
        FeatureTable,
        postgres::{columns::Columns, copy::CopyDecoder},
        table::ColumnValues,
    },
    storage::{
        ConnectConfig, Database, QueryDatabase, QueryFailure, QueryLimits, QuerySession, imported_tables,
    },
};

/// The server's own limit comes a little before ours, so that the caller gets its word as a rule.
const GRACE: Duration = Duration::from_secs(2);

/// Limits of what one query may take.
#[derive(Debug, Clone, Copy)]
pub struct QueryConfig {
    /// Most rows of a result.
    pub max_rows: usize,
    /// Most bytes of a result, as Postgres sends it.
    pub max_bytes: usize,
    /// How long a query may run.
    pub timeout: Duration,
    /// Most queries of this process at once.
    pub max_connections: u32,
    /// How long a query waits for its turn before it is answered 503.
    pub acquire_timeout: Duration,
}

impl Default for QueryConfig {
    /// 5,000,000 rows, 2 GiB, 120 s, 4 at once, 10 s.
    fn default() -> Self {
        Self {
            max_rows: 5_000_000,
            max_bytes: 2 << 30,
            timeout: Duration::from_secs(120),
            max_connections: 4,
            acquire_timeout: Duration::from_secs(10),
        }
    }
}

/// A query that a tenant wrote, and what it is for.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// Who sent it, for the audit line.
    pub user_id: &'a str,
    /// Names the target and the numbered categories.
    pub model_type: ModelType,
    /// The query.
    pub text: &'a str,
}

/// What one query took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryStats {
    /// Rows of the result.
    pub rows: usize,
    /// Bytes of the result, as Postgres sent it.
    pub bytes: usize,
    /// From the request to the last row.
    pub elapsed: Duration,
    /// Columns of the result that describe the row and are no feature: `tenant_id`, `id`, `entity_id`.
    pub skipped: Vec<String>,
}

/// Runs tenants' queries.
#[derive(Debug, Clone)]
pub struct TenantQuery {
    database: QueryDatabase,
    /// Knows the tenant's own tables.
    service: Database,
    policy: Policy,
    config: QueryConfig,
}

impl TenantQuery {
    /// `connect` is the database as the query login; `service` signs for the tenant. Connects when needed.
    #[must_use]
    pub fn new(connect: &ConnectConfig, service: Database, policy: Policy, config: QueryConfig) -> Self {
        let limits = QueryLimits {
            max_connections: config.max_connections,
            acquire_timeout: config.acquire_timeout,
            statement_timeout: config.timeout,
        };
        Self { database: QueryDatabase::new(connect, service.clone(), limits), service, policy, config }
    }

    /// Checks and runs the query on behalf of the tenant whose scope is open. The columns of the
    /// result are the features; the catalog's target name, or `target`, is the target, and
    /// `observed_at` the time of the row. Text is a category, a boolean 0 or 1, a time the days since
    /// 1970. Dropped, or out of time, the query is stopped on the server as well.
    ///
    /// Every call leaves one line of the tracing target `audit`.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a query that is not allowed, fails, or takes too much: what and where,
    /// never what the database said. [`Error::Unavailable`] if the database is away.
    pub async fn run(&self, request: Request<'_>) -> Result<(FeatureTable, QueryStats)> {
        let tenant = tenant::current()?;
        let mut audit = Audit::begin(tenant, request.user_id, check::hash(request.text));
        let policy = self.policy().await.map_err(|error| audit.ends("error", error.code(), error))?;
        let checked = CheckedQuery::parse(request.text, &policy)
            .map_err(|refusal| audit.ends("refused", refusal.kind, refusal.into()))?;
        let limit = self.config.timeout + GRACE;
        let work = self.load(tenant, &checked, request.model_type, &mut audit);
        match tokio::time::timeout(limit, work).await {
            Ok(Ok((table, skipped))) => {
                audit.ok();
                let stats =
                    QueryStats { rows: audit.rows, bytes: audit.bytes, elapsed: audit.elapsed(), skipped };
                Ok((table, stats))
            }
            Ok(Err(QueryFailure::Statement(code))) => {
                let refusal = refusal(&code, self.config.timeout);
                tracing::debug!(sqlstate = code, query = checked.hash(), "a tenant's query failed");
                Err(audit.ends("failed", refusal.kind, refusal.into()))
            }
            Ok(Err(QueryFailure::Other(error))) => {
                let code = error.code();
                Err(audit.ends(if code == "invalid" { "refused" } else { "error" }, code, error))
            }
            Err(_) => {
                let refusal = refusal("57014", self.config.timeout);
                Err(audit.ends("failed", refusal.kind, refusal.into()))
            }
        }
    }

    /// What the tenant whose scope is open may read. Its tables may come and go while the service runs.
    async fn policy(&self) -> Result<Policy> {
        let mut transaction = self.service.tenant_snapshot("query_policy").await?;
        Ok(self.policy.clone().with_imported(imported_tables::list(&mut transaction).await?))
    }

    async fn load(
        &self,
        tenant: TenantId,
        checked: &CheckedQuery,
        model_type: ModelType,
        audit: &mut Audit,
    ) -> Result<(FeatureTable, Vec<String>), QueryFailure> {
        let mut session = self.database.begin(tenant).await?;
        let outcome = self.read(&mut session, &checked.sql(tenant.uuid()), model_type, audit).await;
        session.rollback().await?;
        outcome
    }

    async fn read(
        &self,
        session: &mut QuerySession,
        sql: &str,
        model_type: ModelType,
        audit: &mut Audit,
    ) -> Result<(FeatureTable, Vec<String>), QueryFailure> {
        let described = session.describe(sql).await?;
        let plan = result::plan(&described, model_type).map_err(Error::from)?;
        let select = plan.select(sql, self.config.max_rows.saturating_add(1));
        // The text that runs is the one that is known to be a single statement.
        session.describe(&select).await?;
        let mut columns = Columns::new(plan.columns);
        let mut decoder = CopyDecoder::default();
        let started = Instant::now();
        session
            .copy_out(&select, |message| {
                audit.bytes += message.len();
                if audit.bytes > self.config.max_bytes {
                    return Err(too_large("bytes", self.config.max_bytes).into());
                }
                decoder.push(&message, &mut columns)?;
                audit.rows = columns.n_rows();
                if audit.rows > self.config.max_rows {
                    return Err(too_large("rows", self.config.max_rows).into());
                }
                Ok(())
            })
            .await?;
        decoder.finish()?;
        tracing::debug!(rows = audit.rows, elapsed = ?started.elapsed(), "read a tenant's query");
        let table = columns.into_table();
        check_values(&table)?;
        Ok((table, plan.skipped))
    }
}

fn too_large(what: &str, limit: usize) -> Error {
    Refusal::whole("query_result_too_large", format!("The result has more than {limit} {what}")).into()
}

/// What only shows in the values: numbers beyond f32, names beyond [`MAX_TEXT`].
fn check_values(table: &FeatureTable) -> Result<()> {
    for column in &table.columns {
        let name = &column.name;
        let wrong = match &column.values {
            ColumnValues::Numeric(values) if values.iter().any(|value| value.is_infinite()) => {
                format!("The column '{name}' has an infinite number, or one beyond 3.4e38")
            }
            ColumnValues::Categorical { labels, .. }
                if labels.iter().any(|label| label.chars().count() > MAX_TEXT) =>
            {
                format!("The column '{name}' has a text of more than {MAX_TEXT} characters")
            }
            _ => continue,
        };
        return Err(Refusal::whole("query_value", wrong).into());
    }
    if table.target.iter().any(|value| value.is_infinite()) {
        return Err(Refusal::whole("query_value", "The target has an infinite number").into());
    }
    Ok(())
}
