-- Names that move between the versions of a model type, and why they moved. A type without a row for
-- `champion` has its newest ready version as champion: what the version before this one serves.
CREATE TABLE model_aliases (
    tenant_id   uuid NOT NULL,
    model_type  text NOT NULL,
    -- `champion` answers predictions that name no version; `challenger` was trained and not promoted.
    alias       text NOT NULL,
    -- NULL: taken away, which MLflow has to learn as well.
    model_id    uuid,
    set_at      timestamptz NOT NULL DEFAULT now(),
    -- The token's user id; NULL: decided by a training.
    set_by      text,
    PRIMARY KEY (tenant_id, model_type, alias)
);
ALTER TABLE model_aliases ENABLE ROW LEVEL SECURITY;
ALTER TABLE model_aliases FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_isolation ON model_aliases
    USING (tenant_id = (SELECT nullif(current_setting('app.tenant_id', true), '')::uuid))
    WITH CHECK (tenant_id = (SELECT nullif(current_setting('app.tenant_id', true), '')::uuid));

-- Every decision about the champion, never changed afterwards.
CREATE TABLE model_promotions (
    tenant_id       uuid NOT NULL,
    id              bigint GENERATED ALWAYS AS IDENTITY,
    model_type      text NOT NULL,
    -- The version that was decided about.
    model_id        uuid NOT NULL,
    -- The champion until then; NULL: none.
    champion_id     uuid,
    -- first, better, not_better, not_comparable, no_held_out_rows, no_labels, manual, always: by a
    -- training; set, rollback: by an administrator.
    decision        text NOT NULL,
    -- Whether the version is champion from then on.
    promoted        boolean NOT NULL,
    reason          text NOT NULL,
    -- Both numbers are of the same held-out rows.
    metric          text,
    value           double precision,
    champion_value  double precision,
    margin          double precision,
    -- The token's user id; NULL: by a training.
    decided_by      text,
    decided_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX model_promotions_tenant_model ON model_promotions (tenant_id, model_type, model_id);
ALTER TABLE model_promotions ENABLE ROW LEVEL SECURITY;
ALTER TABLE model_promotions FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_isolation ON model_promotions
    USING (tenant_id = (SELECT nullif(current_setting('app.tenant_id', true), '')::uuid))
    WITH CHECK (tenant_id = (SELECT nullif(current_setting('app.tenant_id', true), '')::uuid));
