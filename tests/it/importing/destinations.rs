//! Made, appended to, replaced, dropped; and the record tables.

use binah_ml::{
    auth::tenant::scope,
    catalog::ModelType,
    import::{self, Action, Destination, Options},
    storage::{self, ConnectConfig, Login, imported_tables},
};
use sqlx::{AssertSqlSafe, query_scalar};

use super::{rows, texts};
use crate::support::{
    TENANT_A, TENANT_B, TestDatabase,
    database::{connect, empty_database, query_login, run, service_login},
    imports::{self, file, import, import_text, into_table, physical},
    tenant,
};

async fn import_records(config: &ConnectConfig, table: &str, text: &str) -> import::Result<import::Plan> {
    let model_type = ModelType::all().find(|model_type| model_type.table == table).expect("a record table");
    let folder = tempfile::tempdir().expect("a folder");
    let file = file(&folder, "f.csv", text);
    let destination = Destination::Records(model_type);
    import(config, tenant(TENANT_A), &file, destination, Options::default()).await.map(|(plan, _)| plan)
}

async fn count(config: &ConnectConfig, statement: &str) -> i64 {
    query_scalar(AssertSqlSafe(statement)).fetch_one(&mut connect(config).await).await.expect("counts")
}

#[tokio::test]
async fn a_second_file_is_appended_in_any_order_of_columns() {
    let database = TestDatabase::new().await;
    let who = tenant(TENANT_A);
    let (plan, _) = import_text(&database.owner, who, "t", "a,b\n1,x\n2,y\n").await.expect("imports");
    assert_eq!(plan.action, Action::Create);
    let (plan, loaded) = import_text(&database.owner, who, "t", "B,A\n7,3\n").await.expect("appends");
    assert_eq!((plan.action, loaded.rows), (Action::Append, 1));
    assert_eq!(
        rows(&database.owner, "t", "import_row, a, b").await,
        [["1", "1", "x"], ["2", "2", "y"], ["3", "3", "7"]]
    );
    let registered = "SELECT row_count FROM imported_tables";
    assert_eq!(count(&database.owner, registered).await, 3);
}

#[tokio::test]
async fn a_replacement_takes_the_name_and_leaves_nothing_behind() {
    let database = TestDatabase::new().await;
    let who = tenant(TENANT_A);
    import_text(&database.owner, who, "t", "a,b\n1,x\n").await.expect("imports");
    let before = physical(&database.owner, who, "t").await;
    let folder = tempfile::tempdir().expect("a folder");
    let replace = Destination::Table { name: "t".into(), replace: true };
    let bad = file(&folder, "bad.csv", "c\n1\n2,3\n");
    let refused = import(&database.owner, who, &bad, replace.clone(), Options::default()).await;
    assert!(refused.is_err());
    assert_eq!(rows(&database.owner, "t", "a, b").await, [["1", "x"]], "a bad file replaces nothing");

    let good = file(&folder, "good.csv", "c\n5\n6\n");
    let (plan, _) = import(&database.owner, who, &good, replace, Options::default()).await.expect("replaces");
    assert_eq!(plan.action, Action::Replace);
    assert_eq!(rows(&database.owner, "t", "import_row, c").await, [["1", "5"], ["2", "6"]]);
    assert_ne!(physical(&database.owner, who, "t").await, before);
    let tables =
        "SELECT count(*) FROM pg_class WHERE relnamespace = 'tenant_data'::regnamespace AND relkind = 'r'";
    assert_eq!(count(&database.owner, tables).await, 1);
}

#[tokio::test]
async fn a_file_that_changes_under_the_import_imports_nothing() {
    let database = TestDatabase::new().await;
    let folder = tempfile::tempdir().expect("a folder");
    let owner = imports::owner(&database.owner);
    for (after, message) in
        [("a\n1\nx\n", "'x' is no bigint"), ("a\n1\n2\n3\n", "was changed"), ("a\n1\n", "was changed")]
    {
        let path = file(&folder, "f.csv", "a\n1\n2\n");
        let done = scope(tenant(TENANT_A), async {
            let plan =
                import::plan(&owner, &path, into_table("t"), Options::default(), Box::new(|_| ())).await?;
            file(&folder, "f.csv", after);
            import::load(&owner, &plan, None, Box::new(|_| ())).await
        });
        let error = done.await.expect_err("refused").to_string();
        assert!(error.contains(message), "{error}");
    }
    assert_eq!(count(&database.owner, "SELECT count(*) FROM imported_tables").await, 0);
    let tables = "SELECT count(*) FROM pg_class WHERE relnamespace = 'tenant_data'::regnamespace";
    assert_eq!(count(&database.owner, tables).await, 0);
    owner.close().await;
}

#[tokio::test]
async fn what_is_too_wide_is_said_in_words() {
    let database = TestDatabase::new().await;
    let who = tenant(TENANT_A);
    let table = |columns: usize, value: &str| {
        let line = |cell: &dyn Fn(usize) -> String| (0..columns).map(cell).collect::<Vec<_>>().join(",");
        format!("{}\n{}\n", line(&|i| format!("c{i}")), line(&|_| value.to_owned()))
    };
    let error =
        import_text(&database.owner, who, "t", &table(999, "1")).await.expect_err("too many").to_string();
    assert!(error.starts_with("999 columns; an import has 1 to 998"), "{error}");
    let error = import_text(&database.owner, who, "t", &table(10_001, "1")).await.expect_err("far too many");
    assert!(error.to_string().contains("at most 10000"), "{error}");
    let wide = table(998, &"x".repeat(40));
    let error = import_text(&database.owner, who, "t", &wide).await.expect_err("too wide").to_string();
    assert!(error.starts_with("A row is too wide"), "{error}");
    import_text(&database.owner, who, "t", &table(998, "1")).await.expect("imports");
}

#[tokio::test]
async fn several_imports_at_once_each_arrive() {
    let database = TestDatabase::new().await;
    let imports = (0..6).map(|i| {
        let config = database.owner.clone();
        let who = tenant(if i % 2 == 0 { TENANT_A } else { TENANT_B });
        tokio::spawn(async move { import_text(&config, who, "t", &format!("a\n{i}\n")).await })
    });
    let mut arrived = 0;
    for import in imports.collect::<Vec<_>>() {
        // Two that both planned to make the table: the second is told so.
        match import.await.expect("runs") {
            Ok((_, loaded)) => arrived += loaded.rows,
            Err(error) => assert!(error.to_string().contains("changed meanwhile"), "{error}"),
        }
    }
    assert!(arrived >= 2);
    let registered = "SELECT sum(row_count)::bigint FROM imported_tables";
    assert_eq!(count(&database.owner, registered).await, arrived as i64);
}

#[tokio::test]
async fn record_tables_are_filled_by_name() {
    let database = TestDatabase::new().await;
    let text = "Entity ID,total_cost,num_units,property_type,observed_at\n\
                0017,100.5,3.0,commercial,2024-01-02\n17,,,,\n";
    let plan = import_records(&database.owner, "cost_records", text).await.expect("imports");
    assert_eq!(plan.missing, ["project_size_sqft", "location_tier", "year"]);
    let read = texts(
        &database.owner,
        "SELECT tenant_id, entity_id, observed_at, num_units, property_type, total_cost, year FROM cost_records ORDER BY id",
    )
    .await;
    assert_eq!(read[0], [TENANT_A, "0017", "2024-01-02T00:00:00+00:00", "3", "commercial", "100.5", "NULL"]);
    assert_eq!(read[1], [TENANT_A, "17", "NULL", "NULL", "NULL", "NULL", "NULL"]);

    for (table, text, message) in [
        ("cost_records", "entity_id,rooms,id\nx,1,2\n", "columns that cost_records lacks: rooms, id"),
        ("cost_records", "year\n1999\n", "columns that cost_records needs: entity_id"),
        ("cost_records", "entity_id,year\nx,1999\n,2000\n", "line 3, column entity_id: the value is missing"),
        ("cost_records", "entity_id,year\nx,1999.5\n", "line 2, column year: '1999.5' is no integer"),
        ("risk_records", "entity_id,high_risk\nx,1\ny,2\n", "line 3, column high_risk: must be 0 or 1"),
    ] {
        let error = import_records(&database.owner, table, text).await.expect_err(text).to_string();
        assert!(error.contains(message), "{error}");
    }
    import_records(&database.owner, "risk_records", "entity_id,high_risk\nx,1\ny,\nz,0\n")
        .await
        .expect("imports");
    assert_eq!(count(&database.owner, "SELECT count(*) FROM risk_records").await, 3);
    assert_eq!(count(&database.owner, "SELECT count(*) FROM cost_records").await, 2);
}

/// FORCE binds such an owner too, and COPY refuses it outright.
#[tokio::test]
async fn an_owner_that_is_no_superuser_can_import() {
    let superuser = empty_database().await;
    let name = format!("{}_owner", superuser.database);
    let maintenance = superuser.with_database("postgres");
    run(&maintenance, &format!("CREATE ROLE {name} LOGIN PASSWORD 'x'")).await;
    run(&maintenance, &format!("CREATE DATABASE {} OWNER {name}", superuser.database)).await;
    TestDatabase::new().await; // makes the logins, which such an owner may not
    let owner = superuser.with_login(Login { name: name.clone(), password: "x".to_owned().into() });
    storage::migrate(&owner, &service_login()).await.expect("migrates");
    storage::query_login::install(&owner, &service_login(), &query_login(), &[]).await.expect("installs");

    let who = tenant(TENANT_A);
    import_text(&owner, who, "t", "a\n1\n").await.expect("makes");
    import_text(&owner, who, "t", "a\n2\n").await.expect("appends");
    import_records(&owner, "cost_records", "entity_id\nx\n").await.expect("fills");
    assert_eq!(rows(&superuser, "t", "a").await, [["1"], ["2"]]);
    assert_eq!(count(&superuser, "SELECT count(*) FROM cost_records").await, 1);
    let owner = imports::owner(&owner);
    scope(who, async {
        let mut transaction = owner.tenant_transaction("test").await.expect("begins");
        let table = imported_tables::find(&mut transaction, "t").await.expect("asked").expect("is there");
        imported_tables::drop_table(&mut transaction, &table).await.expect("drops");
        transaction.commit().await.expect("commits");
    })
    .await;
    assert_eq!(count(&superuser, "SELECT count(*) FROM imported_tables").await, 0);
    owner.close().await;
}
