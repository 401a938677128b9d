//! What a training is asked for, as JSON.

use serde_json::{Map, Value};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    Result,
    catalog::ModelType,
    features::inline::Row,
    http::body::fields::{self, Fields},
    training::{SplitKind, TrainRequest},
};

/// Share of the rows held out unless the request says otherwise.
const DEFAULT_VALIDATION_SPLIT: f64 = 0.2;
/// Seed unless the request names one.
const DEFAULT_SEED: u64 = 42;

#[derive(Debug, ToSchema)]
#[schema(as = TrainRequest)]
pub(in crate::http) struct TrainBody {
    #[schema(value_type = String)]
    pub(super) model_type: ModelType,
    /// The tenant of the token.
    #[schema(example = "aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa")]
    pub(super) tenant_id: Uuid,
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
    #[schema(max_length = 255)]
    target: Option<String>,
    /// The tenant's own SELECT in place of the default query, or `cypher:<name>`: a Cypher template that the operator
    /// has installed.
    #[schema(max_length = 32768)]
    training_data_query: Option<String>,
    /// How soon, among the tenant's own trainings that wait: the higher the sooner.
    #[schema(value_type = i16, required = false, minimum = -10, maximum = 10, default = 0)]
    pub(super) priority: Option<i16>,
    /// Whether to answer at once with the job instead of waiting for its end; as the header `Prefer: respond-async`, and
    /// stronger.
    #[schema(rename = "async", value_type = bool, required = false, default = false)]
    pub(super) respond_async: Option<bool>,
}

impl TrainBody {
    pub(super) fn parse(object: Map<String, Value>, max_rows: usize) -> Result<Self> {
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
        let target = body.optional("target", fields::string_up_to(255));
        let training_data_query = body.optional("training_data_query", fields::string_up_to(32 << 10));
        let priority = body.optional("priority", fields::priority);
        let respond_async = body.optional("async", fields::boolean);
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
                priority,
                respond_async,
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
                "target": null, "training_data_query": null, "priority": null, "async": null, "foo": "bar"}),
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
    fn texts_that_are_kept_with_the_job_are_bounded() {
        for (field, longest) in [("target", 255), ("training_data_query", 32_768)] {
            assert!(parse(json!({ field: "é".repeat(longest) })).is_ok(), "{field}");
            let Err(crate::Error::Invalid(faults)) = parse(json!({ field: "é".repeat(longest + 1) })) else {
                panic!("{field} must be refused")
            };
            assert_eq!((&*faults[0].kind, faults.len()), ("string_too_long", 1), "{field}");
        }
    }

    #[test]
    fn every_fault_is_named_at_once() {
        let faulty = json!({
            "model_type": 3, "tenant_id": 5, "hyperparameters": [], "config": 1, "validation_split": null,
            "split": "x", "seed": -1, "target": 1, "training_data_query": [], "priority": 11,
            "async": "yes", "data": {},
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
                "less_than_equal",
                "bool_type",
                "list_type",
            ]
        );
    }
}
