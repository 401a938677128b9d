//! What a project will cost.

use serde_json::{Map, json};

use super::{Family, FeatureSpec, ModelSpec, PROPERTY_TYPE, TargetSpec, numeric};

pub(super) static SPEC: ModelSpec = ModelSpec {
    name: "cost_forecasting",
    summary: "Total cost of a project from its size, place, kind and year.",
    family: Family::BoostedRegression,
    features: &[
        numeric("project_size_sqft", "gross floor area, square feet", 5000.0),
        numeric("num_units", "number of units", 50.0),
        numeric("location_tier", "1 (prime) to 5", 2.0),
        FeatureSpec { name: "property_type", kind: PROPERTY_TYPE, meaning: "name, or 1 to 4", example: 1.0 },
        numeric("year", "calendar year of construction", 2024.0),
    ],
    target: Some(TargetSpec { name: "total_cost", binary: false }),
    table: "cost_records",
    defaults: &[("max_depth", 6.0)],
    present: |outcome| {
        let mut fields = Map::new();
        fields.insert("predicted_cost".into(), json!(outcome.value));
        if let Some(size) = outcome.input("project_size_sqft").filter(|&size| size > 0.0) {
            fields.insert("cost_per_sqft".into(), json!(outcome.value / size));
        }
        fields
    },
};
