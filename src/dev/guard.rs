//! A child process that never outlives this one.
//!
//! Signals and destructors are no help against `kill -9`, so each server hangs on a pipe: a small
//! `sh` (guard.sh) starts it in a session of its own and reads a pipe whose only write end is held
//! here. The kernel closes that end when this process ends, in whatever way; the guard then asks
//! the server to stop, and kills its process group if it does not.

use std::ffi::OsStr;
use std::io::PipeWriter;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::{Error, POLL, Result};

const SCRIPT: &str = include_str!("guard.sh");

/// A running server with its guard. Dropping it stops the server and waits for its end.
#[derive(Debug)]
pub struct Guarded {
    guard: Child,
    /// Closing this write end is the order to stop.
    lifeline: Option<PipeWriter>,
    log: PathBuf,
    started: Instant,
}

/// How long a start is waited for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wait {
    /// The server in messages.
    pub(super) server: &'static str,
    /// After that it counts as failed.
    pub(super) limit: Duration,
    /// How often it is looked at.
    pub(super) poll: Duration,
}

impl Guarded {
    /// Starts `command` (program, arguments, environment and working folder are honoured) with its
    /// output appended to `log`.
    ///
    /// `stop` is how it ends: signals with the seconds to wait after each, such as
    /// `"INT:10 QUIT:5"`. SIGKILL to the whole process group follows them in any case.
    ///
    /// # Errors
    /// When `sh` cannot be started. A `command` that cannot be started ends at once
    /// ([`Self::exited`]) with the reason in the log.
    pub fn spawn(command: &Command, stop: &str, log: &Path) -> Result<Self> {
        let program = command.get_program().to_string_lossy().into_owned();
        let spawn = || {
            let (read, write) = std::io::pipe()?;
            let mut guard = Command::new("sh");
            // By way of the environment, so that `ps` shows one line a server.
            guard.args(["-c", "eval \"$GUARD_SCRIPT\"", "guard"]).env("GUARD_SCRIPT", SCRIPT);
            guard.arg(log).arg(stop);
            guard.arg(command.get_program()).args(command.get_args());
            for (name, value) in command.get_envs() {
                set_env(&mut guard, name, value);
            }
            if let Some(folder) = command.get_current_dir() {
                guard.current_dir(folder);
            }
            // Out of reach of the terminal's Ctrl-C: the guard goes after the server.
            guard.process_group(0);
            let guard = guard.stdin(read).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
            Ok(Self { guard, lifeline: Some(write), log: log.to_path_buf(), started: Instant::now() })
        };
        spawn().map_err(Error::io(format!("starting {program}")))
    }

    /// Waits until `answers` holds; `progress` hears the time since the start at every look.
    ///
    /// # Errors
    /// [`Error::NotReady`] with the end of the log when the server ends or the limit is over.
    pub(super) async fn ready(
        &mut self,
        wait: Wait,
        mut answers: impl AsyncFnMut() -> bool,
        mut progress: impl FnMut(Duration),
    ) -> Result<()> {
        while !answers().await {
            if self.exited()?.is_some() {
                return Err(Error::not_ready(wait.server, "ended during its start", &self.log));
            }
            if self.started.elapsed() > wait.limit {
                let what = format!("did not answer within {} s", wait.limit.as_secs());
                return Err(Error::not_ready(wait.server, what, &self.log));
            }
            progress(self.started.elapsed());
            tokio::time::sleep(wait.poll).await;
        }
        Ok(())
    }

    /// The server's exit status if it has ended.
    ///
    /// # Errors
    /// When the operating system does not tell.
    pub fn exited(&mut self) -> Result<Option<ExitStatus>> {
        self.guard.try_wait().map_err(Error::io("waiting for a private server"))
    }

    /// The file with the server's output.
    #[must_use]
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Stops the server and waits until nothing of it is left.
    ///
    /// # Errors
    /// When the operating system does not tell.
    pub async fn stop(mut self) -> Result<()> {
        self.lifeline = None;
        while self.exited()?.is_none() {
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        self.lifeline = None;
        // Bounded by the waits of `stop`; a restart on the same folder must not meet the old server.
        let _ = self.guard.wait();
    }
}

fn set_env(command: &mut Command, name: &OsStr, value: Option<&OsStr>) {
    match value {
        Some(value) => command.env(name, value),
        None => command.env_remove(name),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that forks a grandchild and ignores every polite signal if told so.
    fn server(folder: &Path, manners: &str) -> Command {
        let mut command = Command::new("sh");
        command.arg("-c").arg(format!("{manners} sleep 1001 & sleep 1002; sleep 1003"));
        command.current_dir(folder);
        command
    }

    /// Processes with `folder` as their working folder.
    fn living_in(folder: &Path) -> Vec<u32> {
        let folder = folder.canonicalize().expect("folder");
        std::fs::read_dir("/proc")
            .expect("procfs")
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .filter(|pid: &u32| {
                std::fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd.starts_with(&folder))
            })
            .collect()
    }

    /// A bound, not a measure: fails loudly instead of hanging.
    fn wait_until(what: &str, condition: impl Fn() -> bool) {
        let start = Instant::now();
        while !condition() {
            assert!(start.elapsed() < Duration::from_secs(30), "{what}");
            std::thread::sleep(POLL);
        }
    }

    #[tokio::test]
    async fn stop_takes_grandchildren_along() {
        let folder = tempfile::tempdir().expect("scratch folder");
        let log = folder.path().join("log");
        let guarded = Guarded::spawn(&server(folder.path(), ""), "TERM:5", &log).expect("sh");
        wait_until("server and grandchild run", || living_in(folder.path()).len() >= 4);
        guarded.stop().await.expect("stopped");
        wait_until("nothing is left", || living_in(folder.path()).is_empty());
    }

    #[test]
    fn a_server_that_ignores_signals_is_killed() {
        let folder = tempfile::tempdir().expect("scratch folder");
        let log = folder.path().join("log");
        let stubborn = server(folder.path(), "trap '' TERM INT;");
        let guarded = Guarded::spawn(&stubborn, "INT:0 TERM:0", &log).expect("sh");
        wait_until("server and grandchild run", || living_in(folder.path()).len() >= 4);
        drop(guarded);
        wait_until("nothing is left", || living_in(folder.path()).is_empty());
    }

    #[test]
    fn a_server_that_ends_by_itself_tells_its_status_and_leaves_nothing() {
        let folder = tempfile::tempdir().expect("scratch folder");
        let log = folder.path().join("log");
        let mut command = Command::new("sh");
        command.args(["-c", "sleep 1001 & echo bye; exit 7"]).current_dir(folder.path());
        let mut guarded = Guarded::spawn(&command, "TERM:5", &log).expect("sh");
        let mut status = None;
        let start = Instant::now();
        while status.is_none() && start.elapsed() < Duration::from_secs(30) {
            status = guarded.exited().expect("status");
        }
        assert_eq!(status.and_then(|status| status.code()), Some(7));
        assert_eq!(std::fs::read_to_string(guarded.log()).expect("log"), "bye\n");
        wait_until("nothing is left", || living_in(folder.path()).is_empty());
    }

    #[test]
    fn a_missing_program_ends_at_once_with_the_reason_in_the_log() {
        let folder = tempfile::tempdir().expect("scratch folder");
        let log = folder.path().join("log");
        let mut guarded = Guarded::spawn(&Command::new("/nonexistent/server"), "TERM:5", &log).expect("sh");
        assert!(!guarded.guard.wait().expect("ended").success());
        assert!(std::fs::read_to_string(guarded.log()).expect("log").contains("/nonexistent/server"));
    }

    #[test]
    #[ignore = "re-executed by nothing_survives_a_killed_parent"]
    fn a_parent_that_waits_to_be_killed() {
        let folder = PathBuf::from(std::env::var_os("GUARDED_FOLDER").expect("set by the test"));
        let log = folder.join("log");
        let _guarded = Guarded::spawn(&server(&folder, "trap '' TERM;"), "TERM:0", &log).expect("sh");
        std::thread::sleep(Duration::from_secs(600));
    }

    #[test]
    fn nothing_survives_a_killed_parent() {
        let folder = tempfile::tempdir().expect("scratch folder");
        let mut parent = Command::new(std::env::current_exe().expect("test binary"))
            .args(["--exact", "dev::guard::tests::a_parent_that_waits_to_be_killed", "--ignored"])
            .env("GUARDED_FOLDER", folder.path())
            .stdout(Stdio::null())
            .spawn()
            .expect("test binary");
        wait_until("server and grandchild run", || living_in(folder.path()).len() >= 4);
        parent.kill().expect("SIGKILL");
        parent.wait().expect("killed");
        wait_until("nothing is left", || living_in(folder.path()).is_empty());
    }
}
