//! What stands around an imported table. `tenant_query` attacks it.

use std::time::Duration;

use binah_ml::{
    auth::tenant::scope,
    catalog::ModelType,
    features::query::{Policy, QueryConfig, Request, TenantQuery},
    storage::{Login, query_login},
};
use sqlx::{AssertSqlSafe, PgConnection, query_as, query_scalar, raw_sql};

use crate::support::{
    TENANT_A, TENANT_B, TestDatabase,
    database::{QUERY, SERVICE, connect, query_login as login, service_login},
    imports::{import_text, physical},
    tenant,
};

async fn both_tenants() -> TestDatabase {
    let database = TestDatabase::new().await;
    let a = "area,kind,price\n1,flat,10\n2,villa,20\n";
    import_text(&database.owner, tenant(TENANT_A), "ames", a).await.expect("imports");
    let b = "price,secret\n1,CANARY\n2,CANARY\n3,CANARY\n";
    import_text(&database.owner, tenant(TENANT_B), "ames", b).await.expect("imports");
    import_text(&database.owner, tenant(TENANT_B), "hidden", "secret\nCANARY\n").await.expect("imports");
    database
}

#[tokio::test]
async fn every_imported_table_is_walled() {
    let database = both_tenants().await;
    type Wall = (bool, bool, i64, i64, i64, bool, bool, bool);
    let walls: Vec<Wall> = query_as(
        "SELECT relrowsecurity, relforcerowsecurity,
                (SELECT count(*) FROM pg_policy WHERE polrelid = c.oid AND polpermissive AND polroles = '{0}'
                    AND polqual IS NOT NULL AND polwithcheck IS NOT NULL),
                (SELECT count(*) FROM pg_policy WHERE polrelid = c.oid AND NOT polpermissive
                    AND polroles = ARRAY[$2::regrole::oid] AND pg_get_expr(polqual, polrelid) LIKE '%verified_tenant%'),
                (SELECT count(*) FROM pg_index i JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id'
                  WHERE i.indrelid = c.oid AND i.indkey[0] = a.attnum),
                has_schema_privilege($1, relnamespace, 'USAGE') OR has_table_privilege($1, c.oid, 'SELECT'),
                has_table_privilege($2, c.oid, 'SELECT') AND NOT has_table_privilege($2, c.oid, 'INSERT, UPDATE, DELETE'),
                EXISTS (SELECT FROM aclexplode(relacl) WHERE grantee = 0)
           FROM pg_class c WHERE relnamespace = 'tenant_data'::regnamespace AND relkind = 'r'",
    )
    .bind(SERVICE)
    .bind(QUERY)
    .fetch_all(&mut connect(&database.owner).await)
    .await
    .expect("asked");
    assert_eq!(walls, [(true, true, 1, 1, 1, false, true, false); 3]);
    let indexes: i64 = query_scalar(
        "SELECT count(*) FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid WHERE c.relnamespace = 'tenant_data'::regnamespace",
    )
    .fetch_one(&mut connect(&database.owner).await)
    .await
    .expect("asked");
    assert_eq!(indexes, 3, "no index but those led by tenant_id");
}

#[tokio::test]
async fn each_tenant_reads_its_own_table_of_the_name_and_no_other() {
    let database = both_tenants().await;
    let connect = database.owner.with_login(login());
    let query = TenantQuery::new(&connect, database.service(), Policy::records(), QueryConfig::default());
    let model_type = ModelType::parse("anomaly_detection").expect("a catalog type");
    let ask = async |who: &str, text: &str| {
        let answer = scope(tenant(who), query.run(Request { user_id: "u", model_type, text })).await;
        answer.map(|(table, _)| {
            let names: Vec<&str> = table.columns.iter().map(|column| column.name.as_str()).collect();
            format!("{} {}", table.n_rows, names.join(","))
        })
    };
    assert_eq!(ask(TENANT_A, "SELECT * FROM ames").await.expect("runs"), "2 area,kind,price");
    assert_eq!(ask(TENANT_B, "SELECT * FROM tenant_data.Ames").await.expect("runs"), "3 price,secret");
    assert_eq!(ask(TENANT_B, "SELECT * FROM hidden").await.expect("runs"), "1 secret");
    let refused = async |text: &str| ask(TENANT_A, text).await.expect_err("refused").to_string();
    assert_eq!(
        refused("SELECT * FROM hidden").await.replace("hidden", "?"),
        refused("SELECT * FROM nobody").await.replace("nobody", "?")
    );
    assert!(!refused("SELECT * FROM nobody").await.contains("hidden"));
    let theirs = physical(&database.owner, tenant(TENANT_B), "hidden").await;
    assert!(refused(&format!("SELECT * FROM {theirs}")).await.contains("There is no table"));
    // Dropped, it is gone at once.
    database.as_owner("DELETE FROM imported_tables").await;
    assert!(refused("SELECT * FROM ames").await.contains("There is no table"));
}

/// FORCE binds an owner that is no superuser.
#[tokio::test]
async fn the_owner_that_is_bound_sees_one_tenants_registry() {
    let database = both_tenants().await;
    let owner = format!("{}_owner", database.owner.database);
    database
        .as_owner(&format!(
            "CREATE ROLE {owner} LOGIN PASSWORD 'x'; GRANT USAGE, CREATE ON SCHEMA public TO {owner};
             ALTER TABLE imported_tables OWNER TO {owner}"
        ))
        .await;
    let owner = Login { name: owner, password: "x".to_owned().into() };
    let mut owner = connect(&database.owner.with_login(owner)).await;
    for (settings, expected) in [("", 0), (TENANT_A, 1), (TENANT_B, 2)] {
        let statement = format!("SET app.tenant_id = '{settings}'");
        raw_sql(AssertSqlSafe(statement)).execute(&mut owner).await.expect("set");
        let seen: i64 =
            query_scalar("SELECT count(*) FROM imported_tables").fetch_one(&mut owner).await.expect("counts");
        assert_eq!(seen, expected);
    }
}

#[tokio::test]
async fn a_query_login_that_comes_later_is_shown_what_is_there() {
    let database = both_tenants().await;
    let table = physical(&database.owner, tenant(TENANT_A), "ames").await;
    database
        .as_owner(&format!(
            "REVOKE ALL ON {table} FROM {QUERY}; DROP POLICY tenant_query ON {table}; DROP POLICY tenant_query_wall ON {table}"
        ))
        .await;
    query_login::install(&database.owner, &service_login(), &login(), &[]).await.expect("installs");
    let (granted, policies): (bool, i64) = query_as(
        "SELECT has_table_privilege($1, $2, 'SELECT'), (SELECT count(*) FROM pg_policy WHERE polrelid = $2::regclass)",
    )
    .bind(QUERY)
    .bind(&table)
    .fetch_one(&mut connect(&database.owner).await)
    .await
    .expect("asked");
    assert_eq!((granted, policies), (true, 3));
}

/// What `pg_dump` and a query of hours do to a table.
async fn hold(database: &TestDatabase, tables: &[&str]) -> PgConnection {
    let mut holder = connect(&database.owner).await;
    let hold = format!("BEGIN; LOCK TABLE {} IN ACCESS SHARE MODE", tables.join(", "));
    raw_sql(AssertSqlSafe(hold)).execute(&mut holder).await.expect("held");
    holder
}

#[tokio::test]
async fn a_start_locks_no_table_that_is_shown_already() {
    let database = both_tenants().await;
    let table = physical(&database.owner, tenant(TENANT_A), "ames").await;
    let _holder = hold(&database, &["cost_records", &table]).await;
    let policy = Policy::records();
    let (service, login, tables) = (service_login(), login(), policy.tables());
    let install = query_login::install(&database.owner, &service, &login, &tables);
    // A bound on waiting, not a measure of it.
    tokio::time::timeout(Duration::from_secs(100), install)
        .await
        .expect("waits for nobody")
        .expect("installs");
}

#[tokio::test]
async fn a_table_in_use_is_asked_for_again_and_lets_others_pass() {
    let database = both_tenants().await;
    let table = physical(&database.owner, tenant(TENANT_A), "ames").await;
    database.as_owner(&format!("DROP POLICY tenant_query_wall ON {table}")).await;
    let mut holder = hold(&database, &[&table]).await;
    let owner = database.owner.clone();
    let install =
        tokio::spawn(async move { query_login::install(&owner, &service_login(), &login(), &[]).await });
    let mut watcher = connect(&database.owner).await;
    for waiting in [1, 0] {
        let waits = "SELECT count(*) FROM pg_locks WHERE relation = $1::regclass AND NOT granted";
        while query_scalar::<_, i64>(waits).bind(&table).fetch_one(&mut watcher).await.expect("asked")
            != waiting
        {
            assert!(!install.is_finished());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    raw_sql("ROLLBACK").execute(&mut holder).await.expect("let go");
    install.await.expect("runs").expect("installs");
    let walls =
        "SELECT count(*) FROM pg_policy WHERE polrelid = $1::regclass AND polname = 'tenant_query_wall'";
    let walls: i64 = query_scalar(walls).bind(&table).fetch_one(&mut watcher).await.expect("asked");
    assert_eq!(walls, 1);
}

#[tokio::test]
async fn a_former_query_login_reads_no_more() {
    let database = both_tenants().await;
    let table = physical(&database.owner, tenant(TENANT_A), "ames").await;
    let later = Login { name: format!("{}_query", database.owner.database), password: "p".to_owned().into() };
    let tables = Policy::records();
    query_login::install(&database.owner, &service_login(), &later, &tables.tables())
        .await
        .expect("installs");
    for table in ["public.cost_records", &table] {
        let reads: (bool, bool, bool) = query_as(
            "SELECT has_table_privilege($1, $4, 'SELECT'), has_table_privilege($2, $4, 'SELECT'),
                    has_table_privilege($3, $4, 'INSERT')",
        )
        .bind(QUERY)
        .bind(&later.name)
        .bind(SERVICE)
        .bind(table)
        .fetch_one(&mut connect(&database.owner).await)
        .await
        .expect("asked");
        assert_eq!(reads, (false, true, table == "public.cost_records"), "{table}");
    }
}
