-- Tables that a tenant brought along (`binah-ml import`). Each lies in a table of its own in this schema, whose
-- name is drawn at random; this registry says what the tenant calls it. src/storage/imported_tables.rs makes them and
-- their walls. The service's login has no part in the schema: only the login of tenants' queries reads it.

CREATE SCHEMA tenant_data;
REVOKE ALL ON SCHEMA tenant_data FROM PUBLIC;

CREATE TABLE imported_tables (
    tenant_id      uuid NOT NULL,
    -- What the tenant writes after FROM.
    name           text NOT NULL,
    -- The table in tenant_data.
    physical_name  text NOT NULL,
    column_names   text[] NOT NULL,
    -- As format_type() writes them, in the order of column_names.
    column_types   text[] NOT NULL,
    row_count      bigint NOT NULL,
    imported_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, name)
);
ALTER TABLE imported_tables ENABLE ROW LEVEL SECURITY;
ALTER TABLE imported_tables FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_isolation ON imported_tables
    USING (tenant_id = (SELECT nullif(current_setting('app.tenant_id', true), '')::uuid))
    WITH CHECK (tenant_id = (SELECT nullif(current_setting('app.tenant_id', true), '')::uuid));
