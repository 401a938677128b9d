//! Tables with a `tenant_id`: row-level security and indexes.

use sqlx::PgConnection;

use super::{
    check::{Check, Context, Kind, select},
    report::Mend,
};
use crate::Result;

/// Every table with a `tenant_id`, qualified and quoted, in order.
pub(super) async fn names(connection: &mut PgConnection, context: &Context) -> Result<Vec<String>> {
    let rows: Vec<(String,)> =
        select(connection, context, "SELECT name FROM tenant_table ORDER BY name").await?;
    Ok(rows.into_iter().map(|(name,)| name).collect())
}

pub(super) const CHECKS: &[Check] = &[
    Check {
        kind: Kind::error("table_without_rls", Mend::Sql),
        sql: "SELECT name, 'row-level security is off: whoever may read it reads every tenant''s rows',
                     format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY;', name)
                FROM tenant_table WHERE NOT relrowsecurity ORDER BY name",
    },
    Check {
        kind: Kind::error("table_without_force", Mend::Sql),
        sql: "SELECT name, 'row-level security does not bind the table''s owner, nor what runs with its rights',
                     format('ALTER TABLE %s FORCE ROW LEVEL SECURITY;', name)
                FROM tenant_table WHERE NOT relforcerowsecurity ORDER BY name",
    },
    Check {
        kind: Kind::error("table_without_policy", Mend::Sql),
        sql: "SELECT name, 'has no permissive policy: under row-level security nobody sees a row, without it everybody',
                     format('CREATE POLICY tenant_isolation ON %s USING (%s) WITH CHECK (%s);', name, binding, binding)
                FROM tenant_table AS t
               WHERE NOT EXISTS (SELECT FROM pg_policy WHERE polrelid = t.oid AND polpermissive) ORDER BY name",
    },
    // A primary key on one random uuid tells nothing: it is not guessed, and not chosen twice.
    Check {
        kind: Kind::error("unique_across_tenants", Mend::Sql),
        sql: "SELECT i.indexrelid::regclass::text,
                     format('is unique across tenants of %s: a conflict tells one tenant what another has', t.name),
                     CASE WHEN k.oid IS NULL THEN
                         format('DROP INDEX %s; %s;', i.indexrelid::regclass,
                                regexp_replace(pg_get_indexdef(i.indexrelid), ' USING (\\w+) \\(', ' USING \\1 (tenant_id, '))
                     ELSE
                         format('ALTER TABLE %s DROP CONSTRAINT %I, ADD CONSTRAINT %2$I %s;', t.name, k.conname,
                                regexp_replace(pg_get_constraintdef(k.oid), '\\(', '(tenant_id, '))
                     END
                FROM tenant_table t
                JOIN pg_index i ON i.indrelid = t.oid AND (i.indisunique OR i.indisexclusion)
                LEFT JOIN pg_constraint k ON k.conindid = i.indexrelid AND k.contype IN ('p', 'u', 'x')
               WHERE NOT t.tenant_column = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1])
                 AND NOT (i.indisprimary AND i.indnkeyatts = 1
                          AND EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = t.oid AND a.attnum = i.indkey[0]
                                                                   AND a.atttypid = 'uuid'::regtype))
               ORDER BY 1",
    },
    // Other methods than btree cannot be led by a uuid without an extension.
    Check {
        kind: Kind::warning("index_not_led_by_tenant", Mend::Sql),
        sql: "SELECT i.indexrelid::regclass::text,
                     format('is not led by tenant_id: every look-up of a tenant in %s wades through the others'' rows', t.name),
                     format('DROP INDEX %s; CREATE %sINDEX %I ON %s (tenant_id%s)%s;', i.indexrelid::regclass,
                            CASE WHEN i.indisunique THEN 'UNIQUE ' END, c.relname, t.name,
                            (SELECT string_agg(', ' || pg_get_indexdef(i.indexrelid, k, false), '' ORDER BY k)
                               FROM generate_series(1, i.indnkeyatts) AS k WHERE i.indkey[k - 1] <> t.tenant_column),
                            ' WHERE ' || pg_get_expr(i.indpred, t.oid))
                FROM tenant_table t
                JOIN pg_index i ON i.indrelid = t.oid AND i.indkey[0] <> t.tenant_column
                JOIN pg_class c ON c.oid = i.indexrelid
                JOIN pg_am m ON m.oid = c.relam AND m.amname = 'btree'
               WHERE NOT i.indisunique OR t.tenant_column = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1])
               ORDER BY 1",
    },
];
