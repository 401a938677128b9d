//! What a query gives, and what stops it.

use std::time::Duration;

use binah_ml::{
    Error,
    auth::tenant::scope,
    catalog::ModelType,
    features::{
        ColumnValues,
        query::{QueryConfig, Request},
    },
};

use super::world::{World, quick, tenant_a};

async fn world(config: QueryConfig) -> World {
    World::new("", config).await
}

fn kind(error: &Error) -> &str {
    match error {
        Error::Invalid(errors) => &errors[0].kind,
        other => other.code(),
    }
}

#[tokio::test]
async fn columns_become_features() {
    let world = world(QueryConfig::default()).await;
    let (table, stats) = world
        .run(
            "cost_forecasting",
            "SELECT tenant_id, entity_id, observed_at, year, year > 1995 AS late, total_cost::numeric AS total_cost,
                    property_type AS roof, observed_at::date AS day, NULLIF(num_units, 1991) AS units
               FROM cost_records WHERE tenant_id = :tenant_id ORDER BY id",
        )
        .await
        .expect("runs");
    assert_eq!((table.n_rows, stats.rows), (12, 12));
    assert_eq!(stats.skipped, ["tenant_id", "entity_id"]);
    assert_eq!(table.target[..2], [1.25, 1.5]);
    assert_eq!(table.observed_at[0], 1_704_153_600.0, "2024-01-02 in seconds");
    let names: Vec<_> = table.columns.iter().map(|column| column.name.as_str()).collect();
    assert_eq!(names, ["year", "late", "roof", "day", "units"]);
    let numbers = |i: usize| match &table.columns[i].values {
        ColumnValues::Numeric(values) => values.clone(),
        ColumnValues::Categorical { .. } => panic!("numbers"),
    };
    assert_eq!(numbers(0)[..2], [1991.0, 1992.0]);
    assert_eq!(numbers(1)[3..7], [0.0, 0.0, 1.0, 1.0]);
    assert_eq!(numbers(3)[0], 19_724.0, "2024-01-02 in days");
    assert!(numbers(4)[0].is_nan() && numbers(4)[1] == 1992.0);
    let ColumnValues::Categorical { labels, codes } = &table.columns[2].values else { panic!("categories") };
    assert_eq!(labels, &["commercial", "industrial", "residential"]);
    assert_eq!(codes[..4], [0, 1, 2, 0]);
}

#[tokio::test]
async fn the_old_style_literal_works_and_another_tenants_finds_nothing() {
    let world = world(QueryConfig::default()).await;
    for (tenant, rows) in [("a", 12), ("b", 0)] {
        let id = uuid::Uuid::parse_str(&tenant.repeat(32)).expect("a tenant");
        let text = format!("SELECT * FROM cost_records WHERE tenant_id = '{id}'");
        let (table, stats) = world.run("cost_forecasting", &text).await.expect("runs");
        assert_eq!(table.n_rows, rows);
        assert_eq!(stats.skipped, ["tenant_id", "id", "entity_id"]);
    }
}

#[tokio::test]
async fn without_a_tenant_nothing_runs() {
    let world = world(QueryConfig::default()).await;
    let model_type = ModelType::parse("cost_forecasting").expect("a catalog type");
    let request = Request { user_id: "u", model_type, text: "SELECT * FROM cost_records" };
    assert!(matches!(world.query.run(request).await, Err(Error::NoTenantScope)));
}

#[tokio::test]
async fn failures_are_told_in_our_words() {
    let world = world(quick()).await;
    for (text, expected) in [
        ("SELECT 1 / (year - year) AS target, year FROM cost_records", "query_value"),
        ("SELECT entity_id::int AS target, year FROM cost_records", "query_value"),
        ("SELECT year + property_type AS target, year FROM cost_records", "query_type"),
        ("SELECT year AS target, sum(num_units) AS s FROM cost_records", "query_grouping"),
        ("SELECT year AS target, (SELECT year FROM cost_records) AS s FROM cost_records", "query_value"),
        ("SELECT a.year AS target, id AS s FROM cost_records a, cost_records b", "query_column"),
        ("SELECT x.year AS target FROM cost_records a", "query_relation"),
        ("SELECT total_cost, 1e300::float8 AS big FROM cost_records", "query_value"),
        ("SELECT total_cost, 'Infinity'::float8 AS big FROM cost_records", "query_value"),
        ("SELECT total_cost, substring(md5(id::text) || md5(id::text), 1, 60) AS t FROM cost_records", "ok"),
        (
            "SELECT total_cost, concat(a, a, a, a, a) AS t FROM (SELECT total_cost, concat(md5('x'), md5('x')) AS a FROM cost_records) x",
            "query_value",
        ),
        (
            "SELECT total_cost, a.id::text || b.id || c.id AS t FROM cost_records a, (SELECT id FROM cost_records) b, (SELECT id FROM cost_records) c",
            "too_many_categories",
        ),
        ("SELECT total_cost, '(' ~ '(' AS x FROM cost_records", "query_value"),
        (
            "SELECT count(*) AS target, 1 AS z FROM cost_records a, cost_records b, cost_records c, cost_records d, cost_records e, cost_records f, cost_records g, cost_records h",
            "query_timeout",
        ),
    ] {
        let outcome = world.run("cost_forecasting", text).await;
        let found = outcome.as_ref().err().map_or("ok", kind);
        assert_eq!(found, expected, "{text}: {outcome:?}");
        if let Err(error) = outcome {
            let said = error.to_string();
            assert!(!said.contains("A-1") && !said.contains("syntax for"), "{said}");
        }
    }
}

#[tokio::test]
async fn rows_and_bytes_are_limited_and_the_pool_recovers() {
    let limits = QueryConfig { max_rows: 100, max_connections: 1, ..quick() };
    let world = world(limits).await;
    let many = "SELECT a.year AS target, b.year FROM cost_records a, cost_records b, cost_records c";
    for _ in 0..3 {
        let error = world.run("cost_forecasting", many).await.expect_err("too many rows");
        assert_eq!(kind(&error), "query_result_too_large", "{error}");
    }
    let (table, _) = world.run("cost_forecasting", "SELECT * FROM cost_records").await.expect("runs");
    assert_eq!(table.n_rows, 12);
    let limits = QueryConfig { max_bytes: 1_000, max_connections: 1, ..quick() };
    let world = self::world(limits).await;
    for _ in 0..3 {
        let error = world.run("cost_forecasting", many).await.expect_err("too many bytes");
        assert_eq!(kind(&error), "query_result_too_large", "{error}");
    }
}

/// Sessions of the query login that are at work, but for the one that asks.
async fn at_work(world: &World) -> i64 {
    sqlx::query_scalar(
        "SELECT count(*) FROM pg_stat_activity
          WHERE usename = 'svc_query' AND datname = current_database() AND state = 'active'",
    )
    .fetch_one(&mut world.database.owner_connection().await)
    .await
    .expect("asked")
}

async fn wait_for(world: &World, sessions: i64) {
    for _ in 0..1_000 {
        if at_work(world).await == sessions {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("waited for {sessions} sessions at work, found {}", at_work(world).await);
}

/// The limit is ten minutes: only a cancel can end the statement while this test waits.
#[tokio::test]
async fn a_query_whose_caller_is_gone_stops_on_the_server() {
    let limits =
        QueryConfig { timeout: Duration::from_secs(600), max_connections: 2, ..QueryConfig::default() };
    let world = world(limits).await;
    let endless = "SELECT count(*) AS target, 1 AS z FROM cost_records a, cost_records b, cost_records c, cost_records d, \
                   cost_records e, cost_records f, cost_records g, cost_records h, cost_records i, cost_records j";
    for _ in 0..3 {
        let query = world.query.clone();
        let running = tokio::spawn(scope(tenant_a(), async move {
            let model_type = ModelType::parse("cost_forecasting").expect("a catalog type");
            query.run(Request { user_id: "u", model_type, text: endless }).await
        }));
        wait_for(&world, 1).await;
        running.abort();
        wait_for(&world, 0).await;
    }
    assert_eq!(world.run("cost_forecasting", "SELECT * FROM cost_records").await.expect("runs").0.n_rows, 12);
}

#[tokio::test]
async fn every_query_leaves_an_audit_line() {
    let world = world(quick()).await;
    let lines = capture::lines();
    let model_type = ModelType::parse("cost_forecasting").expect("a catalog type");
    let run = |text| scope(tenant_a(), world.query.run(Request { user_id: "u-audit", model_type, text }));
    let _ = run("SELECT * FROM cost_records").await;
    let _ = run("SELECT pg_sleep(1)").await;
    let _ = run("SELECT 1 / 0 AS target, 1 AS a").await;
    let _ = tokio::time::timeout(Duration::ZERO, run("SELECT * FROM cost_records")).await;
    let lines = lines.of("u-audit");
    let outcomes: Vec<_> = lines
        .iter()
        .map(|line| line.split_whitespace().filter(|w| w.starts_with("outcome=") || w.starts_with("reason=")))
        .map(|words| words.collect::<Vec<_>>().join(" "))
        .collect();
    assert_eq!(
        outcomes,
        [
            "outcome=\"ok\" reason=\"\"",
            "outcome=\"refused\" reason=\"query_function\"",
            "outcome=\"failed\" reason=\"query_value\"",
            "outcome=\"cancelled\" reason=\"\"",
        ],
        "{lines:?}"
    );
    assert!(lines[0].contains("rows=12") && lines[0].contains("user=\"u-audit\""), "{}", lines[0]);
    assert!(lines[0].contains("tenant=aaaaaaaa-"), "{}", lines[0]);
    assert!(lines.iter().all(|line| !line.contains("SELECT")), "the text itself is not logged");
}

/// `cargo test --release --test tenant_query -- --ignored a_million --nocapture`
#[tokio::test]
#[ignore = "a measurement"]
async fn a_million_rows() {
    let world = world(QueryConfig::default()).await;
    let tenant = tenant_a().uuid();
    world
        .database
        .as_owner(&format!(
            "INSERT INTO roi_records (tenant_id, entity_id, purchase_price, annual_revenue, operating_expenses, market_growth_rate, roi)
             SELECT '{tenant}', i::text, random(), random(), random(), random(), random() FROM generate_series(1, 1000000) i;
             ANALYZE roi_records"
        ))
        .await;
    let six = "SELECT purchase_price, annual_revenue, operating_expenses, market_growth_rate, id AS n, roi FROM roi_records";
    for _ in 0..4 {
        let (table, stats) = world.run("roi_prediction", six).await.expect("runs");
        let rate = stats.rows as f64 / stats.elapsed.as_secs_f64();
        println!("{} rows x {} columns, {:.0} rows/s", stats.rows, table.columns.len() + 1, rate);
    }
    let started = std::time::Instant::now();
    for _ in 0..200 {
        world
            .run("cost_forecasting", "SELECT year, total_cost FROM cost_records LIMIT 1")
            .await
            .expect("runs");
    }
    println!("{:?} a small query, whole way", started.elapsed() / 200);
}

mod capture {
    use std::{
        io::Write,
        sync::{Arc, Mutex},
    };

    use tracing_subscriber::{EnvFilter, fmt::MakeWriter};

    #[derive(Clone, Default)]
    pub(super) struct Buffer(Arc<Mutex<Vec<u8>>>);

    impl Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().expect("not poisoned").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl<'a> MakeWriter<'a> for Buffer {
        type Writer = Self;

        fn make_writer(&'a self) -> Self {
            self.clone()
        }
    }

    /// The lines of the target `audit` from now on, of the whole process.
    pub(super) fn lines() -> Buffer {
        let buffer = Buffer::default();
        let subscriber = tracing_subscriber::fmt()
            .with_writer(buffer.clone())
            .with_ansi(false)
            .with_env_filter(EnvFilter::new("audit=info"))
            .finish();
        tracing::subscriber::set_global_default(subscriber).expect("called once");
        buffer
    }

    impl Buffer {
        /// The lines that name the user.
        pub(super) fn of(&self, user: &str) -> Vec<String> {
            let bytes = self.0.lock().expect("not poisoned").clone();
            let text = String::from_utf8_lossy(&bytes);
            text.lines().filter(|line| line.contains(user)).map(str::to_owned).collect()
        }
    }
}
