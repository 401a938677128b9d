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

/// Which bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobFile {
    /// Rows that came with the request.
    Rows,
    /// A model half grown, to go on from.
    Checkpoint,
}

impl JobFile {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Rows => "rows",
            Self::Checkpoint => "checkpoint",
        }
    }
}

pub(super) async fn insert_rows(
    transaction: &mut TenantTransaction,
    job_id: Uuid,
    bytes: &[u8],
) -> Result<()> {
    query("INSERT INTO training_job_files (tenant_id, job_id, name, bytes) VALUES ($1, $2, $3, $4)")
        .bind(transaction.tenant().uuid())
        .bind(job_id)
        .bind(JobFile::Rows.name())
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
    /// Bytes of a claimed job; `None` if it has none of that name.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn read_file(&self, claim: &Claim, file: JobFile) -> Result<Option<Vec<u8>>> {
        in_time(TRANSFER, self.bytes_of(claim, file)).await
    }

    async fn bytes_of(&self, claim: &Claim, file: JobFile) -> Result<Option<Vec<u8>>> {
        let mut transaction = self.database.tenant_snapshot("job_file_read").await?;
        let bytes = query_scalar(
            "SELECT bytes FROM training_job_files WHERE tenant_id = $1 AND job_id = $2 AND name = $3",
        )
        .bind(claim.tenant.uuid())
        .bind(claim.job_id)
        .bind(file.name())
        .fetch_optional(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(bytes)
    }

    /// Keeps a checkpoint in place of the one before; false if the claim does not hold any more.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn write_checkpoint(&self, claim: &Claim, bytes: &[u8]) -> Result<bool> {
        in_time(TRANSFER, self.replace_checkpoint(claim, bytes)).await
    }

    async fn replace_checkpoint(&self, claim: &Claim, bytes: &[u8]) -> Result<bool> {
        let mut transaction = self.database.tenant_transaction("job_checkpoint").await?;
        // The lock keeps the job from ending between the look and the write.
        let written = query(
            "INSERT INTO training_job_files (tenant_id, job_id, name, bytes)
             SELECT tenant_id, id, $4, $5 FROM training_jobs
              WHERE id = $1 AND tenant_id = $2 AND fence = $3 AND status = 'training' FOR SHARE
             ON CONFLICT (tenant_id, job_id, name) DO UPDATE SET bytes = excluded.bytes, written_at = now()",
        )
        .bind(claim.job_id)
        .bind(claim.tenant.uuid())
        .bind(claim.fence)
        .bind(JobFile::Checkpoint.name())
        .bind(bytes)
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(written.rows_affected() == 1)
    }
}
