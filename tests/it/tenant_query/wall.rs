//! The second layer: signature, policies, grants.

use binah_ml::{
    features::query::Policy,
    storage::{self, Login},
};
use sqlx::{AssertSqlSafe, PgConnection, query_scalar, raw_sql};

use crate::{
    support::database::{QUERY, SERVICE, connect, query_login, service_login},
    tenant_query::world::{CANARY, Outcome, World, quick, records, tenant_a, tenant_b, tenant_of},
};

async fn world() -> World {
    World::new(&records('b', 40, CANARY), quick()).await
}

/// How many rows the query login sees under these settings, given the process that it runs in.
async fn seen(connection: &mut PgConnection, tenant: &str, signature: &str) -> i64 {
    let settings =
        format!("BEGIN READ ONLY; SET LOCAL app.tenant = '{tenant}'; SET LOCAL app.sig = '{signature}'");
    raw_sql(AssertSqlSafe(settings)).execute(&mut *connection).await.expect("set");
    let rows =
        sqlx::query_scalar("SELECT count(*) FROM public.cost_records").fetch_one(&mut *connection).await;
    raw_sql("ROLLBACK").execute(connection).await.expect("rolled back");
    rows.expect("counted")
}

async fn sign(owner: &mut PgConnection, tenant: &str, process: i32, seconds: i32) -> String {
    sqlx::query_scalar("SELECT sec.sign_tenant($1::uuid, $2, $3)")
        .bind(uuid::Uuid::parse_str(tenant).expect("a tenant"))
        .bind(process)
        .bind(seconds)
        .fetch_one(owner)
        .await
        .expect("signed")
}

#[tokio::test]
async fn only_the_services_signature_for_this_process_and_time_counts() {
    let world = world().await;
    let mut owner = world.database.owner_connection().await;
    let mut connection = connect(&world.connect()).await;
    let process: i32 =
        sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(&mut connection).await.expect("a process");
    let (a, b) = (tenant_a().to_string(), tenant_b().to_string());

    let good = sign(&mut owner, &a, process, 60).await;
    assert_eq!(seen(&mut connection, &a, &good).await, 12);
    let other = sign(&mut owner, &b, process, 60).await;
    assert_eq!(seen(&mut connection, &b, &other).await, 40);

    assert_eq!(seen(&mut connection, &b, &good).await, 0, "another tenant");
    assert_eq!(seen(&mut connection, &a.to_uppercase(), &good).await, 0, "another spelling");
    let replayed = sign(&mut owner, &a, process + 1, 60).await;
    assert_eq!(seen(&mut connection, &a, &replayed).await, 0, "another process");
    let expired = sign(&mut owner, &a, process, -5).await;
    assert_eq!(seen(&mut connection, &a, &expired).await, 0, "run out");
    let (expiry, mac) = good.split_once('.').expect("two parts");
    let later: i64 = expiry.parse::<i64>().expect("seconds") + 1000;
    for forged in [
        format!("{later}.{mac}"),
        format!("{expiry}.{}", "0".repeat(64)),
        format!("{expiry}.{}", &mac[..62]),
        format!("{good}\n"),
        format!(" {good}"),
        String::new(),
    ] {
        assert_eq!(seen(&mut connection, &a, &forged).await, 0, "{forged:?}");
    }
    // What the service's own policy trusts opens nothing.
    raw_sql(AssertSqlSafe(format!("SET app.tenant_id = '{b}'"))).execute(&mut connection).await.expect("set");
    assert_eq!(seen(&mut connection, "", "").await, 0);
    assert_eq!(seen(&mut connection, &a, &good).await, 12);
}

/// The construction by sha256 is HMAC: RFC 4231, test case 2, with the pads of its key.
#[tokio::test]
async fn the_mac_is_hmac_sha256() {
    let world = world().await;
    let mut key = [0u8; 64];
    key[..4].copy_from_slice(b"Jefe");
    let pad = |byte: u8| key.iter().map(|k| format!("{:02x}", k ^ byte)).collect::<String>();
    world
        .database
        .as_owner(&format!(
            "UPDATE sec.signing_key SET inner_pad = decode('{}', 'hex'), outer_pad = decode('{}', 'hex')",
            pad(0x36),
            pad(0x5c)
        ))
        .await;
    let mac: String = sqlx::query_scalar("SELECT sec.hmac('what do ya want for nothing?')")
        .fetch_one(&mut world.database.owner_connection().await)
        .await
        .expect("hashed");
    assert_eq!(mac, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

#[tokio::test]
async fn every_database_has_a_key_of_its_own_shape() {
    let world = world().await;
    let (lengths, sound): (i32, bool) = sqlx::query_as(
        "SELECT length(inner_pad) + length(outer_pad),
                (SELECT bool_and(get_byte(inner_pad, i) # 54 = get_byte(outer_pad, i) # 92) FROM generate_series(0, 63) i)
                AND substr(inner_pad, 33) = decode(repeat('36', 32), 'hex')
                AND substr(inner_pad, 1, 32) <> decode(repeat('36', 32), 'hex')
           FROM sec.signing_key",
    )
    .fetch_one(&mut world.database.owner_connection().await)
    .await
    .expect("a key");
    assert_eq!((lengths, sound), (128, true));
}

#[tokio::test]
async fn the_login_may_read_the_records_and_nothing_else() {
    let world = world().await;
    let mut session = world.signed_session().await;
    for (sql, code) in [
        ("SELECT * FROM public.ml_models", "42501"),
        ("SELECT * FROM sec.signing_key", "42501"),
        ("SELECT sec.hmac('x')", "42501"),
        ("SELECT sec.sign_tenant(gen_random_uuid(), 1, 1)", "42501"),
        ("COMMIT; BEGIN READ WRITE; CREATE TEMP TABLE t ()", "42501"),
        ("COMMIT; BEGIN READ WRITE; CREATE TABLE public.t ()", "42501"),
        ("SELECT set_config('app.tenant', 'x', true)", "42501"),
        ("SELECT pg_advisory_xact_lock(1)", "42501"),
        ("SELECT query_to_xml('SELECT 1', true, true, '')", "42501"),
        ("SELECT query FROM pg_stat_activity", "42501"),
        ("SELECT pg_total_relation_size('public.cost_records')", "42501"),
        ("DELETE FROM public.cost_records", "25006"),
        ("COMMIT; BEGIN READ WRITE; DELETE FROM public.cost_records", "42501"),
        ("SET ROLE binah_ml_app", "42501"),
    ] {
        let outcome = session.ask(sql).await;
        assert!(matches!(&outcome, Outcome::Failed(error) if error.starts_with(code)), "{sql}: {outcome:?}");
    }
    let (members, owned): (i64, i64) = sqlx::query_as(
        "SELECT (SELECT count(*) FROM pg_auth_members WHERE member = $1::regrole),
                (SELECT count(*) FROM pg_class WHERE relowner = $1::regrole)",
    )
    .bind(QUERY)
    .fetch_one(&mut world.database.owner_connection().await)
    .await
    .expect("asked");
    assert_eq!((members, owned), (0, 0));
}

#[tokio::test]
async fn the_service_works_as_before() {
    let world = world().await;
    let mut service = connect(&world.database.owner.with_login(service_login())).await;
    raw_sql("SELECT pg_advisory_lock(1), pg_advisory_unlock(1), pg_notify('a', 'b'), set_config('a.b', 'c', true)")
        .execute(&mut service)
        .await
        .expect("the service keeps what was taken from PUBLIC");
    for (letter, rows) in [('a', 12), ('b', 40), ('c', 0)] {
        let statement = format!("SET app.tenant_id = '{}'", tenant_of(letter).uuid());
        raw_sql(AssertSqlSafe(statement)).execute(&mut service).await.expect("set");
        let seen: i64 = sqlx::query_scalar("SELECT count(*) FROM cost_records")
            .fetch_one(&mut service)
            .await
            .expect("counted");
        assert_eq!(seen, rows, "{SERVICE} as {letter}");
    }
}

#[tokio::test]
async fn a_service_login_that_comes_later_works_as_the_first_one() {
    let database = world().await.database;
    let later = Login { name: format!("{}_later", database.owner.database), password: "p".to_owned().into() };
    storage::migrate(&database.owner, &later).await.expect("migrates");
    let tables = Policy::records();
    storage::query_login::install(&database.owner, &later, &query_login(), &tables.tables())
        .await
        .expect("installs");
    let may = |function: &'static str| {
        let (owner, login) = (database.owner.clone(), later.name.clone());
        async move {
            let query = "SELECT has_function_privilege($1, $2, 'EXECUTE')";
            let mut owner = connect(&owner).await;
            let may: bool =
                query_scalar(query).bind(login).bind(function).fetch_one(&mut owner).await.expect("answers");
            may
        }
    };
    assert!(may("pg_advisory_xact_lock(bigint)").await && may("set_config(text, text, boolean)").await);
    assert!(!may("lo_import(text)").await, "what only a superuser may");
}

#[tokio::test]
async fn a_table_without_a_wall_is_not_shown() {
    let world = world().await;
    world.database.as_owner("CREATE TABLE naked (tenant_id uuid); CREATE TABLE public.other (x int)").await;
    let mut owner = world.database.owner_connection().await;
    for table in ["naked", "other", "absent"] {
        let shown = binah_ml::storage::query_login::show(&mut owner, QUERY, "public", table).await;
        assert!(shown.is_err(), "{table}");
    }
}

/// The lists of allowed functions hold what this server knows as functions without effects: none is volatile, none
/// returns a set.
#[tokio::test]
async fn allowed_functions_are_pure() {
    let world = world().await;
    let listed = include_str!("../../../src/features/query/functions.rs");
    let scalar =
        listed.split("const SCALAR").nth(1).and_then(|rest| rest.split("];").next()).expect("the list");
    let names: Vec<String> = scalar.split('"').skip(1).step_by(2).map(str::to_owned).collect();
    assert!(names.len() > 80, "{names:?}");
    let impure: Vec<String> = sqlx::query_scalar(
        "SELECT DISTINCT proname::text FROM pg_proc
          WHERE pronamespace = 'pg_catalog'::regnamespace AND proname = ANY($1)
            AND (provolatile = 'v' OR proretset OR prokind <> 'f')",
    )
    .bind(&names)
    .fetch_all(&mut world.database.owner_connection().await)
    .await
    .expect("asked");
    assert_eq!(impure, Vec::<String>::new());
}
