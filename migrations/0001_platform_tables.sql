-- The four tables that the platform's other services and fixtures also read and write. Where they
-- stand already (a database of 0.2.0) they are adopted as they are; our columns come on top.
--
-- No foreign keys and no unique constraints beside the primary keys: fixtures insert in any order,
-- repeat a version, and TRUNCATE single tables.

CREATE TABLE IF NOT EXISTS ml_models (
    id                uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    tenant_id         uuid NOT NULL,
    model_type        text NOT NULL,
    model_name        text,
    model_version     text,
    mlflow_run_id     text,
    mlflow_model_uri  text,
    status            text NOT NULL DEFAULT 'training'
                      CHECK (status IN ('training', 'ready', 'deprecated', 'failed')),
    metrics           jsonb,
    hyperparameters   jsonb,
    created_at        timestamptz NOT NULL DEFAULT now(),
    updated_at        timestamptz DEFAULT now(),
    created_by        uuid
);

ALTER TABLE ml_models
    -- '1', 'v1', '1.0' and 'v1.0' are version 1; any other text is no version of ours.
    ADD COLUMN IF NOT EXISTS version integer GENERATED ALWAYS AS (
        CASE WHEN model_version ~ '^[vV]?[0-9]{1,9}([.]0)?$'
             THEN nullif(substring(model_version FROM '[0-9]{1,9}')::integer, 0) END
    ) STORED,
    ADD COLUMN IF NOT EXISTS job_id                    uuid,
    ADD COLUMN IF NOT EXISTS feature_schema            jsonb,
    -- File name -> {path, sha256, bytes}. A row without it cannot be loaded.
    ADD COLUMN IF NOT EXISTS artifacts                 jsonb,
    ADD COLUMN IF NOT EXISTS feature_importance        jsonb,
    ADD COLUMN IF NOT EXISTS n_rows                    bigint,
    -- The bits of an unsigned 64-bit seed.
    ADD COLUMN IF NOT EXISTS seed                      bigint,
    ADD COLUMN IF NOT EXISTS mlflow_registered_version text,
    -- The token's user id; created_by holds it only where it is a UUID.
    ADD COLUMN IF NOT EXISTS user_id                   text;

CREATE UNIQUE INDEX IF NOT EXISTS ml_models_tenant_version
    ON ml_models (tenant_id, model_type, version) WHERE artifacts IS NOT NULL;
CREATE INDEX IF NOT EXISTS ml_models_tenant_created
    ON ml_models (tenant_id, model_type, created_at);

CREATE TABLE IF NOT EXISTS training_jobs (
    id                   uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    tenant_id            uuid NOT NULL,
    model_type           text NOT NULL,
    model_id             uuid,
    status               text NOT NULL DEFAULT 'queued'
                         CHECK (status IN ('queued', 'training', 'completed', 'failed', 'cancelled')),
    mlflow_run_id        text,
    training_data_query  text,
    hyperparameters      jsonb,
    validation_split     numeric DEFAULT 0.2,
    started_at           timestamptz,
    completed_at         timestamptz,
    error_message        text,
    metrics              jsonb,
    created_at           timestamptz NOT NULL DEFAULT now(),
    created_by           uuid
);

ALTER TABLE training_jobs
    ADD COLUMN IF NOT EXISTS user_id    text,
    ADD COLUMN IF NOT EXISTS updated_at timestamptz NOT NULL DEFAULT now();

CREATE INDEX IF NOT EXISTS training_jobs_tenant_created ON training_jobs (tenant_id, created_at);

CREATE TABLE IF NOT EXISTS predictions (
    id                 uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    tenant_id          uuid NOT NULL,
    model_id           uuid,
    model_type         text NOT NULL,
    model_version      text,
    input_features     jsonb,
    prediction_result  jsonb,
    confidence         double precision,
    created_at         timestamptz NOT NULL DEFAULT now(),
    created_by         uuid
);

ALTER TABLE predictions
    ADD COLUMN IF NOT EXISTS user_id text;

CREATE INDEX IF NOT EXISTS predictions_tenant_created ON predictions (tenant_id, model_type, created_at);

CREATE TABLE IF NOT EXISTS model_metadata (
    id          uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    model_id    uuid,
    key         text NOT NULL,
    value       text,
    created_at  timestamptz NOT NULL DEFAULT now()
);

-- The old table knows its tenant only through the model. A column of its own lets it carry the same
-- policy and the same checks as every other table; nobody has to fill it: the trigger reads it from
-- the model, under the row security of whoever inserts. A row whose model does not exist (or is
-- another tenant's) gets NULL, which no tenant can see or write.
ALTER TABLE model_metadata
    ADD COLUMN IF NOT EXISTS tenant_id uuid;

UPDATE model_metadata SET tenant_id = ml_models.tenant_id
    FROM ml_models WHERE ml_models.id = model_metadata.model_id AND model_metadata.tenant_id IS NULL;

CREATE INDEX IF NOT EXISTS model_metadata_tenant_model ON model_metadata (tenant_id, model_id);

CREATE FUNCTION model_metadata_tenant() RETURNS trigger
    LANGUAGE plpgsql SECURITY INVOKER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    NEW.tenant_id := (SELECT tenant_id FROM public.ml_models WHERE id = NEW.model_id);
    RETURN NEW;
END $$;

CREATE TRIGGER model_metadata_tenant BEFORE INSERT OR UPDATE ON model_metadata
    FOR EACH ROW EXECUTE FUNCTION model_metadata_tenant();

-- Row security. FORCE binds a table's owner too; only superusers pass. The setting reads '' after
-- the first transaction of a pooled connection, hence nullif. The sub-select makes it one look-up a
-- statement instead of one a row.

ALTER TABLE ml_models ENABLE ROW LEVEL SECURITY;
ALTER TABLE ml_models FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_isolation ON ml_models
    USING (tenant_id = (SELECT nullif(current_setting('app.tenant_id', true), '')::uuid))
    WITH CHECK (tenant_id = (SELECT nullif(current_setting('app.tenant_id', true), '')::uuid));

ALTER TABLE training_jobs ENABLE ROW LEVEL SECURITY;
ALTER TABLE training_jobs FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_isolation ON training_jobs
    USING (tenant_id = (SELECT nullif(current_setting('app.tenant_id', true), '')::uuid))
    WITH CHECK (tenant_id = (SELECT nullif(current_setting('app.tenant_id', true), '')::uuid));

ALTER TABLE predictions ENABLE ROW LEVEL SECURITY;
ALTER TABLE predictions FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_isolation ON predictions
    USING (tenant_id = (SELECT nullif(current_setting('app.tenant_id', true), '')::uuid))
    WITH CHECK (tenant_id = (SELECT nullif(current_setting('app.tenant_id', true), '')::uuid));

ALTER TABLE model_metadata ENABLE ROW LEVEL SECURITY;
ALTER TABLE model_metadata FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_isolation ON model_metadata
    USING (tenant_id = (SELECT nullif(current_setting('app.tenant_id', true), '')::uuid))
    WITH CHECK (tenant_id = (SELECT nullif(current_setting('app.tenant_id', true), '')::uuid));
