//! Monthly figures of properties, some of them out of the ordinary.

use chrono::{DateTime, Datelike, Months, NaiveDate, Utc};
use serde::Serialize;

use super::random::Random;
use super::{PropertyType, TenantProfile, YEARS, round, years_since_start};

/// Months of figures for each property, up to the end of [`YEARS`].
const MONTHS: u32 = 36;
/// Share of months with something out of the ordinary.
const ANOMALY_RATE: f64 = 0.05;

/// A row of `property_metrics`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PropertyMetrics {
    /// The property.
    pub entity_id: String,
    /// First of the month.
    pub observed_at: DateTime<Utc>,
    /// Dollars.
    pub monthly_revenue: Option<f64>,
    /// Let share of the area, 0 to 1.
    pub occupancy_rate: Option<f64>,
    /// Dollars.
    pub maintenance_cost: Option<f64>,
    /// Share of tenants that moved out within twelve months, 0 to 1.
    pub tenant_turnover: Option<f64>,
    /// Whether the generator put something out of the ordinary here. The truth for tests: not a
    /// column, never shown to a model.
    #[serde(skip)]
    pub is_anomaly: bool,
}

/// What goes wrong in a month.
#[derive(Clone, Copy)]
enum Incident {
    /// Rent is not paid: revenue to 5-35 % at full occupancy.
    RevenueLoss,
    /// Roof, boiler: maintenance times 5 to 12.
    Repair,
    /// Half the house moves out: occupancy to 15-50 %, turnover to 0.55-0.95.
    Exodus,
    /// A wrong entry: revenue times 3 to 6.
    Misbooking,
}

/// A property has a full-house revenue `R` (log-normal around 38,000, 70,000, 55,000, 60,000 $ by type, times
/// `price_level`), a usual occupancy and turnover of its own. Per month:
///
/// `revenue = R * occupancy * (1 + inflation)^t * season * e^N(0, 0.04)`, `season = 1 + 0.05 cos(2 pi (month - 7) / 12)`;
/// `occupancy` follows an AR(1) process (0.8) around its usual value; `maintenance = 0.07 R * winter * e^N(0, 0.3)`,
/// `winter` 1.25 from November to March. 5 % of the months have an [`Incident`].
pub(super) fn generate(profile: &TenantProfile, random: &mut Random) -> Vec<PropertyMetrics> {
    (0..profile.rows.properties).flat_map(|i| history(profile, random, i)).collect()
}

fn history(profile: &TenantProfile, random: &mut Random, i: usize) -> Vec<PropertyMetrics> {
    let property_type = random.pick(PropertyType::ALL, profile.type_mix);
    let median = property_type.of([38e3, 70e3, 55e3, 60e3]) * profile.price_level;
    let full_house = random.log_normal(median, 0.3);
    let usual_occupancy = random.normal(profile.occupancy, 0.04).clamp(0.6, 0.98);
    let usual_turnover = property_type.of([0.28, 0.14, 0.10, 0.20]) * random.log_normal(1.0, 0.2);
    let mut drift = 0.0;

    (0..MONTHS)
        .map(|month| {
            let observed_at = first_of_month(month);
            drift = 0.8 * drift + random.normal(0.0, 0.012);
            let mut occupancy: f64 = usual_occupancy + drift;
            let mut turnover = usual_turnover * random.log_normal(1.0, 0.12);
            let winter = if matches!(observed_at.month(), 11 | 12 | 1..=3) { 1.25 } else { 1.0 };
            let mut maintenance = 0.07 * full_house * winter * random.log_normal(1.0, 0.3);
            let mut surprise = random.log_normal(1.0, 0.04);

            let incident = random.chance(ANOMALY_RATE).then(|| {
                use Incident::{Exodus, Misbooking, Repair, RevenueLoss};
                random.pick([RevenueLoss, Repair, Exodus, Misbooking], [0.3, 0.3, 0.25, 0.15])
            });
            match incident {
                Some(Incident::RevenueLoss) => surprise = random.between(0.05, 0.35),
                Some(Incident::Repair) => maintenance *= random.between(5.0, 12.0),
                Some(Incident::Exodus) => {
                    occupancy = random.between(0.15, 0.5);
                    turnover = random.between(0.55, 0.95);
                }
                Some(Incident::Misbooking) => surprise = random.between(3.0, 6.0),
                None => {}
            }
            let occupancy = occupancy.clamp(0.0, 1.0);
            let phase = std::f64::consts::TAU * (f64::from(observed_at.month()) - 7.0) / 12.0;
            let prices = (1.0 + profile.inflation).powf(years_since_start(observed_at));
            let revenue = full_house * occupancy * prices * (1.0 + 0.05 * phase.cos()) * surprise;

            let missing = profile.missing;
            PropertyMetrics {
                entity_id: format!("property-{:05}", i + 1),
                observed_at,
                monthly_revenue: random.maybe_missing(round(revenue, 2), missing.contractual),
                occupancy_rate: random.maybe_missing(round(occupancy, 3), missing.reported),
                maintenance_cost: random.maybe_missing(round(maintenance, 2), missing.reported),
                tenant_turnover: random.maybe_missing(round(turnover.clamp(0.0, 1.0), 3), missing.reported),
                is_anomaly: incident.is_some(),
            }
        })
        .collect()
}

/// The first day of month `month` of the last [`MONTHS`] of [`YEARS`].
fn first_of_month(month: u32) -> DateTime<Utc> {
    let end = NaiveDate::from_ymd_opt(YEARS.1 + 1, 1, 1).expect("first of January");
    let day = end - Months::new(MONTHS - month);
    day.and_hms_opt(0, 0, 0).expect("midnight").and_utc()
}
