//! The API's description: shapes from the handlers' own types, model types, features and
//! hyperparameters from the catalog, so that neither can be out of date.

use serde_json::{Map, Value, json};
use utoipa::{
    IntoResponses, Modify, OpenApi, ToSchema,
    openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
};

use super::handlers::{
    health, jobs, live, me, ml_health, model_metrics, models, predict, ready, root, train,
};
use crate::catalog::{
    FeatureKindSpec, ModelType,
    hyperparameters::{Default, ParamSpec, Range},
};

const TENANT: &str = "aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa";

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Binah ML",
        version = "0.2.0",
        description = "Training and prediction of tree ensembles for real-estate analytics. Every tenant has its own models; a request names the tenant of its token."
    ),
    paths(
        root::root,
        health::health,
        live::live,
        ready::ready,
        me::me,
        ml_health::ml_health,
        train::train,
        predict::predict,
        jobs::list::list,
        jobs::show::show,
        jobs::cancel::cancel,
        jobs::events::events,
        model_metrics::model_metrics,
        models::list::models,
        models::list::versions,
        models::version::version,
        models::compare::compare,
        models::alias::set,
        models::alias::remove,
        models::rollback::rollback,
        models::deprecate::deprecate,
        models::schedule::get::get,
        models::schedule::set::set,
        models::schedule::reset::reset,
        models::schedule::list::list,
    ),
    components(schemas(Fault, Faults)),
    modifiers(&Bearer)
)]
struct Description;

struct Bearer;

impl Modify for Bearer {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build();
        openapi
            .components
            .get_or_insert_default()
            .add_security_scheme("HTTPBearer", SecurityScheme::Http(scheme));
    }
}

/// What is wrong, in one sentence.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the body that http::error writes")]
pub(super) struct Fault {
    #[schema(example = "Not authenticated")]
    detail: String,
}

/// Everything that is wrong with the request.
#[derive(ToSchema)]
#[schema(as = HTTPValidationError)]
#[expect(dead_code, reason = "describes the body that http::error writes")]
pub(super) struct Faults {
    detail: Vec<FaultyField>,
}

/// One wrong value.
#[derive(ToSchema)]
#[schema(as = ValidationError)]
#[expect(dead_code, reason = "describes the body that http::error writes")]
pub(super) struct FaultyField {
    /// Name of the rule.
    #[schema(example = "missing")]
    r#type: String,
    /// Where: names and list positions.
    #[schema(example = json!(["body", "tenant_id"]))]
    loc: Vec<Value>,
    #[schema(example = "Field required")]
    msg: String,
    /// The value itself.
    input: Value,
    /// Numbers and names that the message mentions.
    #[schema(value_type = Option<Object>)]
    ctx: Option<Value>,
    /// Where the rule is explained.
    #[schema(example = "https://errors.pydantic.dev/2.5/v/missing")]
    url: Option<String>,
}

/// Answers of every route that needs a token.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "describes answers that http::error writes")]
pub(super) enum Denied {
    /// The token does not verify.
    #[response(status = 401, example = json!({"detail": "Could not validate credentials"}))]
    BadToken(Fault),
    /// No bearer token, a request that names another tenant, or a change by who is no administrator.
    #[response(status = 403, example = json!({"detail": "Tenant ID in request does not match authenticated tenant"}))]
    Forbidden(Fault),
}

/// The tenant has no such model.
#[derive(IntoResponses)]
#[response(status = 404, description = "The tenant has no such model yet: train one first")]
#[expect(dead_code, reason = "describes an answer that http::error writes")]
pub(super) struct NoModel(Fault);

/// The tenant has no such job.
#[derive(IntoResponses)]
#[response(status = 404, description = "The tenant has no such job", example = json!({"detail": "No such job"}))]
#[expect(dead_code, reason = "describes an answer that http::error writes")]
pub(super) struct NoJob(Fault);

/// The tenant has as many trainings waiting as it may; `retry-after` says when to come again.
#[derive(IntoResponses)]
#[response(
    status = 429,
    description = "The tenant has as many trainings waiting as it may",
    example = json!({"detail": "100 trainings of this tenant are waiting already; try again later"})
)]
#[expect(dead_code, reason = "describes an answer that http::error writes")]
pub(super) struct TooManyQueued(Fault);

/// What cannot be done.
#[derive(IntoResponses)]
#[response(
    status = 409,
    description = "It cannot be done as things stand; nothing was changed",
    example = json!({"detail": "cost_forecasting v2.0 is the champion; make another version champion first"})
)]
#[expect(dead_code, reason = "describes an answer that http::error writes")]
pub(super) struct Conflict(Fault);

/// Something in the path or the query is wrong; every fault is listed.
#[derive(IntoResponses)]
#[response(status = 422, description = "Something in the path or the query is wrong")]
#[expect(dead_code, reason = "describes an answer that http::error writes")]
pub(super) struct BadQuery(Faults);

/// Answers to a body that is wrong.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "describes answers that http::error writes")]
pub(super) enum BadBody {
    /// The body cannot be read at all.
    #[response(status = 400, example = json!({"detail": "There was an error parsing the body"}))]
    Unreadable(Fault),
    /// The body is larger than the service takes.
    #[response(status = 413, example = json!({"detail": "Request body is larger than 67108864 bytes"}))]
    TooLarge(Fault),
    /// Something in the request is wrong; every fault is listed.
    #[response(status = 422)]
    Invalid(Faults),
}

/// There is no room, or a dependency is away; `retry-after` says when to come again.
#[derive(IntoResponses)]
#[response(status = 503, description = "The queue of all tenants is full, or a dependency is away")]
#[expect(dead_code, reason = "describes an answer that http::error writes")]
pub(super) struct Unavailable(Fault);

/// The whole document.
#[must_use]
pub fn document() -> Value {
    let mut document = json!(Description::openapi());
    let schemas = &mut document["components"]["schemas"];
    for model_type in ModelType::all() {
        let name = type_name(model_type);
        schemas[format!("{name}Features")] = features(model_type);
        schemas[format!("{name}Hyperparameters")] = hyperparameters(model_type);
    }
    for request in ["TrainRequest", "PredictRequest"] {
        schemas[request]["properties"]["model_type"] = model_types();
    }
    one_of_each(&mut schemas["PredictRequest"]["properties"]["features"], "Features", false);
    one_of_each(&mut schemas["TrainRequest"]["properties"]["hyperparameters"], "Hyperparameters", true);
    add_titles(schemas);
    describe_answers(&mut document);
    examples(&mut document, "/api/ml/predict", |model_type| {
        let features: Map<_, _> =
            model_type.features.iter().map(|spec| (spec.name.to_owned(), json!(spec.example))).collect();
        json!({ "model_type": model_type.name, "tenant_id": TENANT, "features": features })
    });
    examples(&mut document, "/api/ml/train", |model_type| {
        let defaults: Map<_, _> = (model_type.family.params().iter().take(2))
            .map(|param| (param.name.to_owned(), default_of(model_type, param)))
            .collect();
        json!({ "model_type": model_type.name, "tenant_id": TENANT, "hyperparameters": defaults, "validation_split": 0.2 })
    });
    document
}

/// Titles as FastAPI writes them, which client generators make names of: `tenant_id` is "Tenant Id".
fn add_titles(schemas: &mut Value) {
    for (name, schema) in schemas.as_object_mut().into_iter().flatten() {
        schema["title"] = json!(name);
        for (name, property) in
            schema.get_mut("properties").and_then(Value::as_object_mut).into_iter().flatten()
        {
            if property.get("$ref").is_none() {
                property["title"] = json!(capitalised(name).join(" "));
            }
        }
    }
}

fn capitalised(name: &str) -> Vec<String> {
    name.split('_').map(|word| word[..1].to_uppercase() + &word[1..]).collect()
}

/// OpenAPI requires a description of every answer; FastAPI's word for the good ones.
fn describe_answers(document: &mut Value) {
    let operations = document["paths"].as_object_mut().into_iter().flat_map(|paths| paths.values_mut());
    let operations = operations.filter_map(Value::as_object_mut).flat_map(|item| item.values_mut());
    for operation in operations {
        for answer in
            operation["responses"].as_object_mut().into_iter().flat_map(|answers| answers.values_mut())
        {
            if answer["description"].as_str().is_none_or(str::is_empty) {
                answer["description"] = json!("Successful Response");
            }
        }
    }
}

/// `cost_forecasting` is `CostForecasting`.
fn type_name(model_type: ModelType) -> String {
    capitalised(model_type.name).concat()
}

fn model_types() -> Value {
    let names: Vec<_> = ModelType::all().map(|model_type| model_type.name).collect();
    let lines: Vec<_> = ModelType::all()
        .map(|model_type| format!("- `{}`: {}", model_type.name, model_type.summary))
        .collect();
    json!({ "type": "string", "enum": names, "description": lines.join("\n") })
}

fn features(model_type: ModelType) -> Value {
    let properties: Map<_, _> = model_type.features.iter().map(|spec| {
        let kind = match spec.kind {
            FeatureKindSpec::Numeric => json!({ "type": ["number", "null"] }),
            FeatureKindSpec::Categorical { names } => json!({
                "anyOf": [{ "type": "string", "enum": names }, { "type": "integer", "minimum": 1, "maximum": names.len() }, { "type": "null" }]
            }),
        };
        let mut property = json!({ "description": spec.meaning, "example": spec.example });
        merge(&mut property, kind);
        (spec.name.to_owned(), property)
    }).collect();
    let required: Vec<_> = model_type.features.iter().map(|spec| spec.name).collect();
    let target = model_type.target.map_or("none".to_owned(), |target| format!("`{}`", target.name));
    json!({
        "type": "object",
        "description": format!("Features of `{}`, {} Target: {target}.", model_type.name, model_type.summary),
        "properties": properties,
        "required": required,
    })
}

fn hyperparameters(model_type: ModelType) -> Value {
    let properties: Map<_, _> = model_type
        .family
        .params()
        .iter()
        .map(|param| {
            let mut property = json!({
                "description": format!("{}: {}", param.help, param.expectation()),
                "default": default_of(model_type, param),
            });
            let range = match param.range {
                Range::Integer(min, max) => json!({ "type": "integer", "minimum": min, "maximum": max }),
                Range::Number(min, max) => json!({ "type": "number", "minimum": min, "maximum": max }),
                Range::Above(min, max) => {
                    json!({ "type": "number", "exclusiveMinimum": min, "maximum": max })
                }
                Range::IntegerOrFraction(_, max) => {
                    json!({ "type": "number", "exclusiveMinimum": 0, "maximum": max })
                }
            };
            if param.words.is_empty() && !param.nullable {
                merge(&mut property, range);
            } else {
                let words =
                    (!param.words.is_empty()).then(|| json!({ "type": "string", "enum": param.words }));
                let null = param.nullable.then(|| json!({ "type": "null" }));
                property["anyOf"] = [Some(range), words, null].into_iter().flatten().collect();
            }
            (param.name.to_owned(), property)
        })
        .collect();
    json!({
        "type": "object",
        "description": format!("Hyperparameters of `{}` ({}).", model_type.name, model_type.family.name()),
        "properties": properties,
        "additionalProperties": false,
    })
}

fn default_of(model_type: ModelType, param: &ParamSpec) -> Value {
    let own = model_type.defaults.iter().find(|(name, _)| *name == param.name).map(|&(_, value)| value);
    let number = |value: f64| if value.fract() == 0.0 { json!(value as i64) } else { json!(value) };
    match (own, param.default) {
        (Some(value), _) | (None, Default::Number(value)) => number(value),
        (None, Default::Word(word)) => json!(word),
        (None, Default::Null) => Value::Null,
    }
}

fn one_of_each(property: &mut Value, suffix: &str, nullable: bool) {
    let each = ModelType::all().map(
        |model_type| json!({ "$ref": format!("#/components/schemas/{}{suffix}", type_name(model_type)) }),
    );
    let null = nullable.then(|| json!({ "type": "null" }));
    // Rows of the caller's own have columns of their own: the catalog's features are not the only ones.
    let free = (suffix == "Features").then(|| json!({ "type": "object" }));
    let options: Vec<_> = each.chain(free).chain(null).collect();
    let description = property["description"].clone();
    *property = json!({ "anyOf": options, "description": description });
    if !nullable {
        property["type"] = json!("object");
    }
}

fn examples(document: &mut Value, path: &str, value: impl Fn(ModelType) -> Value) {
    let all: Map<_, _> = ModelType::all()
        .map(|model_type| {
            (model_type.name.to_owned(), json!({ "summary": model_type.summary, "value": value(model_type) }))
        })
        .collect();
    document["paths"][path]["post"]["requestBody"]["content"]["application/json"]["examples"] = all.into();
}

fn merge(into: &mut Value, from: Value) {
    if let (Some(into), Value::Object(from)) = (into.as_object_mut(), from) {
        into.extend(from);
    }
}
