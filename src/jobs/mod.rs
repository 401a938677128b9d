//! Trainings as rows of `training_jobs`: who asked for what, and how it ended.
//!
//! A training runs inside its request for now; a row that stays `training` after its process died
//! is for the durable queue to find (`started_at` and `updated_at` say since when).

use serde_json::Value;
use sqlx::{query, query_scalar};
use uuid::Uuid;

use crate::{
    Error, Result,
    auth::Caller,
    catalog::ModelType,
    storage::{Database, TenantTransaction, storable, storable_text},
};

/// The trainings of the tenant whose scope is open. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Jobs {
    database: Database,
}

/// A training that begins now.
#[derive(Debug, Clone, Copy)]
pub struct NewJob<'a> {
    /// What is trained.
    pub model_type: ModelType,
    /// Who asked for it.
    pub caller: &'a Caller,
    /// Hyperparameters by name.
    pub hyperparameters: &'a Value,
    /// Share of the rows held out, 0 to 0.5.
    pub validation_split: f64,
    /// The tenant's own SELECT, if it came with one.
    pub training_data_query: Option<&'a str>,
}

impl Jobs {
    /// The trainings in `database`.
    #[must_use]
    pub fn new(database: Database) -> Self {
        Self { database }
    }

    /// Notes that a training begins; its id.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn start(&self, new: NewJob<'_>) -> Result<Uuid> {
        let mut transaction = self.database.tenant_transaction("job_start").await?;
        let id = Uuid::new_v4();
        query(
            "INSERT INTO training_jobs (id, tenant_id, model_type, status, hyperparameters, validation_split,
                 training_data_query, started_at, created_by, user_id)
             VALUES ($1, $2, $3, 'training', $4, $5::float8::numeric, $6, now(), $7, $8)",
        )
        .bind(id)
        .bind(transaction.tenant().uuid())
        .bind(new.model_type.name)
        .bind(&*storable(new.hyperparameters))
        .bind(new.validation_split)
        .bind(new.training_data_query.map(storable_text).as_deref())
        .bind(Uuid::try_parse(&new.caller.user_id).ok())
        .bind(&*storable_text(&new.caller.user_id))
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(id)
    }

    /// Notes that a training failed, with a message that its user may read. A job that has ended
    /// already stays as it is.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn fail(&self, job_id: Uuid, message: &str) -> Result<()> {
        self.end(job_id, "failed", Some(message)).await
    }

    /// Notes that a training was cancelled. A job that has ended already stays as it is.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn cancel(&self, job_id: Uuid) -> Result<()> {
        self.end(job_id, "cancelled", None).await
    }

    async fn end(&self, job_id: Uuid, status: &str, message: Option<&str>) -> Result<()> {
        let mut transaction = self.database.tenant_transaction("job_end").await?;
        query(
            "UPDATE training_jobs
                SET status = $2, error_message = $3, completed_at = now(), updated_at = now()
              WHERE id = $1 AND tenant_id = $4 AND status IN ('queued', 'training')",
        )
        .bind(job_id)
        .bind(status)
        .bind(message.map(storable_text).as_deref())
        .bind(transaction.tenant().uuid())
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await
    }
}

/// Completes a running job with its model, in the transaction that registers it.
///
/// # Errors
/// [`Error::Cancelled`] if the job was cancelled; [`Error::Internal`] if it does not run.
pub(crate) async fn complete(
    transaction: &mut TenantTransaction,
    job_id: Uuid,
    model_id: Uuid,
    metrics: &Value,
) -> Result<()> {
    let completed = query(
        "UPDATE training_jobs
            SET status = 'completed', model_id = $2, metrics = $3, completed_at = now(), updated_at = now()
          WHERE id = $1 AND tenant_id = $4 AND status = 'training'",
    )
    .bind(job_id)
    .bind(model_id)
    .bind(&*storable(metrics))
    .bind(transaction.tenant().uuid())
    .execute(&mut **transaction)
    .await?;
    if completed.rows_affected() == 1 {
        return Ok(());
    }
    let status: Option<String> =
        query_scalar("SELECT status FROM training_jobs WHERE id = $1 AND tenant_id = $2")
            .bind(job_id)
            .bind(transaction.tenant().uuid())
            .fetch_optional(&mut **transaction)
            .await?;
    match status.as_deref() {
        Some("cancelled") => Err(Error::Cancelled),
        status => Err(Error::internal(format!("job {job_id} cannot complete: it is {status:?}"))),
    }
}
