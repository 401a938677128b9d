//! Finished building projects and what they cost.

use chrono::{DateTime, Datelike, Utc};
use serde::Serialize;

use super::random::Random;
use super::{PropertyType, TenantProfile, moment, round, years_since_start};

/// A row of `cost_records`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CostRecord {
    /// The project.
    pub entity_id: String,
    /// Its completion.
    pub observed_at: DateTime<Utc>,
    /// Gross floor area, square feet.
    pub project_size_sqft: Option<f64>,
    /// Dwellings, offices or halls.
    pub num_units: Option<i32>,
    /// 1 (prime) to 4 (remote).
    pub location_tier: Option<i32>,
    /// Use.
    pub property_type: Option<PropertyType>,
    /// Year of completion.
    pub year: Option<i32>,
    /// The target: dollars.
    pub total_cost: f64,
}

/// `total_cost = size * rate[type] * tier[tier] * price_level * (1 + inflation)^t * season
///             * (size / 30,000)^-0.06 + units * fit_out[type] * price_level, times e^N(0, 0.09)`
///
/// with `rate` 165, 240, 110, 215 $/sqft (residential, commercial, industrial, mixed use), `tier` 1.35,
/// 1.1, 0.95, 0.82, `fit_out` 14,000, 22,000, 30,000, 18,000 $ a unit, 2021-2022 dearer by 9 % (material shortage),
/// `season` +3 % for winter completion; larger projects are cheaper per square foot.
pub(super) fn generate(profile: &TenantProfile, random: &mut Random) -> Vec<CostRecord> {
    (0..profile.rows.cost).map(|i| project(profile, random, i)).collect()
}

fn project(profile: &TenantProfile, random: &mut Random, i: usize) -> CostRecord {
    let observed_at = moment(random);
    let property_type = random.pick(PropertyType::ALL, profile.type_mix);
    let tier = random.pick([1, 2, 3, 4], profile.tier_mix);
    let median = profile.project_size * property_type.of([0.8, 1.2, 1.6, 1.1]);
    let size = random.log_normal(median, 0.65).clamp(1_500.0, 900_000.0).round();
    let unit_size = property_type.of([1_050.0, 3_500.0, 18_000.0, 1_700.0]);
    let units = (size / unit_size * random.log_normal(1.0, 0.2)).round().max(1.0);

    let rate = property_type.of([165.0, 240.0, 110.0, 215.0]);
    let tier_factor = [1.35, 1.1, 0.95, 0.82][tier - 1];
    let prices = profile.price_level * (1.0 + profile.inflation).powf(years_since_start(observed_at));
    let shortage = if matches!(observed_at.year(), 2021 | 2022) { 1.09 } else { 1.0 };
    let season = if matches!(observed_at.month(), 12 | 1 | 2) { 1.03 } else { 1.0 };
    let building = size * rate * tier_factor * (size / 30_000.0).powf(-0.06) * season;
    let fit_out = units * property_type.of([14_000.0, 22_000.0, 30_000.0, 18_000.0]);
    let total_cost = (building + fit_out) * prices * shortage * random.log_normal(1.0, 0.09);

    let missing = profile.missing;
    #[expect(clippy::cast_possible_truncation, reason = "at most a few thousand units")]
    let units = units as i32;
    CostRecord {
        entity_id: format!("project-{:05}", i + 1),
        observed_at,
        project_size_sqft: random.maybe_missing(size, missing.contractual),
        num_units: random.maybe_missing(units, missing.reported),
        location_tier: random.maybe_missing(i32::try_from(tier).expect("1 to 4"), missing.contractual),
        property_type: random.maybe_missing(property_type, missing.contractual),
        year: Some(observed_at.year()),
        total_cost: round(total_cost, 2),
    }
}
