//! The tenants: each has an id, a user and a word of its own, and a band of numbers.

use binah_ml::forest::rng::Rng;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Row, raw_sql};
use uuid::Uuid;

use super::leaks::{Channel, Leaks};
use crate::support::TestDatabase;

/// Records of a tenant in each record table.
const RECORDS: usize = 40;
/// Width of a tenant's band: tenant `i` has the numbers from `BANDS + i * BAND` up to half a band more.
pub const BAND: f64 = 1e6;
/// Where the bands begin: beyond sizes and counts of the service's own.
pub const BANDS: f64 = 1.5e9;

/// One tenant.
#[derive(Debug)]
pub struct Tenant {
    /// Its place among the tenants.
    pub index: usize,
    /// Its id.
    pub id: Uuid,
    /// `sub` of its tokens; logs and MLflow may name it.
    pub user: String,
    /// Stands in every text of its rows; no log may hold it.
    pub word: String,
}

impl Tenant {
    /// A number of its band.
    pub fn number(&self, offset: u32) -> f64 {
        BANDS + self.index as f64 * BAND + f64::from(offset)
    }

    /// A category of its own, one of three.
    pub fn category(&self, which: u32) -> String {
        format!("{}-{}", self.word, which % 3)
    }

    /// Features that its cost model knows.
    pub fn cost_features(&self, rng: &mut Rng) -> Value {
        let mut number = || self.number(rng.below(1000));
        json!({"project_size_sqft": number(), "num_units": number(), "location_tier": number(),
               "year": number(), "property_type": self.category(rng.below(3))})
    }

    /// Inline rows for a cost model.
    pub fn cost_rows(&self, rng: &mut Rng) -> Vec<Value> {
        let row = |_| {
            let mut row = self.cost_features(rng);
            row["total_cost"] = json!(self.number(rng.below(1000)));
            row["entity_id"] = json!(self.word);
            row
        };
        (0..30).map(row).collect()
    }
}

/// All tenants.
#[derive(Debug)]
pub struct Tenants(Vec<Tenant>);

impl Tenants {
    pub fn new(count: usize, seed: u64) -> Self {
        let mut rng = Rng::for_stream(seed, 1 << 32);
        let tenant = |index| Tenant {
            index,
            id: uuid::Builder::from_random_bytes(random_bytes(&mut rng)).into_uuid(),
            user: format!("user{:016x}", rng.next_u64()),
            word: format!("canary{:016x}", rng.next_u64()),
        };
        Self((0..count).map(tenant).collect())
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Tenant> {
        self.0.iter()
    }

    pub fn get(&self, index: usize) -> &Tenant {
        &self.0[index]
    }

    pub fn any(&self, rng: &mut Rng) -> &Tenant {
        &self.0[rng.below(self.0.len() as u32) as usize]
    }

    /// One that is not this one.
    pub fn other(&self, than: &Tenant, rng: &mut Rng) -> &Tenant {
        let step = 1 + rng.below(self.0.len() as u32 - 1) as usize;
        &self.0[(than.index + step) % self.0.len()]
    }

    /// Canaries in every column of every record table.
    pub async fn fill(&self, database: &TestDatabase) {
        let mut statements = String::new();
        for tenant in self.iter() {
            let Tenant { id, word, .. } = tenant;
            let low = tenant.number(0);
            // One number per column and row, within the band.
            let n = |column: usize| format!("{low} + (g * 7919 + {column} * 104729) % 1000");
            let from = format!("FROM generate_series(1, {RECORDS}) g;\n");
            let observed = "'2024-01-01'::timestamptz + g * interval '1 day'";
            for (table, columns) in [
                (
                    "cost_records (tenant_id, entity_id, observed_at, project_size_sqft, num_units, location_tier, year, total_cost, property_type)",
                    format!("{}, {}, {}, {}, {}, '{word}-' || g % 3", n(1), n(2), n(3), n(4), n(5)),
                ),
                (
                    "risk_records (tenant_id, entity_id, observed_at, leverage_ratio, occupancy_rate, market_volatility, property_age, location_risk_score, high_risk)",
                    format!("{}, {}, {}, {}, {}, g % 2", n(1), n(2), n(3), n(4), n(5)),
                ),
                (
                    "roi_records (tenant_id, entity_id, observed_at, purchase_price, annual_revenue, operating_expenses, market_growth_rate, roi, property_type)",
                    format!("{}, {}, {}, {}, {}, '{word}-' || g % 3", n(1), n(2), n(3), n(4), n(5)),
                ),
                (
                    "property_metrics (tenant_id, entity_id, observed_at, monthly_revenue, occupancy_rate, maintenance_cost, tenant_turnover)",
                    format!("{}, {}, {}, {}", n(1), n(2), n(3), n(4)),
                ),
            ] {
                statements += &format!(
                    "INSERT INTO {table} SELECT '{id}', '{word}-e' || g, {observed}, {columns} {from}"
                );
            }
        }
        database.as_owner(&statements).await;
    }

    /// Every row that the service kept holds nothing of a tenant but its own.
    pub async fn check_kept_rows(&self, database: &TestDatabase, leaks: &Leaks) {
        let mut owner = database.owner_connection().await;
        for table in ["predictions", "ml_models", "training_jobs", "model_metadata"] {
            let has_tenant = table != "model_metadata";
            let tenant = if has_tenant { "tenant_id::text" } else { "NULL::text" };
            let query = format!("SELECT {tenant} AS tenant, to_jsonb(t)::text AS row FROM {table} t");
            let rows = sqlx::query(AssertSqlSafe(query)).fetch_all(&mut owner).await.expect("the rows");
            for row in rows {
                let text: String = row.get("row");
                let owner_of: Option<String> = row.get("tenant");
                match owner_of.and_then(|id| self.iter().find(|tenant| tenant.id.to_string() == id)) {
                    Some(tenant) => leaks.check(Channel::KeptRow, tenant.index, text.as_bytes(), table),
                    None => leaks.check_at_most_one(Channel::KeptRow, text.as_bytes(), table),
                }
            }
        }
        raw_sql("SELECT 1").execute(&mut owner).await.expect("still there");
    }
}

fn random_bytes(rng: &mut Rng) -> [u8; 16] {
    let (high, low) = (u128::from(rng.next_u64()), u128::from(rng.next_u64()));
    (high << 64 | low).to_be_bytes()
}
