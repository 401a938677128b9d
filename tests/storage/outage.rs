//! Connections that die.

use binah_ml::{
    auth::tenant::scope,
    storage::{ConnectConfig, Database, PoolConfig},
};
use sqlx::query_scalar;

use crate::support::{SERVICE, TestDatabase, tenant};

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
    scope(tenant('a'), work).await;
}

#[tokio::test]
async fn a_server_that_is_away_is_unavailable_not_internal() {
    let owner = TestDatabase::new().await.owner;
    let away = ConnectConfig { host: "127.0.0.1".to_owned(), port: 1, ..owner };
    let pool = PoolConfig { acquire_timeout: std::time::Duration::from_millis(200), ..PoolConfig::default() };
    let service = Database::new(&away, &pool);
    assert_eq!(service.ping().await.expect_err("nobody listens").code(), "unavailable");
    let error = scope(tenant('a'), service.tenant_transaction("test")).await.expect_err("nobody listens");
    assert_eq!(error.code(), "unavailable");
    assert_eq!(error.to_string(), "Postgres is not available");
}
