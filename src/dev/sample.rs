//! The sample portfolios in the record tables and in the graph.

use super::graph;
use super::portfolio::{self, CostRecord, Portfolio, PropertyMetrics, RiskRecord, RoiRecord, TenantProfile};
use crate::{
    Result,
    catalog::ModelType,
    features::neo4j::{self, GraphOptions, OpenError},
    storage::{
        Database,
        records::{self, Cell, Record},
    },
};

/// Seed of the portfolios: every demo and every test shows the same numbers.
const SEED: u64 = 42;

/// Fills the record tables that are empty for the tenant of the open scope. Returns how many
/// records were loaded.
///
/// # Errors
/// Those of the database.
pub async fn load(database: &Database, profile: &TenantProfile) -> Result<u64> {
    let Portfolio { cost, risk, roi, properties } = portfolio::generate(profile, SEED);
    let mut transaction = database.tenant_transaction("load_sample").await?;
    let mut loaded = 0;
    for (name, rows) in [
        ("cost_forecasting", cost.into_iter().map(Into::into).collect::<Vec<Row>>()),
        ("risk_assessment", risk.into_iter().map(Into::into).collect()),
        ("roi_prediction", roi.into_iter().map(Into::into).collect()),
        ("anomaly_detection", properties.into_iter().map(Into::into).collect()),
    ] {
        let Some(model_type) = ModelType::parse(name) else { continue };
        if !records::is_empty(&mut transaction, model_type).await? {
            continue;
        }
        loaded += records::insert(&mut transaction, model_type, rows.into_iter().map(|row| row.0)).await?;
    }
    transaction.commit().await?;
    Ok(loaded)
}

/// Makes the same portfolio's graph all that the profile's tenant has in Neo4j. Returns how many nodes
/// were written: none where it is there already.
///
/// # Errors
/// [`OpenError`] when Neo4j is down.
pub async fn load_graph(options: &GraphOptions, profile: &TenantProfile) -> Result<usize, OpenError> {
    neo4j::load(options, &graph::generate(profile, SEED)).await
}

/// A record in the catalog's column order.
struct Row(Record);

impl From<CostRecord> for Row {
    fn from(row: CostRecord) -> Self {
        let values = vec![
            number(row.project_size_sqft),
            number(row.num_units),
            number(row.location_tier),
            row.property_type.map_or(Cell::Null, |kind| Cell::Text(kind.as_str().to_owned())),
            number(row.year),
            Cell::Number(row.total_cost),
        ];
        Self(Record { entity_id: row.entity_id, observed_at: Some(row.observed_at), values })
    }
}

impl From<RiskRecord> for Row {
    fn from(row: RiskRecord) -> Self {
        let values = vec![
            number(row.leverage_ratio),
            number(row.occupancy_rate),
            number(row.market_volatility),
            number(row.property_age),
            number(row.location_risk_score),
            Cell::Number(row.high_risk.into()),
        ];
        Self(Record { entity_id: row.entity_id, observed_at: Some(row.observed_at), values })
    }
}

impl From<RoiRecord> for Row {
    fn from(row: RoiRecord) -> Self {
        let values = vec![
            number(row.purchase_price),
            number(row.annual_revenue),
            number(row.operating_expenses),
            row.property_type.map_or(Cell::Null, |kind| Cell::Text(kind.as_str().to_owned())),
            number(row.market_growth_rate),
            Cell::Number(row.roi),
        ];
        Self(Record { entity_id: row.entity_id, observed_at: Some(row.observed_at), values })
    }
}

impl From<PropertyMetrics> for Row {
    fn from(row: PropertyMetrics) -> Self {
        let values = vec![
            number(row.monthly_revenue),
            number(row.occupancy_rate),
            number(row.maintenance_cost),
            number(row.tenant_turnover),
        ];
        Self(Record { entity_id: row.entity_id, observed_at: Some(row.observed_at), values })
    }
}

fn number(value: Option<impl Into<f64>>) -> Cell {
    value.map_or(Cell::Null, |value| Cell::Number(value.into()))
}
