//! Ways round the tables: views, copies, rules, replication.

use super::{
    check::{Check, Kind},
    report::Mend,
};

pub(super) const CHECKS: &[Check] = &[
    Check {
        kind: Kind::error("view_with_owners_rights", Mend::Sql),
        sql: "SELECT c.oid::regclass::text,
                     format('reads tenant tables with the rights of its owner %s, not of who asks: policies are passed by', c.relowner::regrole),
                     format('ALTER VIEW %s SET (security_invoker = true);', c.oid::regclass)
                FROM pg_class c
               WHERE c.oid IN (SELECT oid FROM tenant_view) AND c.relkind = 'v'
                 AND NOT EXISTS (SELECT FROM pg_options_to_table(c.reloptions)
                                  WHERE option_name = 'security_invoker' AND option_value::boolean)
               ORDER BY 1",
    },
    Check {
        kind: Kind::error("materialized_view", Mend::Sql),
        sql: "SELECT c.oid::regclass::text, 'keeps rows of all tenants, and no policy can stand on a materialized view',
                     format('DROP MATERIALIZED VIEW %s;', c.oid::regclass)
                FROM pg_class c WHERE c.oid IN (SELECT oid FROM tenant_view) AND c.relkind = 'm' ORDER BY 1",
    },
    Check {
        kind: Kind::error("foreign_table", Mend::Sql),
        sql: "SELECT name, 'has a tenant_id, and no policy can stand on a foreign table',
                     format('DROP FOREIGN TABLE %s;', name)
                FROM tenant_relation WHERE relkind = 'f' ORDER BY 1",
    },
    Check {
        kind: Kind::warning("rule_on_table", Mend::Sql),
        sql: "SELECT format('%s, rule %I', t.name, r.rulename), 'what a rule does runs with the rights of the table''s owner',
                     format('DROP RULE %I ON %s;', r.rulename, t.name)
                FROM tenant_table t JOIN pg_rewrite r ON r.ev_class = t.oid ORDER BY 1",
    },
    Check {
        kind: Kind::warning("published_table", Mend::Sql),
        sql: "SELECT format('%s, publication %I', t.name, p.pubname),
                     'logical replication sends rows of all tenants to whoever may subscribe',
                     CASE WHEN r.oid IS NULL THEN format('DROP PUBLICATION IF EXISTS %I;', p.pubname)
                          ELSE format('ALTER PUBLICATION %I DROP TABLE %s;', p.pubname, t.name) END
                FROM tenant_table t
                JOIN pg_class c ON c.oid = t.oid
               CROSS JOIN pg_publication p
                LEFT JOIN pg_publication_rel r ON r.prpubid = p.oid AND r.prrelid = t.oid
               WHERE r.oid IS NOT NULL OR p.puballtables
                  OR EXISTS (SELECT FROM pg_publication_namespace n WHERE n.pnpubid = p.oid AND n.pnnspid = c.relnamespace)
               ORDER BY 1",
    },
];
