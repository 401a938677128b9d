//! What distinguishes a tenant.

use uuid::{Uuid, uuid};

/// How a tenant's portfolio looks.
#[derive(Debug, Clone, PartialEq)]
pub struct TenantProfile {
    /// Whose records these are.
    pub tenant_id: Uuid,
    /// For people.
    pub name: &'static str,
    /// Building cost and prices relative to the national average.
    pub price_level: f64,
    /// Increase of prices per year.
    pub inflation: f64,
    /// Weights of residential, commercial, industrial, mixed use.
    pub type_mix: [f64; 4],
    /// Weights of location tiers 1 (prime) to 4 (remote).
    pub tier_mix: [f64; 4],
    /// Median project size in square feet.
    pub project_size: f64,
    /// Mean loan to value.
    pub leverage: f64,
    /// Mean occupancy.
    pub occupancy: f64,
    /// Added to the log-odds of high risk.
    pub risk_shift: f64,
    /// Net operating income over price.
    pub cap_rate: f64,
    /// How many rows.
    pub rows: RowCounts,
    /// How often a value is missing.
    pub missing: MissingRates,
}

/// Rows of each table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowCounts {
    /// `cost_records`: finished projects.
    pub cost: usize,
    /// `risk_records`: assessed loans.
    pub risk: usize,
    /// `roi_records`: investments.
    pub roi: usize,
    /// Properties, each with one row of `property_metrics` a month for three years.
    pub properties: usize,
}

/// Share of missing values by how a value comes to be known.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MissingRates {
    /// Written into every contract: size, price, type.
    pub contractual: f64,
    /// Reported each period: occupancy, revenue, expenses.
    pub reported: f64,
    /// Estimated or bought from outside: volatility, growth, risk scores.
    pub estimated: f64,
}

impl TenantProfile {
    /// Tenant A: a large metropolitan investor; offices and mixed use, expensive, well placed.
    #[must_use]
    pub fn metropolitan() -> Self {
        Self {
            tenant_id: uuid!("aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa"),
            name: "Metropolitan Holdings",
            price_level: 1.45,
            inflation: 0.046,
            type_mix: [0.30, 0.40, 0.08, 0.22],
            tier_mix: [0.40, 0.35, 0.18, 0.07],
            project_size: 48_000.0,
            leverage: 0.58,
            occupancy: 0.92,
            risk_shift: -0.9,
            cap_rate: 0.052,
            rows: RowCounts { cost: 4_000, risk: 5_000, roi: 4_000, properties: 120 },
            missing: MissingRates { contractual: 0.004, reported: 0.02, estimated: 0.05 },
        }
    }

    /// Tenant B: a regional owner; housing and warehouses, cheap, indebted, patchy books.
    #[must_use]
    pub fn regional() -> Self {
        Self {
            tenant_id: uuid!("bbbbbbbb-bbbb-bbbb-bbbb-bbbbbbbbbbbb"),
            name: "Regional Homes",
            price_level: 0.72,
            inflation: 0.028,
            type_mix: [0.62, 0.10, 0.23, 0.05],
            tier_mix: [0.08, 0.24, 0.40, 0.28],
            project_size: 17_000.0,
            leverage: 0.70,
            occupancy: 0.85,
            risk_shift: -2.3,
            cap_rate: 0.078,
            rows: RowCounts { cost: 3_000, risk: 4_000, roi: 3_000, properties: 90 },
            missing: MissingRates { contractual: 0.01, reported: 0.05, estimated: 0.12 },
        }
    }
}
