//! New jobs: limits, idempotency, birth.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use sqlx::{query, query_as, query_scalar};
use uuid::Uuid;

use super::{Jobs, files, signals};
use crate::{
    Error, Result,
    catalog::ModelType,
    error::FieldError,
    storage::{TenantTransaction, Worker, storable, storable_text},
};

/// Seconds after which a refused caller may try again: a training takes a few.
const RETRY_AFTER: u32 = 5;

/// A job that is to be queued.
#[derive(Debug, Clone)]
pub struct NewJob<'a> {
    /// What is trained.
    pub model_type: ModelType,
    /// Who asked for it: the token's user id.
    pub user_id: &'a str,
    /// Everything that the worker has to know, but for the rows.
    pub request: Value,
    /// Rows that came with the request, as bytes that the worker understands.
    pub rows: Option<Vec<u8>>,
    /// Effective hyperparameters, for who reads the table.
    pub hyperparameters: Value,
    /// Share of the rows held out, 0 to 0.5; for who reads the table.
    pub validation_split: f64,
    /// The tenant's own SELECT, for who reads the table.
    pub training_data_query: Option<&'a str>,
    /// Where it comes from.
    pub origin: Origin,
    /// The higher the sooner, among the tenant's jobs.
    pub priority: i16,
    /// The client's name for this request.
    pub idempotency_key: Option<IdempotencyKey<'a>>,
}

/// A name that a client gave to a request, so that sending it again does not train again.
#[derive(Debug, Clone, Copy)]
pub struct IdempotencyKey<'a> {
    /// The name.
    pub key: &'a str,
    /// What it stands for, beside the rows: all that makes another request of it.
    pub stands_for: &'a Value,
}

/// Where a job comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A request.
    Api,
    /// A schedule.
    Schedule,
}

impl Origin {
    /// Name in the table and the API.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Schedule => "schedule",
        }
    }

    /// How many of so many places its jobs may take: those of schedules can wait, and leave half to people.
    fn share_of(self, places: usize) -> usize {
        match self {
            Self::Api => places,
            Self::Schedule => places.div_ceil(2),
        }
    }
}

/// A job that is in the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Enqueued {
    /// Its row.
    pub id: Uuid,
    /// False: the same request had the same idempotency key before, and this is its job.
    pub created: bool,
}

impl Jobs {
    /// Queues a job for the tenant of the open scope.
    ///
    /// # Errors
    /// [`Error::QueueFull`] if the tenant has too many jobs waiting, [`Error::Busy`] if it has some and all tenants
    /// together have too many,
    /// [`Error::Invalid`] for an idempotency key that stands for another request, and those of the database.
    pub async fn enqueue(&self, new: NewJob<'_>) -> Result<Enqueued> {
        let named = new.idempotency_key.map(|named| (named.key, fingerprint(&named, new.rows.as_deref())));
        let named = named.as_ref().map(|(key, sha256)| (*key, sha256.as_str()));
        if let Some(named) = named {
            // What is there already needs no room.
            let mut transaction = self.database.tenant_snapshot("job_find").await?;
            let found = find_by_key(&mut transaction, named).await?;
            transaction.commit().await?;
            if let Some(id) = found {
                return Ok(Enqueued { id, created: false });
            }
        }
        let is_full = self.is_full(new.origin).await?;
        let mut transaction = self.database.tenant_transaction("job_enqueue").await?;
        lock_tenant(&mut transaction).await?;
        // Again, for the same request may have come at the same time.
        if let Some(named) = named
            && let Some(id) = find_by_key(&mut transaction, named).await?
        {
            transaction.commit().await?;
            return Ok(Enqueued { id, created: false });
        }
        self.check_room(&mut transaction, new.origin, is_full).await?;
        let id = insert(&mut transaction, &new, named).await?;
        if let Some(rows) = &new.rows {
            files::insert_rows(&mut transaction, id, rows).await?;
        }
        signals::job_queued(&mut transaction, id).await?;
        transaction.commit().await?;
        metrics::counter!("binah_training_jobs_total", "model_type" => new.model_type.name, "state" => "queued")
            .increment(1);
        Ok(Enqueued { id, created: true })
    }

    /// The job of the open scope's tenant that has this idempotency key and comes from there, whatever its
    /// request.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn with_key(&self, key: &str, origin: Origin) -> Result<Option<Uuid>> {
        let mut transaction = self.database.tenant_snapshot("job_with_key").await?;
        let id = query_scalar(
            "SELECT id FROM training_jobs WHERE tenant_id = $1 AND idempotency_key = $2 AND origin = $3",
        )
        .bind(transaction.tenant().uuid())
        .bind(key)
        .bind(origin.name())
        .fetch_optional(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(id)
    }

    /// Whether all tenants together have as many jobs waiting as they may.
    async fn is_full(&self, origin: Origin) -> Result<bool> {
        let limit = i64::try_from(origin.share_of(self.limits.queued)).unwrap_or(i64::MAX);
        let mut transaction = self.database.worker_transaction(Worker::Training, "job_count").await?;
        let queued: i64 = query_scalar(
            "SELECT count(*) FROM (
                 SELECT FROM training_jobs WHERE status = 'queued' AND request IS NOT NULL LIMIT $1) AS queued",
        )
        .bind(limit)
        .fetch_one(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(queued >= limit)
    }

    /// Refuses a job for which there is no room. A person's is taken while the tenant has no other: nobody is locked out
    /// by the others.
    async fn check_room(
        &self,
        transaction: &mut TenantTransaction,
        origin: Origin,
        is_full: bool,
    ) -> Result<()> {
        let limit = origin.share_of(self.limits.queued_by_tenant);
        let queued: i64 = query_scalar(
            "SELECT count(*) FROM training_jobs
              WHERE tenant_id = $1 AND status = 'queued' AND request IS NOT NULL",
        )
        .bind(transaction.tenant().uuid())
        .fetch_one(&mut **transaction)
        .await?;
        if queued >= i64::try_from(limit).unwrap_or(i64::MAX) {
            return Err(Error::QueueFull { limit, retry_after: RETRY_AFTER });
        }
        if is_full && (queued > 0 || origin == Origin::Schedule) {
            return Err(Error::Busy { retry_after: RETRY_AFTER });
        }
        Ok(())
    }
}

/// One birth at a time in a tenant, until the transaction ends: the limit and the keys hold exactly.
async fn lock_tenant(transaction: &mut TenantTransaction) -> Result<()> {
    query("SELECT pg_advisory_xact_lock(hashtextextended('binah-ml enqueue ' || $1, 0))")
        .bind(transaction.tenant().to_string())
        .execute(&mut **transaction)
        .await?;
    Ok(())
}

/// SHA-256 of what a key stands for, in hexadecimal digits.
fn fingerprint(named: &IdempotencyKey<'_>, rows: Option<&[u8]>) -> String {
    let mut hash = Sha256::new();
    hash.update(named.stands_for.to_string());
    // A length, so that no byte can move from one to the other.
    let rows = rows.unwrap_or_default();
    hash.update(rows.len().to_le_bytes());
    hash.update(rows);
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn find_by_key(
    transaction: &mut TenantTransaction,
    (key, sha256): (&str, &str),
) -> Result<Option<Uuid>> {
    let found: Option<(Uuid, Option<String>)> = query_as(
        "SELECT id, request_sha256 FROM training_jobs WHERE tenant_id = $1 AND idempotency_key = $2",
    )
    .bind(transaction.tenant().uuid())
    .bind(key)
    .fetch_optional(&mut **transaction)
    .await?;
    match found {
        None => Ok(None),
        Some((id, known)) if known.as_deref() == Some(sha256) => Ok(Some(id)),
        Some(_) => Err(Error::invalid(FieldError {
            kind: "idempotency_key_reused".into(),
            loc: vec![json!("header"), json!("Idempotency-Key")],
            msg: "This key stands for another request; a new request needs a key of its own".to_owned(),
            input: json!(key),
            ctx: None,
        })),
    }
}

async fn insert(
    transaction: &mut TenantTransaction,
    new: &NewJob<'_>,
    named: Option<(&str, &str)>,
) -> Result<Uuid> {
    let id = Uuid::new_v4();
    query(
        "INSERT INTO training_jobs (id, tenant_id, model_type, status, hyperparameters, validation_split,
             training_data_query, created_by, user_id, request, origin, priority, idempotency_key, request_sha256)
         VALUES ($1, $2, $3, 'queued', $4, $5::float8::numeric, $6, $7, $8, $9::json, $10, $11, $12, $13)",
    )
    .bind(id)
    .bind(transaction.tenant().uuid())
    .bind(new.model_type.name)
    .bind(&*storable(&new.hyperparameters))
    .bind(new.validation_split)
    .bind(new.training_data_query.map(storable_text).as_deref())
    .bind(Uuid::try_parse(new.user_id).ok())
    .bind(&*storable_text(new.user_id))
    .bind(new.request.to_string())
    .bind(new.origin.name())
    .bind(new.priority)
    .bind(named.map(|(key, _)| key))
    .bind(named.map(|(_, sha256)| sha256))
    .execute(&mut **transaction)
    .await?;
    Ok(id)
}
