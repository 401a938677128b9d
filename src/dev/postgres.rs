//! A private PostgreSQL: one folder, one loopback port, gone when this process is gone.
//!
//! Folder: `cluster/` (PGDATA), `password`, `port`, `postgres.log`. No Unix socket is opened: its path
//! may not exceed 107 bytes, which a folder of a test easily does. Loopback is open to every user
//! of the machine, therefore SCRAM with a generated password instead of `trust`.

mod account;
mod binaries;

use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use account::Account;
use binaries::Binaries;

use super::guard::Guarded;
use super::{Error, POLL, Result, create_folder, port};

/// Name in messages.
const SERVER: &str = "the private Postgres";
/// The superuser, owner of the databases.
const SUPERUSER: &str = "postgres";
/// Crash recovery after a kill may replay some write-ahead log.
const START_LIMIT: Duration = Duration::from_secs(60);
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
        let password = password(&folder)?;
        account.take_over(&folder)?;
        let cluster = folder.join("cluster");
        if !cluster.exists() {
            create_cluster(&folder, &binaries, &account, durability).await?;
        }
        clear_stale_lock(&cluster).await?;

        let mut attempt = 1;
        loop {
            let port = port::reserve(&folder.join("port"))?;
            let log = folder.join("postgres.log");
            let command = server_command(&cluster, &binaries, &account, port, durability);
            let server = Guarded::spawn(&command, STOP, &log)?;
            let mut postgres = Self { server, binaries: binaries.clone(), port, password: password.clone() };
            match postgres.ready(&cluster).await {
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

    /// Removes a database and ends its sessions; does nothing if it is not there.
    ///
    /// # Errors
    /// [`Error::Command`] with what `dropdb` says.
    pub async fn drop_database(&self, name: &str) -> Result<()> {
        let mut dropdb = self.client("dropdb");
        dropdb.args(["--force", "--if-exists", "--", name]);
        run(dropdb).await.map(drop)
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
    async fn ready(&mut self, cluster: &Path) -> Result<()> {
        let start = Instant::now();
        loop {
            let lock = std::fs::read_to_string(cluster.join("postmaster.pid")).unwrap_or_default();
            let status = lock.lines().nth(7).unwrap_or_default();
            if status.trim() == "ready" && TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_ok() {
                return Ok(());
            }
            if self.server.exited()?.is_some() {
                return Err(Error::not_ready(SERVER, "ended during its start", self.server.log()));
            }
            if start.elapsed() > START_LIMIT {
                let what = format!("did not answer within {} s", START_LIMIT.as_secs());
                return Err(Error::not_ready(SERVER, what, self.server.log()));
            }
            tokio::time::sleep(POLL).await;
        }
    }
}

/// The password in `folder`, generated when it is new.
fn password(folder: &Path) -> Result<String> {
    let file = folder.join("password");
    if let Ok(password) = std::fs::read_to_string(&file) {
        return Ok(password.trim().to_owned());
    }
    let password = uuid::Uuid::new_v4().simple().to_string();
    let write = || {
        std::fs::write(&file, "")?;
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600))?;
        std::fs::write(&file, format!("{password}\n"))
    };
    write().map_err(Error::io(format!("writing {}", file.display())))?;
    Ok(password)
}

/// `initdb` beside the final place, then one rename: a broken-off run leaves no half cluster.
async fn create_cluster(
    folder: &Path,
    binaries: &Binaries,
    account: &Account,
    durability: Durability,
) -> Result<()> {
    let fresh = folder.join("cluster.new");
    if fresh.exists() {
        std::fs::remove_dir_all(&fresh).map_err(Error::io(format!("removing {}", fresh.display())))?;
    }
    let mut initdb = account.command(&binaries.path("initdb"));
    initdb
        .current_dir(folder)
        .args(["--username", SUPERUSER, "--auth", "scram-sha-256", "--encoding", "UTF8"])
        .args(["--locale", "C.UTF-8", "--no-instructions"])
        .arg("--pwfile")
        .arg(folder.join("password"))
        .arg("--pgdata")
        .arg(&fresh);
    if durability == Durability::Scratch {
        initdb.arg("--no-sync");
    }
    run(initdb).await?;
    let cluster = folder.join("cluster");
    std::fs::rename(&fresh, &cluster).map_err(Error::io(format!("creating {}", cluster.display())))
}

fn server_command(
    cluster: &Path,
    binaries: &Binaries,
    account: &Account,
    port: u16,
    durability: Durability,
) -> Command {
    let mut postgres = account.command(&binaries.path("postgres"));
    postgres.current_dir(cluster).arg("-D").arg(cluster);
    // Settings of the machine's user must not reach the server.
    for variable in ["PGDATA", "PGPORT", "PGOPTIONS", "TZ"] {
        postgres.env_remove(variable);
    }
    let port = format!("port={port}");
    let common = [
        port.as_str(),
        "listen_addresses=127.0.0.1",
        "unix_socket_directories=",
        "logging_collector=off",
        "timezone=UTC",
        "log_timezone=UTC",
        "max_connections=200",
        "jit=off",
    ];
    let scratch = ["fsync=off", "synchronous_commit=off", "full_page_writes=off"];
    let scratch = scratch.iter().filter(|_| durability == Durability::Scratch);
    for setting in common.iter().chain(scratch) {
        postgres.args(["-c", setting]);
    }
    postgres
}

/// Removes the lock file of a server that was killed, whose process id another process may have by
/// now; waits for a server that is just going down because its parent was killed.
async fn clear_stale_lock(cluster: &Path) -> Result<()> {
    let lock = cluster.join("postmaster.pid");
    let start = Instant::now();
    while let Some(pid) = lock_holder(&lock) {
        if !runs_in(pid, cluster) {
            return std::fs::remove_file(&lock).map_err(Error::io(format!("removing {}", lock.display())));
        }
        if start.elapsed() > Duration::from_secs(5) {
            let folder = cluster.parent().unwrap_or(cluster).to_path_buf();
            return Err(Error::InUse { server: SERVER, folder, pid });
        }
        tokio::time::sleep(POLL).await;
    }
    Ok(())
}

fn lock_holder(lock: &Path) -> Option<u32> {
    std::fs::read_to_string(lock).ok()?.lines().next()?.trim().parse().ok()
}

/// The postmaster's working folder is its cluster.
fn runs_in(pid: u32, cluster: &Path) -> bool {
    std::fs::read_link(PathBuf::from(format!("/proc/{pid}/cwd"))).is_ok_and(|cwd| cwd == cluster)
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
