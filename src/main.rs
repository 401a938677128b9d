//! The `binah-ml` program: commands over the library.

mod commands;

use std::process::ExitCode;

fn main() -> ExitCode {
    // SAFETY: nothing has started a thread yet, so nobody reads the environment meanwhile.
    unsafe { binah_ml::xgboost::prepare_environment() };
    commands::run()
}
