//! Predictions as they were made: for explanations, outcomes and drift.

use serde_json::Value;
use sqlx::query;
use uuid::Uuid;

use super::{TenantTransaction, storable, storable_text};
use crate::{Result, catalog::ModelType};

/// An answered prediction.
#[derive(Debug, Clone, Copy)]
pub struct NewPrediction<'a> {
    /// The id that the answer carries.
    pub id: Uuid,
    /// The model that made it.
    pub model_id: Uuid,
    /// Its type.
    pub model_type: ModelType,
    /// Its version as the answer spells it, "v1.0".
    pub model_version: &'a str,
    /// The features as they were sent.
    pub features: &'a Value,
    /// The `prediction` of the answer.
    pub result: &'a Value,
    /// Probability of the predicted class, where the model gives one.
    pub confidence: Option<f64>,
    /// The token's user id.
    pub user_id: &'a str,
}

/// Keeps a prediction of the transaction's tenant.
///
/// # Errors
/// Those of the database.
pub async fn insert(transaction: &mut TenantTransaction, new: &NewPrediction<'_>) -> Result<()> {
    let tenant = transaction.tenant().uuid();
    query(
        "INSERT INTO predictions (id, tenant_id, model_id, model_type, model_version, input_features,
                                  prediction_result, confidence, created_by, user_id)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    )
    .bind(new.id)
    .bind(tenant)
    .bind(new.model_id)
    .bind(new.model_type.name)
    .bind(new.model_version)
    .bind(&*storable(new.features))
    .bind(&*storable(new.result))
    .bind(new.confidence)
    .bind(Uuid::try_parse(new.user_id).ok())
    .bind(&*storable_text(new.user_id))
    .execute(&mut **transaction)
    .await?;
    Ok(())
}
