//! A private MLflow tracking server: SQLite and artifacts in one folder, one loopback port.
//!
//! MLflow imports half of Python before it answers (5 to 60 s), so the start does not wait:
//! [`PrivateMlflow::start`], do something else, [`PrivateMlflow::ready`].

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::guard::{Guarded, Wait};
use super::{Error, Result, create_folder, deps, port};

/// A cold disk and a build beside it: far above the 5 to 12 s of a quiet machine.
const START: Wait = Wait {
    server: "the private MLflow server",
    limit: Duration::from_secs(240),
    poll: Duration::from_millis(250),
};
/// uvicorn finishes its requests, then goes.
const STOP: &str = "TERM:5";

/// A starting or running private MLflow server. Dropping it stops the server.
#[derive(Debug)]
pub struct PrivateMlflow {
    server: Guarded,
    url: String,
}

impl PrivateMlflow {
    /// Starts the server on `folder` (`mlflow.db`, `artifacts/`, `port`, `mlflow.log`) and returns at once.
    ///
    /// One worker and no job runners: 0.4 GB instead of 3, and no process that leaves the server's
    /// session. Telemetry is off.
    ///
    /// # Errors
    /// [`Error::Missing`] when MLflow is not in [`deps`].
    pub fn start(folder: &Path) -> Result<Self> {
        Self::start_with(folder, [])
    }

    /// As [`Self::start`], with further arguments of `mlflow server`, such as `--default-artifact-root`.
    ///
    /// # Errors
    /// Those of [`Self::start`].
    pub fn start_with<'a>(folder: &Path, arguments: impl IntoIterator<Item = &'a str>) -> Result<Self> {
        Self::start_from(&deps(), folder, arguments)
    }

    /// As [`Self::start_with`], with the MLflow of another environment, such as [`super::deps_old`].
    ///
    /// # Errors
    /// [`Error::Missing`] when MLflow is not there.
    pub fn start_from<'a>(
        environment: &Path,
        folder: &Path,
        arguments: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self> {
        let folder = create_folder(folder)?;
        let program = environment.join("bin/mlflow").canonicalize().map_err(|_| Error::Missing {
            what: format!("MLflow in {}", environment.display()),
            hint: "run `make deps deps-old`, or set DEPS and DEPS_OLD".into(),
        })?;
        let port = port::reserve(&folder.join("port"))?;
        let mut command = Command::new(program);
        command
            .current_dir(&folder)
            .args(["server", "--host", "127.0.0.1", "--port", &port.to_string(), "--workers", "1"])
            .args(["--backend-store-uri", &format!("sqlite:///{}/mlflow.db", folder.display())])
            .arg("--artifacts-destination")
            .arg(folder.join("artifacts"))
            .args(arguments);
        // The client's settings (MLFLOW_TRACKING_URI and its like) would reach the server, too.
        for (name, _) in
            std::env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"MLFLOW_"))
        {
            command.env_remove(name);
        }
        command
            .env("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "false")
            .env("MLFLOW_DISABLE_TELEMETRY", "true")
            .env("DO_NOT_TRACK", "true")
            .env("GIT_PYTHON_REFRESH", "quiet")
            // Thread pools of libraries that the server never calculates with.
            .env("OMP_NUM_THREADS", "1")
            .env("OPENBLAS_NUM_THREADS", "1");
        let server = Guarded::spawn(&command, STOP, &folder.join("mlflow.log"))?;
        Ok(Self { server, url: format!("http://127.0.0.1:{port}") })
    }

    /// Waits until the server answers; `progress` hears the time since the start, four times a second.
    ///
    /// # Errors
    /// [`Error::NotReady`] with the end of the log when the server ends or takes over 240 s.
    pub async fn ready(&mut self, progress: impl FnMut(Duration)) -> Result<()> {
        let health = format!("{}/health", self.url);
        let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(5)).build();
        let client =
            client.map_err(|error| Error::not_ready(START.server, error.to_string(), self.server.log()))?;
        let answers =
            async || client.get(&health).send().await.is_ok_and(|answer| answer.status().is_success());
        self.server.ready(START, answers, progress).await
    }

    /// Address of the API and the user interface, such as `http://127.0.0.1:23456`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Stops the server and waits until nothing of it is left.
    ///
    /// # Errors
    /// When the operating system does not tell that the server ended.
    pub async fn stop(self) -> Result<()> {
        self.server.stop().await
    }
}
