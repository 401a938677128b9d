-- Trainings whose run is not complete in MLflow yet: one row a model, inserted in the transaction that
-- registers it and deleted in the one that notes its run. The rows are few, and the worker that drains
-- them looks at them across tenants: no index beside the key.
CREATE TABLE tracking_outbox (
    tenant_id        uuid NOT NULL,
    -- Row in ml_models. No foreign key: fixtures truncate that table.
    model_id         uuid NOT NULL,
    job_id           uuid NOT NULL,
    -- The run without its files.
    run              jsonb NOT NULL,
    -- Where the bytes of its files are in the artifact store.
    files            jsonb NOT NULL,
    -- pending: to be logged; parked: given up until an operator says otherwise.
    state            text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'parked')),
    -- The step that the last attempt began.
    step             text,
    run_id           text,
    -- Attempts begun that say something of this run: those that found no server do not count.
    attempts         integer NOT NULL DEFAULT 0,
    next_attempt_at  timestamptz NOT NULL DEFAULT now(),
    -- Until when the row is one attempt's, unless that prolongs it; NULL: nobody's.
    lease_until      timestamptz,
    -- Number of claims; an attempt with an older one has lost the row.
    fence            bigint NOT NULL DEFAULT 0,
    -- For operators: never in an answer.
    last_error       text,
    created_at       timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, model_id)
);

ALTER TABLE tracking_outbox ENABLE ROW LEVEL SECURITY;
ALTER TABLE tracking_outbox FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_isolation ON tracking_outbox
    USING (tenant_id = (SELECT nullif(current_setting('app.tenant_id', true), '')::uuid))
    WITH CHECK (tenant_id = (SELECT nullif(current_setting('app.tenant_id', true), '')::uuid));
-- The worker's own policy names the service's login: storage/login.rs makes it.
