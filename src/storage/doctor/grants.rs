//! What everybody and the logins may do, beyond what `storage/login.rs` and `storage/query_login.rs` grant.

use super::{
    check::{Check, Kind},
    report::Mend,
};

pub(super) const CHECKS: &[Check] = &[
    Check {
        kind: Kind::error("public_grant", Mend::Sql),
        sql: "SELECT c.oid::regclass::text, format('everybody may %s it', string_agg(DISTINCT lower(x.privilege_type), ', ')),
                     format('REVOKE ALL ON %s FROM PUBLIC;', c.oid::regclass)
                FROM pg_class c JOIN house h ON h.oid = c.relnamespace
               CROSS JOIN LATERAL (
                   SELECT * FROM aclexplode(c.relacl)
                   UNION ALL SELECT x.* FROM pg_attribute a CROSS JOIN aclexplode(a.attacl) AS x WHERE a.attrelid = c.oid
               ) AS x
               WHERE x.grantee = 0 AND c.oid IS DISTINCT FROM to_regclass('sec.signing_key')
                 AND NOT EXISTS (SELECT FROM extension_member e WHERE e.classid = 'pg_class'::regclass AND e.objid = c.oid)
               GROUP BY c.oid ORDER BY 1",
    },
    // In public the list is exact. Elsewhere the service may work on walled tables; the query login may read them
    // anywhere, behind its own policy (query_wall_missing).
    Check {
        kind: Kind::error("login_grant", Mend::Sql),
        sql: "SELECT format('%s, %s', g.name, o.name),
                     format('may %s it%s, which is beyond what this build grants%s', string_agg(DISTINCT lower(x.privilege_type), ', '),
                            CASE WHEN a.allowed THEN ' and grant that to others' END,
                            CASE WHEN t.oid IS NULL AND o.relkind <> 'S' THEN '; no tenant_id walls it' END),
                     format('REVOKE %s%s%s ON %s%s FROM %s;', CASE WHEN a.allowed THEN 'GRANT OPTION FOR ' END,
                            string_agg(DISTINCT x.privilege_type, x.of_column || ', '), x.of_column,
                            CASE o.relkind WHEN 'S' THEN 'SEQUENCE ' END, o.name, g.quoted)
                FROM (SELECT c.oid, c.relkind, c.relowner, c.relacl, h.nspname, c.relname, format('%I.%I', h.nspname, c.relname) AS name
                        FROM pg_class c JOIN house h ON h.oid = c.relnamespace) AS o
               CROSS JOIN LATERAL (
                   SELECT grantee, privilege_type, is_grantable, '' AS of_column FROM aclexplode(o.relacl)
                   UNION ALL SELECT x.grantee, x.privilege_type, x.is_grantable, format(' (%I)', a.attname)
                               FROM pg_attribute a CROSS JOIN aclexplode(a.attacl) AS x WHERE a.attrelid = o.oid
               ) AS x
                JOIN login g ON g.oid = x.grantee AND g.oid <> o.relowner
                LEFT JOIN tenant_table t ON t.oid = o.oid
               CROSS JOIN LATERAL (SELECT CASE
                   WHEN o.relkind = 'S' THEN false
                   WHEN NOT g.serves THEN t.oid IS NOT NULL AND x.privilege_type = 'SELECT'
                   WHEN o.nspname = 'public' THEN EXISTS (SELECT FROM service_grant WHERE entry = o.relname || ' ' || x.privilege_type)
                   ELSE t.oid IS NOT NULL AND x.privilege_type IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE') END AS allowed) AS a
               WHERE o.oid IS DISTINCT FROM to_regclass('sec.signing_key') AND (x.is_grantable OR NOT a.allowed)
               GROUP BY g.name, g.quoted, o.name, o.relkind, t.oid, x.of_column, a.allowed ORDER BY 1, 3",
    },
    Check {
        kind: Kind::error("may_create", Mend::Sql),
        sql: "SELECT o.object, format('%s may create in it: what it makes could stand in for ours', g.name),
                     format('REVOKE CREATE ON %s FROM %s;', o.object, g.quoted)
                FROM (SELECT format('SCHEMA %I', nspname) AS object, nspowner AS owner, nspacl AS acl FROM house
                      UNION ALL SELECT format('DATABASE %I', datname), datdba, datacl FROM pg_database
                                 WHERE datname = current_database()) AS o
               CROSS JOIN LATERAL aclexplode(o.acl) AS x
                JOIN grantee g ON g.oid = x.grantee AND g.oid <> o.owner
               WHERE x.privilege_type = 'CREATE' ORDER BY 1, 2",
    },
    Check {
        kind: Kind::warning("may_create_temporary", Mend::Sql),
        sql: "SELECT format('DATABASE %I', datname), format('%s may create temporary tables, which could stand in for ours', g.name),
                     format('REVOKE TEMPORARY ON DATABASE %I FROM %s;', datname, g.quoted)
                FROM pg_database
               CROSS JOIN LATERAL aclexplode(coalesce(datacl, acldefault('d', datdba))) AS x
                JOIN grantee g ON g.oid = x.grantee AND g.oid <> datdba
               WHERE datname = current_database() AND x.privilege_type = 'TEMPORARY' ORDER BY 1, 2",
    },
    Check {
        kind: Kind::warning("default_privileges", Mend::Sql),
        sql: "SELECT format('new %s of %s%s', k.kind, d.defaclrole::regrole, ' in ' || n.nspname),
                     format('%s gets %s on each at its birth, before it has a policy', g.name,
                            string_agg(lower(x.privilege_type), ', ' ORDER BY x.privilege_type)),
                     format('ALTER DEFAULT PRIVILEGES FOR ROLE %s%s REVOKE ALL ON %s FROM %s;', d.defaclrole::regrole,
                            ' IN SCHEMA ' || quote_ident(n.nspname), upper(k.kind), g.quoted)
                FROM pg_default_acl d
                JOIN (VALUES ('r', 'tables'), ('S', 'sequences')) AS k(letter, kind) ON k.letter = d.defaclobjtype::text
                LEFT JOIN pg_namespace n ON n.oid = d.defaclnamespace
               CROSS JOIN LATERAL aclexplode(d.defaclacl) AS x
                JOIN grantee g ON g.oid = x.grantee AND g.oid <> d.defaclrole
               GROUP BY d.oid, d.defaclrole, n.nspname, k.kind, g.name, g.quoted ORDER BY 1, 2",
    },
];
