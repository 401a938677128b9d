//! Postgres, MLflow and Neo4j, started by the first test that needs them; they die with the process.

use std::path::{Path, PathBuf};

use binah_ml::dev::{self, Durability, PrivateMlflow, PrivateNeo4j, PrivatePostgres};
use tokio::sync::OnceCell;
use wiremock::MockServer;

/// Where nobody listens: the discard port.
pub const NOBODY: &str = "http://127.0.0.1:9";

/// Address of the shared MLflow.
pub async fn mlflow() -> &'static str {
    static MLFLOW: OnceCell<PrivateMlflow> = OnceCell::const_new();
    let start = async || {
        // The trap: without a location of its own, an experiment's uploads would be lost.
        let artifact_root = ["--default-artifact-root", "./mlruns"];
        let mut server = PrivateMlflow::start_with(&folder("mlflow"), artifact_root).expect("MLflow starts");
        server.ready(|_| ()).await.expect("MLflow answers");
        server
    };
    MLFLOW.get_or_init(start).await.url()
}

/// Address of a second MLflow, with workspaces.
pub async fn workspaces_mlflow() -> &'static str {
    static MLFLOW: OnceCell<PrivateMlflow> = OnceCell::const_new();
    let start = async || {
        let arguments = ["--enable-workspaces", "--default-artifact-root", "./mlruns"];
        // Not "workspaces": no place for files may end in that.
        let started = PrivateMlflow::start_with(&folder("apart-mlflow"), arguments);
        let mut server = started.expect("MLflow starts");
        server.ready(|_| ()).await.expect("MLflow answers");
        server
    };
    MLFLOW.get_or_init(start).await.url()
}

/// Address of the shared MLflow 2.9.2.
pub async fn old_mlflow() -> &'static str {
    static MLFLOW: OnceCell<PrivateMlflow> = OnceCell::const_new();
    let start = async || {
        let artifact_root = ["--default-artifact-root", "./mlruns"];
        let started = PrivateMlflow::start_from(&dev::deps_old(), &folder("old-mlflow"), artifact_root);
        let mut server = started.expect("MLflow 2.9.2 starts");
        server.ready(|_| ()).await.expect("MLflow 2.9.2 answers");
        server
    };
    MLFLOW.get_or_init(start).await.url()
}

/// Address of an MLflow that refuses everything, at once: [`NOBODY`] is called again, with pauses.
pub async fn refusing_mlflow() -> String {
    static REFUSING: OnceCell<MockServer> = OnceCell::const_new();
    let start = || MockServer::builder().disable_request_recording().start();
    REFUSING.get_or_init(start).await.uri()
}

/// The shared Postgres.
pub async fn postgres() -> &'static PrivatePostgres {
    static POSTGRES: OnceCell<PrivatePostgres> = OnceCell::const_new();
    let start = async || {
        let started = PrivatePostgres::start(&folder("postgres"), Durability::Scratch).await;
        started.expect("Postgres starts")
    };
    POSTGRES.get_or_init(start).await
}

/// The shared Neo4j: each test has tenants of its own in it.
pub async fn neo4j() -> &'static PrivateNeo4j {
    static NEO4J: OnceCell<PrivateNeo4j> = OnceCell::const_new();
    let start = async || {
        let started = PrivateNeo4j::start(&folder("neo4j"), Durability::Scratch);
        let mut server = started.expect("Neo4j starts: `make neo4j-dev` fetches it, NEO4J_DEV says where");
        server.ready(|_| ()).await.expect("Neo4j answers");
        server
    };
    NEO4J.get_or_init(start).await
}

/// A folder of this run. The servers outlive every destructor, therefore the next run removes it.
fn folder(name: &str) -> PathBuf {
    let runs = Path::new(env!("CARGO_TARGET_TMPDIR")).join("runs");
    for old in std::fs::read_dir(&runs).into_iter().flatten().flatten() {
        if !Path::new("/proc").join(old.file_name()).exists() {
            // Another run may be removing it, too.
            let _ = std::fs::remove_dir_all(old.path());
        }
    }
    let folder = runs.join(std::process::id().to_string()).join(name);
    std::fs::create_dir_all(&folder).expect("a folder");
    folder
}
