-- The service's login may write schedules once storage/login.rs has granted it, which is after the migrations. A
-- training that ended in between lost its model to the refusal. Now the model is registered without its row; the
-- grant makes the rows that are missing (storage/login.rs).
CREATE OR REPLACE FUNCTION training_schedule_of_model() RETURNS trigger
    LANGUAGE plpgsql SECURITY INVOKER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO public.training_schedules (tenant_id, model_type) VALUES (NEW.tenant_id, NEW.model_type)
        ON CONFLICT DO NOTHING;
    RETURN NULL;
EXCEPTION WHEN insufficient_privilege THEN
    RETURN NULL;
END $$;
