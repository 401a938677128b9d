//! The API's description and the pages that show it.

use serde_json::json;

use super::*;
use crate::{
    catalog::ModelType,
    http::{
        openapi::document,
        routes::{Access, table},
    },
};

#[test]
fn every_route_for_clients_is_described() {
    let document = document();
    let hidden =
        ["/metrics", "/openapi.json", "/docs", "/docs/oauth2-redirect", "/docs/assets/{file}", "/redoc"];
    let mut described = 0;
    for route in table(&development()).filter(|route| !hidden.contains(&route.path)) {
        let path = &document["paths"][route.path];
        for method in route.methods {
            let operation = &path[method.to_lowercase()];
            let answers = operation["responses"].as_object();
            let answers = answers.unwrap_or_else(|| panic!("{method} {} is not described", route.path));
            assert!(answers.values().all(|answer| answer["description"].is_string()), "{}", route.path);
            let protected = operation["security"] == json!([{"HTTPBearer": []}]);
            assert_eq!(protected, route.access == Access::Token, "{method} {}", route.path);
            described += 1;
        }
    }
    let paths = document["paths"].as_object().expect("an object");
    let operations = paths.values().filter_map(Value::as_object).map(serde_json::Map::len).sum::<usize>();
    assert_eq!(operations, described, "and nothing that is no route");
    assert_eq!(document["components"]["securitySchemes"]["HTTPBearer"]["scheme"], "bearer");
    assert_eq!(document["info"]["version"], crate::http::API_VERSION);
}

#[test]
fn every_reference_leads_somewhere() {
    fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::Object(object) => {
                found.extend(object.get("$ref").and_then(Value::as_str));
                object.values().for_each(|value| references(value, found));
            }
            Value::Array(list) => list.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }
    let document = document();
    let mut found = vec![];
    references(&document, &mut found);
    assert!(found.len() > 20);
    for reference in found {
        let pointer = reference.trim_start_matches('#');
        assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
    }
}

#[test]
fn the_catalog_is_described() {
    let document = document();
    let schemas = &document["components"]["schemas"];
    for model_type in ModelType::all() {
        let predict =
            &document["paths"]["/api/ml/predict"]["post"]["requestBody"]["content"]["application/json"];
        let example = &predict["examples"][model_type.name]["value"];
        for feature in model_type.features {
            assert!(example["features"][feature.name].is_number(), "{model_type} {}", feature.name);
        }
    }
    let cost = &schemas["CostForecastingHyperparameters"]["properties"];
    assert_eq!((&cost["max_depth"]["default"], &cost["max_depth"]["maximum"]), (&json!(6), &json!(20)));
    assert_eq!(schemas["RoiPredictionHyperparameters"]["properties"]["max_depth"]["default"], json!(5));
    assert_eq!(schemas["RiskAssessmentFeatures"]["required"].as_array().map(Vec::len), Some(5));
    let split = &schemas["TrainRequest"]["properties"]["validation_split"];
    assert_eq!((&split["maximum"], &split["default"]), (&json!(0.5), &json!(0.2)));
    assert_eq!(schemas["TrainRequest"]["required"], json!(["model_type", "tenant_id"]));
    assert_eq!(schemas["PredictRequest"]["required"], json!(["model_type", "tenant_id", "features"]));
}

#[tokio::test]
async fn the_pages_load_nothing_from_elsewhere() {
    for (path, content_type) in [
        ("/docs", "text/html; charset=utf-8"),
        ("/redoc", "text/html; charset=utf-8"),
        ("/docs/oauth2-redirect", "text/html; charset=utf-8"),
        ("/docs/assets/swagger-ui.css", "text/css"),
        ("/openapi.json", "application/json"),
    ] {
        let answer = send(&format!("GET {path}"), &[]).await;
        assert_eq!((answer.status, answer.header("content-type")), (200, Some(content_type)), "{path}");
        assert!(!answer.text.is_empty(), "{path}");
        let head = send(&format!("HEAD {path}"), &[]).await;
        assert_eq!((head.status, head.text.as_str()), (200, ""), "{path}");
    }
    for path in ["/docs", "/redoc"] {
        let page = send(&format!("GET {path}"), &[]).await.text;
        for external in ["src=\"http", "href=\"http", "src=\"//", "href=\"//", "@import"] {
            assert!(!page.contains(external), "{path} loads {external}");
        }
    }
    let docs = send("GET /docs", &[]).await.text;
    let assets: Vec<_> = docs.split('"').filter(|part| part.starts_with("docs/assets/")).collect();
    assert_eq!(assets.len(), 3);
    for asset in assets {
        assert_eq!(send(&format!("GET /{asset}"), &[]).await.status, 200, "{asset}");
    }
    assert_eq!(send("GET /docs/assets/index.html", &[]).await.status, 404);
}

#[test]
fn the_error_shape_is_that_of_fastapi() {
    let schemas = &document()["components"]["schemas"];
    assert_eq!(
        schemas["HTTPValidationError"]["properties"]["detail"]["items"]["$ref"],
        "#/components/schemas/ValidationError"
    );
    let properties = &schemas["ValidationError"]["properties"];
    assert_eq!(properties["loc"]["type"], "array");
    // Any value can be wrong, and a place is a name or a number: neither has a type of its own.
    assert_eq!((properties["input"].get("type"), properties["loc"]["items"].get("type")), (None, None));
}
