//! Loans and whether they turned out to be risky.

use chrono::{DateTime, Datelike, Utc};
use serde::Serialize;

use super::random::Random;
use super::{TenantProfile, moment, round};

/// A row of `risk_records`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RiskRecord {
    /// The property behind the loan.
    pub entity_id: String,
    /// Day of the assessment.
    pub observed_at: DateTime<Utc>,
    /// Loan to value, 0.05 to 1.1.
    pub leverage_ratio: Option<f64>,
    /// Let share of the area, 0.2 to 1.
    pub occupancy_rate: Option<f64>,
    /// Standard deviation of local prices a year, 0.02 to 0.6.
    pub market_volatility: Option<f64>,
    /// Years since construction, 0 to 120.
    pub property_age: Option<f64>,
    /// Crime, flood and vacancy of the neighbourhood, 0 (safe) to 10.
    pub location_risk_score: Option<f64>,
    /// The target: 1 if payments failed within two years, else 0.
    pub high_risk: i32,
}

/// `high_risk ~ Bernoulli(logistic(z))` with
///
/// `z = risk_shift + 9 (leverage - 0.64) + 9 (0.88 - occupancy) + 8 (volatility - 0.15)
///    + 0.012 (age - 30) + 0.38 (location - 4.5)
///    + 1.6 [leverage > 0.8 and occupancy < 0.8] + 0.5 [year is 2020 or 2021]`.
pub(super) fn generate(profile: &TenantProfile, random: &mut Random) -> Vec<RiskRecord> {
    (0..profile.rows.risk).map(|i| loan(profile, random, i)).collect()
}

fn loan(profile: &TenantProfile, random: &mut Random, i: usize) -> RiskRecord {
    let observed_at = moment(random);
    let crisis = matches!(observed_at.year(), 2020 | 2021);
    let leverage = random.normal(profile.leverage, 0.14).clamp(0.05, 1.1);
    let slump = if crisis { 0.03 } else { 0.0 };
    // Occupancy is skewed: most buildings are nearly full, a few are nearly empty.
    let occupancy = (1.0 - random.log_normal(1.0 - profile.occupancy, 0.7) - slump).clamp(0.2, 1.0);
    let volatility = random.log_normal(if crisis { 0.17 } else { 0.13 }, 0.4).clamp(0.02, 0.6);
    let age = random.log_normal(26.0, 0.75).min(120.0).round();
    let tier = random.pick([1.0, 2.0, 3.0, 4.0], profile.tier_mix);
    let location = random.normal(1.5 + 1.4 * tier, 1.4).clamp(0.0, 10.0);

    let squeeze = if leverage > 0.8 && occupancy < 0.8 { 1.6 } else { 0.0 };
    let z = profile.risk_shift
        + 9.0 * (leverage - 0.64)
        + 9.0 * (0.88 - occupancy)
        + 8.0 * (volatility - 0.15)
        + 0.012 * (age - 30.0)
        + 0.38 * (location - 4.5)
        + squeeze
        + if crisis { 0.5 } else { 0.0 };
    let high_risk = random.chance(1.0 / (1.0 + (-z).exp()));

    let missing = profile.missing;
    RiskRecord {
        entity_id: format!("property-{:05}", i + 1),
        observed_at,
        leverage_ratio: random.maybe_missing(round(leverage, 3), missing.contractual),
        occupancy_rate: random.maybe_missing(round(occupancy, 3), missing.reported),
        market_volatility: random.maybe_missing(round(volatility, 4), missing.estimated),
        property_age: random.maybe_missing(age, missing.contractual),
        location_risk_score: random.maybe_missing(round(location, 1), missing.estimated),
        high_risk: i32::from(high_risk),
    }
}
