//! The program itself, with its log in a file.

use std::{
    collections::HashMap,
    fs::{self, File},
    path::Path,
    process::{Child, Command},
    time::Duration,
};

use binah_ml::{
    auth::{Tokens, token::NewToken},
    config::Config,
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use super::{
    leaks::{Channel, Leaks},
    tenants::{Tenant, Tenants},
};
use crate::support::TestDatabase;

pub struct Service {
    pub base: String,
    pub port: u16,
    program: std::sync::Mutex<Child>,
    folder: tempfile::TempDir,
    tokens: std::sync::Arc<Tokens>,
}

impl Service {
    pub async fn start(database: &TestDatabase, mlflow: &str, connections: u32) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        drop(listener);
        let deps = std::path::absolute(binah_ml::dev::deps()).expect("a path").display().to_string();
        let models = folder.path().join("models").display().to_string();
        let mut settings = HashMap::from(
            [
                ("API_HOST", "127.0.0.1"),
                ("API_PORT", &port.to_string()),
                ("MLFLOW_TRACKING_URI", mlflow),
                ("MODEL_REGISTRY_PATH", &models),
                ("DEPS", &deps),
                ("POSTGRES_MAX_CONNECTIONS", &connections.to_string()),
                ("TRAINING_QUEUE", "64"),
                // A model of every second tenant: hits, misses and evictions.
                ("MODEL_CACHE_BYTES", "200000"),
                ("LOG_LEVEL", "trace"),
                ("LOG_FORMAT", "json"),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned())),
        );
        database.extend_settings(&mut settings);
        let log = File::create(folder.path().join("log")).expect("a file");
        let program = Command::new(env!("CARGO_BIN_EXE_binah-ml"))
            .arg("serve")
            .current_dir(folder.path())
            .envs(&settings)
            .stderr(log)
            .spawn()
            .expect("starts");
        let tokens = Tokens::new(Config::from_lookup(&|_| None).expect("defaults").token);
        let service = Self {
            base: format!("http://127.0.0.1:{port}"),
            port,
            program: program.into(),
            folder,
            tokens: tokens.into(),
        };
        let client = reqwest::Client::new();
        for _ in 0..400 {
            let ready = client.get(format!("{}/health/ready", service.base)).send().await;
            if ready.is_ok_and(|answer| answer.status() == 200) {
                return service;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the service is not ready: {}", service.log());
    }

    /// A token of the tenant's user.
    pub fn token(&self, tenant: &Tenant) -> String {
        let tenant_id = tenant.id.to_string();
        let new = NewToken {
            user_id: &tenant.user,
            tenant_id: &tenant_id,
            email: "user@example.com",
            role: "user",
            expires_in: 7200,
        };
        self.tokens.mint(&new).expect("mints")
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).expect("the log")
    }

    /// Ends the program; returns what it logged.
    pub async fn stop(&self) -> String {
        let mut program = self.program.lock().expect("no panic before");
        kill(Pid::from_raw(program.id().cast_signed()), Signal::SIGTERM).expect("signals");
        let status = tokio::task::block_in_place(|| program.wait()).expect("ends");
        assert!(status.success(), "{status}: {}", self.log());
        self.log()
    }

    /// Each tenant's model files hold nothing of another.
    pub fn check_files(&self, tenants: &Tenants, leaks: &Leaks) {
        for tenant in tenants.iter() {
            for file in files(&self.folder.path().join("models").join(tenant.id.to_string())) {
                let bytes = fs::read(&file).expect("a file");
                leaks.check(Channel::ModelFile, tenant.index, &bytes, &file.display().to_string());
            }
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if let Ok(program) = self.program.get_mut() {
            // It has ended already, unless a test failed.
            let _ = program.kill();
            let _ = program.wait();
        }
    }
}

fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut found = vec![];
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}
