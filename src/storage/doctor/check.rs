//! One catalogue check: a SELECT that returns nothing where all is well.

use sqlx::{AssertSqlSafe, PgConnection, query_as};

use super::{
    report::{Finding, Mend, Report, Severity},
    why_sql,
};

/// What a finding is called, how much it matters, and what sort of mend it has.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kind {
    pub(super) code: &'static str,
    severity: Severity,
    mend: fn(String) -> Mend,
}

impl Kind {
    pub(super) const fn error(code: &'static str, mend: fn(String) -> Mend) -> Self {
        Self { code, severity: Severity::Error, mend }
    }

    pub(super) const fn warning(code: &'static str, mend: fn(String) -> Mend) -> Self {
        Self { code, severity: Severity::Warning, mend }
    }

    /// A finding of this kind.
    pub(super) fn finding(
        self,
        group: &'static str,
        object: String,
        problem: String,
        mend: String,
    ) -> Finding {
        Finding { code: self.code, severity: self.severity, group, object, problem, mend: (self.mend)(mend) }
    }
}

/// A check. Its `sql` follows [`PRELUDE`] and returns object, problem and mend, one row a finding.
#[derive(Debug, Clone, Copy)]
pub(super) struct Check {
    pub(super) kind: Kind,
    pub(super) sql: &'static str,
}

/// Whom the checks speak of.
#[derive(Debug, Clone)]
pub(super) struct Context {
    pub(super) service: String,
    pub(super) query: Option<String>,
    pub(super) owner: String,
    /// What the service may do in `public`: `"table PRIVILEGE"`.
    pub(super) service_grants: Vec<String>,
}

/// What every check may name. $1 service login, $2 query login or NULL, $3 owner, $4 grants of the service.
pub(super) const PRELUDE: &str = r"
WITH RECURSIVE login AS (        -- the two logins
    SELECT oid, rolname::text AS name, quote_ident(rolname) AS quoted, rolname = $1::text AS serves,
           CASE WHEN rolname = $1::text THEN 'POSTGRES_USER' ELSE 'POSTGRES_QUERY_USER' END AS setting
      FROM pg_roles WHERE rolname IN ($1::text, $2::text)
), owner AS (                    -- who should own things
    SELECT quote_ident($3::text) AS quoted
), service_grant AS (            -- what storage/login.rs grants
    SELECT unnest($4::text[]) AS entry
), grantee AS (                  -- whose grants are looked at: everybody's and the logins'
    SELECT oid, quoted, name, serves FROM login UNION ALL SELECT 0, 'PUBLIC', 'PUBLIC', NULL
), house AS (                    -- every schema that is not the server's
    SELECT oid, nspname, nspacl, nspowner FROM pg_namespace
     WHERE nspname NOT LIKE 'pg\_%' AND nspname <> 'information_schema'
), extension_member AS (
    SELECT classid, objid FROM pg_depend WHERE deptype = 'e'
), tenant_relation AS (          -- whatever has a tenant_id
    SELECT c.oid, format('%I.%I', h.nspname, c.relname) AS name, c.relkind, c.relowner, a.attnum AS tenant_column,
           c.relrowsecurity, c.relforcerowsecurity,
           format('tenant_id = (SELECT nullif(current_setting(''app.tenant_id'', true), '''')::%s)',
                  format_type(a.atttypid, NULL)) AS binding
      FROM pg_class c
      JOIN house h ON h.oid = c.relnamespace
      JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped
), tenant_table AS (             -- partitions and inheritance children are tables of their own here
    SELECT * FROM tenant_relation WHERE relkind IN ('r', 'p')
), tenant_view AS (              -- views of any depth over them
    SELECT r.ev_class AS oid
      FROM tenant_table t
      JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = t.oid AND d.classid = 'pg_rewrite'::regclass
      JOIN pg_rewrite r ON r.oid = d.objid AND r.ev_type = '1' AND r.ev_class <> t.oid
     UNION
    SELECT r.ev_class
      FROM tenant_view v
      JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = v.oid AND d.classid = 'pg_rewrite'::regclass
      JOIN pg_rewrite r ON r.oid = d.objid AND r.ev_type = '1' AND r.ev_class <> v.oid
)";

/// Runs SELECT `sql` after the prelude.
pub(super) async fn select<T>(
    connection: &mut PgConnection,
    context: &Context,
    sql: &str,
) -> sqlx::Result<Vec<T>>
where
    T: Send + Unpin + for<'r> sqlx::FromRow<'r, sqlx::postgres::PgRow>,
{
    query_as(AssertSqlSafe(format!("{PRELUDE}\n{sql}")))
        .bind(&context.service)
        .bind(&context.query)
        .bind(&context.owner)
        .bind(&context.service_grants)
        .fetch_all(connection)
        .await
}

impl Check {
    /// What it finds. A check that fails to run is noted, and there is no verdict without it.
    pub(super) async fn find(
        &self,
        connection: &mut PgConnection,
        context: &Context,
        group: &'static str,
        report: &mut Report,
    ) -> Vec<Finding> {
        let rows: Vec<(String, String, String)> = match select(connection, context, self.sql).await {
            Ok(rows) => rows,
            Err(error) => {
                report.not_run(self.kind.code, why_sql(error), true);
                vec![]
            }
        };
        rows.into_iter()
            .map(|(object, problem, mend)| self.kind.finding(group, object, problem, mend))
            .collect()
    }
}

/// Runs a group of checks.
pub(super) async fn run(
    connection: &mut PgConnection,
    context: &Context,
    group: &'static str,
    checks: &[Check],
    report: &mut Report,
) {
    let mut findings = vec![];
    for check in checks {
        findings.extend(check.find(connection, context, group, report).await);
    }
    report.group(group, checks.len(), findings);
}
