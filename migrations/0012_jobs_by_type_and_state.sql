-- no-transaction
-- The list of a type's jobs in one state, from the newest.
CREATE INDEX CONCURRENTLY IF NOT EXISTS training_jobs_filtered
    ON training_jobs (tenant_id, model_type, status, created_at DESC, id DESC);
