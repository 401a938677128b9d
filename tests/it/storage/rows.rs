//! Training rows: written by the loader, read by COPY.

use binah_ml::{
    Error,
    auth::tenant::scope,
    catalog::ModelType,
    features::{ColumnValues, FeatureTable, postgres, table::MISSING},
    storage::records::{self, Cell, Record},
};
use chrono::DateTime;
use sqlx::{AssertSqlSafe, Row, query};

use crate::support::{TENANT_A, TENANT_B, TestDatabase, database::cut_off_after, tenant};

fn model_type(name: &str) -> ModelType {
    ModelType::parse(name).expect("known")
}

/// Cost records with every kind of value, deterministic.
fn cost_records(n: u32) -> impl Iterator<Item = Record> {
    (0..n).map(|i| {
        let number = |value: f64, hole: u32| if i % hole == 0 { Cell::Null } else { Cell::Number(value) };
        let special = match i % 11 {
            3 => f64::NAN,
            5 => f64::INFINITY,
            7 => f64::NEG_INFINITY,
            8 => 1e300,
            _ => f64::from(i) * 1.1,
        };
        let kinds = ["residential", "commercial", "1", " mixed_use ", "", "büro"];
        Record {
            entity_id: format!("p{i}"),
            observed_at: (i % 4 != 0)
                .then(|| DateTime::from_timestamp(i64::from(i) * 86_400, 500_000_000))
                .flatten(),
            values: vec![
                number(special, 13),
                number(f64::from(i % 50), 17),
                number(f64::from(i % 5), 19),
                if i % 6 == 5 { Cell::Null } else { Cell::Text(kinds[i as usize % 6].to_owned()) },
                Cell::Number(2000.0 + f64::from(i % 25)),
                number(f64::from(i) * 1e5, 23),
            ],
        }
    })
}

/// The reading that the COPY must agree with: one row at a time, through sqlx's own decoders.
async fn row_by_row(database: &TestDatabase) -> Vec<(Vec<Option<f64>>, Option<String>, Option<f64>)> {
    let statement = format!(
        "SELECT project_size_sqft::float8, num_units::float8, location_tier::float8, year::float8, total_cost::float8,
                property_type, extract(epoch FROM observed_at)::float8
           FROM cost_records WHERE tenant_id = '{}' ORDER BY id",
        tenant(TENANT_A)
    );
    let rows = query(AssertSqlSafe(statement)).fetch_all(&mut database.owner_connection().await).await;
    let rows = rows.expect("reads");
    rows.iter().map(|row| ((0..5).map(|i| row.get(i)).collect(), row.get(5), row.get(6))).collect()
}

fn numeric<'a>(table: &'a FeatureTable, name: &str) -> &'a [f32] {
    match &table.columns.iter().find(|column| column.name == name).expect("the column").values {
        ColumnValues::Numeric(values) => values,
        ColumnValues::Categorical { .. } => panic!("{name} is numeric"),
    }
}

#[tokio::test]
async fn copy_reads_what_reading_row_by_row_reads() {
    let database = TestDatabase::new().await;
    let service = database.service();
    let cost = model_type("cost_forecasting");
    let n = 25_000;
    for who in [TENANT_B, TENANT_A] {
        scope(tenant(who), async {
            let mut tx = service.tenant_transaction("test").await.expect("begins");
            let inserted =
                records::insert(&mut tx, cost, cost_records(if who == TENANT_A { n } else { 7 })).await;
            assert_eq!(inserted.expect("inserts"), if who == TENANT_A { n.into() } else { 7 });
            tx.commit().await.expect("commits");
        })
        .await;
    }
    let table = scope(tenant(TENANT_A), postgres::load(&service, cost, 25_000)).await.expect("loads");
    let names: Vec<_> = table.columns.iter().map(|column| column.name.as_str()).collect();
    assert_eq!(names, ["project_size_sqft", "num_units", "location_tier", "property_type", "year"]);
    let rows = row_by_row(&database).await;
    assert_eq!((table.n_rows, rows.len()), (25_000, 25_000));
    let ColumnValues::Categorical { labels, codes } = &table.columns[3].values else { panic!("categorical") };
    assert_eq!(labels, &["residential", "commercial", "mixed_use"], "in order of appearance");
    let same = |read: f64, row: Option<f64>| read.to_bits() == row.unwrap_or(f64::NAN).to_bits();
    let same_f32 =
        |read: f32, row: Option<f64>| read.to_bits() == row.map_or(f32::NAN, |row| row as f32).to_bits();
    for (i, (numbers, kind, time)) in rows.into_iter().enumerate() {
        for (name, row) in
            ["project_size_sqft", "num_units", "location_tier", "year"].into_iter().zip(&numbers)
        {
            assert!(same_f32(numeric(&table, name)[i], *row), "{name} of row {i}");
        }
        assert!(same(table.target[i], numbers[4]), "target of row {i}");
        assert!(same(table.observed_at[i], time), "time of row {i}");
        let expected = match kind.as_deref().map(str::trim) {
            None | Some("") => MISSING,
            Some("1" | "residential") => 0,
            Some("commercial") => 1,
            _ => 2,
        };
        assert_eq!(codes[i], expected, "kind of row {i}");
    }
}

#[tokio::test]
async fn every_record_table_is_read() {
    let database = TestDatabase::new().await;
    let service = database.service();
    for model_type in ModelType::all() {
        let width = model_type.features.len() + usize::from(model_type.target.is_some());
        let record = |value: f64| Record {
            entity_id: "e".into(),
            observed_at: None,
            values: vec![Cell::Number(value); width],
        };
        scope(tenant(TENANT_A), async {
            let mut tx = service.tenant_transaction("test").await.expect("begins");
            records::insert(&mut tx, model_type, [record(1.0), record(0.0)]).await.expect("inserts");
            tx.commit().await.expect("commits");
            let table = postgres::load(&service, model_type, 100).await.expect("loads");
            assert_eq!((table.n_rows, table.columns.len()), (2, model_type.features.len()));
            assert_eq!(table.target.len(), if model_type.target.is_some() { 2 } else { 0 });
            assert!(table.observed_at.is_empty(), "no row has a time");
            let Err(Error::Invalid(errors)) = postgres::load(&service, model_type, 1).await else {
                panic!("more rows than allowed")
            };
            assert!(errors[0].msg.contains("more than 1 rows"), "{}", errors[0].msg);
            let mut tx = service.tenant_transaction("test").await.expect("begins");
            let misfit = Record { entity_id: "e".into(), observed_at: None, values: vec![] };
            assert!(records::insert(&mut tx, model_type, [misfit]).await.is_err());
        })
        .await;
    }
}

#[tokio::test]
async fn a_column_of_another_type_is_read_as_the_catalog_means_it() {
    let database = TestDatabase::new().await;
    database
        .as_owner(&format!(
            "ALTER TABLE cost_records ALTER property_type TYPE integer USING NULL,
                 ALTER project_size_sqft TYPE numeric(20, 4), ALTER num_units TYPE text, ALTER year TYPE date USING NULL,
                 ALTER location_tier TYPE boolean USING NULL, ALTER observed_at TYPE date;
             INSERT INTO cost_records (tenant_id, entity_id, property_type, project_size_sqft, num_units, year,
                 location_tier, observed_at) VALUES ('{0}', 'e', 2, 1234567.0625, 'many', '1970-01-11', true, '1970-01-02'),
                 ('{0}', 'e', 9, -0.5, NULL, 'infinity', false, NULL)",
            tenant(TENANT_A)
        ))
        .await;
    let service = database.service();
    let table = scope(tenant(TENANT_A), postgres::load(&service, model_type("cost_forecasting"), 10)).await;
    let table = table.expect("loads");
    assert_eq!(numeric(&table, "project_size_sqft"), [1_234_567.062_5_f64 as f32, -0.5]);
    assert_eq!(numeric(&table, "location_tier"), [1.0, 0.0]);
    assert_eq!(numeric(&table, "year")[0], 10.0);
    assert!(numeric(&table, "year")[1].is_nan());
    assert_eq!(table.observed_at[0], 86_400.0);
    let labels = |i: usize| match &table.columns[i].values {
        ColumnValues::Categorical { labels, .. } => labels.clone(),
        ColumnValues::Numeric(_) => panic!("categorical"),
    };
    assert_eq!(labels(1), ["many"]);
    assert_eq!(labels(3), ["commercial", "9"]);
}

#[tokio::test]
async fn a_read_that_is_cut_off_disturbs_nobody() {
    let database = TestDatabase::new().await;
    let service = database.service_with(1);
    let cost = model_type("cost_forecasting");
    scope(tenant(TENANT_A), async {
        let mut tx = service.tenant_transaction("test").await.expect("begins");
        records::insert(&mut tx, cost, cost_records(20_000)).await.expect("inserts");
        tx.commit().await.expect("commits");
        for polls in 1..12 {
            cut_off_after(polls, postgres::load(&service, cost, 20_000)).await;
            let mut tx = service.tenant_transaction("test").await.expect("begins");
            let two: i32 = sqlx::query_scalar("SELECT 2").fetch_one(&mut *tx).await.expect("answers");
            assert_eq!(two, 2);
        }
    })
    .await;
}

#[tokio::test]
async fn an_identifier_is_no_category() {
    let database = TestDatabase::new().await;
    let service = database.service();
    let cost = model_type("cost_forecasting");
    let rows = (0..300).map(|i| {
        let mut values = vec![Cell::Number(1.0); 6];
        values[3] = Cell::Text(format!("kind {i}"));
        Record { entity_id: "e".into(), observed_at: None, values }
    });
    scope(tenant(TENANT_A), async {
        let mut tx = service.tenant_transaction("test").await.expect("begins");
        records::insert(&mut tx, cost, rows).await.expect("inserts");
        tx.commit().await.expect("commits");
        assert_eq!(postgres::load(&service, cost, 1000).await.expect_err("too many").code(), "invalid");
        assert_eq!(postgres::load(&service, cost, 299).await.expect_err("too many").code(), "invalid");
    })
    .await;
}

/// `cargo test --release --test it throughput -- --ignored --nocapture`
#[tokio::test]
#[ignore = "a measurement, not a check"]
#[expect(clippy::print_stdout, reason = "the figures are its purpose")]
async fn throughput() {
    let database = TestDatabase::new().await;
    let service = database.service();
    let cost = model_type("cost_forecasting");
    let n = 1_000_000;
    scope(tenant(TENANT_A), async {
        let started = std::time::Instant::now();
        let mut tx = service.tenant_transaction("test").await.expect("begins");
        records::insert(&mut tx, cost, cost_records(n)).await.expect("inserts");
        tx.commit().await.expect("commits");
        println!("insert: {:.2} M rows/s", f64::from(n) / started.elapsed().as_secs_f64() / 1e6);
        database.as_owner("ANALYZE cost_records").await;
        for _ in 0..3 {
            let started = std::time::Instant::now();
            let table = postgres::load(&service, cost, 5_000_000).await.expect("loads");
            assert_eq!(table.n_rows, n as usize);
            println!("load: {:.2} M rows/s", f64::from(n) / started.elapsed().as_secs_f64() / 1e6);
        }
        for (name, rounds) in [("warm-up", 100), ("tenant transaction", 2000)] {
            let started = std::time::Instant::now();
            for _ in 0..rounds {
                service.tenant_transaction("test").await.expect("begins").commit().await.expect("commits");
            }
            println!("{name}: {:.0} us", started.elapsed().as_secs_f64() / f64::from(rounds) * 1e6);
        }
    })
    .await;
}
