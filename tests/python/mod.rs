//! The scripts of the tests, in the Python environment that `make deps` fills.

use std::path::{Path, PathBuf};
use std::process::Command;

/// `path` below `tests/`.
pub fn below_tests(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(path)
}

/// A command that will run `script`, named below `tests/`.
pub fn script(script: &str) -> Command {
    let python = binah_ml::dev::deps().join("bin/python");
    assert!(python.exists(), "{} is missing: run `make deps`, or set DEPS", python.display());
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
