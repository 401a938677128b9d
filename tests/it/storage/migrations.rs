//! Bringing a database up, once, twice, and from several processes.

use binah_ml::{
    Error,
    storage::{
        Database, Login, PoolConfig, TenantTransaction,
        login::LoginChange,
        migrate,
        privileges::{self, Finding},
    },
};
use sqlx::{query_as, query_scalar};

use crate::support::{
    TENANT_A, TENANT_B, TestDatabase,
    database::{SERVICE, connect, empty_database, plain_owner, run, service_login},
    tenant,
};

#[tokio::test]
async fn the_first_run_creates_and_the_second_changes_nothing() {
    let owner = empty_database().await;
    let first = migrate(&owner, &service_login()).await.expect("migrates");
    assert!(first.created_database);
    assert_eq!(
        first.applied,
        [
            "0001 platform tables",
            "0002 record tables",
            "0003 tenant queries",
            "0004 imported tables",
            "0005 data digest",
            "0006 model aliases",
            "0007 tracking outbox",
            "0008 training queue",
            "0009 training schedules",
            "0010 schedules after grants",
            "0011 jobs of a model",
            "0012 jobs by type and state",
            "0013 states of jobs",
        ]
    );
    let second = migrate(&owner, &service_login()).await.expect("migrates");
    assert!(!second.created_database);
    assert_eq!(second.applied, Vec::<String>::new());
    assert_eq!(second.login, LoginChange::PasswordSet);
    // Everybody may make temporary tables as a rule; here nobody but the owner may make any.
    let may: (bool, bool, bool) = query_as(
        "SELECT has_database_privilege($1, current_database(), 'TEMP'),
                has_schema_privilege($1, 'public', 'CREATE'),
                has_table_privilege($1, 'ml_models', 'SELECT')",
    )
    .bind(SERVICE)
    .fetch_one(&mut connect(&owner).await)
    .await
    .expect("answers");
    assert_eq!(may, (false, false, true));
}

/// A `pg_dump` reads the table: the migration must not make others queue behind itself until that is done.
#[tokio::test]
async fn a_migration_that_gets_no_lock_lets_others_pass_and_tries_again() {
    let owner = empty_database().await;
    migrate(&owner, &service_login()).await.expect("migrates");
    run(
        &owner,
        "DROP TABLE tracking_outbox, model_aliases, model_promotions, training_job_files, training_schedules;
         DROP FUNCTION training_schedule_of_model CASCADE;
         ALTER TABLE ml_models DROP COLUMN data_digest; DELETE FROM _sqlx_migrations WHERE version >= 5",
    )
    .await;
    let mut holder = connect(&owner).await;
    sqlx::raw_sql("BEGIN; LOCK TABLE ml_models IN ACCESS SHARE MODE")
        .execute(&mut holder)
        .await
        .expect("held");
    let config = owner.clone();
    let migration = tokio::spawn(async move { migrate(&config, &service_login()).await });
    let mut watcher = connect(&owner).await;
    for waiting in [1, 0] {
        let waits = "SELECT count(*) FROM pg_locks WHERE relation = 'ml_models'::regclass AND NOT granted";
        while query_scalar::<_, i64>(waits).fetch_one(&mut watcher).await.expect("asked") != waiting {
            assert!(!migration.is_finished());
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }
    sqlx::raw_sql("ROLLBACK").execute(&mut holder).await.expect("let go");
    let report = migration.await.expect("runs").expect("migrates");
    assert_eq!(report.applied.first().map(String::as_str), Some("0005 data digest"));
}

/// Of a concurrent build that is broken off an invalid index is left, which IF NOT EXISTS takes for a whole one.
#[tokio::test]
async fn an_index_whose_build_was_broken_off_is_built_again() {
    let database = TestDatabase::new().await;
    let broken_off =
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'training_jobs_model'::regclass;
         DELETE FROM _sqlx_migrations WHERE version >= 11";
    database.as_owner(broken_off).await;
    let report = migrate(&database.owner, &service_login()).await.expect("migrates");
    assert_eq!(report.applied[..2], ["0011 jobs of a model", "0012 jobs by type and state"]);
    let whole =
        "SELECT count(*) FROM pg_index WHERE indexrelid = 'training_jobs_model'::regclass AND indisvalid";
    assert_eq!(database.count(whole).await, 1);
}

#[tokio::test]
async fn several_may_start_at_once() {
    let owner = empty_database().await;
    let starts = (0..6).map(|_| {
        let owner = owner.clone();
        tokio::spawn(async move { migrate(&owner, &service_login()).await })
    });
    for start in starts.collect::<Vec<_>>() {
        start.await.expect("runs").expect("migrates");
    }
    let applied: i64 = query_scalar("SELECT count(*) FROM _sqlx_migrations")
        .fetch_one(&mut connect(&owner).await)
        .await
        .expect("counts");
    let folder = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/migrations")).expect("a folder");
    let files = folder
        .filter(|file| file.as_ref().is_ok_and(|file| file.path().extension().is_some_and(|e| e == "sql")));
    assert_eq!(applied, files.count() as i64);
}

#[tokio::test]
async fn a_name_that_needs_quotes_is_only_a_name() {
    let mut owner = empty_database().await;
    owner.database.push_str("\"; DROP TABLE x; --");
    let login = Login { name: "o'hara \"; --".to_owned(), password: "p'\\".to_owned().into() };
    migrate(&owner, &login).await.expect("migrates");
    let service = Database::new(&owner.with_login(login), &PoolConfig::default());
    assert_eq!(privileges::check(&service).await.expect("connects"), vec![]);
    service.close().await;
    run(&owner, "DROP OWNED BY \"o'hara \"\"; --\"; DROP ROLE \"o'hara \"\"; --\"").await;
}

#[tokio::test]
async fn a_role_that_is_more_than_a_login_is_left_alone() {
    let owner = empty_database().await;
    let refused = |login: Login| {
        let owner = owner.clone();
        async move {
            let Err(Error::Internal(source)) = migrate(&owner, &login).await else {
                panic!("must be refused")
            };
            source.to_string()
        }
    };
    let own = refused(owner.login.clone()).await;
    assert!(own.contains("is the owner"), "{own}");
    let name = format!("{}_role", owner.database);
    run(&owner, &format!("CREATE ROLE {name} LOGIN BYPASSRLS PASSWORD 'x'")).await;
    let login = Login { name: name.clone(), password: "x".to_owned().into() };
    let message = refused(login.clone()).await;
    assert!(message.contains(&name) && message.contains("BYPASSRLS"), "{message}");

    // And the check at the start of the service says the same of whoever it runs as.
    let check = async |login: Login| {
        let service = Database::new(&owner.with_login(login), &PoolConfig::default());
        privileges::check(&service).await.expect("connects")
    };
    assert_eq!(check(login).await, [Finding::BypassRls(name.clone()), Finding::NotMigrated(name.clone())]);
    let findings = check(owner.login.clone()).await;
    assert!(
        matches!(&findings[..], [Finding::Superuser(_), Finding::BypassRls(_), Finding::Owner { tables, .. }]
        if tables.contains("ml_models")),
        "{findings:?}"
    );
    assert!(findings[0].to_string().contains("POSTGRES_USER"));
    run(&owner, &format!("DROP ROLE {name}")).await;
}

#[tokio::test]
async fn a_database_without_tables_is_reported() {
    let owner = empty_database().await;
    run(&owner.with_database("postgres"), &format!("CREATE DATABASE {}", owner.database)).await;
    TestDatabase::new().await;
    let service = Database::new(&owner.with_login(service_login()), &PoolConfig::default());
    let findings = privileges::check(&service).await.expect("connects");
    assert_eq!(findings, [Finding::NotMigrated(SERVICE.to_owned())]);
}

#[tokio::test]
async fn tables_of_the_old_service_are_adopted_with_their_rows() {
    let owner = empty_database().await;
    run(&owner.with_database("postgres"), &format!("CREATE DATABASE {}", owner.database)).await;
    let a = tenant(TENANT_A);
    let old = format!(
        "CREATE TABLE ml_models (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), tenant_id uuid NOT NULL,
            model_type varchar(50) NOT NULL, model_name varchar(255) NOT NULL, model_version varchar(50) NOT NULL,
            mlflow_run_id varchar(255), mlflow_model_uri text, status varchar(50) DEFAULT 'training', metrics jsonb,
            hyperparameters jsonb, created_at timestamp DEFAULT now(), updated_at timestamp DEFAULT now(), created_by uuid);
         CREATE TABLE model_metadata (id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
            model_id uuid REFERENCES ml_models(id) ON DELETE CASCADE, key varchar(100), value text,
            created_at timestamp DEFAULT now());
         INSERT INTO ml_models (id, tenant_id, model_type, model_name, model_version)
            VALUES ('{a}', '{a}', 'cost_forecasting', 'old', 'v1.0');
         INSERT INTO model_metadata (model_id, key, value) VALUES ('{a}', 'k', 'v');"
    );
    run(&owner, &old).await;
    migrate(&owner, &service_login()).await.expect("migrates");
    let service = Database::new(&owner.with_login(service_login()), &PoolConfig::default());
    let count = async |who| {
        let read = async {
            let mut tx: TenantTransaction = service.tenant_snapshot("test").await.expect("begins");
            let rows: (i64, i64, Option<i32>) = query_as(
                "SELECT (SELECT count(*) FROM ml_models), (SELECT count(*) FROM model_metadata),
                        (SELECT max(version) FROM ml_models)",
            )
            .fetch_one(&mut *tx)
            .await
            .expect("counts");
            rows
        };
        binah_ml::auth::tenant::scope(tenant(who), read).await
    };
    assert_eq!(count(TENANT_A).await, (1, 1, Some(1)));
    assert_eq!(count(TENANT_B).await, (0, 0, None));
}

/// FORCE hides the rows of `ml_models` from an owner that is no superuser.
#[tokio::test]
async fn models_that_are_there_get_schedules_whoever_the_owner_is() {
    let (owner, superuser, service) = plain_owner().await;
    migrate(&owner, &service).await.expect("migrates");
    let (a, b) = (tenant(TENANT_A), tenant(TENANT_B));
    let model = |tenant, model_type, artifacts| {
        format!(
            "SET app.tenant_id = '{tenant}';
             INSERT INTO ml_models (tenant_id, model_type, artifacts) VALUES ('{tenant}', '{model_type}', {artifacts});"
        )
    };
    run(
        &owner,
        "DROP TABLE training_schedules; DROP FUNCTION training_schedule_of_model CASCADE;
                 DELETE FROM _sqlx_migrations WHERE version >= 9",
    )
    .await;
    run(&owner, &model(a, "roi_prediction", "'{}'")).await;
    run(&owner, &model(b, "roi_prediction", "'{}'")).await;
    run(&owner, &model(b, "risk_assessment", "NULL")).await;
    migrate(&owner, &service).await.expect("migrates");
    // From now on the trigger sees to it, also where a service of the version before inserts.
    for model_type in ["cost_forecasting", "cost_forecasting", "roi_prediction"] {
        run(&owner, &model(a, model_type, "'{}'")).await;
    }
    let mut schedules = connect(&superuser).await;
    let rows: Vec<(uuid::Uuid, String, String)> =
        query_as("SELECT tenant_id, model_type, kind FROM training_schedules ORDER BY 1, 2")
            .fetch_all(&mut schedules)
            .await
            .expect("reads");
    let row = |tenant: binah_ml::auth::TenantId, model_type: &str| {
        (tenant.uuid(), model_type.to_owned(), "default".to_owned())
    };
    assert_eq!(rows, [row(a, "cost_forecasting"), row(a, "roi_prediction"), row(b, "roi_prediction")]);
    let forced: bool = query_scalar("SELECT relforcerowsecurity FROM pg_class WHERE relname = 'ml_models'")
        .fetch_one(&mut schedules)
        .await
        .expect("reads");
    assert!(forced, "the wall stands again");
}
