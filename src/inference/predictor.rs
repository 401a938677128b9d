//! One prediction, from the request to the row in `predictions`.

use chrono::Utc;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    model::{LoadedModel, ModelCache},
    request::{PredictOutcome, PredictRequest, VersionSelector, version_label},
};
use crate::{
    auth::{Caller, tenant},
    catalog::{Family, ModelType, Outcome},
    error::Result,
    registry::{self, ModelRecord, Registry},
    storage::{
        Database, TenantTransaction,
        prediction_log::{self, NewPrediction},
    },
};

/// Counter of categories in predictions that their model had not seen, by `model_type`.
pub const UNSEEN_CATEGORIES: &str = "binah_unseen_categories_total";

/// Answers predictions.
#[derive(Debug)]
pub struct Predictor {
    database: Database,
    registry: Registry,
    cache: ModelCache,
}

impl Predictor {
    /// Predicts with the models of `registry`, by way of `cache`.
    #[must_use]
    pub fn new(database: Database, registry: Registry, cache: ModelCache) -> Self {
        metrics::describe_counter!(
            UNSEEN_CATEGORIES,
            "Categories in predictions that were not seen in training and counted as missing"
        );
        Self { database, registry, cache }
    }

    /// Predicts with the tenant's model and keeps the prediction. Resolving the model and keeping
    /// the prediction share one transaction, unless the model must be read from the store first:
    /// no connection is held meanwhile.
    ///
    /// # Errors
    /// [`NotFound`](crate::Error::NotFound) without a model, [`Invalid`](crate::Error::Invalid)
    /// for features that do not fit it.
    pub async fn predict(&self, caller: &Caller, request: PredictRequest) -> Result<PredictOutcome> {
        let (mut transaction, record) = self.resolve(request.model_type, &request.version).await?;
        let model = match self.cache.get(tenant::current()?, record.id).await {
            Some(model) => model,
            None => {
                drop(transaction);
                let model = self.cache.load(&self.registry, &record).await?;
                transaction = self.database.tenant_transaction("predict").await?;
                model
            }
        };
        let outcome = answer(&model, &record, request.model_type, &request.features)?;
        prediction_log::insert(
            &mut transaction,
            &NewPrediction {
                id: outcome.prediction_id,
                model_id: record.id,
                model_type: request.model_type,
                model_version: &outcome.model_version,
                features: &Value::Object(request.features),
                result: &json!(outcome.prediction),
                confidence: outcome.confidence,
                user_id: &caller.user_id,
            },
        )
        .await?;
        transaction.commit().await?;
        Ok(outcome)
    }

    async fn resolve(
        &self,
        model_type: ModelType,
        version: &VersionSelector,
    ) -> Result<(TenantTransaction, ModelRecord)> {
        let mut transaction = self.database.tenant_transaction("predict").await?;
        let record = registry::resolve(&mut transaction, model_type, version).await?;
        Ok((transaction, record))
    }
}

fn count_unseen(model_type: ModelType, model: Uuid, unseen: &[String]) {
    if !unseen.is_empty() {
        metrics::counter!(UNSEEN_CATEGORIES, "model_type" => model_type.name).increment(unseen.len() as u64);
        tracing::debug!(%model, features = ?unseen, "unseen categories count as missing");
    }
}

fn answer(
    model: &LoadedModel,
    record: &ModelRecord,
    model_type: ModelType,
    features: &serde_json::Map<String, Value>,
) -> Result<PredictOutcome> {
    let row = model.schema.encode(features)?;
    count_unseen(model_type, record.id, &row.unseen);
    let raw = model.evaluator.predict_row(&row.values);
    let outcome = Outcome { value: raw, offset: model.offset, features };
    let mut prediction = serde_json::Map::new();
    // An anomaly's value is its score as the caller reads it: higher is more abnormal.
    let value = if model_type.family == Family::IsolationForest { -raw } else { raw };
    prediction.insert("value".into(), json!(value));
    prediction.extend((model_type.present)(&outcome));
    Ok(PredictOutcome {
        prediction_id: Uuid::now_v7(),
        prediction,
        confidence: (model_type.family == Family::RandomForest).then(|| raw.max(1.0 - raw)),
        model_version: version_label(record.version),
        created_at: Utc::now(),
        ignored_features: row.ignored,
        unseen_categories: row.unseen,
    })
}

#[cfg(test)]
mod tests {
    use metrics_exporter_prometheus::PrometheusBuilder;

    use super::*;

    #[test]
    fn unseen_categories_are_counted_by_model_type_alone() {
        let recorder = PrometheusBuilder::new().build_recorder();
        let model_type = ModelType::parse("cost_forecasting").expect("a catalog type");
        metrics::with_local_recorder(&recorder, || {
            count_unseen(model_type, Uuid::nil(), &["kind".to_owned(), "roof".to_owned()]);
            count_unseen(model_type, Uuid::nil(), &[]);
        });
        let text = recorder.handle().render();
        let line = "binah_unseen_categories_total{model_type=\"cost_forecasting\"} 2";
        assert!(text.lines().any(|other| other == line), "{text}");
    }
}
