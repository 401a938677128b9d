//! A migrated database for each test, and ways into it that the service does not have.

use std::{
    collections::HashMap,
    future::poll_fn,
    pin::pin,
    sync::atomic::{AtomicU32, Ordering},
    task::Poll,
    time::Duration,
};

use binah_ml::{
    features::query::Policy,
    storage::{ConnectConfig, Database, Login, PoolConfig, migrate},
};
use secrecy::ExposeSecret;
use sqlx::{AssertSqlSafe, Connection, PgConnection, raw_sql};
use tokio::sync::OnceCell;

use super::servers;

/// The login that every test acts as.
pub const SERVICE: &str = "binah_ml_app";
/// The login of `training_data_query`.
pub const QUERY: &str = "svc_query";
const PASSWORD: &str = "it's a \"test\" password\\";

/// A migrated database of one test.
pub struct TestDatabase {
    pub owner: ConnectConfig,
}

impl TestDatabase {
    pub async fn new() -> Self {
        static TEMPLATE: OnceCell<ConnectConfig> = OnceCell::const_new();
        let template = TEMPLATE
            .get_or_init(|| async {
                let template = empty_database().await;
                migrate(&template, &service_login()).await.expect("migrates");
                let tables = Policy::records();
                binah_ml::storage::query_login::install(
                    &template,
                    &service_login(),
                    &query_login(),
                    &tables.tables(),
                )
                .await
                .expect("installs the query login");
                template
            })
            .await;
        let owner = empty_database().await;
        let copied =
            servers::postgres().await.create_database_from_template(&owner.database, &template.database);
        assert!(copied.await.expect("a copy"), "a name of its own");
        Self { owner }
    }

    /// The database as the service sees it.
    pub fn service(&self) -> Database {
        self.service_with(4)
    }

    pub fn service_with(&self, max_connections: u32) -> Database {
        let pool = PoolConfig { max_connections, ..PoolConfig::default() };
        Database::new(&self.owner.with_login(service_login()), &pool)
    }

    /// Runs statements as the owner, who is a superuser as the platform's fixtures are.
    pub async fn as_owner(&self, statements: &str) {
        run(&self.owner, statements).await;
    }

    /// The one number that a SELECT yields to the owner.
    pub async fn count(&self, select: &str) -> i64 {
        let select = sqlx::query_scalar(AssertSqlSafe(select));
        select.fetch_one(&mut self.owner_connection().await).await.expect("counts")
    }

    pub async fn owner_connection(&self) -> PgConnection {
        connect(&self.owner).await
    }

    /// The settings by which a service finds it, unless the test has set them.
    pub fn extend_settings(&self, settings: &mut HashMap<String, String>) {
        for (name, value) in [
            ("POSTGRES_HOST", self.owner.host.as_str()),
            ("POSTGRES_PORT", &self.owner.port.to_string()),
            ("POSTGRES_DB", &self.owner.database),
            ("POSTGRES_USER", SERVICE),
            ("POSTGRES_PASSWORD", PASSWORD),
            ("POSTGRES_OWNER_USER", &self.owner.login.name),
            ("POSTGRES_OWNER_PASSWORD", self.owner.login.password.expose_secret()),
        ] {
            settings.entry(name.into()).or_insert_with(|| value.into());
        }
    }
}

pub fn service_login() -> Login {
    Login { name: SERVICE.to_owned(), password: PASSWORD.to_owned().into() }
}

/// The login that runs what tenants write; the password is development's.
pub fn query_login() -> Login {
    Login { name: QUERY.to_owned(), password: QUERY.to_owned().into() }
}

/// A name for a database that does not exist; nothing is created.
pub async fn empty_database() -> ConnectConfig {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let name = format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed));
    servers::postgres().await.owner_of(&name)
}

/// The same for an owner who is no superuser, and may make databases and roles; the superuser's way there; and a
/// service's login that does not exist either.
pub async fn plain_owner() -> (ConnectConfig, ConnectConfig, Login) {
    let superuser = empty_database().await;
    let login =
        |role| Login { name: format!("{}_{role}", superuser.database), password: "p".to_owned().into() };
    let (owner, service) = (login("owner"), login("app"));
    let create = format!("CREATE ROLE {} LOGIN CREATEDB CREATEROLE PASSWORD 'p'", owner.name);
    run(&superuser.with_database("postgres"), &create).await;
    (superuser.with_login(owner), superuser, service)
}

/// Lets a future wait `polls` times for the server's answer, then drops it where it stands.
pub async fn cut_off_after(polls: usize, future: impl Future) {
    let mut future = pin!(future);
    for _ in 0..polls {
        if poll_fn(|context| Poll::Ready(future.as_mut().poll(context).is_ready())).await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

pub async fn run(config: &ConnectConfig, statements: &str) {
    let mut connection = connect(config).await;
    raw_sql(AssertSqlSafe(statements)).execute(&mut connection).await.expect("the statements run");
    connection.close().await.expect("closes");
}

pub async fn connect(config: &ConnectConfig) -> PgConnection {
    let options = sqlx::postgres::PgConnectOptions::new_without_pgpass()
        .host(&config.host)
        .port(config.port)
        .database(&config.database)
        .username(&config.login.name)
        .password(config.login.password.expose_secret());
    PgConnection::connect_with(&options).await.expect("Postgres answers")
}
