//! What a finished training answers.

use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    catalog::ModelType,
    http::timestamp::naive_utc,
    training::{Decision, TrainOutcome},
};

#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct TrainResponse {
    /// MLflow run; empty while tracking is pending.
    #[schema(example = "0f4d1c5e8a7b4c0f9d2e6a1b3c5d7e9f")]
    run_id: String,
    #[schema(example = "risk_assessment")]
    model_type: &'static str,
    #[schema(example = "aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa")]
    tenant_id: Uuid,
    #[schema(example = "completed")]
    status: &'static str,
    /// Validation metrics by name.
    #[schema(value_type = Object, example = json!({"accuracy": 0.87, "auc_roc": 0.91}))]
    metrics: Map<String, Value>,
    /// `runs:/<run_id>/model`; empty while tracking is pending.
    #[schema(example = "runs:/0f4d1c5e8a7b4c0f9d2e6a1b3c5d7e9f/model")]
    model_uri: String,
    message: String,
    /// UTC.
    #[schema(example = "2026-11-22T14:28:22.277204")]
    timestamp: String,
    #[schema(example = "v1.0")]
    model_version: String,
    model_id: Uuid,
    job_id: Uuid,
    /// Whether predictions use this version from now on, and why.
    promotion: PromotionOutcome,
    /// What the caller should know about the data, and that the version is not served.
    warnings: Vec<String>,
}

/// The decision about the champion, the version that answers predictions which name none.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct PromotionOutcome {
    /// Whether the new version is the champion.
    promoted: bool,
    /// The champion now.
    #[schema(example = "v1.0")]
    champion: String,
    /// Name of the grounds.
    #[schema(example = "better")]
    decision: String,
    reason: String,
    /// What was compared on the same held-out rows; null where nothing could be.
    #[schema(example = "auc_roc")]
    metric: Option<String>,
    value: Option<f64>,
    /// Of the champion until then.
    champion_value: Option<f64>,
}

impl From<Decision> for PromotionOutcome {
    fn from(decision: Decision) -> Self {
        let Decision { promoted, champion, decision, reason, metric, value, champion_value } = decision;
        Self { promoted, champion, decision, reason, metric, value, champion_value }
    }
}

impl TrainResponse {
    pub(in crate::http::handlers) fn new(
        model_type: ModelType,
        tenant_id: Uuid,
        outcome: TrainOutcome,
    ) -> Self {
        let kept = outcome.kept;
        Self {
            run_id: outcome.run_id,
            model_type: model_type.name,
            tenant_id,
            status: "completed",
            metrics: kept.metrics,
            model_uri: outcome.model_uri,
            message: kept.message,
            timestamp: naive_utc(outcome.finished_at),
            promotion: kept.promotion.into(),
            model_version: kept.model_version,
            model_id: kept.model_id,
            job_id: outcome.job_id,
            warnings: kept.warnings,
        }
    }
}
