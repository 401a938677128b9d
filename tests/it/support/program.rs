//! The program itself as child processes: what only a process of its own shows (exit status, signals,
//! what is left when it is killed).

use std::{
    collections::HashMap,
    fs::File,
    ops::Deref,
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Output},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use binah_ml::config::Config;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::process::Child;

use super::{Client, TestDatabase};

/// How long a crowded machine may take.
const PATIENCE: Duration = Duration::from_secs(240);

/// The program with its settings and a folder; any number of its processes share both.
pub struct Program {
    pub settings: HashMap<String, String>,
    /// Another build than this one, to compare with.
    pub binary: PathBuf,
    folder: tempfile::TempDir,
    started: AtomicU32,
}

/// A running process, and a client of it. Killed when dropped.
pub struct Process {
    child: Child,
    client: Client,
    log: PathBuf,
}

impl Program {
    /// The program with these settings and no others: none of the environment, none of a .env file.
    pub fn new(settings: &[(&str, &str)]) -> Self {
        let settings = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Self {
            settings: settings.collect(),
            binary: env!("CARGO_BIN_EXE_binah-ml").into(),
            folder: tempfile::tempdir().expect("a folder"),
            started: AtomicU32::new(0),
        }
    }

    /// As [`Self::new`], with a database, models in its folder, and what trainings need.
    pub fn with_database(database: &TestDatabase, settings: &[(&str, &str)]) -> Self {
        let mut program = Self::new(settings);
        database.extend_settings(&mut program.settings);
        let models = program.models();
        let deps = std::path::absolute(binah_ml::dev::deps()).expect("a path");
        for (name, value) in [
            ("MODEL_REGISTRY_PATH", models.display().to_string()),
            ("DEPS", deps.display().to_string()),
            ("POSTGRES_MAX_CONNECTIONS", "8".to_owned()),
        ] {
            program.settings.entry(name.to_owned()).or_insert(value);
        }
        program
    }

    /// Runs a command to its end.
    pub fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().expect("runs")
    }

    /// Runs a command that must succeed; what it prints.
    pub fn prints(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    }

    /// Starts `serve`; returns when it is ready.
    pub async fn serve(&self) -> Process {
        let mut process = self.start(&["serve"], &[]);
        process.ready().await;
        process
    }

    /// Starts a process with more settings of its own, and does not wait for it. Whatever it serves is on a
    /// port of its own.
    pub fn start(&self, args: &[&str], more: &[(&str, &str)]) -> Process {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        drop(listener);
        let mut command = self.command(args);
        command.env("API_HOST", "127.0.0.1").env("API_PORT", port.to_string()).envs(more.iter().copied());
        let number = self.started.fetch_add(1, Ordering::Relaxed);
        let log = self.folder.path().join(format!("{number}.log"));
        command.stderr(File::create(&log).expect("a file"));
        let child = tokio::process::Command::from(command).kill_on_drop(true).spawn().expect("starts");
        Process { child, client: Client::new(format!("http://127.0.0.1:{port}"), &self.config()), log }
    }

    /// The settings as its processes understand them.
    pub fn config(&self) -> Config {
        Config::from_lookup(&|name| self.settings.get(name).cloned()).expect("valid settings")
    }

    /// Where the models are, unless a setting says otherwise.
    pub fn models(&self) -> PathBuf {
        self.folder.path().join("models")
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command.args(args).current_dir(self.folder.path()).env_clear().envs(&self.settings);
        command
    }
}

impl Process {
    /// Waits until it answers that it is ready.
    pub async fn ready(&mut self) {
        let waiting = async {
            while self.client.public("/health/ready").await.is_none() {
                let ended = self.child.try_wait().expect("asked");
                assert!(ended.is_none(), "ended before it was ready, {ended:?}: {}", read(&self.log));
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let in_time = tokio::time::timeout(PATIENCE, waiting).await;
        assert!(in_time.is_ok(), "it is not ready: {}", read(&self.log));
    }

    /// Waits for what must come; shows the log if it does not.
    pub async fn until(&self, what: &str, mut holds: impl AsyncFnMut() -> bool) {
        let waiting = async {
            while !holds().await {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let in_time = tokio::time::timeout(PATIENCE, waiting).await;
        assert!(in_time.is_ok(), "{what}: {}", self.log());
    }

    /// Sends a signal and does not wait.
    pub fn signal(&self, signal: Signal) {
        // None once it has ended: its number may be another's by then.
        let pid = self.child.id().expect("it runs");
        kill(Pid::from_raw(pid.cast_signed()), signal).expect("signals");
    }

    /// Its number, by which it names itself.
    pub fn id(&self) -> u32 {
        self.child.id().expect("it runs")
    }

    /// Waits for the end that something else brings about.
    pub async fn ended(&mut self) -> ExitStatus {
        let ended = tokio::time::timeout(PATIENCE, self.child.wait()).await;
        ended.unwrap_or_else(|_| panic!("it does not end: {}", read(&self.log))).expect("waits")
    }

    /// SIGTERM, and its end, which must be a success; what it logged.
    pub async fn stop(mut self) -> String {
        self.signal(Signal::SIGTERM);
        let status = self.ended().await;
        assert!(status.success(), "{status}: {}", self.log());
        self.log()
    }

    /// SIGKILL, and its end.
    pub async fn kill(mut self) {
        self.signal(Signal::SIGKILL);
        self.ended().await;
    }

    /// What Linux says of it in /proc.
    pub fn status(&self) -> String {
        let pid = self.child.id().expect("it runs");
        std::fs::read_to_string(format!("/proc/{pid}/status")).expect("Linux")
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        read(&self.log)
    }
}

impl Deref for Process {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

fn read(log: &Path) -> String {
    std::fs::read_to_string(log).expect("the log")
}
