//! A Postgres for these tests: the server of TEST_POSTGRES_URL, or one of their own; and a migrated
//! database for each test.

use std::{
    future::poll_fn,
    path::{Path, PathBuf},
    pin::pin,
    process::{Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    task::Poll,
    time::Duration,
};

use binah_ml::{
    auth::{Caller, TenantId},
    storage::{ConnectConfig, Database, Login, PoolConfig, SslMode, migrate},
};
use sqlx::{AssertSqlSafe, Connection, PgConnection, raw_sql};
use tokio::sync::OnceCell;
use uuid::Uuid;

pub(crate) const SERVICE: &str = "binah_ml_app";
const PASSWORD: &str = "it's a \"test\" password\\";

/// A migrated database of one test.
pub(crate) struct TestDatabase {
    pub(crate) owner: ConnectConfig,
}

impl TestDatabase {
    pub(crate) async fn new() -> Self {
        static TEMPLATE: OnceCell<ConnectConfig> = OnceCell::const_new();
        let template = TEMPLATE
            .get_or_init(|| async {
                let template = empty_database().await;
                migrate(&template, &service_login()).await.expect("migrates");
                template
            })
            .await;
        let name = fresh_name();
        let statement = format!("CREATE DATABASE {name} TEMPLATE {}", template.database);
        run(&superuser().with_database("postgres"), &statement).await;
        Self { owner: superuser().with_database(name) }
    }

    /// The database as the service sees it.
    pub(crate) fn service(&self) -> Database {
        self.service_with(4)
    }

    pub(crate) fn service_with(&self, max_connections: u32) -> Database {
        let pool = PoolConfig { max_connections, ..PoolConfig::default() };
        Database::new(&self.owner.with_login(service_login()), &pool)
    }

    /// Runs statements as the owner, who is a superuser as the platform's fixtures are.
    pub(crate) async fn as_owner(&self, statements: &str) {
        run(&self.owner, statements).await;
    }

    pub(crate) async fn owner_connection(&self) -> PgConnection {
        connect(&self.owner).await
    }
}

pub(crate) fn service_login() -> Login {
    Login { name: SERVICE.to_owned(), password: PASSWORD.to_owned().into() }
}

/// A name for a database that does not exist; nothing is created.
pub(crate) async fn empty_database() -> ConnectConfig {
    superuser().with_database(fresh_name())
}

pub(crate) fn tenant(letter: char) -> TenantId {
    TenantId::trusted(Uuid::parse_str(&letter.to_string().repeat(32)).expect("a hexadecimal digit"))
}

pub(crate) fn caller(tenant: TenantId, user_id: &str) -> Caller {
    Caller {
        user_id: user_id.to_owned(),
        tenant_claim: tenant.to_string(),
        tenant: Some(tenant),
        email: String::new(),
        roles: vec!["user".to_owned()],
    }
}

/// Lets a future wait `polls` times for the server's answer, then drops it where it stands.
pub(crate) async fn cut_off_after(polls: usize, future: impl Future) {
    let mut future = pin!(future);
    for _ in 0..polls {
        if poll_fn(|context| Poll::Ready(future.as_mut().poll(context).is_ready())).await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

pub(crate) async fn run(config: &ConnectConfig, statements: &str) {
    let mut connection = connect(config).await;
    raw_sql(AssertSqlSafe(statements)).execute(&mut connection).await.expect("the statements run");
    connection.close().await.expect("closes");
}

pub(crate) async fn connect(config: &ConnectConfig) -> PgConnection {
    use secrecy::ExposeSecret;
    let options = sqlx::postgres::PgConnectOptions::new_without_pgpass()
        .host(&config.host)
        .port(config.port)
        .database(&config.database)
        .username(&config.login.name)
        .password(config.login.password.expose_secret());
    PgConnection::connect_with(&options).await.expect("Postgres answers")
}

fn fresh_name() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("binah_test_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

fn superuser() -> &'static ConnectConfig {
    static SERVER: OnceLock<ConnectConfig> = OnceLock::new();
    SERVER.get_or_init(|| match std::env::var("TEST_POSTGRES_URL") {
        Ok(url) => from_url(&url),
        Err(_) => start_server(),
    })
}

fn from_url(url: &str) -> ConnectConfig {
    let options: sqlx::postgres::PgConnectOptions = url.parse().expect("TEST_POSTGRES_URL is a Postgres URL");
    let credentials = url.split("://").nth(1).and_then(|rest| rest.rsplit_once('@')).map(|(user, _)| user);
    let password = credentials.and_then(|user| user.split_once(':')).map_or("", |(_, password)| password);
    ConnectConfig {
        host: options.get_host().to_owned(),
        port: options.get_port(),
        database: "postgres".to_owned(),
        login: Login { name: options.get_username().to_owned(), password: password.to_owned().into() },
        ssl_mode: SslMode::Prefer,
    }
}

/// Starts a server on a Unix socket in a folder of its own. A shell beside it waits for the end of
/// this process (its standard input closes) and takes server and folder away, however that came.
fn start_server() -> ConnectConfig {
    const SCRIPT: &str = r#"
        trap '' INT TERM HUP
        cd / && folder=$1 bin=$2 user=$3
        as() { if [ -n "$user" ]; then setpriv --reuid "$user" --regid "$user" --clear-groups "$@"; else "$@"; fi; }
        [ -z "$user" ] || chown "$user" "$folder"
        as "$bin/initdb" -D "$folder/data" -U postgres -A trust -E UTF8 --no-sync >"$folder/log" 2>&1
        as "$bin/postgres" -D "$folder/data" -k "$folder" -c listen_addresses= -c fsync=off \
            -c max_connections=200 >>"$folder/log" 2>&1 &
        server=$!
        cat >/dev/null
        kill -QUIT "$(head -n 1 "$folder/data/postmaster.pid")"; wait $server; rm -rf "$folder""#;
    let folder = std::env::temp_dir().join(format!("binah-ml-test-postgres-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a scratch folder");
    let user = if nix::unistd::geteuid().is_root() { "postgres" } else { "" };
    let keeper = Command::new("sh")
        .args(["-c", SCRIPT, "sh"])
        .args([folder.as_path(), &binaries(), Path::new(user)])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("sh starts");
    // Held open until this process ends.
    std::mem::forget(keeper);
    let status = folder.join("data/postmaster.pid");
    for _ in 0..600 {
        if std::fs::read_to_string(&status).is_ok_and(|status| status.contains("ready")) {
            return ConnectConfig {
                host: folder.to_string_lossy().into_owned(),
                port: 5432,
                database: "postgres".to_owned(),
                login: Login { name: "postgres".to_owned(), password: String::new().into() },
                ssl_mode: SslMode::Disable,
            };
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("Postgres did not start; see {}", folder.join("log").display());
}

/// The newest system Postgres.
fn binaries() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").expect("Postgres is installed (apt postgresql)");
    let newest =
        versions.flatten().map(|entry| entry.path().join("bin")).filter(|bin| bin.join("initdb").exists());
    newest.max().expect("Postgres is installed (apt postgresql)")
}
