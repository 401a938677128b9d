//! Private servers as child processes and sample data, for `demo` and for tests.
//!
//! [`PrivatePostgres`], [`PrivateMlflow`] and [`PrivateNeo4j`] listen on loopback only, keep everything
//! in one folder and die with this process however it ends ([`guard`]). [`portfolio`] generates
//! records for the four models, [`graph`] the same portfolio as a graph, [`real_data`] reads public
//! data sets. Nothing here serves production.

pub mod graph;
pub mod guard;
pub mod mlflow;
pub mod neo4j;
mod port;
pub mod portfolio;
pub mod postgres;
pub mod real_data;
pub mod sample;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use mlflow::PrivateMlflow;
pub use neo4j::PrivateNeo4j;
pub use postgres::{Durability, PrivatePostgres};

/// What the functions of this room return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a private server or sample data is not to be had; every message is meant for the developer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A program or file is not on this machine.
    #[error("{what} was not found; {hint}")]
    Missing {
        /// What was looked for.
        what: String,
        /// What to do about it.
        hint: String,
    },
    /// A file or process operation failed.
    #[error("{what}: {source}")]
    Io {
        /// What was tried, on which path.
        what: String,
        /// The cause.
        source: io::Error,
    },
    /// Another process uses the same data folder.
    #[error("{server} already runs on {} as process {pid}; stop that one first", folder.display())]
    InUse {
        /// Which server.
        server: &'static str,
        /// The folder that both want.
        folder: PathBuf,
        /// The other server's process id.
        pid: u32,
    },
    /// A command of a private server failed.
    #[error("{command} failed: {output}")]
    Command {
        /// Name of the program.
        command: String,
        /// What it said.
        output: String,
    },
    /// A private server ended, or does not answer.
    #[error("{server} {what}; its log {} ends with:\n{tail}", log.display())]
    NotReady {
        /// Which server.
        server: &'static str,
        /// "ended during its start" or the like.
        what: String,
        /// Its whole output.
        log: PathBuf,
        /// The last lines of it.
        tail: String,
    },
    /// A data file does not look as expected.
    #[error("{}: {what}", file.display())]
    Data {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        what: String,
    },
}

impl Error {
    fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        |source| Self::Io { what: what.into(), source }
    }

    fn not_ready(server: &'static str, what: impl Into<String>, log: &Path) -> Self {
        let text = std::fs::read(log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        let tail = lines[lines.len().saturating_sub(15)..].join("\n");
        Self::NotReady { server, what: what.into(), log: log.to_path_buf(), tail }
    }
}

/// The Python environment with MLflow, libxgboost and Postgres that `make deps` fills: `DEPS`, else
/// `.deps` in the working folder.
#[must_use]
pub fn deps() -> PathBuf {
    std::env::var_os("DEPS").map_or_else(|| PathBuf::from(".deps"), PathBuf::from)
}

/// The environment with MLflow 2.9.2 and libraries of its time that `make deps-old` fills:
/// `DEPS_OLD`, else `.deps-old` in the working folder. Tests alone use it.
#[must_use]
pub fn deps_old() -> PathBuf {
    std::env::var_os("DEPS_OLD").map_or_else(|| PathBuf::from(".deps-old"), PathBuf::from)
}

/// Pause between two looks at a server that is starting.
const POLL: Duration = Duration::from_millis(20);

fn create_folder(folder: &Path) -> Result<PathBuf> {
    let io = |source| Error::Io { what: format!("folder {}", folder.display()), source };
    std::fs::create_dir_all(folder).map_err(io)?;
    // Servers run in a working folder of their own.
    folder.canonicalize().map_err(io)
}
