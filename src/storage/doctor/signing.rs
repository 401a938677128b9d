//! The key that signs tenants for their own queries (migration 0003): there, sound, and read by nobody.

use sqlx::{PgConnection, query_scalar};

use super::{
    check::{Check, Context, Kind},
    report::{Finding, Mend, Report},
    why_sql,
};

const GROUP: &str = "signing key";

const CHECKS: &[Check] = &[
    Check {
        kind: Kind::error("signing_missing", Mend::Advice),
        sql: "SELECT wanted, 'is not there: no query of a tenant can be told from another''s',
                     'run binah-ml migrate; if that has been done, create it as migrations/0003_tenant_queries.sql does'
                FROM (SELECT 'sec.signing_key' AS wanted WHERE to_regclass('sec.signing_key') IS NULL
                      UNION ALL SELECT f FROM unnest(ARRAY['sec.hmac(text)', 'sec.sign_tenant(uuid,integer,integer)',
                                                           'sec.verified_tenant()']) AS f
                                 WHERE to_regprocedure(f) IS NULL) AS missing",
    },
    Check {
        kind: Kind::error("signing_key_granted", Mend::Sql),
        sql: "SELECT 'sec.signing_key',
                     format('%s may %s it: who has the key signs for any tenant', coalesce(r.rolname, 'PUBLIC'),
                            string_agg(DISTINCT lower(x.privilege_type), ', ')),
                     format('REVOKE ALL ON sec.signing_key FROM %s;', coalesce(quote_ident(r.rolname), 'PUBLIC'))
                FROM pg_class c
               CROSS JOIN LATERAL (
                   SELECT grantee, privilege_type FROM aclexplode(c.relacl)
                   UNION ALL SELECT x.grantee, x.privilege_type
                               FROM pg_attribute a CROSS JOIN aclexplode(a.attacl) AS x WHERE a.attrelid = c.oid
               ) AS x
                LEFT JOIN pg_roles r ON r.oid = x.grantee
               WHERE c.oid = to_regclass('sec.signing_key') AND x.grantee <> c.relowner
               GROUP BY r.rolname ORDER BY 2",
    },
    Check {
        kind: Kind::error("signing_function_granted", Mend::Sql),
        sql: "SELECT p.oid::regprocedure::text,
                     format('%s may execute it: it signs for any tenant', coalesce(r.rolname, 'PUBLIC')),
                     format('REVOKE EXECUTE ON FUNCTION %s FROM %s;', p.oid::regprocedure, coalesce(quote_ident(r.rolname), 'PUBLIC'))
                FROM pg_proc p
               CROSS JOIN LATERAL aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) AS x
                LEFT JOIN pg_roles r ON r.oid = x.grantee
               WHERE x.grantee <> p.proowner
                 AND (p.oid = to_regprocedure('sec.hmac(text)')
                      OR p.oid = to_regprocedure('sec.sign_tenant(uuid,integer,integer)') AND r.rolname IS DISTINCT FROM $1::text)
               ORDER BY 1, 2",
    },
];

const UNSOUND: Kind = Kind::error("signing_key_unsound", Mend::Sql);

/// As migration 0003 makes it. Signatures of the old key, which live for a minute, end with it.
const NEW_KEY: &str = "DELETE FROM sec.signing_key; INSERT INTO sec.signing_key (inner_pad, outer_pad) \
    SELECT decode(string_agg(lpad(to_hex(get_byte(key, i) # 54), 2, '0'), '' ORDER BY i) || repeat('36', 32), 'hex'), \
    decode(string_agg(lpad(to_hex(get_byte(key, i) # 92), 2, '0'), '' ORDER BY i) || repeat('5c', 32), 'hex') \
    FROM (SELECT sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())) AS key) AS fresh, \
    generate_series(0, 31) AS i GROUP BY key;";

pub(super) async fn run(connection: &mut PgConnection, context: &Context, report: &mut Report) {
    let mut findings = vec![];
    for check in CHECKS {
        findings.extend(check.find(connection, context, GROUP, report).await);
    }
    match unsound(connection).await {
        Ok(finding) => findings.extend(finding),
        Err(error) => report.not_run(UNSOUND.code, why_sql(error), false),
    }
    report.group(GROUP, CHECKS.len() + 1, findings);
}

/// One row, whose two pads come from one key of at least 16 different bytes. The key itself stays there.
async fn unsound(connection: &mut PgConnection) -> Result<Option<Finding>, sqlx::Error> {
    let there: bool =
        query_scalar("SELECT to_regclass('sec.signing_key') IS NOT NULL").fetch_one(&mut *connection).await?;
    if !there {
        return Ok(None);
    }
    let sound: bool = query_scalar(
        "SELECT count(*) = 1 AND coalesce(bool_and(
                    (SELECT bool_and(get_byte(inner_pad, i) # 54 = get_byte(outer_pad, i) # 92)
                            AND count(DISTINCT get_byte(inner_pad, i)) >= 16
                       FROM generate_series(0, 63) AS i)), false)
           FROM sec.signing_key",
    )
    .fetch_one(connection)
    .await?;
    let problem = "holds no key, or none that is random: signatures can be guessed or none verifies";
    Ok((!sound).then(|| UNSOUND.finding(GROUP, "sec.signing_key".into(), problem.into(), NEW_KEY.into())))
}
