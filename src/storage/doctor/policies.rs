//! What the policies of the tenant tables let pass.

use sqlx::{FromRow, PgConnection, postgres::types::Oid};

use super::{
    binding::{Proof, is_of_worker, proof},
    check::{Context, Kind, select},
    report::{Finding, Mend, Report},
    why_sql,
};
use crate::storage::Worker;

const GROUP: &str = "policies";

const WITHOUT_USING: Kind = Kind::error("policy_without_using", Mend::Sql);
const WITHOUT_CHECK: Kind = Kind::error("policy_without_check", Mend::Sql);
const OPENS_WALL: Kind = Kind::error("policy_opens_wall", Mend::Sql);
const ACROSS_TENANTS: Kind = Kind::warning("policy_across_tenants", Mend::Sql);
const WALL_MISSING: Kind = Kind::error("query_wall_missing", Mend::Sql);
const READER: Kind = Kind::warning("reader_without_wall", Mend::Sql);
const COUNT: usize = 6;

/// A policy, with the expressions as the server prints them.
#[derive(FromRow)]
struct Policy {
    table_name: String,
    name: String,
    /// As in pg_policy: r, a, w, d or *.
    command: String,
    permissive: bool,
    /// Whether it holds for everybody or for one of the logins.
    to_us: bool,
    /// Whether the service's login is the only one.
    to_service_alone: bool,
    /// Whom it holds for; 0 is everybody.
    roles: Vec<Oid>,
    /// Whether the query login is the only one.
    to_query_alone: bool,
    using: Option<String>,
    with_check: Option<String>,
    /// The condition of rule 4 in migrations/README.md, for the type of the table's tenant_id.
    binding: String,
}

const POLICIES: &str = "SELECT t.name AS table_name, quote_ident(p.polname) AS name, p.polcmd::text AS command, p.polpermissive AS permissive,
       p.polroles && (SELECT array_agg(oid) FROM grantee) AS to_us,
       EXISTS (SELECT FROM login WHERE serves AND p.polroles = ARRAY[oid]) AS to_service_alone,
       p.polroles AS roles,
       EXISTS (SELECT FROM login WHERE NOT serves AND p.polroles = ARRAY[oid]) AS to_query_alone,
       pg_get_expr(p.polqual, p.polrelid) AS using, pg_get_expr(p.polwithcheck, p.polrelid) AS with_check, t.binding
  FROM tenant_table t JOIN pg_policy p ON p.polrelid = t.oid ORDER BY 1, 2";

/// Tables that the query login may read, in part or whole: name, the login and its name quoted.
const READ_BY_QUERY: &str = "SELECT DISTINCT t.name, l.oid, l.quoted
  FROM tenant_table t JOIN pg_class c ON c.oid = t.oid CROSS JOIN login l
 CROSS JOIN LATERAL (
     SELECT grantee, privilege_type FROM aclexplode(c.relacl)
     UNION ALL SELECT x.grantee, x.privilege_type FROM pg_attribute a CROSS JOIN aclexplode(a.attacl) AS x WHERE a.attrelid = t.oid
 ) AS x
 WHERE NOT l.serves AND x.grantee IN (0, l.oid) AND x.privilege_type = 'SELECT' ORDER BY 1";

/// The same for roles that are none of ours: a query login that POSTGRES_QUERY_USER named before, above all.
const READ_BY_OTHERS: &str = "SELECT DISTINCT t.name, r.oid, quote_ident(r.rolname)
  FROM tenant_table t JOIN pg_class c ON c.oid = t.oid
 CROSS JOIN LATERAL (
     SELECT grantee, privilege_type FROM aclexplode(c.relacl)
     UNION ALL SELECT x.grantee, x.privilege_type FROM pg_attribute a CROSS JOIN aclexplode(a.attacl) AS x WHERE a.attrelid = t.oid
 ) AS x
  JOIN pg_roles r ON r.oid = x.grantee
 WHERE x.privilege_type = 'SELECT' AND NOT r.rolsuper AND r.oid <> c.relowner AND r.rolname <> $3::text
   AND r.oid NOT IN (SELECT oid FROM login) ORDER BY 1, 3";

pub(super) async fn run(connection: &mut PgConnection, context: &Context, report: &mut Report) {
    let policies: Vec<Policy> = match select(connection, context, POLICIES).await {
        Ok(policies) => policies,
        Err(error) => return report.not_run(GROUP, why_sql(error), true),
    };
    let mut findings: Vec<Finding> =
        policies.iter().filter(|p| p.permissive).flat_map(Policy::findings).collect();
    for (kind, readers, finding) in [
        (WALL_MISSING, READ_BY_QUERY, wall_missing as fn(String, &str) -> Finding),
        (READER, READ_BY_OTHERS, reader_without_wall),
    ] {
        match select::<(String, Oid, String)>(connection, context, readers).await {
            Ok(tables) => findings.extend(tables.into_iter().filter_map(|(table, role, name)| {
                let mut walls = policies.iter().filter(|policy| policy.is_wall_of_queries(role));
                let walled = walls.any(|policy| policy.table_name == table);
                (!walled).then(|| finding(table, &name))
            })),
            Err(error) => report.not_run(kind.code, why_sql(error), true),
        }
    }
    report.group(GROUP, COUNT, findings);
}

impl Policy {
    /// Of a permissive policy. Restrictive ones only take away.
    fn findings(&self) -> Vec<Finding> {
        let mut findings = vec![];
        // INSERT has no USING; SELECT and DELETE have no WITH CHECK.
        if self.using.is_none() && self.command != "a" {
            findings
                .push(self.finding(WITHOUT_USING, "has no USING: it does not say whose rows may be touched"));
        }
        if self.with_check.is_none() && matches!(self.command.as_str(), "*" | "w" | "a") {
            findings.push(
                self.finding(WITHOUT_CHECK, "has no WITH CHECK: it does not say whose rows may be written"),
            );
        }
        let clauses = [("USING", &self.using), ("WITH CHECK", &self.with_check)].into_iter();
        let unbound: Vec<_> = clauses
            .filter_map(|(clause, expression)| Some((clause, expression.as_deref()?)))
            .filter(|(_, expression)| proof(expression).is_none() && !self.opens_queue(expression))
            .map(|(clause, expression)| format!("{clause} ({expression})"))
            .collect();
        if !unbound.is_empty() {
            let (kind, to) = if self.to_us {
                (OPENS_WALL, "")
            } else {
                (ACROSS_TENANTS, "; it holds for other roles than the service's")
            };
            let problem =
                format!("{} does not bind tenant_id to the transaction's tenant{to}", unbound.join(" "));
            findings.push(self.finding(kind, &problem));
        }
        findings
    }

    /// Whether it opens a queue to its worker, and nothing to anybody else.
    fn opens_queue(&self, expression: &str) -> bool {
        let is_of = |worker: Worker| {
            let mut tables = worker.tables().iter();
            tables.any(|table| self.table_name == format!("public.{table}"))
                && is_of_worker(expression, worker)
        };
        self.to_service_alone && Worker::ALL.into_iter().any(is_of)
    }

    fn finding(&self, kind: Kind, problem: &str) -> Finding {
        let binding =
            if self.to_query_alone { "tenant_id = (SELECT sec.verified_tenant())" } else { &self.binding };
        let mut mend = format!("ALTER POLICY {} ON {}", self.name, self.table_name);
        if self.command != "a" {
            mend.push_str(&format!(" USING ({binding})"));
        }
        if matches!(self.command.as_str(), "*" | "w" | "a") {
            mend.push_str(&format!(" WITH CHECK ({binding})"));
        }
        mend.push(';');
        kind.finding(GROUP, format!("{}, policy {}", self.table_name, self.name), problem.to_owned(), mend)
    }

    /// Whether this role reads nothing past it without a signature.
    fn is_wall_of_queries(&self, role: Oid) -> bool {
        !self.permissive
            && self.roles.iter().any(|&to| to == role || to == Oid(0))
            && matches!(self.command.as_str(), "*" | "r")
            && self.using.as_deref().and_then(proof) == Some(Proof::Signature)
    }
}

fn wall_missing(table: String, login: &str) -> Finding {
    let problem = "POSTGRES_QUERY_USER may read it without a restrictive policy that asks for the service's signature: \
                   a statement that a tenant wrote can set app.tenant_id";
    let mend = format!(
        "DROP POLICY IF EXISTS tenant_query_wall ON {table}; CREATE POLICY tenant_query_wall ON {table} \
         AS RESTRICTIVE TO {login} USING (tenant_id = (SELECT sec.verified_tenant()));"
    );
    WALL_MISSING.finding(GROUP, table, problem.to_owned(), mend)
}

fn reader_without_wall(table: String, role: &str) -> Finding {
    let problem = format!(
        "{role} may read it, is none of the service's logins, and no restrictive policy asks it for the service's \
         signature: with app.tenant_id it reads whose rows it likes"
    );
    let mend = format!("REVOKE SELECT ON {table} FROM {role};");
    READER.finding(GROUP, format!("{table}, {role}"), problem, mend)
}
