//! Connections that die.

use std::time::Duration;

use binah_ml::{
    Error,
    auth::tenant::scope,
    storage::{ConnectConfig, Database, PoolConfig},
};
use sqlx::{AssertSqlSafe, query, query_scalar, raw_sql};

use crate::support::{
    TENANT_A, TestDatabase,
    database::{SERVICE, service_login},
    tenant,
};

#[tokio::test]
async fn dead_connections_in_the_pool_reach_no_request() {
    let database = TestDatabase::new().await;
    let service = database.service();
    let work = async {
        let open = futures::future::join_all((0..4).map(|_| service.tenant_transaction("test"))).await;
        for transaction in open {
            transaction.expect("begins").commit().await.expect("commits");
        }
        database
            .as_owner(&format!(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                  WHERE usename = '{SERVICE}' AND datname = current_database()"
            ))
            .await;
        service.ping().await.expect("a fresh connection answers");
        for _ in 0..8 {
            let mut tx = service.tenant_transaction("test").await.expect("begins on a live connection");
            let one: i32 = query_scalar("SELECT 1").fetch_one(&mut *tx).await.expect("answers");
            assert_eq!(one, 1);
        }
    };
    scope(tenant(TENANT_A), work).await;
}

#[tokio::test]
async fn a_server_that_is_away_is_unavailable_not_internal() {
    let owner = TestDatabase::new().await.owner;
    let away = ConnectConfig { host: "127.0.0.1".to_owned(), port: 1, ..owner };
    let pool = PoolConfig { acquire_timeout: Duration::from_millis(200), ..PoolConfig::default() };
    let service = Database::new(&away, &pool);
    assert_eq!(service.ping().await.expect_err("nobody listens").code(), "unavailable");
    let error =
        scope(tenant(TENANT_A), service.tenant_transaction("test")).await.expect_err("nobody listens");
    assert_eq!(error.code(), "unavailable");
    assert_eq!(error.to_string(), "Postgres is not available");
}

/// A training that is ready waits for what passes, and fails for a defect.
#[tokio::test]
async fn what_passes_is_told_from_a_defect() {
    let service = TestDatabase::new().await.service();
    for (sqlstate, code) in [
        ("55P03", "unavailable"),
        ("40P01", "unavailable"),
        ("40001", "unavailable"),
        ("25P03", "unavailable"),
        ("57014", "internal"),
        ("42501", "internal"),
        ("23505", "internal"),
    ] {
        let raised = scope(tenant(TENANT_A), async {
            let mut tx = service.tenant_transaction("test").await.expect("begins");
            let raise = format!("DO $$ BEGIN RAISE SQLSTATE '{sqlstate}'; END $$");
            raw_sql(AssertSqlSafe(raise)).execute(&mut *tx).await
        });
        assert_eq!(Error::from(raised.await.expect_err("raised")).code(), code, "{sqlstate}");
    }
}

#[tokio::test]
async fn a_row_that_somebody_holds_is_unavailable_for_now() {
    let database = TestDatabase::new().await;
    let a = tenant(TENANT_A);
    let row = format!("INSERT INTO training_jobs (id, tenant_id, model_type) VALUES ('{a}', '{a}', 'x')");
    database.as_owner(&row).await;
    let mut holder = database.owner_connection().await;
    raw_sql("BEGIN; SELECT FROM training_jobs FOR UPDATE").execute(&mut holder).await.expect("held");
    // Half of it is the longest wait for a lock.
    let pool = PoolConfig { statement_timeout: Duration::from_secs(2), ..PoolConfig::default() };
    let service = Database::new(&database.owner.with_login(service_login()), &pool);
    let work = async {
        let mut tx = service.tenant_transaction("test").await.expect("begins");
        query("UPDATE training_jobs SET priority = 1").execute(&mut *tx).await
    };
    let error = scope(a, work).await.expect_err("held by somebody else");
    assert_eq!(error.as_database_error().and_then(|error| error.code()).as_deref(), Some("55P03"));
    assert_eq!(Error::from(error).code(), "unavailable");
}
