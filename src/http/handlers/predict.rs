//! `POST /api/ml/predict`: one prediction by the tenant's model.

use axum::{Json, extract::State};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    Result,
    auth::Caller,
    catalog::ModelType,
    http::{
        AppState,
        body::{
            JsonObject,
            fields::{self, Fields},
        },
        caller::require_tenant,
        openapi::{BadBody, Denied, NoModel, Unavailable},
        timestamp::naive_utc,
    },
    inference::{PredictOutcome, PredictRequest, VersionSelector},
};

/// Largest body: one row of the widest model fits many times. What is sent is kept with the
/// prediction, so that a larger limit would let a tenant fill the database.
const MAX_BODY_BYTES: usize = 1 << 20;

#[derive(Debug, ToSchema)]
#[schema(as = PredictRequest)]
pub(in crate::http) struct PredictBody {
    #[schema(value_type = String)]
    model_type: ModelType,
    /// The tenant of the token.
    #[schema(example = "aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa")]
    tenant_id: Uuid,
    /// The model's features by name: a number, a category's name, a boolean, or null for a missing
    /// value. All are required but those that only Neo4j knew in training, and those that the training left
    /// out (constant, without values, a copy). One that the model does not know is ignored and listed in the answer.
    #[schema(value_type = Object)]
    features: Map<String, Value>,
    /// Nothing or "champion": the version that is served. "latest": the newest, served or not. "1", "v1", "1.0" and
    /// "v1.0" are version 1; "challenger" and other aliases are the versions that they point to.
    #[schema(example = "champion")]
    model_version: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct PredictResponse {
    #[schema(example = "cost_forecasting")]
    model_type: &'static str,
    #[schema(example = "aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa")]
    tenant_id: Uuid,
    /// `value`, and the fields of the model's type.
    #[schema(value_type = Object, example = json!({"value": 1_250_000.0, "predicted_cost": 1_250_000.0, "cost_per_sqft": 250.0}))]
    prediction: Map<String, Value>,
    /// Probability of the predicted class, 0.5 to 1; null where the model gives none.
    #[schema(example = 0.92)]
    confidence: Option<f64>,
    #[schema(example = "v1.0")]
    model_version: String,
    /// UTC.
    #[schema(example = "2026-11-22T14:28:22.277204")]
    timestamp: String,
    /// Under which the prediction is kept.
    prediction_id: Uuid,
    /// Features that were sent but that the model does not know.
    ignored_features: Vec<String>,
    /// Features whose category was not seen in training; they count as missing.
    unseen_categories: Vec<String>,
}

impl PredictBody {
    fn parse(object: Map<String, Value>) -> Result<Self> {
        let mut body = Fields::new(object);
        let model_type = body.required("model_type", fields::model_type);
        let tenant_id = body.required("tenant_id", fields::uuid);
        let features = body.required("features", fields::dictionary);
        let model_version = body.optional("model_version", fields::string);
        body.finish(|| {
            Some(Self { model_type: model_type?, tenant_id: tenant_id?, features: features?, model_version })
        })
    }
}

impl From<PredictBody> for PredictRequest {
    fn from(body: PredictBody) -> Self {
        Self {
            model_type: body.model_type,
            version: VersionSelector::parse(body.model_version.as_deref()),
            features: body.features,
        }
    }
}

impl PredictResponse {
    fn new(model_type: ModelType, tenant_id: Uuid, outcome: PredictOutcome) -> Self {
        Self {
            model_type: model_type.name,
            tenant_id,
            prediction: outcome.prediction,
            confidence: outcome.confidence,
            model_version: outcome.model_version,
            timestamp: naive_utc(outcome.created_at),
            prediction_id: outcome.prediction_id,
            ignored_features: outcome.ignored_features,
            unseen_categories: outcome.unseen_categories,
        }
    }
}

/// Predict with the tenant's model
#[utoipa::path(
    post,
    path = "/api/ml/predict",
    tag = "Machine learning",
    request_body = PredictBody,
    responses((status = 200, body = PredictResponse), Denied, NoModel, BadBody, Unavailable),
    security(("HTTPBearer" = []))
)]
pub(in crate::http) async fn predict(
    State(app): State<AppState>,
    caller: Caller,
    JsonObject(object): JsonObject<MAX_BODY_BYTES>,
) -> Result<Json<PredictResponse>> {
    let body = PredictBody::parse(object)?;
    require_tenant(&caller, body.tenant_id)?;
    let (model_type, tenant_id) = (body.model_type, body.tenant_id);
    let outcome = app.predictor.predict(&caller, body.into()).await?;
    Ok(Json(PredictResponse::new(model_type, tenant_id, outcome)))
}
