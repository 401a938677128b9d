-- The financial side of the training data: one table a model type, one typed column a feature
-- (NULL = missing), the target last. `id` keeps the order of arrival: the default queries read in
-- that order, so that the same rows give the same model. An unknown observed_at stays NULL.

-- What projects cost.
CREATE TABLE cost_records (
    tenant_id          uuid NOT NULL,
    id                 bigint GENERATED ALWAYS AS IDENTITY,
    entity_id          text NOT NULL,
    observed_at        timestamptz,
    project_size_sqft  double precision,
    num_units          integer,
    location_tier      integer,
    property_type      text,
    year               integer,
    total_cost         double precision,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX cost_records_tenant_entity ON cost_records (tenant_id, entity_id);
ALTER TABLE cost_records ENABLE ROW LEVEL SECURITY;
ALTER TABLE cost_records FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_isolation ON cost_records
    USING (tenant_id = (SELECT nullif(current_setting('app.tenant_id', true), '')::uuid))
    WITH CHECK (tenant_id = (SELECT nullif(current_setting('app.tenant_id', true), '')::uuid));

-- Which properties turned out a high risk (0 or 1).
CREATE TABLE risk_records (
    tenant_id            uuid NOT NULL,
    id                   bigint GENERATED ALWAYS AS IDENTITY,
    entity_id            text NOT NULL,
    observed_at          timestamptz,
    leverage_ratio       double precision,
    occupancy_rate       double precision,
    market_volatility    double precision,
    property_age         double precision,
    location_risk_score  double precision,
    high_risk            integer CHECK (high_risk IN (0, 1)),
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX risk_records_tenant_entity ON risk_records (tenant_id, entity_id);
ALTER TABLE risk_records ENABLE ROW LEVEL SECURITY;
ALTER TABLE risk_records FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_isolation ON risk_records
    USING (tenant_id = (SELECT nullif(current_setting('app.tenant_id', true), '')::uuid))
    WITH CHECK (tenant_id = (SELECT nullif(current_setting('app.tenant_id', true), '')::uuid));

-- What investments returned, percent a year.
CREATE TABLE roi_records (
    tenant_id           uuid NOT NULL,
    id                  bigint GENERATED ALWAYS AS IDENTITY,
    entity_id           text NOT NULL,
    observed_at         timestamptz,
    purchase_price      double precision,
    annual_revenue      double precision,
    operating_expenses  double precision,
    property_type       text,
    market_growth_rate  double precision,
    roi                 double precision,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX roi_records_tenant_entity ON roi_records (tenant_id, entity_id);
ALTER TABLE roi_records ENABLE ROW LEVEL SECURITY;
ALTER TABLE roi_records FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_isolation ON roi_records
    USING (tenant_id = (SELECT nullif(current_setting('app.tenant_id', true), '')::uuid))
    WITH CHECK (tenant_id = (SELECT nullif(current_setting('app.tenant_id', true), '')::uuid));

-- A property's month.
CREATE TABLE property_metrics (
    tenant_id         uuid NOT NULL,
    id                bigint GENERATED ALWAYS AS IDENTITY,
    entity_id         text NOT NULL,
    observed_at       timestamptz,
    monthly_revenue   double precision,
    occupancy_rate    double precision,
    maintenance_cost  double precision,
    tenant_turnover   double precision,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX property_metrics_tenant_entity ON property_metrics (tenant_id, entity_id);
ALTER TABLE property_metrics ENABLE ROW LEVEL SECURITY;
ALTER TABLE property_metrics FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_isolation ON property_metrics
    USING (tenant_id = (SELECT nullif(current_setting('app.tenant_id', true), '')::uuid))
    WITH CHECK (tenant_id = (SELECT nullif(current_setting('app.tenant_id', true), '')::uuid));
