//! Investments and what they returned.

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::random::Random;
use super::{PropertyType, TenantProfile, moment, round, years_since_start};

/// A row of `roi_records`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RoiRecord {
    /// The property.
    pub entity_id: String,
    /// End of the first full year.
    pub observed_at: DateTime<Utc>,
    /// Dollars.
    pub purchase_price: Option<f64>,
    /// Dollars a year.
    pub annual_revenue: Option<f64>,
    /// Dollars a year.
    pub operating_expenses: Option<f64>,
    /// Use.
    pub property_type: Option<PropertyType>,
    /// Expected growth of local prices a year, a fraction.
    pub market_growth_rate: Option<f64>,
    /// The target: percent a year, -30 to 60.
    pub roi: f64,
}

/// `roi = 100 (annual_revenue - operating_expenses) / purchase_price + 60 growth + premium[type] + N(0, 0.7)`
///
/// percent, with `premium` 0, 0.6, 1.2, 0.3 (residential, commercial, industrial, mixed use); growth counts
/// for 60 %, as a part of it is never realised. Net income is `cap_rate` of the price, times a
/// log-normal spread of 0.45; expenses take 32 to 45 % of revenue by type.
pub(super) fn generate(profile: &TenantProfile, random: &mut Random) -> Vec<RoiRecord> {
    (0..profile.rows.roi).map(|i| investment(profile, random, i)).collect()
}

fn investment(profile: &TenantProfile, random: &mut Random, i: usize) -> RoiRecord {
    let observed_at = moment(random);
    let property_type = random.pick(PropertyType::ALL, profile.type_mix);
    let prices = profile.price_level * (1.0 + profile.inflation).powf(years_since_start(observed_at));
    let median = property_type.of([2.4e6, 5.5e6, 3.2e6, 4.2e6]) * prices;
    let price = random.log_normal(median, 0.5).clamp(1e5, 9e7);
    let cap_rate = random.log_normal(profile.cap_rate * property_type.of([0.95, 1.0, 1.2, 1.0]), 0.45);
    let expense_ratio = property_type.of([0.42, 0.45, 0.32, 0.43]) + random.normal(0.0, 0.05);
    let revenue = price * cap_rate / (1.0 - expense_ratio);
    let expenses = revenue * expense_ratio;
    let growth = random.normal(profile.inflation, 0.025);

    let premium = property_type.of([0.0, 0.6, 1.2, 0.3]);
    let roi = 100.0 * (revenue - expenses) / price + 60.0 * growth + premium + random.normal(0.0, 0.7);

    let missing = profile.missing;
    RoiRecord {
        entity_id: format!("property-{:05}", i + 1),
        observed_at,
        purchase_price: random.maybe_missing(price.round(), missing.contractual),
        annual_revenue: random.maybe_missing(revenue.round(), missing.contractual),
        operating_expenses: random.maybe_missing(expenses.round(), missing.reported),
        property_type: random.maybe_missing(property_type, missing.contractual),
        market_growth_rate: random.maybe_missing(round(growth, 4), missing.estimated),
        roi: round(roi.clamp(-30.0, 60.0), 3),
    }
}
