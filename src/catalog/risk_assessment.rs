//! Whether a property is a high risk.

use serde_json::{Map, json};

use super::{Family, ModelSpec, TargetSpec, numeric};

/// Probability from which a risk is called medium, and high.
const MEDIUM: f64 = 1.0 / 3.0;
const HIGH: f64 = 2.0 / 3.0;

pub(super) static SPEC: ModelSpec = ModelSpec {
    name: "risk_assessment",
    summary: "Probability that a property is a high risk.",
    family: Family::RandomForest,
    features: &[
        numeric("leverage_ratio", "debt to value, 0 to 1", 0.7),
        numeric("occupancy_rate", "share of the area that is let, 0 to 1", 0.9),
        numeric("market_volatility", "standard deviation of yearly price changes", 0.15),
        numeric("property_age", "years", 20.0),
        numeric("location_risk_score", "0 (safe) to 10", 4.0),
    ],
    target: Some(TargetSpec { name: "high_risk", binary: true }),
    table: "risk_records",
    defaults: &[],
    present: |outcome| {
        let probability = outcome.value;
        let level = match probability {
            p if p >= HIGH => "high",
            p if p >= MEDIUM => "medium",
            _ => "low",
        };
        let mut fields = Map::new();
        fields.insert("risk_level".into(), json!(level));
        fields.insert("risk_score".into(), json!(probability));
        fields.insert("high_risk".into(), json!(probability > 0.5));
        fields
    },
};
