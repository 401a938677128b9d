//! One MLflow server for all tests of this binary, gone when the process is, however it ends.

use std::fs;
use std::io::Error;
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use binah_ml::tracking::{ClientConfig, client::Client};
use reqwest::Url;
use tokio::sync::OnceCell;

/// Starts the server in a session of its own; when the tests' end of the pipe closes, stops the
/// session and removes its folder.
const GUARD: &str = "
import os, shutil, signal, subprocess, sys
folder, *command = sys.argv[1:]
server = subprocess.Popen(command, cwd=folder, start_new_session=True, stdin=subprocess.DEVNULL)
sys.stdin.read()
os.killpg(server.pid, signal.SIGTERM)
try:
    server.wait(10)
except subprocess.TimeoutExpired:
    pass
try:
    os.killpg(server.pid, signal.SIGKILL)
except ProcessLookupError:
    pass
shutil.rmtree(folder, ignore_errors=True)
";

struct Server {
    uri: Url,
    /// Holds the pipe open.
    _guard: Option<Child>,
}

/// Address of the server: `TEST_MLFLOW_URI`'s, or one started on first use.
pub(crate) async fn uri() -> Url {
    static SERVER: OnceCell<Server> = OnceCell::const_new();
    let start = async || match std::env::var("TEST_MLFLOW_URI") {
        Ok(uri) => Server { uri: Url::parse(&uri).expect("TEST_MLFLOW_URI is an address"), _guard: None },
        Err(_) => start().await.expect("MLflow starts"),
    };
    SERVER.get_or_init(start).await.uri.clone()
}

/// A program of the Python environment (`DEPS`, else `.deps` beside Cargo.toml).
pub(crate) fn program(name: &str) -> PathBuf {
    let deps = std::env::var_os("DEPS")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join(".deps"), PathBuf::from);
    let path = deps.join("bin").join(name);
    assert!(path.exists(), "{} is missing: name the Python environment in DEPS", path.display());
    path
}

async fn start() -> Result<Server, Error> {
    let folder = tempfile::Builder::new().prefix("binah-mlflow-").tempdir()?.keep();
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let log = folder.join("server.log");
    let guard = Command::new(program("python"))
        .args(["-c", GUARD])
        .arg(&folder)
        .arg(program("mlflow"))
        .args(["server", "--workers", "1", "--host", "127.0.0.1", "--port", &port.to_string()])
        .args(["--backend-store-uri", "sqlite:///mlflow.db", "--artifacts-destination", "./artifacts"])
        // The trap: without a location of its own, an experiment's uploads would be lost.
        .args(["--default-artifact-root", "./mlruns"])
        .env("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "false")
        .stdin(Stdio::piped())
        .stdout(fs::File::create(&log)?)
        .stderr(fs::File::options().append(true).open(&log)?)
        .process_group(0)
        .spawn()?;
    let uri = Url::parse(&format!("http://127.0.0.1:{port}")).expect("an address");
    let client = Client::new(ClientConfig::new(uri.clone())).expect("a client");
    for _ in 0..240 {
        if client.health().await.is_ok() {
            return Ok(Server { uri, _guard: Some(guard) });
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    panic!("MLflow does not answer:\n{}", fs::read_to_string(log)?);
}
