//! The scripts of the tests, in the Python environment that `make deps` fills.

use std::path::{Path, PathBuf};
use std::process::Command;

/// `path` below `tests/`.
pub fn below_tests(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(path)
}

/// The versions of the Python libraries that models are read with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stack {
    /// `deploy/requirements-dev.txt`, in `DEPS`.
    Newest,
    /// `deploy/requirements-old.txt`, in `DEPS_OLD`: MLflow 2.9.2 and what it came with.
    Oldest,
}

impl Stack {
    pub const ALL: [Self; 2] = [Self::Newest, Self::Oldest];

    /// The environment's folder.
    pub fn folder(self) -> PathBuf {
        match self {
            Self::Newest => binah_ml::dev::deps(),
            Self::Oldest => binah_ml::dev::deps_old(),
        }
    }
}

/// A command that will run `script`, named below `tests/`, under the newest libraries.
pub fn script(script: &str) -> Command {
    script_under(Stack::Newest, script)
}

/// A command that will run `script`, named below `tests/`.
pub fn script_under(stack: Stack, script: &str) -> Command {
    let python = stack.folder().join("bin/python");
    assert!(
        python.exists(),
        "{} is missing: run `make deps deps-old`, or set DEPS and DEPS_OLD",
        python.display()
    );
    let mut command = Command::new(python);
    command
        .arg(below_tests(script))
        .env("MLFLOW_DISABLE_TELEMETRY", "true")
        // Threads that spin while they wait take the cores from the tests beside.
        .env("OMP_WAIT_POLICY", "passive");
    command
}

/// Runs a command that must succeed; what it printed.
pub fn run(command: &mut Command) -> String {
    let output = command.output().expect("Python runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{command:?}: {}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}
