//! The sample portfolio as a graph: the same entities as [`super::portfolio`], their markets and deals.
//!
//! Each tenant has 24 `:Market` nodes; each `project-…` of its cost records is a `:Project`, each `property-…` of its
//! risk, ROI and monthly records a `:Property`; both are `LOCATED_IN` a market, except one in fifty, and have
//! zero to four `HAS_DEAL` relationships. Nodes hold the attributes of the record (never a target), with
//! gaps of their own, so that each side has values that the other lacks. Some `:TrainingData` rows, of entities
//! that no table knows, come with their targets.

use std::collections::BTreeMap;

use chrono::{Days, NaiveDate};
use serde_json::{Map, Value, json};

use super::portfolio::random::Random;
use super::portfolio::{self, Portfolio, TenantProfile};

/// Markets of a tenant.
const MARKETS: u32 = 24;
/// Share of the attributes that a node lacks.
const MISSING: f64 = 0.05;
/// `:TrainingData` nodes of each model type.
const TRAINING_DATA: usize = 200;
/// Nodes or relationships of one statement.
const BATCH: usize = 2_000;

/// Nodes and relationships of one tenant; every node's properties hold `tenantId`.
#[derive(Debug, Clone, PartialEq)]
pub struct SampleGraph {
    /// Label to properties of each node.
    pub nodes: BTreeMap<&'static str, Vec<Map<String, Value>>>,
    /// `(type, label of the start, entityId of the start, label of the end, entityId of the end)`.
    pub relationships: Vec<(&'static str, &'static str, String, &'static str, String)>,
}

/// A Cypher statement with the rows for its parameter `$rows`.
#[derive(Debug, Clone)]
pub struct Batch {
    /// `UNWIND $rows AS row ...`
    pub statement: String,
    /// A list of maps.
    pub rows: Vec<Map<String, Value>>,
}

/// The graph of `profile`: the same seed, the same graph.
#[must_use]
pub fn generate(profile: &TenantProfile, seed: u64) -> SampleGraph {
    let records = portfolio::generate(profile, seed);
    let mut random = Random::new(seed ^ profile.tenant_id.as_u64_pair().0, 5);
    let tenant = profile.tenant_id.to_string();
    let mut graph = SampleGraph { nodes: BTreeMap::new(), relationships: vec![] };
    for i in 1..=MARKETS {
        let mut market = node(&tenant, &format!("market-{i:03}"));
        market
            .insert("pricePerSqft".into(), json!(180.0 * profile.price_level * random.log_normal(1.0, 0.25)));
        market.insert("volatility".into(), json!(random.log_normal(0.14, 0.4)));
        market.insert("growthRate".into(), json!(random.normal(profile.inflation, 0.015)));
        market.insert("vacancyRate".into(), json!(random.between(0.03, 0.18)));
        graph.nodes.entry("Market").or_default().push(market);
    }
    for (label, entities) in [("Project", projects(&records)), ("Property", properties(&records))] {
        for (id, attributes) in entities {
            let mut entity = node(&tenant, &id);
            for (key, value) in attributes {
                if !value.is_null() && !random.chance(MISSING) {
                    entity.insert(key.to_owned(), value);
                }
            }
            graph.nodes.entry(label).or_default().push(entity);
            if !random.chance(0.02) {
                let market = format!("market-{:03}", 1 + random.below(MARKETS));
                graph.relationships.push(("LOCATED_IN", label, id.clone(), "Market", market));
            }
            for number in 0..random.below(5) {
                let deal_id = format!("deal-{id}-{number}");
                let mut deal = node(&tenant, &deal_id);
                let day = NaiveDate::from_ymd_opt(2018, 1, 1).expect("a date")
                    + Days::new(random.below(2_800).into());
                deal.insert("closedOn".into(), json!(day.to_string()));
                graph.nodes.entry("Deal").or_default().push(deal);
                graph.relationships.push(("HAS_DEAL", label, id.clone(), "Deal", deal_id));
            }
        }
    }
    graph.nodes.insert("TrainingData", training_data(&tenant, profile, seed));
    graph
}

impl SampleGraph {
    /// Whose graph it is; `None` if it is empty.
    #[must_use]
    pub fn tenant(&self) -> Option<&str> {
        self.nodes.values().flatten().find_map(|node| node.get("tenantId")?.as_str())
    }

    /// Statements that load the graph: run them in this order, each once. Indexes come first.
    #[must_use]
    pub fn batches(&self) -> Vec<Batch> {
        let mut batches: Vec<Batch> = self.nodes.keys().map(|label| index(label)).collect();
        for (label, nodes) in &self.nodes {
            let dates = if *label == "Deal" { " SET n.closedOn = date(row.closedOn)" } else { "" };
            let statement = format!("UNWIND $rows AS row CREATE (n:{label}) SET n = row{dates}");
            batches.extend(
                nodes.chunks(BATCH).map(|rows| Batch { statement: statement.clone(), rows: rows.to_vec() }),
            );
        }
        let tenant = self.tenant();
        let mut kinds: BTreeMap<_, Vec<Map<String, Value>>> = BTreeMap::new();
        for (kind, from, from_id, to, to_id) in &self.relationships {
            let row = json!({"tenantId": tenant, "from": from_id, "to": to_id});
            kinds.entry((kind, from, to)).or_default().extend(row.as_object().cloned());
        }
        for ((kind, from, to), rows) in kinds {
            let statement = format!(
                "UNWIND $rows AS row MATCH (a:{from} {{tenantId: row.tenantId, entityId: row.from}}) \
                 MATCH (b:{to} {{tenantId: row.tenantId, entityId: row.to}}) CREATE (a)-[:{kind}]->(b)"
            );
            batches.extend(
                rows.chunks(BATCH).map(|rows| Batch { statement: statement.clone(), rows: rows.to_vec() }),
            );
        }
        batches
    }
}

fn index(label: &str) -> Batch {
    let name = label.to_lowercase();
    let statement =
        format!("CREATE INDEX {name}_tenant IF NOT EXISTS FOR (n:{label}) ON (n.tenantId, n.entityId)");
    Batch { statement, rows: vec![] }
}

fn node(tenant: &str, id: &str) -> Map<String, Value> {
    Map::from_iter([("tenantId".to_owned(), json!(tenant)), ("entityId".to_owned(), json!(id))])
}

type Attributes = BTreeMap<&'static str, Value>;

fn projects(records: &Portfolio) -> BTreeMap<String, Attributes> {
    let attributes = |record: &portfolio::CostRecord| {
        Attributes::from([
            ("sizeSqft", json!(record.project_size_sqft)),
            ("numUnits", json!(record.num_units)),
            ("locationTier", json!(record.location_tier)),
            ("propertyType", json!(record.property_type)),
            ("year", json!(record.year)),
        ])
    };
    records.cost.iter().map(|record| (record.entity_id.clone(), attributes(record))).collect()
}

fn properties(records: &Portfolio) -> BTreeMap<String, Attributes> {
    let mut entities: BTreeMap<String, Attributes> = BTreeMap::new();
    for record in &records.risk {
        entities.entry(record.entity_id.clone()).or_default().extend([
            ("leverageRatio", json!(record.leverage_ratio)),
            ("occupancyRate", json!(record.occupancy_rate)),
            ("propertyAge", json!(record.property_age)),
            ("locationRiskScore", json!(record.location_risk_score)),
        ]);
    }
    for record in &records.roi {
        entities.entry(record.entity_id.clone()).or_default().extend([
            ("purchasePrice", json!(record.purchase_price)),
            ("annualRevenue", json!(record.annual_revenue)),
            ("operatingExpenses", json!(record.operating_expenses)),
            ("propertyType", json!(record.property_type)),
        ]);
    }
    for record in &records.properties {
        entities.entry(record.entity_id.clone()).or_default().extend([
            ("monthlyRevenue", json!(record.monthly_revenue)),
            ("maintenanceCost", json!(record.maintenance_cost)),
            ("tenantTurnover", json!(record.tenant_turnover)),
        ]);
    }
    entities
}

/// Rows of another seed, so that they tell something new, under ids that no table has.
fn training_data(tenant: &str, profile: &TenantProfile, seed: u64) -> Vec<Map<String, Value>> {
    let records = portfolio::generate(profile, seed.wrapping_add(1));
    let row = |model_type: &str, target: (&str, &str), record: Value| {
        let mut row = record.as_object().cloned().unwrap_or_default();
        let id = row.remove("entity_id").unwrap_or_default();
        row.remove("observed_at");
        if let Some(value) = row.remove(target.0) {
            row.insert(target.1.to_owned(), value);
        }
        row.insert("tenantId".into(), json!(tenant));
        row.insert("model_type".into(), json!(model_type));
        let id = format!("graph-{model_type}-{}", id.as_str().unwrap_or_default());
        row.insert("entityId".into(), json!(id));
        row.insert("entity_id".into(), json!(id));
        row.retain(|_, value| !value.is_null());
        row
    };
    let mut rows = vec![];
    let few = TRAINING_DATA;
    rows.extend(
        records
            .cost
            .iter()
            .take(few)
            .map(|r| row("cost_forecasting", ("total_cost", "actual_cost"), json!(r))),
    );
    rows.extend(
        records.risk.iter().take(few).map(|r| row("risk_assessment", ("high_risk", "actual_risk"), json!(r))),
    );
    rows.extend(records.roi.iter().take(few).map(|r| row("roi_prediction", ("roi", "actual_roi"), json!(r))));
    rows
}
