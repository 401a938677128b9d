//! Rows from Postgres into columns beside `pandas.read_sql` on the same table, and what the tenant
//! transaction costs beside a bare one. Wall-clock, a private Postgres that keeps its files safe.
//!
//! `cargo bench --bench sources`. Python is `$DEPS/bin/python` (default `.deps`).

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a table on the terminal")]

use std::{path::Path, process::Command, time::Instant};

use binah_ml::{
    auth::{TenantId, tenant},
    catalog::ModelType,
    dev::{Durability, PrivatePostgres, deps},
    features::{
        postgres,
        query::{Policy, QueryConfig, Request, TenantQuery},
    },
    storage::{ConnectConfig, Database, Login, PoolConfig, migrate, query_login},
};
use secrecy::ExposeSecret;
use sqlx::{AssertSqlSafe, Connection, PgConnection, raw_sql};
use uuid::Uuid;

/// Rows of the tenant that is read, and of another one in the same table.
const ROWS: usize = 1_000_000;
const OTHER_ROWS: usize = 250_000;
const REPEATS: usize = 5;
const TRANSACTIONS: u32 = 5_000;
const TABLE: &str = "risk_records";
const COLUMNS: &str =
    "leverage_ratio, occupancy_rate, market_volatility, property_age, location_risk_score, high_risk";

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(run());
}

async fn run() {
    let folder = tempfile::tempdir().unwrap();
    let server = PrivatePostgres::start(folder.path(), Durability::Durable).await.unwrap();
    let owner = server.owner_of("bench");
    let service = Login { name: "binah_ml_app".to_owned(), password: "bench".to_owned().into() };
    let query = Login { name: "svc_query".to_owned(), password: "bench".to_owned().into() };
    migrate(&owner, &service).await.unwrap();
    query_login::install(&owner, &service, &query, &Policy::records().tables()).await.unwrap();
    let (own, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
    fill(&owner, own, ROWS).await;
    fill(&owner, other, OTHER_ROWS).await;

    let database = Database::new(&owner.with_login(service.clone()), &PoolConfig::default());
    let queries = TenantQuery::new(
        &owner.with_login(query),
        database.clone(),
        Policy::records(),
        QueryConfig::default(),
    );
    tenant::scope(TenantId::trusted(own), reading(&owner, own, &database, &queries)).await;
    tenant::scope(TenantId::trusted(own), transactions(&owner.with_login(service), &database)).await;
}

/// Numbers in every column, a few of them missing.
async fn fill(owner: &ConnectConfig, tenant: Uuid, rows: usize) {
    let statement = format!(
        "INSERT INTO {TABLE} (tenant_id, entity_id, observed_at, {COLUMNS}) \
         SELECT '{tenant}', 'e' || g, '2020-01-01'::timestamptz + g * interval '1 minute', \
                random(), nullif(random(), 0.5), random(), round(random() * 60), random() * 10, (random() > 0.7)::int \
           FROM generate_series(1, {rows}) g; ANALYZE {TABLE}"
    );
    let mut connection = connect(owner).await;
    raw_sql(AssertSqlSafe(statement)).execute(&mut connection).await.unwrap();
}

async fn reading(owner: &ConnectConfig, own: Uuid, database: &Database, queries: &TenantQuery) {
    let model_type = ModelType::parse("risk_assessment").unwrap();
    let text = format!("SELECT {COLUMNS} FROM {TABLE}");
    let request = Request { user_id: "bench", model_type, text: &text };
    let (mut default, mut custom) = (f64::INFINITY, f64::INFINITY);
    for _ in 0..REPEATS {
        let start = Instant::now();
        let table = postgres::load(database, model_type, usize::MAX).await.unwrap();
        default = default.min(start.elapsed().as_secs_f64());
        assert_eq!(table.n_rows, ROWS);
        let start = Instant::now();
        let (table, _) = queries.run(request).await.unwrap();
        custom = custom.min(start.elapsed().as_secs_f64());
        assert_eq!(table.n_rows, ROWS);
    }
    // pandas as the owner, past every policy, with the tenant in the query.
    let select = format!("SELECT {COLUMNS} FROM {TABLE} WHERE tenant_id = '{own}'");
    let pandas = pandas(owner, &select);
    println!("{ROWS} rows of 6 numbers from Postgres into columns, fastest of {REPEATS} (pandas: of 2)");
    for (name, seconds) in [
        ("default query, with observed_at, in order", default),
        ("training_data_query", custom),
        ("pandas.read_sql", pandas),
    ] {
        println!(
            "  {name:<42} {seconds:>6.3} s  {:>5.2} M rows/s  {:>5.1}x pandas",
            ROWS as f64 / seconds / 1e6,
            pandas / seconds
        );
    }
}

fn pandas(owner: &ConnectConfig, select: &str) -> f64 {
    let ConnectConfig { host, port, database, login, .. } = owner;
    let password = login.password.expose_secret();
    let address = format!("postgresql+psycopg2://{}:{password}@{host}:{port}/{database}", login.name);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/sources.py");
    let output =
        Command::new(deps().join("bin/python")).arg(script).args([&address, select, "2"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let result: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(result["rows"], ROWS);
    result["seconds"].as_f64().unwrap()
}

/// One statement in a transaction, one after the other on one connection.
async fn transactions(service: &ConnectConfig, database: &Database) {
    let mut connection = connect(service).await;
    let (mut bare, mut walled) = (f64::INFINITY, f64::INFINITY);
    for _ in 0..3 {
        let start = Instant::now();
        for _ in 0..TRANSACTIONS {
            raw_sql("BEGIN").execute(&mut connection).await.unwrap();
            sqlx::query_scalar::<_, i32>("SELECT 1").fetch_one(&mut connection).await.unwrap();
            raw_sql("COMMIT").execute(&mut connection).await.unwrap();
        }
        bare = bare.min(start.elapsed().as_secs_f64());
        let start = Instant::now();
        for _ in 0..TRANSACTIONS {
            let mut transaction = database.tenant_transaction("bench").await.unwrap();
            sqlx::query_scalar::<_, i32>("SELECT 1").fetch_one(&mut *transaction).await.unwrap();
            transaction.commit().await.unwrap();
        }
        walled = walled.min(start.elapsed().as_secs_f64());
    }
    let each = |seconds: f64| seconds / f64::from(TRANSACTIONS) * 1e6;
    println!("a transaction of one statement, one connection");
    println!("  bare                {:>6.1} us", each(bare));
    println!("  of a tenant         {:>6.1} us  {:>5.2}x", each(walled), walled / bare);
}

async fn connect(config: &ConnectConfig) -> PgConnection {
    let options = sqlx::postgres::PgConnectOptions::new_without_pgpass()
        .host(&config.host)
        .port(config.port)
        .database(&config.database)
        .username(&config.login.name)
        .password(config.login.password.expose_secret());
    PgConnection::connect_with(&options).await.unwrap()
}
