//! The service's logins: nothing that row-level security does not survive.

use super::{
    check::{Check, Kind},
    report::Mend,
};

pub(super) const CHECKS: &[Check] = &[
    Check {
        kind: Kind::error("login_missing", Mend::Command),
        sql: "SELECT wanted.name, format('%s names a role that does not exist', wanted.setting), 'binah-ml migrate'
                FROM (VALUES ($1::text, 'POSTGRES_USER'), ($2::text, 'POSTGRES_QUERY_USER')) AS wanted(name, setting)
               WHERE wanted.name IS NOT NULL AND wanted.name NOT IN (SELECT name FROM login)",
    },
    Check {
        kind: Kind::error("login_attribute", Mend::Sql),
        sql: "SELECT l.name, format('%s is %s: %s', l.setting, a.attribute, a.danger),
                     format('ALTER ROLE %s NO%s;', l.quoted, a.attribute)
                FROM login l JOIN pg_roles r ON r.oid = l.oid
               CROSS JOIN LATERAL (VALUES
                   ('SUPERUSER', 'no policy binds it', r.rolsuper),
                   ('BYPASSRLS', 'no policy binds it', r.rolbypassrls),
                   ('CREATEROLE', 'it may make itself another role', r.rolcreaterole),
                   ('CREATEDB', 'it may copy this database and own the copy', r.rolcreatedb),
                   ('REPLICATION', 'it may stream the rows of all tenants', r.rolreplication)
               ) AS a(attribute, danger, is_set)
               WHERE a.is_set ORDER BY 1, 2",
    },
    Check {
        kind: Kind::error("login_is_member", Mend::Sql),
        sql: "SELECT DISTINCT l.name, format('%s is a member of %s and may act as that role', l.setting, m.roleid::regrole),
                     format('REVOKE %s FROM %s;', m.roleid::regrole, l.quoted)
                FROM login l JOIN pg_auth_members m ON m.member = l.oid ORDER BY 1, 2",
    },
    // Who creates a role without being a superuser is its administrator from PostgreSQL 16 on.
    Check {
        kind: Kind::warning("login_has_members", Mend::Sql),
        sql: "SELECT DISTINCT l.name, format('%s may act as %s: its statements would count as the service''s', m.member::regrole, l.name),
                     format('REVOKE %s FROM %s;', l.quoted, m.member::regrole)
                FROM login l JOIN pg_auth_members m ON m.roleid = l.oid JOIN pg_roles r ON r.oid = m.member
               WHERE NOT r.rolsuper AND r.rolname <> $3::text ORDER BY 1, 2",
    },
    Check {
        kind: Kind::error("login_owns", Mend::Sql),
        sql: "SELECT l.name,
                     format('%s owns %s: an owner can drop the policies (run binah-ml migrate after the mend, for its grants)', l.setting,
                            string_agg(pg_describe_object(d.classid, d.objid, d.objsubid), ', ' ORDER BY d.classid, d.objid)),
                     format('REASSIGN OWNED BY %s TO %s;', l.quoted, (SELECT quoted FROM owner))
                FROM login l
                JOIN pg_shdepend d ON d.refclassid = 'pg_authid'::regclass AND d.refobjid = l.oid AND d.deptype = 'o'
               WHERE d.dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
                  OR (d.classid = 'pg_database'::regclass AND d.objid = (SELECT oid FROM pg_database WHERE datname = current_database()))
               GROUP BY 1, l.setting, l.quoted ORDER BY 1",
    },
    Check {
        kind: Kind::error("tenant_by_default", Mend::Sql),
        sql: "SELECT coalesce(nullif(s.setrole, 0)::regrole::text, 'database ' || current_database()),
                     format('sets %s from the start: without a tenant a session is that tenant''s', split_part(c, '=', 1)),
                     CASE WHEN s.setrole = 0 THEN format('ALTER DATABASE %I RESET %s;', current_database(), split_part(c, '=', 1))
                          WHEN s.setdatabase = 0 THEN format('ALTER ROLE %s RESET %s;', s.setrole::regrole, split_part(c, '=', 1))
                          ELSE format('ALTER ROLE %s IN DATABASE %I RESET %s;', s.setrole::regrole, current_database(), split_part(c, '=', 1)) END
                FROM pg_db_role_setting s CROSS JOIN unnest(s.setconfig) AS c
               WHERE (c LIKE 'app.tenant%' OR c LIKE 'app.sig%')
                 AND s.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
                 AND (s.setrole = 0 OR s.setrole IN (SELECT oid FROM login)) ORDER BY 1, 2",
    },
];
