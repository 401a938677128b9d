//! Postgres and MLflow, started by the first test that needs them; they die with the process.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
};

use binah_ml::{
    dev::{self, Durability, PrivateMlflow, PrivatePostgres},
    storage::{self, ConnectConfig, Login, SslMode},
};
use tokio::sync::OnceCell;

/// The login that every test acts as; the password is nobody's.
const SERVICE: &str = "binah_ml_app";
const TEMPLATE: &str = "template_migrated";

/// The Python environment with MLflow, scikit-learn and XGBoost.
pub fn python() -> PathBuf {
    let python = dev::deps().join("bin/python");
    assert!(python.exists(), "{} is missing: run `make deps`, or set DEPS", python.display());
    python
}

/// Address of the shared MLflow.
pub async fn mlflow() -> &'static str {
    static MLFLOW: OnceCell<PrivateMlflow> = OnceCell::const_new();
    let server = MLFLOW
        .get_or_init(|| async {
            let mut server = PrivateMlflow::start(&folder("mlflow")).expect("MLflow starts");
            server.ready(|_| ()).await.expect("MLflow answers");
            server
        })
        .await;
    server.url()
}

/// A database with the current schema, and the login to use it with.
pub struct TestDatabase {
    port: u16,
    name: String,
    owner: Login,
}

impl TestDatabase {
    /// The settings by which a service finds it, unless the test has set them.
    pub fn extend_settings(&self, settings: &mut HashMap<String, String>) {
        use secrecy::ExposeSecret;
        for (name, value) in [
            ("POSTGRES_HOST", "127.0.0.1"),
            ("POSTGRES_PORT", &self.port.to_string()),
            ("POSTGRES_DB", &self.name),
            ("POSTGRES_USER", SERVICE),
            ("POSTGRES_PASSWORD", SERVICE),
            ("POSTGRES_OWNER_USER", &self.owner.name),
            ("POSTGRES_OWNER_PASSWORD", self.owner.password.expose_secret()),
        ] {
            settings.entry(name.into()).or_insert_with(|| value.into());
        }
    }
}

/// A database of the test's own, copied from a migrated one.
pub async fn fresh_database() -> TestDatabase {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let postgres = postgres().await;
    let name = format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed));
    postgres.create_database_from_template(&name, TEMPLATE).await.expect("a database");
    TestDatabase { port: postgres.port(), name, owner: owner(postgres) }
}

async fn postgres() -> &'static PrivatePostgres {
    static POSTGRES: OnceCell<PrivatePostgres> = OnceCell::const_new();
    POSTGRES
        .get_or_init(|| async {
            let postgres = PrivatePostgres::start(&folder("postgres"), Durability::Scratch)
                .await
                .expect("Postgres starts");
            let config = ConnectConfig {
                host: postgres.host().to_owned(),
                port: postgres.port(),
                database: TEMPLATE.to_owned(),
                login: owner(&postgres),
                ssl_mode: SslMode::Disable,
            };
            let service = Login { name: SERVICE.into(), password: SERVICE.to_owned().into() };
            storage::migrate(&config, &service).await.expect("migrates");
            postgres
        })
        .await
}

fn owner(postgres: &PrivatePostgres) -> Login {
    Login { name: postgres.user().to_owned(), password: postgres.password().to_owned().into() }
}

/// A folder of this run. It is left to the system's cleaning: the servers outlive every destructor.
fn folder(name: &str) -> PathBuf {
    let folder =
        Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("run-{}", std::process::id())).join(name);
    std::fs::create_dir_all(&folder).expect("a folder");
    folder
}
