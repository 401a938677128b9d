//! Making a fitted model a version.

use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use sqlx::{query, query_scalar, types::Json};
use uuid::Uuid;

use super::{
    Registry, Verdict, alias,
    artifacts::Artifacts,
    model::{self, ModelRecord},
    promotion,
};
use crate::{
    Error, Result,
    auth::{TenantId, tenant},
    catalog::ModelType,
    features::FeatureSchema,
    inference::{VersionSelector, request::version_label},
    jobs::{self, Claim, Completion},
    outbox::{
        Outgoing,
        pack::{PACK_FILE, Pack},
        row,
    },
    storage::{TenantTransaction, in_time, storable, storable_text},
};

/// How long the database may take for the rows, or for the commit.
const ANSWER: Duration = Duration::from_secs(60);

/// A fitted model that is to become a version.
#[derive(Debug, Clone)]
pub struct NewModel<'a> {
    /// The right to the training that made it; its row is completed with the model.
    pub claim: &'a Claim,
    /// What it predicts.
    pub model_type: ModelType,
    /// Its features.
    pub schema: &'a FeatureSchema,
    /// Effective hyperparameters by name.
    pub hyperparameters: Value,
    /// Validation metrics by name.
    pub metrics: Value,
    /// Importance by feature.
    pub importance: Value,
    /// Rows that it was trained on.
    pub n_rows: usize,
    /// Fingerprint of those rows: 64 hexadecimal digits.
    pub data_digest: String,
    /// Seed of split and model.
    pub seed: u64,
    /// Where those rows came from: `postgres`, `joined`, `query`, `inline`, ...
    pub data_source: &'static str,
    /// Its files by name.
    pub files: Vec<(String, Bytes)>,
    /// Whether it becomes the champion.
    pub verdict: &'a Verdict,
    /// What the job keeps for its answer, once the version is known.
    pub outcome: Outcome<'a>,
    /// Its run, which MLflow is to hear of; `None`: it is to hear nothing.
    pub run: Option<Outgoing<'a>>,
}

/// Words what a job keeps for its answer.
#[derive(Clone, Copy)]
pub struct Outcome<'a>(pub &'a (dyn Fn(&ModelRecord) -> Result<Value> + Sync));

impl std::fmt::Debug for Outcome<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Outcome")
    }
}

/// `None`, and nothing kept, if the champion is another by now than the verdict's.
pub(super) async fn register(registry: &Registry, new: NewModel<'_>) -> Result<Option<ModelRecord>> {
    let tenant = tenant::current()?;
    let id = Uuid::new_v4();
    let pack = new.run.map(|run| Pack::new(run.files, &new.files));
    let mut files = new.files.clone();
    files.extend(pack.iter().map(|pack| (PACK_FILE.to_owned(), pack.bytes.clone())));
    let artifacts = registry.store.put_all(tenant, new.model_type, id, &files).await?;
    let committed = async {
        let mut transaction = registry.database.tenant_transaction("registry_register").await?;
        transaction.hold_briefly().await?;
        alias::lock(&mut transaction, new.model_type).await?;
        let champion = model::find(&mut transaction, new.model_type, &VersionSelector::Champion).await?;
        if champion.map(|champion| champion.id) != new.verdict.champion {
            return Ok(None);
        }
        let mut own = artifacts.clone();
        own.remove(PACK_FILE);
        let record = insert(&mut transaction, id, &new, &own).await?;
        if let (Some(run), Some(pack)) = (&new.run, &pack) {
            let document = (run.document)(&record)?;
            row::insert(&mut transaction, id, new.claim.job_id, &document, &pack.manifest(&artifacts))
                .await?;
        }
        // Last: the job's row is locked for the rest of the transaction, and heartbeats wait for it.
        let outcome = (new.outcome.0)(&record)?;
        let completion = Completion { model_id: id, metrics: &new.metrics, outcome: &outcome };
        jobs::complete(&mut transaction, new.claim, completion).await?;
        Ok(Some((transaction, record)))
    };
    match in_time(ANSWER, committed).await {
        // If the connection breaks in the commit itself, the row may be there: the files stay.
        Ok(Some((transaction, record))) => in_time(ANSWER, transaction.commit()).await.map(|()| Some(record)),
        Ok(None) => {
            registry.store.remove_all(&artifacts).await;
            Ok(None)
        }
        Err(error) => {
            registry.store.remove_all(&artifacts).await;
            Err(error)
        }
    }
}

async fn insert(
    transaction: &mut TenantTransaction,
    id: Uuid,
    new: &NewModel<'_>,
    artifacts: &Artifacts,
) -> Result<ModelRecord> {
    let tenant = transaction.tenant();
    let version = next_version(transaction, tenant, new.model_type).await?;
    let schema = json!(new.schema);
    query(
        "INSERT INTO ml_models (id, tenant_id, model_type, model_name, model_version, status, metrics,
             hyperparameters, created_by, user_id, job_id, feature_schema, artifacts,
             feature_importance, n_rows, seed, data_digest)
         VALUES ($1, $2, $3, $4, $5, 'ready', $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)",
    )
    .bind(id)
    .bind(tenant.uuid())
    .bind(new.model_type.name)
    .bind(format!("{tenant}_{}", new.model_type))
    .bind(version_label(version))
    .bind(&*storable(&new.metrics))
    .bind(&*storable(&new.hyperparameters))
    .bind(Uuid::try_parse(&new.claim.user_id).ok())
    .bind(&*storable_text(&new.claim.user_id))
    .bind(new.claim.job_id)
    .bind(&*storable(&schema))
    .bind(Json(artifacts))
    .bind(&*storable(&new.importance))
    .bind(i64::try_from(new.n_rows).unwrap_or(i64::MAX))
    .bind(new.seed.cast_signed())
    .bind(&new.data_digest)
    .execute(&mut **transaction)
    .await?;
    describe(transaction, id, new).await?;
    promotion::apply(transaction, new.model_type, id, new.verdict, None).await?;
    model::by_id(transaction, id).await?.ok_or_else(|| Error::internal("the row just inserted is not there"))
}

/// The highest version of the tenant's rows plus one, the platform's rows included, so that a label
/// stands for one model. Under [`alias::lock`].
async fn next_version(
    transaction: &mut TenantTransaction,
    tenant: TenantId,
    model_type: ModelType,
) -> Result<i32> {
    let highest: i32 = query_scalar(
        "SELECT coalesce(max(version), 0) FROM ml_models WHERE tenant_id = $1 AND model_type = $2",
    )
    .bind(tenant.uuid())
    .bind(model_type.name)
    .fetch_one(&mut **transaction)
    .await?;
    Ok(highest + 1)
}

/// What the platform's other services like to know, where they look for it.
async fn describe(transaction: &mut TenantTransaction, id: Uuid, new: &NewModel<'_>) -> Result<()> {
    let keys = ["algorithm", "features", "target", "training_rows", "data_source"];
    let values = [
        Some(new.model_type.family.name().to_owned()),
        Some(storable_text(&new.schema.names().join(",")).into_owned()),
        new.schema.target.as_deref().map(|target| storable_text(target).into_owned()),
        Some(new.n_rows.to_string()),
        Some(new.data_source.to_owned()),
    ];
    query(
        "INSERT INTO model_metadata (model_id, key, value) SELECT $1, * FROM unnest($2::text[], $3::text[])",
    )
    .bind(id)
    .bind(&keys[..])
    .bind(&values[..])
    .execute(&mut **transaction)
    .await?;
    Ok(())
}
