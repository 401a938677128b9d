//! `GET /api/ml/models/{model_type}/compare?a=1&b=2`: two versions side by side.

use std::collections::BTreeSet;

use axum::{
    Json,
    extract::{Path, State},
};
use http::Uri;
use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::{Parts, VersionSummary, query};
use crate::{
    Result,
    features::FeatureSchema,
    http::{
        AppState, Member,
        body::fields,
        openapi::{BadQuery, Denied, NoModel, Unavailable},
    },
    registry::VersionDetail,
};

/// Two versions side by side.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct Comparison {
    a: VersionSummary,
    b: VersionSummary,
    /// Whether both saw the same rows; the metrics are each version's own, on the rows that it held out.
    same_data: bool,
    metrics: Vec<MetricPair>,
    /// Those that differ.
    hyperparameters: Vec<ValuePair>,
    features: FeatureDifferences,
}

/// A metric of both.
#[derive(Debug, Serialize, ToSchema)]
struct MetricPair {
    #[schema(example = "rmse")]
    name: String,
    a: Option<f64>,
    b: Option<f64>,
    /// `b - a`.
    difference: Option<f64>,
}

/// A value that differs; null where a version has none.
#[derive(Debug, Serialize, ToSchema)]
struct ValuePair {
    #[schema(example = "max_depth")]
    name: String,
    a: Value,
    b: Value,
}

/// How the schemas differ.
#[derive(Debug, Default, Serialize, ToSchema)]
struct FeatureDifferences {
    /// Features that `a` alone needs.
    only_a: Vec<String>,
    /// Features that `b` alone needs.
    only_b: Vec<String>,
    /// Features of both with another kind, categories or optionality.
    changed: Vec<String>,
    /// Whether both predict the same column.
    same_target: bool,
}

fn metrics(a: &Map<String, Value>, b: &Map<String, Value>) -> Vec<MetricPair> {
    let names: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    let pair = |name: &String| {
        let of = |metrics: &Map<String, Value>| metrics.get(name).and_then(Value::as_f64);
        let (a, b) = (of(a), of(b));
        MetricPair { name: name.clone(), a, b, difference: a.zip(b).map(|(a, b)| b - a) }
    };
    names.into_iter().map(pair).collect()
}

fn differing(a: &Map<String, Value>, b: &Map<String, Value>) -> Vec<ValuePair> {
    let names: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    let pair = |name: &String| {
        let of = |values: &Map<String, Value>| values.get(name).cloned().unwrap_or_default();
        ValuePair { name: name.clone(), a: of(a), b: of(b) }
    };
    names.into_iter().map(pair).filter(|pair| pair.a != pair.b).collect()
}

fn schemas(a: &FeatureSchema, b: &FeatureSchema) -> FeatureDifferences {
    let find = |schema: &FeatureSchema, name: &str| {
        schema.features.iter().find(|feature| feature.name == name).map(|feature| json!(feature))
    };
    let lacking = |these: &FeatureSchema, those: &FeatureSchema| -> Vec<String> {
        these.names().into_iter().filter(|name| find(those, name).is_none()).collect()
    };
    let changed =
        a.names().into_iter().filter(|name| find(b, name).is_some_and(|b| Some(b) != find(a, name)));
    FeatureDifferences {
        only_a: lacking(a, b),
        only_b: lacking(b, a),
        changed: changed.collect(),
        same_target: a.target == b.target,
    }
}

impl Comparison {
    fn new(a: VersionDetail, b: VersionDetail) -> Self {
        let (left, right) = (&a.version.record, &b.version.record);
        let features = left.schema.as_ref().zip(right.schema.as_ref()).map(|(a, b)| schemas(a, b));
        Self {
            same_data: left.data_digest.is_some() && left.data_digest == right.data_digest,
            metrics: metrics(&left.metrics, &right.metrics),
            hyperparameters: differing(&left.hyperparameters, &right.hyperparameters),
            features: features.unwrap_or_default(),
            a: a.version.into(),
            b: b.version.into(),
        }
    }
}

/// Two versions side by side
#[utoipa::path(
    get,
    path = "/api/ml/models/{model_type}/compare",
    tag = "Models",
    params(
        ("model_type" = String, Path, description = "One of the model types", example = "cost_forecasting"),
        ("a" = String, Query, description = "`v1.0`, `1`, `latest` or an alias", example = "champion"),
        ("b" = String, Query, description = "As `a`", example = "challenger"),
    ),
    responses((status = 200, body = Comparison), Denied, NoModel, BadQuery, Unavailable),
    security(("HTTPBearer" = []))
)]
pub(in crate::http) async fn compare(
    State(app): State<AppState>,
    Member(_caller): Member,
    Path(model_type): Path<String>,
    uri: Uri,
) -> Result<Json<Comparison>> {
    let (query, mut parts) = (query(&uri), Parts::default());
    let model_type = parts.check(["path", "model_type"], model_type, fields::model_type);
    let mut version = |name: &str| {
        if !query.contains_key(name) {
            parts.missing(name);
        }
        parts.query(&query, name, fields::version)
    };
    let (a, b) = (version("a"), version("b"));
    let (model_type, a, b) = parts.finish(|| Some((model_type?, a?, b?)))?;
    let a = app.registry.detail(model_type, &a).await?;
    let b = app.registry.detail(model_type, &b).await?;
    Ok(Json(Comparison::new(a, b)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::{Feature, FeatureKind};

    fn object(value: Value) -> Map<String, Value> {
        value.as_object().expect("an object").clone()
    }

    #[test]
    fn numbers_are_subtracted_and_equal_values_left_out() {
        let pairs =
            metrics(&object(json!({"rmse": 2.0, "r2": 0.5})), &object(json!({"rmse": 1.5, "mae": 1})));
        let found: Vec<_> = pairs.iter().map(|pair| (pair.name.as_str(), pair.difference)).collect();
        assert_eq!(found, [("mae", None), ("r2", None), ("rmse", Some(-0.5))]);
        let pairs = differing(&object(json!({"a": 1, "b": 2})), &object(json!({"a": 1, "b": 3, "c": null})));
        assert_eq!(pairs.iter().map(|pair| pair.name.as_str()).collect::<Vec<_>>(), ["b"]);
    }

    #[test]
    fn schemas_differ_by_name_and_kind() {
        let schema = |features: &[(&str, FeatureKind)], target: &str| FeatureSchema {
            features: features
                .iter()
                .map(|(name, kind)| Feature { name: (*name).into(), kind: kind.clone(), optional: false })
                .collect(),
            target: Some(target.into()),
            dropped: vec![],
        };
        let named = |name: &str| FeatureKind::Categorical { categories: vec![name.into()], numbered: vec![] };
        let a = schema(
            &[("size", FeatureKind::Numeric), ("kind", named("x")), ("old", FeatureKind::Numeric)],
            "t",
        );
        let b = schema(
            &[("kind", named("y")), ("size", FeatureKind::Numeric), ("new", FeatureKind::Numeric)],
            "t",
        );
        let found = schemas(&a, &b);
        assert_eq!(
            (found.only_a, found.only_b, found.changed),
            (vec!["old".to_owned()], vec!["new".to_owned()], vec!["kind".to_owned()])
        );
        assert!(found.same_target && !schemas(&a, &schema(&[], "u")).same_target);
    }
}
