//! Opening libxgboost where a container image puts it: in one folder with its libgomp.
//!
//! The only test of its process: once another copy of libgomp is in memory it could not fail.

use std::fs;
use std::path::Path;

use binah_ml::xgboost::{Library, Search};

#[test]
fn a_library_beside_its_libgomp_opens() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let packages = binah_ml::dev::deps().join("lib/python3.11/site-packages");
    copy(&packages.join("xgboost/lib"), "libxgboost.so", folder.path());
    copy(&packages.join("xgboost_cpu.libs"), "libgomp", folder.path());

    let search = Search { library: Some(folder.path().to_owned()), deps: None };
    let library = Library::open(&search).expect("both files are in the folder");
    assert_eq!(library.path(), folder.path().join("libxgboost.so"));
}

/// Copies the one file of `from` whose name starts with `prefix`.
fn copy(from: &Path, prefix: &str, to: &Path) {
    let entries = fs::read_dir(from).unwrap_or_else(|error| panic!("{} (set DEPS): {error}", from.display()));
    let mut names = entries.map(|entry| entry.expect("readable").file_name());
    let name = names.find(|name| name.to_string_lossy().starts_with(prefix)).expect("in the wheel");
    fs::copy(from.join(&name), to.join(&name)).expect("copied");
}
