//! `POST /api/ml/train`: a model is trained on the tenant's rows.

use axum::{Json, extract::State};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    Result,
    auth::Caller,
    catalog::ModelType,
    features::inline::Row,
    http::{
        AppState,
        body::{
            JsonObject,
            fields::{self, Fields},
        },
        caller::require_tenant,
        openapi::{BadBody, Denied, Unavailable},
        timestamp::naive_utc,
    },
    training::{Awaited, Decision, SplitKind, SubmitOptions, TrainOutcome, TrainRequest},
};

/// Share of the rows held out unless the request says otherwise.
const DEFAULT_VALIDATION_SPLIT: f64 = 0.2;
/// Seed unless the request names one.
const DEFAULT_SEED: u64 = 42;

#[derive(Debug, ToSchema)]
#[schema(as = TrainRequest)]
pub(in crate::http) struct TrainBody {
    #[schema(value_type = String)]
    model_type: ModelType,
    /// The tenant of the token.
    #[schema(example = "aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa")]
    tenant_id: Uuid,
    /// What differs from the defaults. An unknown name is an error.
    #[schema(value_type = Option<Object>)]
    hyperparameters: Option<Map<String, Value>>,
    /// Another name of `hyperparameters`.
    #[schema(value_type = Option<Object>)]
    config: Option<Map<String, Value>>,
    /// Share of the rows held out for validation. 0: the metrics are those of the training rows.
    #[schema(value_type = f64, required = false, minimum = 0.0, maximum = 0.5, default = 0.2)]
    validation_split: Option<f64>,
    /// How rows are held out; by time if the rows carry `observed_at`, else at random.
    #[schema(value_type = Option<String>, pattern = "^(random|time)$")]
    split: Option<SplitKind>,
    /// Seed of the split and of the model: the same rows, parameters and seed give the same model.
    #[schema(value_type = u64, required = false, minimum = 0, default = 42)]
    seed: Option<u64>,
    /// Training rows. Their columns are the features; without them the tenant's records are read, and joined with its
    /// nodes in Neo4j where that is configured.
    #[schema(value_type = Option<Vec<Object>>)]
    data: Option<Vec<Row>>,
    /// Column of `data` that is to be predicted, if it is not the model type's own.
    target: Option<String>,
    /// The tenant's own SELECT in place of the default query, or `cypher:<name>`: a Cypher template that the operator
    /// has installed.
    training_data_query: Option<String>,
}

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

impl TrainBody {
    fn parse(object: Map<String, Value>, max_rows: usize) -> Result<Self> {
        let mut body = Fields::new(object);
        let model_type = body.required("model_type", fields::model_type);
        let tenant_id = body.required("tenant_id", fields::uuid);
        let hyperparameters = body.optional("hyperparameters", fields::dictionary);
        let config = body.optional("config", fields::dictionary);
        if hyperparameters.is_some() && config.is_some() {
            body.refuse("config", "'config' is another name of 'hyperparameters'; send one of them");
        }
        let validation_split = body.defaulted("validation_split", fields::validation_split);
        let split = body.optional("split", fields::split);
        let seed = body.optional("seed", fields::unsigned);
        let target = body.optional("target", fields::string);
        let training_data_query = body.optional("training_data_query", fields::string);
        let data = body.rows("data", max_rows);
        body.finish(|| {
            Some(Self {
                model_type: model_type?,
                tenant_id: tenant_id?,
                hyperparameters,
                config,
                validation_split,
                split,
                seed,
                data,
                target,
                training_data_query,
            })
        })
    }
}

impl From<TrainBody> for TrainRequest {
    fn from(body: TrainBody) -> Self {
        let (hyperparameters_field, hyperparameters) = match (body.hyperparameters, body.config) {
            (None, Some(config)) => ("config", config),
            (hyperparameters, _) => ("hyperparameters", hyperparameters.unwrap_or_default()),
        };
        Self {
            model_type: body.model_type,
            hyperparameters,
            hyperparameters_field,
            validation_split: body.validation_split.unwrap_or(DEFAULT_VALIDATION_SPLIT),
            split: body.split,
            seed: body.seed.unwrap_or(DEFAULT_SEED),
            data: body.data,
            target: body.target,
            training_data_query: body.training_data_query,
        }
    }
}

impl TrainResponse {
    fn new(model_type: ModelType, tenant_id: Uuid, outcome: TrainOutcome) -> Self {
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

/// Train a model on the tenant's rows
#[utoipa::path(
    post,
    path = "/api/ml/train",
    tag = "Machine learning",
    request_body = TrainBody,
    responses((status = 200, body = TrainResponse), Denied, BadBody, Unavailable),
    security(("HTTPBearer" = []))
)]
pub(in crate::http) async fn train(
    State(app): State<AppState>,
    caller: Caller,
    JsonObject(object): JsonObject,
) -> Result<Json<TrainResponse>> {
    let body = TrainBody::parse(object, app.config.max_rows)?;
    require_tenant(&caller, body.tenant_id)?;
    let (model_type, tenant_id) = (body.model_type, body.tenant_id);
    let job = app.submitter.submit(&caller, body.into(), SubmitOptions::default()).await?;
    match app.submitter.wait(job.id).await? {
        Awaited::Done(outcome) => Ok(Json(TrainResponse::new(model_type, tenant_id, *outcome))),
        Awaited::GoesOn(_) => Err(crate::Error::Busy { retry_after: 5 }),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(changes: Value) -> Result<TrainRequest> {
        let mut object = Map::new();
        object.insert("model_type".into(), json!("roi_prediction"));
        object.insert("tenant_id".into(), json!("{AAAAAAAA-AAAA-AAAA-AAAA-AAAAAAAAAAAA}"));
        object.extend(changes.as_object().expect("an object").clone());
        TrainBody::parse(object, 10).map(Into::into)
    }

    #[test]
    fn what_is_left_out_or_null_has_its_default() {
        for changes in [
            json!({}),
            json!({"hyperparameters": null, "config": null, "split": null, "seed": null, "data": null,
                "target": null, "training_data_query": null, "foo": "bar"}),
        ] {
            let request = parse(changes).expect("valid");
            assert_eq!((request.validation_split, request.seed, request.split), (0.2, 42, None));
            assert!(request.hyperparameters.is_empty() && request.data.is_none() && request.target.is_none());
        }
    }

    #[test]
    fn config_is_another_name_of_hyperparameters() {
        let request = parse(json!({"config": {"max_depth": 3}})).expect("valid");
        assert_eq!(
            (request.hyperparameters_field, &request.hyperparameters["max_depth"]),
            ("config", &json!(3))
        );
        assert!(parse(json!({"config": {}, "hyperparameters": {}})).is_err());
    }

    #[test]
    fn every_fault_is_named_at_once() {
        let faulty = json!({
            "model_type": 3, "tenant_id": 5, "hyperparameters": [], "config": 1, "validation_split": null,
            "split": "x", "seed": -1, "target": 1, "training_data_query": [], "data": {},
        });
        let Err(crate::Error::Invalid(errors)) = parse(faulty) else { panic!("must be refused") };
        let kinds: Vec<_> = errors.iter().map(|error| error.kind.clone()).collect();
        assert_eq!(
            kinds,
            [
                "literal_error",
                "uuid_type",
                "dict_type",
                "dict_type",
                "float_type",
                "literal_error",
                "greater_than_equal",
                "string_type",
                "string_type",
                "list_type",
            ]
        );
    }
}
