//! A seeded, realistic portfolio: records for the four models of two very different tenants.
//!
//! Money is US dollars, sizes are square feet, rates are fractions (0.05 = 5 %) except `roi`, which
//! is percent. Each `generate` of a submodule documents its formula; a field that a model may miss is
//! an `Option`, and `None` becomes SQL NULL.

mod cost;
mod profile;
mod properties;
pub(super) mod random;
mod risk;
mod roi;

use chrono::{DateTime, Days, NaiveDate, Utc};
use serde::Serialize;

pub use cost::CostRecord;
pub use profile::{MissingRates, RowCounts, TenantProfile};
pub use properties::PropertyMetrics;
use random::Random;
pub use risk::RiskRecord;
pub use roi::RoiRecord;

/// First and last year of observations.
const YEARS: (i32, i32) = (2018, 2025);

/// Use of a building.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PropertyType {
    /// Dwellings.
    Residential,
    /// Offices and shops.
    Commercial,
    /// Production and storage.
    Industrial,
    /// Several of them in one building.
    MixedUse,
}

impl PropertyType {
    /// All of them, in the order of [`TenantProfile::type_mix`].
    pub const ALL: [Self; 4] = [Self::Residential, Self::Commercial, Self::Industrial, Self::MixedUse];

    /// The text of the `property_type` columns.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Residential => "residential",
            Self::Commercial => "commercial",
            Self::Industrial => "industrial",
            Self::MixedUse => "mixed_use",
        }
    }

    /// This type's value of a table in the order of [`Self::ALL`].
    fn of<T: Copy>(self, table: [T; 4]) -> T {
        table[self as usize]
    }
}

/// The records of one tenant, each list ordered by `observed_at`.
#[derive(Debug, Clone, PartialEq)]
pub struct Portfolio {
    /// For cost_forecasting.
    pub cost: Vec<CostRecord>,
    /// For risk_assessment.
    pub risk: Vec<RiskRecord>,
    /// For roi_prediction.
    pub roi: Vec<RoiRecord>,
    /// For anomaly_detection.
    pub properties: Vec<PropertyMetrics>,
}

/// The records of `profile`: the same seed, the same records.
#[must_use]
pub fn generate(profile: &TenantProfile, seed: u64) -> Portfolio {
    // A stream of its own for each table: more rows of one do not change another.
    let stream = |table: u64| Random::new(seed ^ profile.tenant_id.as_u64_pair().0, table);
    let mut portfolio = Portfolio {
        cost: cost::generate(profile, &mut stream(1)),
        risk: risk::generate(profile, &mut stream(2)),
        roi: roi::generate(profile, &mut stream(3)),
        properties: properties::generate(profile, &mut stream(4)),
    };
    portfolio.cost.sort_by_key(|record| record.observed_at);
    portfolio.risk.sort_by_key(|record| record.observed_at);
    portfolio.roi.sort_by_key(|record| record.observed_at);
    portfolio.properties.sort_by_key(|record| record.observed_at);
    portfolio
}

/// A moment within [`YEARS`], uniformly.
fn moment(random: &mut Random) -> DateTime<Utc> {
    let year = YEARS.0 + i32::try_from(random.below(8)).expect("below 8");
    let start = NaiveDate::from_ymd_opt(year, 1, 1).expect("first of January");
    let day = start + Days::new(random.below(365).into());
    let time = day.and_hms_opt(8, 0, 0).expect("eight o'clock")
        + chrono::Duration::minutes(random.below(600).into());
    time.and_utc()
}

/// Years since the start of [`YEARS`], with fraction.
fn years_since_start(at: DateTime<Utc>) -> f64 {
    use chrono::Datelike;
    f64::from(at.year() - YEARS.0) + f64::from(at.ordinal0()) / 365.0
}

/// To whole cents or the like.
fn round(value: f64, decimals: i32) -> f64 {
    let scale = 10f64.powi(decimals);
    (value * scale).round() / scale
}

#[cfg(test)]
mod tests;
