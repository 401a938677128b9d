//! Bytes that a job needs until it has ended.

use std::time::Duration;

use sqlx::{PgConnection, query, query_scalar};
use uuid::Uuid;

use super::{Claim, Jobs};
use crate::{
    Result,
    auth::TenantId,
    storage::{TenantTransaction, in_time},
};

/// How long a file may take; it may have hundreds of megabytes.
const TRANSFER: Duration = Duration::from_secs(60);

/// Rows that came with the request.
const ROWS: &str = "rows";
/// A model half grown: segments, each named after where it starts, with so many digits that the names are in order.
pub(super) const CHECKPOINT: &str = "checkpoint/";

pub(super) async fn insert_rows(
    transaction: &mut TenantTransaction,
    job_id: Uuid,
    bytes: &[u8],
) -> Result<()> {
    query("INSERT INTO training_job_files (tenant_id, job_id, name, bytes) VALUES ($1, $2, $3, $4)")
        .bind(transaction.tenant().uuid())
        .bind(job_id)
        .bind(ROWS)
        .bind(bytes)
        .execute(&mut **transaction)
        .await?;
    Ok(())
}

/// Removes the files of a job that has ended.
pub(super) async fn remove(transaction: &mut PgConnection, tenant: TenantId, job_id: Uuid) -> Result<()> {
    query("DELETE FROM training_job_files WHERE tenant_id = $1 AND job_id = $2")
        .bind(tenant.uuid())
        .bind(job_id)
        .execute(transaction)
        .await?;
    Ok(())
}

impl Jobs {
    /// The rows that came with the request of a claimed job; `None` if it has ended.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn read_rows(&self, claim: &Claim) -> Result<Option<Vec<u8>>> {
        Ok(in_time(TRANSFER, self.files(claim, ROWS)).await?.pop())
    }

    /// The segments that are kept of a claimed job's model, in their order.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn read_checkpoint(&self, claim: &Claim) -> Result<Vec<Vec<u8>>> {
        in_time(TRANSFER, self.files(claim, CHECKPOINT)).await
    }

    /// The files whose names begin with `prefix`, by name.
    async fn files(&self, claim: &Claim, prefix: &str) -> Result<Vec<Vec<u8>>> {
        let mut transaction = self.database.tenant_snapshot("job_file_read").await?;
        let files = query_scalar(
            "SELECT bytes FROM training_job_files
              WHERE tenant_id = $1 AND job_id = $2 AND starts_with(name, $3) ORDER BY name",
        )
        .bind(claim.tenant.uuid())
        .bind(claim.job_id)
        .bind(prefix)
        .fetch_all(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(files)
    }

    /// Keeps a segment of a claimed job's model that starts at `start`, by any count that grows from one to the next, in
    /// the place of all that start there or later; false if the claim does not hold any more.
    ///
    /// # Errors
    /// Those of the database; then it is not known whether it is kept, and the same may be written again.
    pub async fn write_checkpoint(&self, claim: &Claim, start: u32, segment: &[u8]) -> Result<bool> {
        in_time(TRANSFER, self.add_segment(claim, start, segment)).await
    }

    async fn add_segment(&self, claim: &Claim, start: u32, segment: &[u8]) -> Result<bool> {
        let (tenant, job, name) = (claim.tenant.uuid(), claim.job_id, format!("{CHECKPOINT}{start:010}"));
        let mut transaction = self.database.tenant_transaction("job_checkpoint").await?;
        // The lock keeps the job from ending between the look and the write.
        let written = query(
            "INSERT INTO training_job_files (tenant_id, job_id, name, bytes)
             SELECT tenant_id, id, $4, $5 FROM training_jobs
              WHERE id = $2 AND tenant_id = $1 AND fence = $3 AND status = 'training' FOR SHARE
             ON CONFLICT (tenant_id, job_id, name) DO UPDATE SET bytes = excluded.bytes, written_at = now()",
        )
        .bind(tenant)
        .bind(job)
        .bind(claim.fence)
        .bind(&name)
        .bind(segment)
        .execute(&mut *transaction)
        .await?;
        if written.rows_affected() == 0 {
            return Ok(false);
        }
        query(
            "DELETE FROM training_job_files
              WHERE tenant_id = $1 AND job_id = $2 AND starts_with(name, $3) AND name > $4",
        )
        .bind(tenant)
        .bind(job)
        .bind(CHECKPOINT)
        .bind(&name)
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(true)
    }
}
