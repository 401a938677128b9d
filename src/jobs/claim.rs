//! Claims: which job is next, and whose it is from then on.

use serde_json::Value;
use sqlx::{FromRow, query, query_as, query_scalar};
use uuid::Uuid;

use super::Jobs;
use crate::{
    Error, Result,
    auth::TenantId,
    catalog::ModelType,
    storage::{ANSWER, Worker, WorkerTransaction, in_time, interval},
};

/// Key of the advisory lock under which all claims are made, one after the other.
const CLAIM_LOCK: i64 = 0x62_69_6e_61_68_5f_71;

/// The right of one worker to work on a job, as long as its lease is prolonged.
#[derive(Debug, Clone, PartialEq)]
pub struct Claim {
    /// Whose job.
    pub tenant: TenantId,
    /// Row in `training_jobs`.
    pub job_id: Uuid,
    /// Fencing token.
    pub(super) fence: i64,
    /// Claims of this job, this one included; those that were handed back do not count.
    pub attempt: u32,
    /// What is trained.
    pub model_type: ModelType,
    /// Who asked for it.
    pub user_id: String,
    /// As it was queued.
    pub request: Value,
}

#[derive(FromRow)]
struct Claimed {
    id: Uuid,
    fence: i64,
    attempts: i32,
    model_type: String,
    user_id: Option<String>,
    request: Value,
}

impl Jobs {
    /// Claims the job whose turn it is; `None` if there is none that may run now. `worker` names this
    /// process for operators.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn claim(&self, worker: &str) -> Result<Option<Claim>> {
        in_time(ANSWER, self.claim_next(worker)).await
    }

    async fn claim_next(&self, worker: &str) -> Result<Option<Claim>> {
        let mut transaction = self.database.worker_transaction(Worker::Training, "job_claim").await?;
        // A statement of its own: the next ones see what the claim before this one has done.
        query("SELECT pg_advisory_xact_lock($1)").bind(CLAIM_LOCK).execute(&mut *transaction).await?;
        for tenant in self.tenants_by_turn(&mut transaction).await? {
            if let Some(claim) = self.claim_of(&mut transaction, tenant, worker).await? {
                transaction.commit().await?;
                return Ok(Some(claim));
            }
        }
        transaction.commit().await?;
        Ok(None)
    }

    /// Tenants with queued jobs and room for another running one, first the one that was served the longest ago.
    async fn tenants_by_turn(&self, transaction: &mut WorkerTransaction) -> Result<Vec<Uuid>> {
        // From tenant to tenant along the index: a tenant with a thousand jobs costs one step.
        Ok(query_scalar(
            "WITH RECURSIVE tenant AS (
                 (SELECT tenant_id FROM training_jobs
                   WHERE status = 'queued' AND request IS NOT NULL ORDER BY tenant_id LIMIT 1)
                 UNION ALL
                 SELECT (SELECT j.tenant_id FROM training_jobs j
                          WHERE j.status = 'queued' AND j.request IS NOT NULL AND j.tenant_id > tenant.tenant_id
                          ORDER BY j.tenant_id LIMIT 1)
                   FROM tenant WHERE tenant.tenant_id IS NOT NULL)
             SELECT tenant_id FROM tenant
              WHERE tenant_id IS NOT NULL
                AND (SELECT count(*) FROM training_jobs j
                      WHERE j.tenant_id = tenant.tenant_id AND j.status = 'training'
                        AND j.request IS NOT NULL) < $1
              ORDER BY (SELECT max(j.claimed_at) FROM training_jobs j WHERE j.tenant_id = tenant.tenant_id)
                       NULLS FIRST, tenant_id",
        )
        .bind(i64::try_from(self.limits.running_by_tenant).unwrap_or(i64::MAX))
        .fetch_all(&mut **transaction)
        .await?)
    }

    async fn claim_of(
        &self,
        transaction: &mut WorkerTransaction,
        tenant: Uuid,
        worker: &str,
    ) -> Result<Option<Claim>> {
        // A row that somebody else changes right now, such as by a cancellation, is passed over. A type that only
        // newer processes know, while they are rolled out, is left to them. The transaction began before the wait
        // for the lock: `now()` is older than a job that was handed back meanwhile.
        let known: Vec<&str> = ModelType::all().map(|model_type| model_type.name).collect();
        let claimed: Option<Claimed> = query_as(
            "UPDATE training_jobs
                SET status = 'training', fence = fence + 1, attempts = attempts + 1, worker = $3,
                    lease_until = clock_timestamp() + $2, claimed_at = clock_timestamp(),
                    started_at = coalesce(started_at, now()), updated_at = now(), revision = revision + 1
              WHERE id = (
                    SELECT id FROM training_jobs j
                     WHERE tenant_id = $1 AND status = 'queued' AND request IS NOT NULL
                       AND run_at <= clock_timestamp() AND model_type = ANY($4)
                       AND NOT EXISTS (SELECT FROM training_jobs r
                                        WHERE r.tenant_id = $1 AND r.model_type = j.model_type
                                          AND r.status = 'training' AND r.request IS NOT NULL)
                     ORDER BY priority DESC, created_at, id LIMIT 1 FOR UPDATE SKIP LOCKED)
          RETURNING id, fence, attempts, model_type, user_id, request",
        )
        .bind(tenant)
        .bind(interval(self.limits.lease))
        .bind(worker)
        .bind(known)
        .fetch_optional(&mut **transaction)
        .await?;
        claimed.map(|claimed| claimed.into_claim(TenantId::trusted(tenant))).transpose()
    }
}

impl Claimed {
    fn into_claim(self, tenant: TenantId) -> Result<Claim> {
        let unknown = || Error::internal(format!("job {} is of an unknown type", self.id));
        Ok(Claim {
            tenant,
            job_id: self.id,
            fence: self.fence,
            attempt: u32::try_from(self.attempts).unwrap_or(1),
            model_type: ModelType::parse(&self.model_type).ok_or_else(unknown)?,
            user_id: self.user_id.unwrap_or_default(),
            request: self.request,
        })
    }
}
