//! A private Neo4j Community: one folder, one loopback port, Bolt with and without TLS.
//!
//! The jars and the launcher are what `make neo4j-dev` puts into `NEO4J_DEV`. A Java server takes 5 to 15 s
//! to come up, so the start does not wait: [`PrivateNeo4j::start`], do something else,
//! [`PrivateNeo4j::ready`].

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::guard::{Guarded, Wait};
use super::{Durability, Error, Result, create_folder, deps, port};
use crate::config::Neo4jConfig;

/// A cold disk and a build beside it: far above the 5 to 15 s of a quiet machine.
const START: Wait =
    Wait { server: "the private Neo4j", limit: Duration::from_secs(240), poll: Duration::from_millis(100) };
/// Heap for 100,000 rows in one transaction; the serial collector and the first compiler tier keep
/// the rest small (measured: 0.3 GB in all after the start).
const JVM: [&str; 5] =
    ["-Xms128m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dfile.encoding=UTF-8"];

/// A starting or running private Neo4j. Dropping it stops the server.
#[derive(Debug)]
pub struct PrivateNeo4j {
    server: Guarded,
    folder: PathBuf,
    port: u16,
    password: String,
}

impl PrivateNeo4j {
    /// Starts the server on `folder` (`data/`, `certificates/`, `password`, `port`, `neo4j.log`) and
    /// returns at once. [`Durability::Scratch`] is stopped by SIGKILL: an orderly shutdown takes ten seconds.
    ///
    /// # Errors
    /// [`Error::Missing`] without the jars.
    pub fn start(folder: &Path, durability: Durability) -> Result<Self> {
        let folder = create_folder(folder)?;
        let home = home()?;
        let password = password(&folder)?;
        let port = port::reserve(&folder.join("port"))?;
        let ready = folder.join("ready");
        if ready.exists() {
            std::fs::remove_file(&ready).map_err(Error::io(format!("removing {}", ready.display())))?;
        }
        let mut command = Command::new("java");
        command
            .current_dir(&folder)
            .args(JVM)
            .arg("-cp")
            .arg(format!("{0}/classes:{0}/lib/*", home.display()))
            .arg("PrivateNeo4j")
            .arg(&folder)
            .arg(port.to_string());
        let stop = match durability {
            Durability::Durable => "TERM:40",
            Durability::Scratch => "KILL:0",
        };
        let server = Guarded::spawn(&command, stop, &folder.join("neo4j.log"))?;
        Ok(Self { server, folder, port, password })
    }

    /// Waits until the server takes connections; `progress` hears the time since the start.
    ///
    /// # Errors
    /// [`Error::NotReady`] with the end of the log when the server ends or takes over 240 s.
    pub async fn ready(&mut self, progress: impl FnMut(Duration)) -> Result<()> {
        let ready = self.folder.join("ready");
        self.server.ready(START, async || ready.exists(), progress).await
    }

    /// Address without TLS, such as `bolt://127.0.0.1:23456`.
    #[must_use]
    pub fn uri(&self) -> String {
        format!("bolt://127.0.0.1:{}", self.port)
    }

    /// Address under another scheme, by the name that the certificate carries.
    #[must_use]
    pub fn uri_with(&self, scheme: &str) -> String {
        format!("{scheme}://localhost:{}", self.port)
    }

    /// The self-signed certificate, PEM.
    #[must_use]
    pub fn certificate(&self) -> PathBuf {
        self.folder.join("certificates/public.crt")
    }

    /// The only login.
    #[must_use]
    pub fn user(&self) -> &'static str {
        "neo4j"
    }

    /// Its password: letters and digits only.
    #[must_use]
    pub fn password(&self) -> &str {
        &self.password
    }

    /// The settings by which a service finds it.
    #[must_use]
    pub fn config(&self) -> Neo4jConfig {
        Neo4jConfig::new(self.uri(), self.user(), self.password())
    }

    /// Stops the server and waits until nothing of it is left.
    ///
    /// # Errors
    /// When the operating system does not tell that the server ended.
    pub async fn stop(self) -> Result<()> {
        self.server.stop().await
    }
}

/// The folder that `make neo4j-dev` fills: `NEO4J_DEV`, else `.neo4j` beside [`deps`].
fn home() -> Result<PathBuf> {
    let home = std::env::var_os("NEO4J_DEV").map_or_else(|| deps().with_file_name(".neo4j"), PathBuf::from);
    let complete = home.join("classes/PrivateNeo4j.class").is_file();
    home.canonicalize().ok().filter(|_| complete).ok_or_else(|| Error::Missing {
        what: format!("Neo4j in {}", home.display()),
        hint: "run `make neo4j-dev`, or set NEO4J_DEV".into(),
    })
}

/// The password in `folder`, generated when it is new.
fn password(folder: &Path) -> Result<String> {
    use std::os::unix::fs::OpenOptionsExt;

    let file = folder.join("password");
    if let Ok(known) = std::fs::read_to_string(&file) {
        return Ok(known.trim().to_owned());
    }
    let password = uuid::Uuid::new_v4().simple().to_string();
    let write = || {
        let mut out = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&file)?;
        std::io::Write::write_all(&mut out, password.as_bytes())
    };
    write().map_err(Error::io(format!("writing {}", file.display())))?;
    Ok(password)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::neo4j::{GraphOptions, GraphSource};

    async fn start(folder: &Path, durability: Durability) -> PrivateNeo4j {
        let mut neo4j = PrivateNeo4j::start(folder, durability).expect("`make neo4j-dev` was run");
        neo4j.ready(|_| ()).await.expect("ready");
        let source = GraphSource::open(&GraphOptions::from(&neo4j.config())).expect("address");
        source.verify().await.expect("logged in");
        neo4j
    }

    #[tokio::test]
    async fn it_starts_again_on_its_folder_however_it_ended() {
        let folder = tempfile::tempdir().expect("scratch folder");
        let killed = start(folder.path(), Durability::Scratch).await;
        let (uri, password) = (killed.uri(), killed.password().to_owned());
        drop(killed);
        let stopped = start(folder.path(), Durability::Durable).await;
        assert_eq!((stopped.uri(), stopped.password()), (uri, password.as_str()));
        stopped.stop().await.expect("stopped");
        let _running = start(folder.path(), Durability::Scratch).await;
        let mut second = PrivateNeo4j::start(folder.path(), Durability::Scratch).expect("another port");
        let error = second.ready(|_| ()).await.expect_err("the folder is locked");
        assert!(matches!(error, Error::NotReady { .. }), "{error}");
    }
}
