//! PGDATA: made by `initdb`, freed of a stale lock, opened by a server.

use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use super::account::Account;
use super::binaries::Binaries;
use super::{Durability, SERVER, SUPERUSER, run};
use crate::dev::{Error, POLL, Result};

/// The password in `folder`, generated when it is new.
pub(super) fn password(folder: &Path) -> Result<String> {
    let file = folder.join("password");
    let known = std::fs::read_to_string(&file).map(|text| text.trim().to_owned());
    if let Ok(password) = known
        && !password.is_empty()
    {
        return Ok(password);
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
pub(super) async fn create(
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

/// The postmaster, with its settings on the command line: a change of ours reaches old clusters.
pub(super) fn server_command(
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
pub(super) async fn clear_stale_lock(cluster: &Path) -> Result<()> {
    let lock = cluster.join("postmaster.pid");
    let start = Instant::now();
    while let Some(pid) = lock_holder(&lock) {
        if !runs_in(pid, cluster) {
            return match std::fs::remove_file(&lock) {
                // Its owner removed it, with its last breath.
                Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
                outcome => outcome.map_err(Error::io(format!("removing {}", lock.display()))),
            };
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

/// Whether process `pid` is a postmaster of `cluster`, which stands on its command line. That is
/// readable for everyone; the working folder of another account's process is not, even for root in a container.
fn runs_in(pid: u32, cluster: &Path) -> bool {
    let command = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    command.split(|&byte| byte == 0).any(|argument| argument == cluster.as_os_str().as_encoded_bytes())
}
