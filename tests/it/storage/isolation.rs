//! One tenant never sees, changes or writes as another.

use binah_ml::{
    Error,
    auth::tenant::scope,
    storage::{TenantTransaction, Worker, doctor, privileges},
};
use sqlx::{AssertSqlSafe, query, query_scalar};

use super::doctor::subject;
use crate::support::{
    TENANT_A, TENANT_B, TestDatabase,
    database::{SERVICE, cut_off_after},
    tenant,
};

/// Every table of `public` that knows a tenant, as the doctor lists them; whether each is walled is its word, too.
async fn tenant_tables(database: &TestDatabase) -> Vec<String> {
    let tables = doctor::examine(&subject(database)).await.tenant_tables;
    let tables: Vec<_> =
        tables.iter().filter_map(|name| name.strip_prefix("public.")).map(str::to_owned).collect();
    assert_eq!(tables.len(), 14, "the tables of a migrated database");
    tables
}

/// One row of tenant A in every tenant table, by the owner.
async fn with_rows_of_a(grant_all: bool) -> TestDatabase {
    let database = TestDatabase::new().await;
    let a = tenant(TENANT_A);
    let mut statements = format!(
        "INSERT INTO ml_models (id, tenant_id, model_type) VALUES ('{a}', '{a}', 'x');
         INSERT INTO training_jobs (tenant_id, model_type) VALUES ('{a}', 'x');
         INSERT INTO predictions (tenant_id, model_type) VALUES ('{a}', 'x');
         INSERT INTO model_metadata (model_id, key, value) VALUES ('{a}', 'k', 'v');
         INSERT INTO imported_tables (tenant_id, name, physical_name, column_names, column_types, row_count)
             VALUES ('{a}', 'x', 'x', '{{}}', '{{}}', 0);
         INSERT INTO model_aliases (tenant_id, model_type, alias) VALUES ('{a}', 'x', 'champion');
         INSERT INTO model_promotions (tenant_id, model_type, model_id, decision, promoted, reason)
             VALUES ('{a}', 'x', '{a}', 'set', true, 'r');
         INSERT INTO tracking_outbox (tenant_id, model_id, job_id, run, files) VALUES ('{a}', '{a}', '{a}', '{{}}', '{{}}');
         INSERT INTO training_job_files (tenant_id, job_id, name, bytes) VALUES ('{a}', '{a}', 'rows', '');
         INSERT INTO training_schedules (tenant_id, model_type) VALUES ('{a}', 'x');"
    );
    for table in ["cost_records", "risk_records", "roi_records", "property_metrics"] {
        statements.push_str(&format!("INSERT INTO {table} (tenant_id, entity_id) VALUES ('{a}', 'e');"));
    }
    if grant_all {
        // Beyond what the service may: it is the policies that must hold.
        statements.push_str(&format!("GRANT ALL ON ALL TABLES IN SCHEMA public TO {SERVICE};"));
    }
    database.as_owner(&statements).await;
    database
}

async fn affected(transaction: &mut TenantTransaction, statement: String) -> sqlx::Result<u64> {
    query(AssertSqlSafe(statement)).execute(&mut **transaction).await.map(|done| done.rows_affected())
}

#[tokio::test]
async fn rows_of_another_tenant_can_be_neither_seen_nor_changed() {
    let database = with_rows_of_a(true).await;
    let service = database.service();
    for table in tenant_tables(&database).await {
        for (who, visible) in [(TENANT_A, 1), (TENANT_B, 0)] {
            let service = &service;
            let table = &table;
            scope(tenant(who), async move {
                let mut tx = service.tenant_transaction("test").await.expect("begins");
                let count: i64 = query_scalar(AssertSqlSafe(format!("SELECT count(*) FROM {table}")))
                    .fetch_one(&mut *tx)
                    .await
                    .expect("counts");
                assert_eq!(count, visible, "{table} as {who}");
                for change in [
                    format!("UPDATE {table} SET tenant_id = tenant_id"),
                    format!("DELETE FROM {table} WHERE tenant_id = '{}'", tenant(TENANT_A)),
                ] {
                    let done = affected(&mut tx, change.clone()).await.expect("runs");
                    assert_eq!(done, visible as u64, "{change} as {who}");
                }
            })
            .await;
        }
    }
}

#[tokio::test]
async fn a_row_of_another_tenant_cannot_be_written() {
    let database = with_rows_of_a(true).await;
    let service = database.service();
    for table in tenant_tables(&database).await {
        let (service, table) = (&service, &table);
        scope(tenant(TENANT_B), async move {
            let extra = match table.as_str() {
                // Naming the other tenant's model must not help either.
                "model_metadata" => format!("model_id, key) VALUES ('{0}', '{0}', 'k')", tenant(TENANT_A)),
                "ml_models" | "training_jobs" | "predictions" | "training_schedules" => {
                    format!("model_type) VALUES ('{}', 'x')", tenant(TENANT_A))
                }
                "model_aliases" => format!("model_type, alias) VALUES ('{}', 'x', 'y')", tenant(TENANT_A)),
                "model_promotions" => {
                    let columns = "model_type, model_id, decision, promoted, reason";
                    format!("{columns}) VALUES ('{0}', 'x', '{0}', 'set', true, 'r')", tenant(TENANT_A))
                }
                "imported_tables" => {
                    let columns = "name, physical_name, column_names, column_types, row_count";
                    format!("{columns}) VALUES ('{}', 'y', 'y', '{{}}', '{{}}', 0)", tenant(TENANT_A))
                }
                "tracking_outbox" => {
                    format!(
                        "model_id, job_id, run, files) VALUES ('{0}', '{0}', '{0}', '{{}}', '{{}}')",
                        tenant(TENANT_A)
                    )
                }
                "training_job_files" => {
                    format!("job_id, name, bytes) VALUES ('{0}', '{0}', 'rows', '')", tenant(TENANT_A))
                }
                _ => format!("entity_id) VALUES ('{}', 'e')", tenant(TENANT_A)),
            };
            let mut tx = service.tenant_transaction("test").await.expect("begins");
            let error = affected(&mut tx, format!("INSERT INTO {table} (tenant_id, {extra}"))
                .await
                .expect_err("a foreign row");
            assert!(error.to_string().contains("row-level security"), "{table}: {error}");
        })
        .await;
        scope(tenant(TENANT_A), async move {
            let mut tx = service.tenant_transaction("test").await.expect("begins");
            let give_away = format!("UPDATE {table} SET tenant_id = '{}'", tenant(TENANT_B));
            let result = affected(&mut tx, give_away).await;
            if table == "model_metadata" {
                assert_eq!(result.expect("the trigger puts the model's tenant back"), 1);
            } else {
                let error = result.expect_err("a row given away");
                assert!(error.to_string().contains("row-level security"), "{table}: {error}");
            }
        })
        .await;
    }
}

/// A worker sees its own queue, of all tenants or of a single one, and of every other table nothing; as a tenant goes on
/// nobody sees more than before.
#[tokio::test]
async fn a_worker_sees_its_queue_and_nothing_else() {
    let database = with_rows_of_a(true).await;
    let service = database.service_with(1);
    for worker in Worker::ALL {
        for table in tenant_tables(&database).await {
            let own = worker.tables().contains(&table.as_str());
            let mut tx = service.worker_transaction(worker, "test").await.expect("begins");
            let counted: i64 = query_scalar(AssertSqlSafe(format!("SELECT count(*) FROM {table}")))
                .fetch_one(&mut *tx)
                .await
                .expect("counts");
            assert_eq!(counted, i64::from(own), "{table} by {worker:?}");
            let changed = query(AssertSqlSafe(format!("UPDATE {table} SET tenant_id = tenant_id")))
                .execute(&mut *tx)
                .await
                .expect("runs");
            assert_eq!(changed.rows_affected(), u64::from(own), "{table} by {worker:?}");
            drop(tx);
            for (single_tenant, seen) in [(TENANT_A, i64::from(own)), (TENANT_B, 0)] {
                let single = service.clone().with_single_tenant(Some(tenant(single_tenant)));
                let mut tx = single.worker_transaction(worker, "test").await.expect("begins");
                let counted: i64 = query_scalar(AssertSqlSafe(format!("SELECT count(*) FROM {table}")))
                    .fetch_one(&mut *tx)
                    .await
                    .expect("counts");
                assert_eq!(counted, seen, "{table} by {worker:?} of {single_tenant} alone");
            }
        }
    }
    scope(tenant(TENANT_B), async {
        let mut tx = service.tenant_transaction("test").await.expect("begins");
        let counted: i64 =
            query_scalar("SELECT count(*) FROM tracking_outbox").fetch_one(&mut *tx).await.expect("counts");
        assert_eq!(counted, 0, "the connection was a worker's before");
        let error = query(
            "INSERT INTO tracking_outbox (tenant_id, model_id, job_id, run, files)
                           VALUES ($1, $1, $1, '{}', '{}')",
        )
        .bind(tenant(TENANT_A).uuid())
        .execute(&mut *tx)
        .await
        .expect_err("a foreign row");
        assert!(error.to_string().contains("row-level security"), "{error}");
    })
    .await;
}

#[tokio::test]
async fn outside_a_scope_there_is_no_door() {
    let database = TestDatabase::new().await;
    let service = database.service();
    assert!(matches!(service.tenant_transaction("test").await, Err(Error::NoTenantScope)));
    assert!(matches!(service.tenant_snapshot("test").await, Err(Error::NoTenantScope)));
    let in_task = scope(tenant(TENANT_A), async {
        let service = service.clone();
        tokio::spawn(async move { service.tenant_transaction("test").await.map(drop) }).await
    });
    assert!(matches!(in_task.await.expect("runs"), Err(Error::NoTenantScope)));
}

#[tokio::test]
async fn a_pooled_connection_keeps_no_tenant() {
    let database = with_rows_of_a(false).await;
    let service = database.service_with(1);
    let count = async |service: &binah_ml::storage::Database| -> i64 {
        let mut tx = service.tenant_transaction("test").await.expect("begins");
        query_scalar("SELECT count(*) FROM cost_records").fetch_one(&mut *tx).await.expect("counts")
    };
    for end in ["commit", "drop", "error", "cancel"] {
        scope(tenant(TENANT_A), async {
            let mut tx = service.tenant_transaction("test").await.expect("begins");
            match end {
                "commit" => tx.commit().await.expect("commits"),
                "drop" => drop(tx),
                "error" => drop(query("SELECT 1/0").execute(&mut *tx).await.expect_err("divides by zero")),
                _ => {
                    let sleep = query("SELECT pg_sleep(0.2), 'of tenant a'").execute(&mut *tx);
                    let patience = std::time::Duration::from_millis(20);
                    tokio::time::timeout(patience, sleep).await.expect_err("it takes longer");
                }
            }
        })
        .await;
        // The login itself, on the same connection: no tenant is set.
        assert!(privileges::check(&service).await.expect("answers").is_empty());
        assert_eq!(scope(tenant(TENANT_B), count(&service)).await, 0, "after {end}");
        assert_eq!(scope(tenant(TENANT_A), count(&service)).await, 1, "after {end}");
    }
}

#[tokio::test]
async fn a_begin_that_is_cut_off_leaves_nothing_behind() {
    let database = TestDatabase::new().await;
    let service = database.service_with(1);
    for polls in 1..8 {
        scope(tenant(TENANT_A), async {
            cut_off_after(polls, service.tenant_snapshot("test")).await;
            // A transaction left open would go on as this one.
            let mut tx = service.tenant_transaction("test").await.expect("begins");
            let isolation: String = query_scalar("SELECT current_setting('transaction_isolation')")
                .fetch_one(&mut *tx)
                .await
                .expect("answers");
            assert_eq!(isolation, "read committed");
            query("INSERT INTO cost_records (tenant_id, entity_id) VALUES ($1, 'e')")
                .bind(tenant(TENANT_A).uuid())
                .execute(&mut *tx)
                .await
                .expect("writes");
        })
        .await;
    }
}

#[tokio::test]
async fn the_service_login_is_no_more_than_a_login() {
    let database = TestDatabase::new().await;
    assert_eq!(privileges::check(&database.service()).await.expect("answers"), vec![]);
    let service = database.service();
    scope(tenant(TENANT_A), async move {
        for forbidden in [
            "CREATE TABLE mine (id int)",
            "DELETE FROM ml_models",
            "UPDATE predictions SET confidence = 1",
            "TRUNCATE cost_records",
            "ALTER TABLE ml_models DISABLE ROW LEVEL SECURITY",
            "DROP POLICY tenant_isolation ON ml_models",
            "SET ROLE postgres",
            "SELECT * FROM _sqlx_migrations",
        ] {
            let mut tx = service.tenant_transaction("test").await.expect("begins");
            assert!(affected(&mut tx, forbidden.to_owned()).await.is_err(), "{forbidden}");
        }
        let mut read_only = service.tenant_snapshot("test").await.expect("begins");
        let insert = "INSERT INTO training_jobs (tenant_id, model_type) VALUES (gen_random_uuid(), 'x')";
        assert!(affected(&mut read_only, insert.to_owned()).await.is_err());
    })
    .await;
}
