//! What an investment will return.

use serde_json::{Map, json};

use super::{Family, FeatureSpec, ModelSpec, PROPERTY_TYPE, TargetSpec, numeric};

pub(super) static SPEC: ModelSpec = ModelSpec {
    name: "roi_prediction",
    summary: "Return on investment of a property, percent a year.",
    family: Family::BoostedRegression,
    features: &[
        numeric("purchase_price", "currency units", 1_000_000.0),
        numeric("annual_revenue", "currency units a year", 200_000.0),
        numeric("operating_expenses", "currency units a year", 80_000.0),
        FeatureSpec { name: "property_type", kind: PROPERTY_TYPE, meaning: "name, or 1 to 4", example: 2.0 },
        numeric("market_growth_rate", "share a year, such as 0.05", 0.05),
    ],
    target: Some(TargetSpec { name: "roi", binary: false }),
    table: "roi_records",
    defaults: &[("max_depth", 5.0)],
    present: |outcome| {
        let mut fields = Map::new();
        fields.insert("predicted_roi".into(), json!(outcome.value));
        if let (Some(revenue), Some(expenses)) =
            (outcome.input("annual_revenue"), outcome.input("operating_expenses"))
        {
            let noi = revenue - expenses;
            fields.insert("projected_noi".into(), json!(noi));
            if let Some(price) = outcome.input("purchase_price").filter(|_| noi > 0.0) {
                fields.insert("payback_period_years".into(), json!(price / noi));
            }
        }
        fields
    },
};
