//! What `migrate` gives to the service's login, and whom it holds up meanwhile.

use std::time::Duration;

use binah_ml::{
    auth::tenant::scope,
    storage::{
        Database, PoolConfig, Worker, migrate,
        privileges::{self, Finding},
    },
};
use sqlx::{AssertSqlSafe, PgConnection, query, query_as, query_scalar, raw_sql};
use uuid::Uuid;

use crate::support::{
    TENANT_A, TENANT_B, TestDatabase,
    database::{SERVICE, connect, plain_owner, run, service_login},
    tenant,
};

/// Reads the models and every queue in a transaction that stays open, as `pg_dump` does.
async fn reader(database: &TestDatabase) -> PgConnection {
    let mut connection = database.owner_connection().await;
    let queues = Worker::ALL.into_iter().flat_map(Worker::tables);
    let reads: String =
        queues.chain(&["ml_models"]).map(|table| format!("SELECT count(*) FROM {table};")).collect();
    raw_sql(AssertSqlSafe(format!("BEGIN; {reads}"))).execute(&mut connection).await.expect("reads");
    connection
}

#[tokio::test]
async fn a_start_waits_for_nobody_where_everything_stands() {
    let database = TestDatabase::new().await;
    let _reader = reader(&database).await;
    let login = service_login();
    let start = migrate(&database.owner, &login);
    // A bound on waiting, not a measure of it: a lock would be asked for for minutes.
    let report = tokio::time::timeout(Duration::from_secs(100), start).await.expect("waits for nobody");
    assert_eq!(report.expect("migrates").applied, Vec::<String>::new());
}

/// Starts while somebody reads `table`, which the start has to lock after this sabotage.
async fn lets_others_pass(sabotage: &str, table: &str) -> TestDatabase {
    let database = TestDatabase::new().await;
    database.as_owner(sabotage).await;
    let mut reader = reader(&database).await;
    let owner = database.owner.clone();
    let start = tokio::spawn(async move { migrate(&owner, &service_login()).await });
    let mut watcher = database.owner_connection().await;
    let waits = "SELECT count(*) FROM pg_locks WHERE relation = $1::regclass AND NOT granted
                    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    for waiting in [1, 0] {
        while query_scalar::<_, i64>(waits).bind(table).fetch_one(&mut watcher).await.expect("asked")
            != waiting
        {
            assert!(!start.is_finished());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    raw_sql("ROLLBACK").execute(&mut reader).await.expect("let go");
    start.await.expect("runs").expect("migrates");
    database
}

#[tokio::test]
async fn a_policy_that_is_missing_is_asked_for_again_and_lets_others_pass() {
    let database =
        lets_others_pass("DROP POLICY tracking_worker ON tracking_outbox", "tracking_outbox").await;
    let made = "SELECT count(*) FROM pg_policy WHERE polname = 'tracking_worker'";
    assert_eq!(database.count(made).await, 1);
}

#[tokio::test]
async fn a_first_grant_is_asked_for_again_and_lets_others_pass() {
    let sabotage = format!("REVOKE ALL ON training_schedules FROM {SERVICE}");
    let database = lets_others_pass(&sabotage, "ml_models").await;
    let granted =
        format!("SELECT has_table_privilege('{SERVICE}', 'training_schedules', 'INSERT')::int::bigint");
    assert_eq!(database.count(&granted).await, 1);
}

/// A version is registered between the migrations and the grant. FORCE hides it from an owner that is no superuser.
#[tokio::test]
async fn a_model_that_came_before_the_grant_gets_its_schedule_with_it() {
    let (owner, superuser, service) = plain_owner().await;
    migrate(&owner, &service).await.expect("migrates");
    run(&owner, &format!("REVOKE ALL ON training_schedules FROM {}", service.name)).await;

    let database = Database::new(&owner.with_login(service.clone()), &PoolConfig::default());
    let (a, b) = (tenant(TENANT_A), tenant(TENANT_B));
    for tenant in [a, a, b] {
        let register = async {
            let mut tx = database.tenant_transaction("test").await.expect("begins");
            query("INSERT INTO ml_models (tenant_id, model_type, artifacts) VALUES ($1, 'roi_prediction', '{}')")
                .bind(tenant.uuid())
                .execute(&mut *tx)
                .await
                .expect("is registered all the same");
            tx.commit().await.expect("commits");
        };
        scope(tenant, register).await;
    }
    database.close().await;

    let mut reads = connect(&superuser).await;
    let schedules = "SELECT tenant_id, model_type FROM training_schedules ORDER BY 1";
    let before: Vec<(Uuid, String)> = query_as(schedules).fetch_all(&mut reads).await.expect("reads");
    assert_eq!(before, []);
    migrate(&owner, &service).await.expect("migrates");
    let after: Vec<(Uuid, String)> = query_as(schedules).fetch_all(&mut reads).await.expect("reads");
    assert_eq!(after, [a, b].map(|tenant| (tenant.uuid(), "roi_prediction".to_owned())));
    let forced = "SELECT count(*) FROM pg_class WHERE relforcerowsecurity
                     AND oid IN ('ml_models'::regclass, 'training_schedules'::regclass)";
    let forced: i64 = query_scalar(forced).fetch_one(&mut reads).await.expect("reads");
    assert_eq!(forced, 2, "the walls stand again");
}

/// The policy of an older build asks for `app.worker` alone.
#[tokio::test]
async fn workers_of_a_single_tenant_are_kept_to_it_or_reported() {
    let database = TestDatabase::new().await;
    let all = database.service();
    let single = all.clone().with_single_tenant(Some(tenant(TENANT_A)));
    assert_eq!(privileges::check(&single).await.expect("connects"), vec![]);
    let older = "ALTER POLICY training_worker ON training_jobs USING (current_setting('app.worker', true) = 'training')";
    database.as_owner(older).await;
    assert_eq!(privileges::check(&all).await.expect("connects"), vec![]);
    let findings = privileges::check(&single).await.expect("connects");
    assert_eq!(findings, [Finding::WorkersUnbound("training_worker on training_jobs".to_owned())]);
    assert!(findings[0].breaks_isolation());

    migrate(&database.owner, &service_login()).await.expect("migrates");
    assert_eq!(privileges::check(&single).await.expect("connects"), vec![]);
}
