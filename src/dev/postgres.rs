//! A private PostgreSQL: one folder, one loopback port, gone when this process is gone.
//!
//! Folder: `cluster/` (PGDATA), `password`, `port`, `postgres.log`. No Unix socket is opened: its path
//! may not exceed 107 bytes, which a folder of a test easily does. Loopback is open to every user
//! of the machine, therefore SCRAM with a generated password instead of `trust`.

mod account;
mod binaries;
mod cluster;

use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use account::Account;
use binaries::Binaries;

use super::guard::{Guarded, Wait};
use super::{Error, POLL, Result, create_folder, port};
use crate::storage::{ConnectConfig, Login, SslMode};

/// Name in messages.
const SERVER: &str = "the private Postgres";
/// The superuser, owner of the databases.
const SUPERUSER: &str = "postgres";
/// Crash recovery after a kill may replay some write-ahead log.
const START: Wait = Wait { server: SERVER, limit: Duration::from_secs(60), poll: POLL };
/// "Fast" shutdown (sessions are ended, checkpoint), then "immediate" (as after a crash).
const STOP: &str = "INT:10 QUIT:5";
/// A random port may be taken by another process between the choice and the bind.
const START_ATTEMPTS: usize = 3;

/// Whether the data survives a crash of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Commits reach the disk, as in production: data that is kept between runs.
    Durable,
    /// No fsync: scratch data of tests, three to ten times quicker.
    Scratch,
}

/// A running private Postgres. Dropping it stops the server.
#[derive(Debug)]
pub struct PrivatePostgres {
    server: Guarded,
    binaries: Binaries,
    port: u16,
    password: String,
}

impl PrivatePostgres {
    /// Creates the cluster in `folder` when it is new and starts it; returns when it takes
    /// connections. As root the server runs under another account, which then owns `folder`.
    ///
    /// # Errors
    /// [`Error::Missing`] without PostgreSQL binaries, [`Error::InUse`] when another server uses
    /// the folder, [`Error::NotReady`] with the end of the log when it does not come up.
    pub async fn start(folder: &Path, durability: Durability) -> Result<Self> {
        let folder = create_folder(folder)?;
        let account = Account::choose(&folder)?;
        let binaries = Binaries::find()?;
        let binaries = if account == Account::Own { binaries } else { binaries.open_to_all()? };
        let password = cluster::password(&folder)?;
        account.take_over(&folder)?;
        let pgdata = folder.join("cluster");
        if !pgdata.exists() {
            cluster::create(&folder, &binaries, &account, durability).await?;
        }
        cluster::clear_stale_lock(&pgdata).await?;

        let mut attempt = 1;
        loop {
            let port = port::reserve(&folder.join("port"))?;
            let log = folder.join("postgres.log");
            let command = cluster::server_command(&pgdata, &binaries, &account, port, durability);
            let server = Guarded::spawn(&command, STOP, &log)?;
            let mut postgres = Self { server, binaries: binaries.clone(), port, password: password.clone() };
            match postgres.ready(&pgdata).await {
                Err(_) if attempt < START_ATTEMPTS && log_says_port_taken(&log, port) => attempt += 1,
                outcome => return outcome.map(|()| postgres),
            }
        }
    }

    /// Address of the superuser's `postgres` database.
    #[must_use]
    pub fn url(&self) -> String {
        self.url_of("postgres")
    }

    /// Address of `database` for the superuser, who owns it.
    #[must_use]
    pub fn url_of(&self, database: &str) -> String {
        format!("postgres://{SUPERUSER}:{}@{}:{}/{database}", self.password, self.host(), self.port)
    }

    /// `database` as the superuser sees it, who owns it.
    #[must_use]
    pub fn owner_of(&self, database: &str) -> ConnectConfig {
        ConnectConfig {
            host: self.host().to_owned(),
            port: self.port,
            database: database.to_owned(),
            login: Login { name: SUPERUSER.to_owned(), password: self.password.clone().into() },
            ssl_mode: SslMode::Disable,
        }
    }

    /// Loopback.
    #[must_use]
    pub fn host(&self) -> &'static str {
        "127.0.0.1"
    }

    /// The port, kept from run to run while it is free.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The superuser's name.
    #[must_use]
    pub fn user(&self) -> &'static str {
        SUPERUSER
    }

    /// The superuser's password: letters and digits only.
    #[must_use]
    pub fn password(&self) -> &str {
        &self.password
    }

    /// Creates an empty database; `false` if it is there already.
    ///
    /// # Errors
    /// [`Error::Command`] with what `createdb` says.
    pub async fn create_database(&self, name: &str) -> Result<bool> {
        self.createdb(&[], name).await
    }

    /// Creates a database as a copy of `template`, to which nobody may be connected; `false` if
    /// it is there already.
    ///
    /// # Errors
    /// [`Error::Command`] with what `createdb` says.
    pub async fn create_database_from_template(&self, name: &str, template: &str) -> Result<bool> {
        self.createdb(&["--template", template], name).await
    }

    /// Stops the server: sessions are ended, data is written.
    ///
    /// # Errors
    /// When the operating system does not tell that the server ended.
    pub async fn stop(self) -> Result<()> {
        self.server.stop().await
    }

    async fn createdb(&self, options: &[&str], name: &str) -> Result<bool> {
        let mut createdb = self.client("createdb");
        createdb.args(options).args(["--", name]);
        match run(createdb).await {
            Ok(_) => Ok(true),
            Err(Error::Command { output, .. }) if output.contains("already exists") => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// A client program that connects as superuser. The password goes by the environment: a
    /// command line is readable by everyone.
    fn client(&self, program: &str) -> Command {
        let mut command = Command::new(self.binaries.path(program));
        command
            .args(["--host", self.host(), "--port", &self.port.to_string()])
            .args(["--username", SUPERUSER])
            .env("PGPASSWORD", &self.password)
            .env("LC_ALL", "C");
        command
    }

    /// Waits until the postmaster writes "ready" into its lock file and accepts connections.
    async fn ready(&mut self, pgdata: &Path) -> Result<()> {
        let (lock, port) = (pgdata.join("postmaster.pid"), self.port);
        let answers = async || {
            let lock = std::fs::read_to_string(&lock).unwrap_or_default();
            let status = lock.lines().nth(7).unwrap_or_default();
            status.trim() == "ready" && TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
        };
        self.server.ready(START, answers, |_| ()).await
    }
}

fn log_says_port_taken(log: &Path, port: u16) -> bool {
    std::fs::read_to_string(log)
        .is_ok_and(|log| log.contains(&format!("Is another postmaster already running on port {port}")))
}

/// Runs a command to its end off the async threads.
async fn run(mut command: Command) -> Result<Output> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = tokio::task::spawn_blocking(move || command.output())
        .await
        .unwrap_or_else(|panic| Err(std::io::Error::other(panic)))
        .map_err(Error::io(format!("running {program}")))?;
    if output.status.success() {
        return Ok(output);
    }
    let said = [output.stderr, output.stdout].concat();
    Err(Error::Command { command: program, output: String::from_utf8_lossy(&said).trim().to_owned() })
}

#[cfg(test)]
mod tests;
