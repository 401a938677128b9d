//! `storage::doctor`: silent over a migrated database, and loud over each sabotage.

mod sabotage;

use std::{collections::BTreeSet, fs, path::Path};

use binah_ml::{
    features::query::Policy,
    storage::{
        Login,
        doctor::{Mend, Report, Subject, Verdict, examine},
        migrate, query_login,
    },
};
use futures::{StreamExt, stream};
use sabotage::{SABOTAGES, Sabotage};
use sqlx::{AssertSqlSafe, query_scalar};

use crate::{
    support::{
        TestDatabase,
        database::{SERVICE, empty_database, query_login, run, service_login},
    },
    tenant_query::world::{TAME, World, quick, records},
};

/// The database as the settings of a test would have it.
pub(crate) fn subject(database: &TestDatabase) -> Subject {
    subject_of(database, service_login(), query_login())
}

fn subject_of(database: &TestDatabase, service: Login, query: Login) -> Subject {
    let owner = database.owner.clone();
    Subject { service: owner.with_login(service), query: Some(owner.with_login(query)), owner }
}

fn codes(report: &Report) -> BTreeSet<&str> {
    report.findings.iter().map(|finding| finding.code).collect()
}

/// A migration that adds a naked tenant table fails here.
#[tokio::test]
async fn a_migrated_database_is_clean() {
    let owner = empty_database().await;
    migrate(&owner, &service_login()).await.expect("migrates");
    let tables = Policy::records();
    query_login::install(&owner, &service_login(), &query_login(), &tables.tables()).await.expect("installs");
    let database = TestDatabase { owner };

    let report = examine(&subject(&database)).await;
    assert_eq!((report.verdict, &report.findings[..]), (Verdict::Clean, &[][..]));
    assert_eq!(report.not_run, []);
    assert_eq!(report.tenant_tables.len(), 14, "{:?}", report.tenant_tables);
    let attempts =
        |name| report.groups.iter().find(|group| group.name == name).map_or(0, |group| group.checks);
    // Without a row to try there would be a few looks a table only.
    assert!(attempts("probes as the service") > 9 * 8, "{:?}", report.groups);
    assert!(attempts("probes with signed rows") > 4 * 6, "{:?}", report.groups);

    let mut connection = database.owner_connection().await;
    for table in &report.tenant_tables {
        let (rows, readable): (i64, bool) = sqlx::query_as(AssertSqlSafe(format!(
            "SELECT (SELECT count(*) FROM {table}), has_table_privilege('{SERVICE}', '{table}', 'SELECT')"
        )))
        .fetch_one(&mut connection)
        .await
        .expect("answers");
        assert_eq!((rows, readable), (0, true), "{table}: rows that the probes left; a line in GRANTS");
    }
}

/// What `import` makes keeps to the same rules as what a migration makes.
#[tokio::test(flavor = "multi_thread")]
async fn imported_tables_are_clean() {
    let database = World::new(&records('b', 4, TAME), quick()).await.database;
    let name = &database.owner.database;
    database.as_owner(&format!("REVOKE TEMPORARY ON DATABASE {name} FROM PUBLIC")).await;
    let report = examine(&subject(&database)).await;
    let imported = report.tenant_tables.iter().filter(|table| table.starts_with("tenant_data.")).count();
    assert!(imported > 1, "{:?}", report.tenant_tables);
    assert_eq!((report.verdict, &report.findings[..]), (Verdict::Clean, &[][..]));
}

/// Runs one sabotage in a database of its own; what went otherwise than it should.
async fn try_sabotage(sabotage: &Sabotage) -> Result<(), String> {
    let database = TestDatabase::new().await;
    let name = database.owner.database.clone();
    // A copied database does not inherit the grants on the database itself.
    database.as_owner(&format!("REVOKE TEMPORARY ON DATABASE {name} FROM PUBLIC")).await;
    let subject = if sabotage.changes_roles() {
        // Roles belong to all databases of the server: not those of the other tests.
        let login = |kind| Login { name: format!("{name}_{kind}"), password: "p".to_owned().into() };
        let (service, query) = (login("app"), login("query"));
        migrate(&database.owner, &service).await.expect("migrates");
        let tables = Policy::records();
        query_login::install(&database.owner, &service, &query, &tables.tables()).await.expect("installs");
        // The doctor would say that the service's former login still signs and reads.
        let former = "REVOKE EXECUTE ON FUNCTION sec.sign_tenant(uuid, integer, integer) FROM";
        let reads = "REVOKE ALL ON ALL TABLES IN SCHEMA public FROM";
        database.as_owner(&format!("{former} {SERVICE}; {reads} {SERVICE}")).await;
        subject_of(&database, service, query)
    } else {
        subject(&database)
    };
    let Some(query) = &subject.query else { return Err("no query login".into()) };
    let sql = sabotage.sql.replace("{database}", &name).replace("{owner}", &database.owner.login.name);
    let sql = sql.replace("{service}", &subject.service.login.name).replace("{query}", &query.login.name);
    let before = examine(&subject).await;
    if before.verdict != Verdict::Clean {
        return Err(format!("before: {before:#?}"));
    }
    database.as_owner(&sql).await;
    let sick = examine(&subject).await;
    let expected: BTreeSet<&str> = sabotage.codes.split(' ').collect();
    if codes(&sick) != expected {
        return Err(format!("{sql}\nexpected {expected:?}, found {:?}\n{:#?}", codes(&sick), sick.findings));
    }
    let mends: Vec<_> = sick
        .findings
        .iter()
        .filter_map(|finding| match &finding.mend {
            Mend::Sql(sql) => Some(sql.as_str()),
            Mend::Command(_) | Mend::Advice(_) => None,
        })
        .collect();
    if mends.is_empty() {
        return Ok(());
    }
    let mending = sqlx::raw_sql(AssertSqlSafe(mends.join("\n")));
    if let Err(error) = mending.execute(&mut database.owner_connection().await).await {
        return Err(format!("{sql}\nmended by {mends:#?}\nfails: {error}"));
    }
    let mended = examine(&subject).await;
    if !mended.findings.is_empty() || mended.not_run.iter().any(|missing| missing.needed) {
        return Err(format!(
            "{sql}\nmended by {mends:#?}\nstill {:#?} {:#?}",
            mended.findings, mended.not_run
        ));
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn each_sabotage_is_found_and_mended_by_the_sql_that_the_doctor_gives() {
    let wrong: Vec<String> = stream::iter(SABOTAGES)
        .map(try_sabotage)
        .buffer_unordered(4)
        .filter_map(|outcome| async { outcome.err() })
        .collect()
        .await;
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), SABOTAGES.len(), wrong.join("\n\n"));
}

/// Every code that stands in the sources is one that some sabotage brings about.
#[test]
fn no_code_goes_without_its_sabotage() {
    let sabotaged: BTreeSet<&str> =
        SABOTAGES.iter().flat_map(|s| s.codes.split(' ')).chain(["login_missing"]).collect();
    let mut declared = BTreeSet::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/storage/doctor");
    for folder in [folder.clone(), folder.join("probe")] {
        for entry in fs::read_dir(folder).expect("a folder").flatten().filter(|entry| entry.path().is_file())
        {
            let text = fs::read_to_string(entry.path()).expect("a source file");
            for start in ["Kind::error(\"", "Kind::warning(\""] {
                let codes = text.split(start).skip(1).filter_map(|rest| rest.split('"').next());
                declared.extend(codes.map(str::to_owned));
            }
        }
    }
    assert!(declared.len() > 30, "{declared:?}");
    assert_eq!(declared.iter().map(String::as_str).collect::<BTreeSet<_>>(), sabotaged);
}

#[tokio::test]
async fn an_owner_that_is_no_superuser_will_do() {
    let superuser = empty_database().await;
    let name = format!("{}_owner", superuser.database);
    let maintenance = superuser.with_database("postgres");
    run(&maintenance, &format!("CREATE ROLE {name} LOGIN CREATEDB CREATEROLE PASSWORD 'p'")).await;
    let owner = superuser.with_login(Login { name, password: "p".to_owned().into() });
    let login = |kind| Login { name: format!("{}_{kind}", owner.database), password: "p".to_owned().into() };
    let (service, query) = (login("app"), login("query"));
    migrate(&owner, &service).await.expect("migrates");
    let tables = Policy::records();
    query_login::install(&owner, &service, &query, &tables.tables()).await.expect("installs");
    let report = examine(&subject_of(&TestDatabase { owner }, service, query)).await;
    // Only a superuser may take the server's own functions from PUBLIC.
    assert_eq!(codes(&report), BTreeSet::from(["dangerous_function"]), "{report:#?}");
    assert_eq!(report.verdict, Verdict::Warnings, "{:?}", report.not_run);
    assert!(
        report.not_run.iter().any(|missing| missing.reason.contains("superuser")),
        "{:?}",
        report.not_run
    );
}

#[tokio::test]
async fn without_the_owner_it_says_what_it_could_not_see() {
    let database = TestDatabase::new().await;
    database.as_owner(&format!("REVOKE TEMPORARY ON DATABASE {} FROM PUBLIC", database.owner.database)).await;
    let mut subject = subject(&database);
    subject.owner =
        subject.owner.with_login(Login { name: "nobody_at_all".into(), password: "p".to_owned().into() });
    let report = examine(&subject).await;
    assert_eq!((report.verdict, &report.read_as[..]), (Verdict::Clean, SERVICE), "{report:#?}");
    let missing: Vec<_> = report.not_run.iter().map(|missing| missing.check.as_str()).collect();
    assert_eq!(
        missing,
        ["owner", "signing_key_unsound", "migrations", "probes with signed rows: all tables"],
        "{:?}",
        report.not_run
    );
    // What it can see it judges.
    database.as_owner("ALTER TABLE predictions NO FORCE ROW LEVEL SECURITY").await;
    assert_eq!(codes(&examine(&subject).await), BTreeSet::from(["table_without_force"]));
}

#[tokio::test]
async fn what_could_not_be_checked_is_not_clean() {
    let database = TestDatabase::new().await;
    database.as_owner(&format!("REVOKE TEMPORARY ON DATABASE {} FROM PUBLIC", database.owner.database)).await;
    let mut wrong_password = subject(&database);
    let stranger = Login { name: SERVICE.to_owned(), password: "wrong".to_owned().into() };
    wrong_password.service = database.owner.with_login(stranger);
    assert_eq!(examine(&wrong_password).await.verdict, Verdict::NotChecked);

    let mut nowhere = subject(&database);
    nowhere.owner.port = 9;
    nowhere.service.port = 9;
    let report = examine(&nowhere).await;
    assert_eq!((report.verdict, report.verdict.exit_status()), (Verdict::NotChecked, 2), "{report:#?}");

    let mut absent = subject(&database);
    absent.query =
        Some(database.owner.with_login(Login { name: "absent".into(), password: "p".to_owned().into() }));
    let report = examine(&absent).await;
    assert_eq!((codes(&report), report.verdict), (BTreeSet::from(["login_missing"]), Verdict::Broken));
}

#[tokio::test]
async fn a_table_that_somebody_holds_is_neither_clean_nor_broken() {
    let database = TestDatabase::new().await;
    database.as_owner(&format!("REVOKE TEMPORARY ON DATABASE {} FROM PUBLIC", database.owner.database)).await;
    let mut holder = database.owner_connection().await;
    let hold = "BEGIN; LOCK TABLE ml_models IN ACCESS EXCLUSIVE MODE";
    sqlx::raw_sql(hold).execute(&mut holder).await.expect("held");
    let report = examine(&subject(&database)).await;
    assert_eq!((report.verdict, report.verdict.exit_status()), (Verdict::NotChecked, 2), "{report:#?}");
    assert_eq!(report.findings, []);
    let mut reasons = report.not_run.iter().filter(|missing| missing.needed);
    assert!(reasons.any(|missing| missing.reason.contains("55P03")), "{:?}", report.not_run);
}

/// The probes write, and leave nothing: rows that are there stay as they are.
#[tokio::test]
async fn a_database_in_use_is_left_as_it_is() {
    let database = TestDatabase::new().await;
    let rows = "INSERT INTO cost_records (tenant_id, entity_id, year)
                     SELECT gen_random_uuid(), 'e' || i, i FROM generate_series(1, 30) AS i";
    database.as_owner(rows).await;
    let digest = "SELECT md5(string_agg(r::text, ',' ORDER BY r::text)) FROM cost_records AS r";
    let mut connection = database.owner_connection().await;
    let before: String = query_scalar(digest).fetch_one(&mut connection).await.expect("answers");
    // The wall is down: the probes break through, and still change nothing.
    database.as_owner("ALTER TABLE cost_records DISABLE ROW LEVEL SECURITY").await;
    let report = examine(&subject(&database)).await;
    assert!(codes(&report).contains("foreign_row_changed"), "{report:#?}");
    let after: String = query_scalar(digest).fetch_one(&mut connection).await.expect("answers");
    assert_eq!(before, after);
}
