-- What may follow each state of a job of the queue, whoever changes it and however: no job that has ended begins again,
-- and none ends twice. The same rule as `JobState::may_become` (src/jobs/state.rs); a test holds one against the other.
CREATE OR REPLACE FUNCTION training_jobs_check_state() RETURNS trigger
    LANGUAGE plpgsql SECURITY INVOKER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF (OLD.status, NEW.status) NOT IN (
        ('queued', 'training'), ('queued', 'cancelled'),
        ('training', 'queued'), ('training', 'completed'), ('training', 'failed'), ('training', 'cancelled'))
    THEN
        RAISE EXCEPTION 'a job that is % may not become %', OLD.status, NEW.status USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;

-- Rows without a request are the platform's.
CREATE OR REPLACE TRIGGER training_jobs_state BEFORE UPDATE OF status ON training_jobs
    FOR EACH ROW WHEN (OLD.request IS NOT NULL AND OLD.status <> NEW.status)
    EXECUTE FUNCTION training_jobs_check_state();
