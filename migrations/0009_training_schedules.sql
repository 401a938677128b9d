-- When a tenant's model type is retrained. A row comes into being with the type's first version, also when a
-- service of the version before this one registers it.
CREATE TABLE training_schedules (
    tenant_id      uuid NOT NULL,
    model_type     text NOT NULL,
    -- default: as the settings of the service say; none: never; cron: at its times; new_rows: when the records
    -- have changed enough.
    kind           text NOT NULL DEFAULT 'default' CHECK (kind IN ('default', 'none', 'cron', 'new_rows')),
    -- Five fields, in the wall clock of the zone.
    cron           text,
    time_zone      text,
    -- Records that came since they were last read, and the share of them that came or went.
    new_rows       bigint CHECK (new_rows > 0),
    changed_share  double precision CHECK (changed_share > 0),
    -- The token's user id; NULL: nobody has set it.
    set_by         text,
    set_at         timestamptz,
    created_at     timestamptz NOT NULL DEFAULT now(),
    -- When a scheduler looks at it next; NULL: never, or not planned yet.
    due_at         timestamptz,
    -- What due_at was computed from: where that has changed, it is computed anew. NULL: not yet.
    planned_by     text,
    -- Until when it is one scheduler's; also that one's token.
    claimed_until  timestamptz,
    last_run_at    timestamptz,
    last_job_id    uuid,
    -- queued: the job says more; else how it ended.
    last_outcome   text CHECK (last_outcome IN
                       ('queued', 'promoted', 'not_promoted', 'unchanged', 'skipped', 'failed', 'cancelled')),
    last_message   text,
    -- The records when new_rows last had them read: how many, the highest id, when.
    marked_rows    bigint,
    marked_id      bigint,
    marked_at      timestamptz,
    PRIMARY KEY (tenant_id, model_type),
    CHECK (kind <> 'cron' OR (cron IS NOT NULL AND time_zone IS NOT NULL)),
    CHECK (kind <> 'new_rows' OR new_rows IS NOT NULL OR changed_share IS NOT NULL)
);

-- The models that are there already, of all tenants. FORCE hides them from an owner that is no superuser; without
-- it they are seen in this transaction alone, whose lock keeps everybody else out until it is back.
ALTER TABLE ml_models NO FORCE ROW LEVEL SECURITY;
INSERT INTO training_schedules (tenant_id, model_type)
    SELECT DISTINCT tenant_id, model_type FROM ml_models WHERE artifacts IS NOT NULL;
ALTER TABLE ml_models FORCE ROW LEVEL SECURITY;

CREATE FUNCTION training_schedule_of_model() RETURNS trigger
    LANGUAGE plpgsql SECURITY INVOKER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO public.training_schedules (tenant_id, model_type) VALUES (NEW.tenant_id, NEW.model_type)
        ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;

CREATE TRIGGER training_schedule_of_model AFTER INSERT ON ml_models
    FOR EACH ROW WHEN (NEW.artifacts IS NOT NULL) EXECUTE FUNCTION training_schedule_of_model();

ALTER TABLE training_schedules ENABLE ROW LEVEL SECURITY;
ALTER TABLE training_schedules FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_isolation ON training_schedules
    USING (tenant_id = (SELECT nullif(current_setting('app.tenant_id', true), '')::uuid))
    WITH CHECK (tenant_id = (SELECT nullif(current_setting('app.tenant_id', true), '')::uuid));
-- The schedulers' own policy names the service's login: storage/login.rs makes it.
