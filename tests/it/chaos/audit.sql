-- What happened to each job, in the order in which it happened: the rows themselves only tell how it ended.
CREATE SCHEMA audit;
CREATE TABLE audit.jobs (
    n           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at          timestamptz NOT NULL DEFAULT clock_timestamp(),
    job_id      uuid NOT NULL,
    tenant      uuid NOT NULL,
    was         text,
    became      text NOT NULL,
    fence       bigint NOT NULL,
    attempts    integer NOT NULL,
    rounds_done integer
);
CREATE FUNCTION audit.note() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
    INSERT INTO audit.jobs (job_id, tenant, was, became, fence, attempts, rounds_done)
    VALUES (NEW.id, NEW.tenant_id, CASE TG_OP WHEN 'UPDATE' THEN OLD.status END, NEW.status, NEW.fence, NEW.attempts,
            CASE WHEN NEW.progress ->> 'stage' = 'fitting' THEN (NEW.progress ->> 'rounds_done')::integer END);
    RETURN NULL;
END $$;
CREATE TRIGGER audit AFTER INSERT OR UPDATE ON training_jobs FOR EACH ROW EXECUTE FUNCTION audit.note();
