//! `GET /api/ml/models/{model_type}/versions/{version}`: all that is known of one version.

use axum::{
    Json,
    extract::{Path, State},
};
use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{Parts, VersionSummary};
use crate::{
    Result,
    http::{
        AppState, Member,
        body::fields,
        openapi::{BadQuery, Denied, NoModel, Unavailable},
        timestamp::naive_utc,
    },
    inference::request::version_label,
    registry::{Promotion, VersionDetail},
};

/// All that is known of a version.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct VersionPage {
    #[serde(flatten)]
    summary: VersionSummary,
    /// Features in model order, target, and columns that were left out; what a prediction must send.
    #[schema(value_type = Object)]
    schema: Value,
    /// All effective ones.
    #[schema(value_type = Object)]
    hyperparameters: Map<String, Value>,
    /// Share of each feature.
    #[schema(value_type = Object)]
    feature_importance: Value,
    /// Stored files by name.
    artifacts: Vec<ArtifactEntry>,
    lineage: Lineage,
    /// Decisions about this version, newest first.
    promotions: Vec<PromotionEntry>,
}

/// A stored file.
#[derive(Debug, Serialize, ToSchema)]
struct ArtifactEntry {
    #[schema(example = "model.bin")]
    name: String,
    bytes: u64,
    /// Hexadecimal.
    sha256: String,
}

/// Where a version comes from.
#[derive(Debug, Serialize, ToSchema)]
struct Lineage {
    tenant_id: Uuid,
    job_id: Option<Uuid>,
    run_id: Option<String>,
    model_uri: Option<String>,
    /// Version in MLflow's registry, which counts for itself.
    mlflow_version: Option<String>,
    /// Where the rows came from: `postgres`, `joined`, `query`, `inline`, ...
    data_source: Option<String>,
    /// SHA-256 of the rows; two versions with the same one saw the same rows.
    data_digest: Option<String>,
    n_rows: Option<i64>,
    seed: Option<u64>,
    /// User id.
    created_by: Option<String>,
}

/// A decision about the champion.
#[derive(Debug, Serialize, ToSchema)]
struct PromotionEntry {
    /// Whether the version was champion from then on.
    promoted: bool,
    /// Name of the grounds.
    #[schema(example = "better")]
    decision: String,
    reason: String,
    /// The champion until then.
    #[schema(example = "v1.0")]
    champion: Option<String>,
    /// What was compared on the same held-out rows.
    #[schema(example = "rmse")]
    metric: Option<String>,
    value: Option<f64>,
    champion_value: Option<f64>,
    margin: Option<f64>,
    /// User id; null: by the training.
    decided_by: Option<String>,
    decided_at: String,
}

impl From<Promotion> for PromotionEntry {
    fn from(promotion: Promotion) -> Self {
        Self {
            promoted: promotion.promoted,
            decision: promotion.decision,
            reason: promotion.reason,
            champion: promotion.champion_version.map(version_label),
            metric: promotion.metric,
            value: promotion.value,
            champion_value: promotion.champion_value,
            margin: promotion.margin,
            decided_by: promotion.decided_by,
            decided_at: naive_utc(promotion.decided_at),
        }
    }
}

impl From<VersionDetail> for VersionPage {
    fn from(detail: VersionDetail) -> Self {
        let record = &detail.version.record;
        let artifacts = record.artifacts.iter().map(|(name, artifact)| ArtifactEntry {
            name: name.clone(),
            bytes: artifact.bytes,
            sha256: artifact.sha256.clone(),
        });
        Self {
            schema: json!(record.schema),
            hyperparameters: record.hyperparameters.clone(),
            feature_importance: record.importance.clone().unwrap_or_default(),
            artifacts: artifacts.collect(),
            lineage: Lineage {
                tenant_id: record.tenant.uuid(),
                job_id: record.job_id,
                run_id: record.mlflow_run_id.clone(),
                model_uri: record.model_uri.clone(),
                mlflow_version: record.registered_version.clone(),
                data_source: detail.data_source,
                data_digest: record.data_digest.clone(),
                n_rows: record.n_rows,
                seed: record.seed,
                created_by: record.user_id.clone(),
            },
            promotions: detail.promotions.into_iter().map(Into::into).collect(),
            summary: detail.version.into(),
        }
    }
}

/// One version: schema, hyperparameters, metrics, files, lineage
#[utoipa::path(
    get,
    path = "/api/ml/models/{model_type}/versions/{version}",
    tag = "Models",
    params(
        ("model_type" = String, Path, description = "One of the model types", example = "cost_forecasting"),
        ("version" = String, Path, description = "`v1.0`, `1`, `latest` or an alias", example = "champion"),
    ),
    responses((status = 200, body = VersionPage), Denied, NoModel, BadQuery, Unavailable),
    security(("HTTPBearer" = []))
)]
pub(in crate::http) async fn version(
    State(app): State<AppState>,
    Member(_caller): Member,
    Path((model_type, version)): Path<(String, String)>,
) -> Result<Json<VersionPage>> {
    let mut parts = Parts::default();
    let model_type = parts.check(["path", "model_type"], model_type, fields::model_type);
    let version = parts.check(["path", "version"], version, fields::version);
    let (model_type, version) = parts.finish(|| Some((model_type?, version?)))?;
    Ok(Json(app.registry.detail(model_type, &version).await?.into()))
}
