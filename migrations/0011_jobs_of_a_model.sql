-- no-transaction
-- A model's run is noted on its job as well. What a build that was broken off leaves is dropped before the next
-- one (storage/migrate.rs): what exists here is whole.
CREATE INDEX CONCURRENTLY IF NOT EXISTS training_jobs_model ON training_jobs (tenant_id, model_id)
    WHERE model_id IS NOT NULL;
