//! One line a mistake: the SQL, and what the doctor must say to it. A new check gets its line here.

/// What somebody might do to a database.
pub(super) struct Sabotage {
    /// `{service}`, `{query}`, `{owner}` and `{database}` stand for the names.
    pub(super) sql: &'static str,
    /// The codes of all findings, those of the probes among them.
    pub(super) codes: &'static str,
}

impl Sabotage {
    /// Whether it reaches beyond its own database.
    pub(super) fn changes_roles(&self) -> bool {
        ["ALTER ROLE", "CREATE ROLE", "GRANT pg_", "GRANT {", "AUTHORIZATION", "OWNER TO"]
            .iter()
            .any(|word| self.sql.contains(word))
    }
}

const fn sabotage(codes: &'static str, sql: &'static str) -> Sabotage {
    Sabotage { sql, codes }
}

/// The mistakes.
pub(super) const SABOTAGES: &[Sabotage] = &[
    // Tables.
    sabotage(
        "table_without_rls table_without_force table_without_policy",
        "CREATE TABLE naked (tenant_id uuid NOT NULL, id bigint, PRIMARY KEY (tenant_id, id))",
    ),
    sabotage(
        "table_without_rls rows_without_tenant foreign_row_read foreign_row_changed foreign_row_written \
         unsigned_rows_read bad_signature_accepted",
        "ALTER TABLE cost_records DISABLE ROW LEVEL SECURITY",
    ),
    sabotage("table_without_force", "ALTER TABLE predictions NO FORCE ROW LEVEL SECURITY"),
    sabotage("table_without_policy", "DROP POLICY tenant_isolation ON predictions"),
    // A partition that is named itself knows nothing of its parent's policies.
    sabotage(
        "table_without_rls table_without_force table_without_policy",
        "CREATE TABLE tenant_data.parted (tenant_id uuid, n int) PARTITION BY LIST (n);
         ALTER TABLE tenant_data.parted ENABLE ROW LEVEL SECURITY;
         ALTER TABLE tenant_data.parted FORCE ROW LEVEL SECURITY;
         CREATE POLICY own ON tenant_data.parted USING (tenant_id = (current_setting('app.tenant_id'))::uuid)
                                                 WITH CHECK (tenant_id = (current_setting('app.tenant_id'))::uuid);
         CREATE TABLE tenant_data.\"part 1\" PARTITION OF tenant_data.parted FOR VALUES IN (1)",
    ),
    sabotage("unique_across_tenants", "ALTER TABLE cost_records ADD CONSTRAINT once UNIQUE (entity_id)"),
    sabotage("unique_across_tenants", "CREATE UNIQUE INDEX ON roi_records (lower(entity_id) DESC) WHERE roi > 0"),
    sabotage(
        "unique_across_tenants",
        "ALTER TABLE risk_records DROP CONSTRAINT risk_records_pkey, ADD PRIMARY KEY (id)",
    ),
    sabotage("index_not_led_by_tenant", "CREATE INDEX ON cost_records (year)"),
    sabotage("index_not_led_by_tenant", "CREATE UNIQUE INDEX ON cost_records (year, tenant_id, id) WHERE year > 0"),
    // Policies.
    sabotage(
        "policy_without_using",
        "CREATE POLICY half ON predictions
             WITH CHECK (tenant_id = (SELECT nullif(current_setting('app.tenant_id', true), '')::uuid))",
    ),
    sabotage(
        "policy_without_check",
        "DROP POLICY tenant_isolation ON predictions;
         CREATE POLICY tenant_isolation ON predictions
             USING (tenant_id = (SELECT nullif(current_setting('app.tenant_id', true), '')::uuid))",
    ),
    sabotage(
        "policy_opens_wall rows_without_tenant foreign_row_read",
        "CREATE POLICY \"Debug, again\" ON training_jobs FOR SELECT USING (true)",
    ),
    sabotage(
        "policy_opens_wall rows_without_tenant foreign_row_read",
        "ALTER POLICY tenant_isolation ON predictions
             USING (tenant_id = (SELECT nullif(current_setting('app.tenant_id', true), '')::uuid) OR model_type <> '')",
    ),
    sabotage("policy_opens_wall foreign_row_written", "ALTER POLICY tenant_isolation ON predictions WITH CHECK (true)"),
    sabotage("policy_opens_wall", "CREATE POLICY theirs ON cost_records TO {query} USING (true) WITH CHECK (true)"),
    // What opens a worker's queue opens nothing else, to nobody else, under no other condition.
    sabotage(
        "policy_opens_wall",
        "CREATE POLICY tracking_worker ON predictions TO {service}
             USING (current_setting('app.worker', true) = 'tracking')
             WITH CHECK (current_setting('app.worker', true) = 'tracking')",
    ),
    sabotage(
        "policy_opens_wall",
        "CREATE POLICY everybody ON tracking_outbox USING (current_setting('app.worker', true) = 'tracking')
             WITH CHECK (current_setting('app.worker', true) = 'tracking')",
    ),
    sabotage(
        "policy_opens_wall",
        "ALTER POLICY tracking_worker ON tracking_outbox USING (current_setting('app.worker', true) <> 'x')",
    ),
    sabotage(
        "policy_across_tenants",
        "CREATE ROLE {database}_auditor; CREATE POLICY audit ON predictions FOR SELECT TO {database}_auditor USING (true)",
    ),
    sabotage(
        "query_wall_missing unsigned_rows_read bad_signature_accepted",
        "DROP POLICY tenant_query_wall ON cost_records",
    ),
    sabotage("query_wall_missing unsigned_rows_read bad_signature_accepted", "GRANT SELECT ON ml_models TO {query}"),
    sabotage(
        "query_wall_missing login_grant query_login_writes unsigned_rows_read bad_signature_accepted",
        "DROP POLICY tenant_query_wall ON cost_records; GRANT INSERT ON cost_records TO {query}",
    ),
    sabotage(
        "reader_without_wall",
        "CREATE ROLE {database}_former; GRANT SELECT ON cost_records TO {database}_former;
         GRANT SELECT (roi) ON roi_records TO {database}_former",
    ),
    // Ways round the tables.
    sabotage("view_with_owners_rights", "CREATE VIEW report AS SELECT count(*) FROM cost_records"),
    sabotage(
        "view_with_owners_rights",
        "CREATE VIEW inner_view WITH (security_invoker = true) AS SELECT * FROM roi_records;
         CREATE VIEW outer_view WITH (security_invoker = off) AS SELECT * FROM inner_view",
    ),
    sabotage("materialized_view", "CREATE MATERIALIZED VIEW copy AS SELECT * FROM cost_records"),
    sabotage(
        "foreign_table",
        "CREATE FOREIGN DATA WRAPPER w; CREATE SERVER s FOREIGN DATA WRAPPER w;
         CREATE FOREIGN TABLE elsewhere (tenant_id uuid) SERVER s",
    ),
    sabotage("rule_on_table", "CREATE RULE silent AS ON DELETE TO roi_records DO ALSO NOTHING"),
    sabotage("published_table", "CREATE PUBLICATION p FOR TABLE cost_records, roi_records"),
    sabotage("published_table", "CREATE PUBLICATION p FOR TABLES IN SCHEMA public"),
    // Logins.
    sabotage("login_attribute", "ALTER ROLE {service} CREATEDB; ALTER ROLE {query} REPLICATION"),
    sabotage(
        "login_attribute login_becomes_another rows_without_tenant foreign_row_read foreign_row_changed foreign_row_written",
        "ALTER ROLE {service} SUPERUSER",
    ),
    sabotage(
        "login_attribute unsigned_rows_read bad_signature_accepted",
        "ALTER ROLE {query} BYPASSRLS",
    ),
    sabotage("login_is_member", "GRANT pg_read_all_data TO {query}"),
    sabotage("login_is_member login_becomes_another", "GRANT {owner} TO {service}"),
    sabotage("login_has_members", "CREATE ROLE {database}_other; GRANT {service} TO {database}_other"),
    sabotage("login_owns", "CREATE SCHEMA mine AUTHORIZATION {query}; ALTER TABLE predictions OWNER TO {service}"),
    sabotage(
        "tenant_by_default",
        "ALTER DATABASE {database} SET app.tenant_id = 'aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa';
         ALTER ROLE {query} IN DATABASE {database} SET app.tenant = 'x'; ALTER ROLE {service} SET app.sig = 'x'",
    ),
    // Grants.
    sabotage("public_grant", "GRANT SELECT ON cost_records TO PUBLIC"),
    sabotage("public_grant", "CREATE TABLE other (x int); GRANT INSERT (x) ON other TO PUBLIC"),
    sabotage("login_grant", "GRANT ALL ON predictions TO {service}"),
    sabotage("login_grant", "GRANT UPDATE (confidence, model_id) ON predictions TO {service}"),
    sabotage("login_grant", "GRANT SELECT ON cost_records TO {service} WITH GRANT OPTION"),
    sabotage("login_grant", "GRANT SELECT ON _sqlx_migrations TO {query}"),
    sabotage("login_grant", "GRANT USAGE ON SEQUENCE cost_records_id_seq TO {service}"),
    sabotage("may_create", "GRANT CREATE ON SCHEMA public TO PUBLIC; GRANT CREATE ON DATABASE {database} TO {service}"),
    sabotage("may_create_temporary", "GRANT TEMPORARY ON DATABASE {database} TO PUBLIC, {query}"),
    sabotage(
        "default_privileges",
        "ALTER DEFAULT PRIVILEGES GRANT SELECT, INSERT ON TABLES TO PUBLIC;
         ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT USAGE ON SEQUENCES TO {query}",
    ),
    // Functions.
    sabotage(
        "definer_without_path",
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'; REVOKE ALL ON FUNCTION f() FROM PUBLIC;
         CREATE PROCEDURE g() LANGUAGE sql SECURITY DEFINER SET search_path = public AS 'SELECT 1';
         REVOKE ALL ON PROCEDURE g() FROM PUBLIC",
    ),
    sabotage(
        "definer_granted",
        "CREATE FUNCTION f() RETURNS bigint LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp
             AS 'SELECT count(*) FROM cost_records'",
    ),
    sabotage("leakproof_function", "CREATE FUNCTION f(text) RETURNS bool LEAKPROOF LANGUAGE sql AS 'SELECT true'"),
    sabotage("dangerous_function", "GRANT EXECUTE ON FUNCTION pg_sleep(float8), pg_notify(text, text) TO PUBLIC"),
    // The signing key.
    sabotage("signing_missing", "ALTER FUNCTION sec.hmac(text) RENAME TO mac"),
    sabotage("signing_key_granted", "GRANT SELECT ON sec.signing_key TO {service}; GRANT SELECT (inner_pad) ON sec.signing_key TO PUBLIC"),
    sabotage(
        "signing_function_granted",
        "GRANT EXECUTE ON FUNCTION sec.hmac(text) TO PUBLIC; GRANT EXECUTE ON FUNCTION sec.sign_tenant(uuid, integer, integer) TO {query}",
    ),
    sabotage("signing_key_unsound", "DELETE FROM sec.signing_key"),
    sabotage(
        "signing_key_unsound",
        "UPDATE sec.signing_key SET inner_pad = decode(repeat('36', 64), 'hex'), outer_pad = decode(repeat('5c', 64), 'hex')",
    ),
    // The catalogue cannot tell what a function does; the probes can.
    sabotage(
        "unsigned_rows_read bad_signature_accepted",
        "CREATE OR REPLACE FUNCTION sec.verified_tenant() RETURNS uuid LANGUAGE sql STABLE SECURITY DEFINER
             SET search_path = pg_catalog, pg_temp AS $$ SELECT nullif(current_setting('app.tenant', true), '')::uuid $$",
    ),
    // Migrations.
    sabotage("migration_missing", "DELETE FROM _sqlx_migrations WHERE version = 2"),
    sabotage("migration_changed", "UPDATE _sqlx_migrations SET checksum = 'x' WHERE version = 1"),
    sabotage(
        "migration_unknown",
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) VALUES (9999, 'later', true, 'x', 1)",
    ),
];
