-- Trainings as a durable queue. A row with a request is the queue's; rows without one are the platform's, or
-- trainings of versions before this one, and no worker touches them.

ALTER TABLE training_jobs
    -- What is to be trained, whole, digit for digit (hence json). NULL: not of the queue.
    ADD COLUMN IF NOT EXISTS request              json,
    -- api: somebody asked for it; schedule: a retraining.
    ADD COLUMN IF NOT EXISTS origin               text,
    -- The higher the sooner, among the jobs of one tenant.
    ADD COLUMN IF NOT EXISTS priority             smallint NOT NULL DEFAULT 0,
    -- Not claimed before.
    ADD COLUMN IF NOT EXISTS run_at               timestamptz NOT NULL DEFAULT now(),
    -- Claims that were not handed back.
    ADD COLUMN IF NOT EXISTS attempts             integer NOT NULL DEFAULT 0,
    -- Fencing token: grows with each claim and each loss of one. A worker with an older one changes nothing.
    ADD COLUMN IF NOT EXISTS fence                bigint NOT NULL DEFAULT 0,
    -- Until when the job is its worker's, unless that prolongs it.
    ADD COLUMN IF NOT EXISTS lease_until          timestamptz,
    -- Who has it, for operators.
    ADD COLUMN IF NOT EXISTS worker               text,
    -- The last claim: whose tenant's lies back the longest is served next.
    ADD COLUMN IF NOT EXISTS claimed_at           timestamptz,
    ADD COLUMN IF NOT EXISTS cancel_requested_at  timestamptz,
    -- Stage, percent, rounds, metrics so far.
    ADD COLUMN IF NOT EXISTS progress             jsonb,
    -- What the answer to a completed training says beside its metrics.
    ADD COLUMN IF NOT EXISTS outcome              json,
    -- What the answer to a failed training says.
    ADD COLUMN IF NOT EXISTS error                json,
    -- The client's name for the request; the same one with another request is refused.
    ADD COLUMN IF NOT EXISTS idempotency_key      text,
    ADD COLUMN IF NOT EXISTS request_sha256       text,
    -- Grows with each change that is worth telling.
    ADD COLUMN IF NOT EXISTS revision             bigint NOT NULL DEFAULT 0;

CREATE INDEX IF NOT EXISTS training_jobs_queued ON training_jobs (tenant_id, priority DESC, created_at, id)
    WHERE status = 'queued' AND request IS NOT NULL;
-- One training of a tenant's model type at a time: the claim sees to it, this makes it certain.
CREATE UNIQUE INDEX IF NOT EXISTS training_jobs_running ON training_jobs (tenant_id, model_type)
    WHERE status = 'training' AND request IS NOT NULL;
CREATE INDEX IF NOT EXISTS training_jobs_claimed ON training_jobs (tenant_id, claimed_at)
    WHERE claimed_at IS NOT NULL;
CREATE UNIQUE INDEX IF NOT EXISTS training_jobs_idempotency ON training_jobs (tenant_id, idempotency_key)
    WHERE idempotency_key IS NOT NULL;

-- Bytes that a job needs until it has ended: `rows`, sent with the request; `checkpoint`, a model half grown.
CREATE TABLE training_job_files (
    tenant_id   uuid NOT NULL,
    job_id      uuid NOT NULL,
    name        text NOT NULL,
    bytes       bytea NOT NULL,
    written_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, job_id, name)
);
-- They live for seconds: compressing them costs more than it saves.
ALTER TABLE training_job_files ALTER COLUMN bytes SET STORAGE EXTERNAL;
ALTER TABLE training_job_files ENABLE ROW LEVEL SECURITY;
ALTER TABLE training_job_files FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_isolation ON training_job_files
    USING (tenant_id = (SELECT nullif(current_setting('app.tenant_id', true), '')::uuid))
    WITH CHECK (tenant_id = (SELECT nullif(current_setting('app.tenant_id', true), '')::uuid));
-- The workers' own policies name the service's login: storage/login.rs makes them.
