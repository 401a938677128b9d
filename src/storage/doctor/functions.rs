//! Functions that run with other rights than the caller's, or before the policies.

use sqlx::{PgConnection, query_as};

use super::{
    check::{Check, Context, Kind},
    report::{Mend, Report},
    why_sql,
};
use crate::storage::query_login::DANGEROUS;

const GROUP: &str = "functions";

const CHECKS: &[Check] = &[
    // An empty path and one that ends in pg_temp are safe; without pg_temp, temporary tables come first.
    Check {
        kind: Kind::error("definer_without_path", Mend::Sql),
        sql: "SELECT p.oid::regprocedure::text,
                     format('runs with the rights of %s and finds names by the caller''s search_path, or in temporary tables first', p.proowner::regrole),
                     format('ALTER ROUTINE %s SET search_path = pg_catalog, %spg_temp;', p.oid::regprocedure,
                            CASE WHEN h.nspname <> 'pg_catalog' THEN quote_ident(h.nspname) || ', ' END)
                FROM pg_proc p JOIN house h ON h.oid = p.pronamespace
               WHERE p.prosecdef
                 AND NOT EXISTS (SELECT FROM unnest(p.proconfig) AS c WHERE c ~ '^search_path=(\"\"|(.*, *)?pg_temp)$')
               ORDER BY 1",
    },
    // A trigger function cannot be called; those of sec have a stricter check in signing.rs.
    Check {
        kind: Kind::error("definer_granted", Mend::Sql),
        sql: "SELECT p.oid::regprocedure::text,
                     format('%s may execute it, and it runs with the rights of %s: what it reads passes no policy of the caller',
                            g.name, p.proowner::regrole),
                     format('REVOKE EXECUTE ON ROUTINE %s FROM %s;', p.oid::regprocedure, g.quoted)
                FROM pg_proc p JOIN house h ON h.oid = p.pronamespace
               CROSS JOIN LATERAL aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) AS x
                JOIN grantee g ON g.oid = x.grantee AND g.oid <> p.proowner
               WHERE p.prosecdef AND h.nspname <> 'sec' AND p.prorettype <> 'trigger'::regtype
                 AND NOT EXISTS (SELECT FROM extension_member e WHERE e.classid = 'pg_proc'::regclass AND e.objid = p.oid)
               ORDER BY 1, 2",
    },
    Check {
        kind: Kind::error("leakproof_function", Mend::Sql),
        sql: "SELECT p.oid::regprocedure::text,
                     'is marked LEAKPROOF: a condition that calls it may see rows before the policies have hidden them',
                     format('ALTER FUNCTION %s NOT LEAKPROOF;', p.oid::regprocedure)
                FROM pg_proc p JOIN house h ON h.oid = p.pronamespace
               WHERE p.proleakproof
                 AND NOT EXISTS (SELECT FROM extension_member e WHERE e.classid = 'pg_proc'::regclass AND e.objid = p.oid)
               ORDER BY 1",
    },
];

/// The allow list of the query language stands before these; this is the second layer.
const DANGEROUS_GRANTED: Kind = Kind::warning("dangerous_function", Mend::Sql);

pub(super) async fn run(connection: &mut PgConnection, context: &Context, report: &mut Report) {
    let mut findings = vec![];
    for check in CHECKS {
        findings.extend(check.find(connection, context, GROUP, report).await);
    }
    if let Some(query) = &context.query {
        match dangerous(connection, query, &context.service).await {
            Ok(Some((problem, mend))) => {
                findings.push(DANGEROUS_GRANTED.finding(GROUP, query.clone(), problem, mend));
            }
            Ok(None) => {}
            Err(error) => report.not_run(DANGEROUS_GRANTED.code, why_sql(error), true),
        }
    }
    report.group(GROUP, CHECKS.len() + usize::from(context.query.is_some()), findings);
}

/// Functions that change the session, execute text, wait or look at other sessions, as far as the query login
/// may call them: the problem and its mend in one line each, however many they are.
async fn dangerous(
    connection: &mut PgConnection,
    query: &str,
    service: &str,
) -> Result<Option<(String, String)>, sqlx::Error> {
    let (problem, mend): (Option<String>, Option<String>) = query_as(
        "SELECT 'POSTGRES_QUERY_USER may execute ' || string_agg(signature, ', ' ORDER BY signature)
                    || ': the allow list of the query language alone keeps tenants from them',
                string_agg(format('REVOKE EXECUTE ON FUNCTION %1$s FROM PUBLIC, %2$I; GRANT EXECUTE ON FUNCTION %1$s TO %3$I;',
                                  signature, $2::text, $3::text), ' ' ORDER BY signature)
           FROM (SELECT DISTINCT p.oid::regprocedure::text AS signature
                   FROM pg_proc p
                  CROSS JOIN LATERAL aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) AS x
                  WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.prokind = 'f' AND p.proname ~ $1
                    AND (x.grantee = 0 OR x.grantee = (SELECT oid FROM pg_roles WHERE rolname = $2::text))) AS executable",
    )
    .bind(DANGEROUS)
    .bind(query)
    .bind(service)
    .fetch_one(connection)
    .await?;
    Ok(problem.zip(mend))
}
