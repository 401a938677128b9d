//! Whether a property behaves unlike the others.

use serde_json::{Map, json};

use super::{Family, ModelSpec, numeric};

pub(super) static SPEC: ModelSpec = ModelSpec {
    name: "anomaly_detection",
    summary: "Whether a property's month is unlike the tenant's other ones.",
    family: Family::IsolationForest,
    features: &[
        numeric("monthly_revenue", "currency units a month", 50_000.0),
        numeric("occupancy_rate", "share of the area that is let, 0 to 1", 0.95),
        numeric("maintenance_cost", "currency units a month", 4_000.0),
        numeric("tenant_turnover", "share of tenants that left in twelve months", 0.1),
    ],
    target: None,
    table: "property_metrics",
    defaults: &[],
    present: |outcome| {
        let mut fields = Map::new();
        fields.insert("is_anomaly".into(), json!(outcome.value < outcome.offset));
        // Liu et al.'s score: near 1 is abnormal, well below 0.5 is normal.
        fields.insert("anomaly_score".into(), json!(-outcome.value));
        fields.insert("threshold".into(), json!(-outcome.offset));
        fields
    },
};
