use super::*;

const SEED: u64 = 42;

fn both() -> [(TenantProfile, Portfolio); 2] {
    [TenantProfile::metropolitan(), TenantProfile::regional()].map(|profile| {
        let portfolio = generate(&profile, SEED);
        (profile, portfolio)
    })
}

fn mean(values: impl IntoIterator<Item = f64>) -> f64 {
    let (sum, n) = values.into_iter().fold((0.0, 0.0), |(sum, n), value| (sum + value, n + 1.0));
    sum / n
}

fn missing_share<T>(records: &[T], is_missing: impl Fn(&T) -> bool) -> f64 {
    mean(records.iter().map(|record| f64::from(u8::from(is_missing(record)))))
}

fn correlation(pairs: &[(f64, f64)]) -> f64 {
    let (mx, my) = (mean(pairs.iter().map(|p| p.0)), mean(pairs.iter().map(|p| p.1)));
    let sum = |f: &dyn Fn(f64, f64) -> f64| pairs.iter().map(|p| f(p.0 - mx, p.1 - my)).sum::<f64>();
    sum(&|x, y| x * y) / (sum(&|x, _| x * x) * sum(&|_, y| y * y)).sqrt()
}

#[test]
fn the_seed_decides() {
    let profile = TenantProfile::metropolitan();
    assert_eq!(generate(&profile, SEED), generate(&profile, SEED));
    assert_ne!(generate(&profile, SEED).cost, generate(&profile, SEED + 1).cost);
}

#[test]
fn more_rows_of_one_table_leave_the_others_alone() {
    let profile = TenantProfile::metropolitan();
    let mut larger = profile.clone();
    larger.rows.cost += 10;
    assert_eq!(generate(&profile, SEED).roi, generate(&larger, SEED).roi);
}

#[test]
fn row_counts_are_as_told_and_ordered_by_time() {
    for (profile, portfolio) in both() {
        assert_eq!(portfolio.cost.len(), profile.rows.cost);
        assert_eq!(portfolio.risk.len(), profile.rows.risk);
        assert_eq!(portfolio.roi.len(), profile.rows.roi);
        assert_eq!(portfolio.properties.len(), profile.rows.properties * 36);
        assert!(portfolio.cost.is_sorted_by_key(|record| record.observed_at));
        assert!(portfolio.properties.is_sorted_by_key(|record| record.observed_at));
    }
}

#[test]
fn values_stay_in_their_documented_ranges() {
    let within = |value: Option<f64>, low: f64, high: f64| value.is_none_or(|v| (low..=high).contains(&v));
    for (_, portfolio) in both() {
        for record in &portfolio.cost {
            assert!(within(record.project_size_sqft, 1_500.0, 900_000.0), "{record:?}");
            assert!(record.num_units.is_none_or(|n| n >= 1), "{record:?}");
            assert!(record.location_tier.is_none_or(|t| (1..=4).contains(&t)), "{record:?}");
            assert!(record.year.is_some_and(|y| (2018..=2025).contains(&y)), "{record:?}");
            assert!(record.total_cost > 50_000.0 && record.total_cost < 1e9, "{record:?}");
        }
        for record in &portfolio.risk {
            assert!(within(record.leverage_ratio, 0.05, 1.1), "{record:?}");
            assert!(within(record.occupancy_rate, 0.2, 1.0), "{record:?}");
            assert!(within(record.market_volatility, 0.02, 0.6), "{record:?}");
            assert!(within(record.property_age, 0.0, 120.0), "{record:?}");
            assert!(within(record.location_risk_score, 0.0, 10.0), "{record:?}");
            assert!((0..=1).contains(&record.high_risk), "{record:?}");
        }
        for record in &portfolio.roi {
            assert!(within(record.purchase_price, 1e5, 9e7), "{record:?}");
            assert!(within(record.annual_revenue, 1e3, 5e7), "{record:?}");
            assert!(within(record.operating_expenses, 0.0, 5e7), "{record:?}");
            assert!(within(record.market_growth_rate, -0.1, 0.2), "{record:?}");
            assert!((-30.0..=60.0).contains(&record.roi), "{record:?}");
        }
        for record in &portfolio.properties {
            assert!(within(record.monthly_revenue, 0.0, 2e6), "{record:?}");
            assert!(within(record.occupancy_rate, 0.0, 1.0), "{record:?}");
            assert!(within(record.maintenance_cost, 0.0, 5e5), "{record:?}");
            assert!(within(record.tenant_turnover, 0.0, 1.0), "{record:?}");
        }
    }
}

#[test]
fn values_are_missing_at_the_profiles_rates() {
    for (profile, portfolio) in both() {
        let rates = profile.missing;
        let near = |share: f64, rate: f64| assert!((share - rate).abs() < 0.3 * rate, "{share} for {rate}");
        near(missing_share(&portfolio.cost, |r| r.num_units.is_none()), rates.reported);
        near(missing_share(&portfolio.risk, |r| r.market_volatility.is_none()), rates.estimated);
        near(missing_share(&portfolio.risk, |r| r.location_risk_score.is_none()), rates.estimated);
        near(missing_share(&portfolio.roi, |r| r.market_growth_rate.is_none()), rates.estimated);
        near(missing_share(&portfolio.properties, |r| r.occupancy_rate.is_none()), rates.reported);
    }
}

#[test]
fn the_tenants_differ_clearly() {
    let [(_, a), (_, b)] = both();
    let per_sqft =
        |p: &Portfolio| mean(p.cost.iter().filter_map(|r| Some(r.total_cost / r.project_size_sqft?)));
    assert!(per_sqft(&a) > 1.8 * per_sqft(&b), "{} {}", per_sqft(&a), per_sqft(&b));
    let risky = |p: &Portfolio| mean(p.risk.iter().map(|r| f64::from(r.high_risk)));
    assert!((0.08..0.3).contains(&risky(&a)), "{}", risky(&a));
    assert!((0.35..0.65).contains(&risky(&b)), "{}", risky(&b));
    let roi = |p: &Portfolio| mean(p.roi.iter().map(|r| r.roi));
    assert!(roi(&b) > roi(&a) + 1.5, "{} {}", roi(&a), roi(&b));
    let housing = |p: &Portfolio| {
        mean(p.cost.iter().map(|r| f64::from(u8::from(r.property_type == Some(PropertyType::Residential)))))
    };
    assert!(housing(&b) > 1.7 * housing(&a), "{} {}", housing(&a), housing(&b));
}

#[test]
fn the_targets_can_be_learned() {
    for (_, portfolio) in both() {
        let size: Vec<_> = portfolio
            .cost
            .iter()
            .filter_map(|r| Some((r.project_size_sqft?.ln(), r.total_cost.ln())))
            .collect();
        assert!(correlation(&size) > 0.7, "{}", correlation(&size));
        let leverage: Vec<_> =
            portfolio.risk.iter().filter_map(|r| Some((r.leverage_ratio?, f64::from(r.high_risk)))).collect();
        assert!(correlation(&leverage) > 0.25, "{}", correlation(&leverage));
        let income =
            |r: &RoiRecord| Some(((r.annual_revenue? - r.operating_expenses?) / r.purchase_price?, r.roi));
        let income: Vec<_> = portfolio.roi.iter().filter_map(income).collect();
        assert!(correlation(&income) > 0.7, "{}", correlation(&income));
    }
}

#[test]
fn costs_rise_over_the_years() {
    let [(_, a), _] = both();
    let in_year = |year: i32| {
        let of_year = a.cost.iter().filter(move |r| r.year == Some(year));
        mean(of_year.filter_map(|r| Some(r.total_cost / r.project_size_sqft?)))
    };
    assert!(in_year(2025) > 1.15 * in_year(2018), "{} {}", in_year(2018), in_year(2025));
}

#[test]
fn five_percent_of_the_months_are_out_of_the_ordinary() {
    for (_, portfolio) in both() {
        let share = missing_share(&portfolio.properties, |r| r.is_anomaly);
        assert!((0.04..0.06).contains(&share), "{share}");
        let repair = |anomaly| {
            let of_kind = portfolio.properties.iter().filter(move |r| r.is_anomaly == anomaly);
            mean(of_kind.filter_map(|r| r.maintenance_cost))
        };
        assert!(repair(true) > 2.0 * repair(false));
    }
}
