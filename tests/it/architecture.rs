//! The walls of ARCHITECTURE.md: who may import what.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Crate or module, and the folders and files below `src/` that alone may name it.
const WALLS: [(&str, &[&str]); 13] = [
    ("axum", &["http"]),
    ("utoipa", &["http"]),
    ("sqlx", &["storage", "registry", "jobs", "outbox", "schedule", "features/postgres"]),
    ("croner", &["schedule"]),
    ("chrono_tz", &["schedule"]),
    ("sqlparser", &["features/query"]),
    ("neo4rs", &["features/neo4j"]),
    ("rustls", &["tls"]),
    ("reqwest", &["tracking", "commands", "dev/mlflow"]),
    ("libloading", &["xgboost"]),
    ("object_store", &["registry"]),
    ("parquet", &["import"]),
    ("indicatif", &["commands"]),
];

/// What the pure rooms must not name.
const FORBIDDEN_IN_PURE_ROOMS: [&str; 9] =
    ["tokio", "std::fs", "std::env", "std::net", "std::time", "chrono", "tracing", "uuid", "sqlx"];

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files = vec![];
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

/// Every source file with its path below `src/`, without comment lines.
fn code() -> Vec<(String, String)> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).expect("a source file");
        let code: Vec<_> = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
        let name = path.strip_prefix(&src).expect("below src").display().to_string();
        (name, code.join("\n"))
    };
    sources(&src).into_iter().map(read).collect()
}

/// Whether the code names the crate in a path or an import.
fn names(code: &str, name: &str) -> bool {
    code.match_indices(name).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        let after = &code[at + name.len()..];
        !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '"' || c == '.' || c == '-')
            && (after.starts_with("::") || after.starts_with(';') || after.starts_with("]"))
    })
}

#[test]
fn each_crate_stays_behind_its_wall() {
    let mut broken = vec![];
    for (file, code) in code() {
        for (name, rooms) in WALLS {
            let allowed = rooms
                .iter()
                .any(|room| file.starts_with(&format!("{room}/")) || file == format!("{room}.rs"));
            if !allowed && names(&code, name) {
                broken.push(format!("src/{file} names {name}, which belongs to {rooms:?}"));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

/// The numeric core, the formats that are written from it, and pictures: bytes in memory.
#[test]
fn forest_export_and_chart_are_pure() {
    let mut broken = vec![];
    let rooms = [
        ("forest/", &["crate::forest"][..]),
        ("export/", &["crate::forest", "crate::export"]),
        ("chart/", &["crate::chart"]),
    ];
    let pure = |file: &str| rooms.iter().find(|(room, _)| file.starts_with(room)).map(|(_, may)| *may);
    for (file, code, may) in code().into_iter().filter_map(|(f, c)| pure(&f).map(|may| (f, c, may))) {
        for line in code.lines().filter(|line| line.contains("crate::")) {
            if !may.iter().any(|room| line.contains(room)) {
                broken.push(format!("src/{file}: {line}"));
            }
        }
        for name in FORBIDDEN_IN_PURE_ROOMS {
            if names(&code, name) || code.contains(&format!("{name}::")) {
                broken.push(format!("src/{file} names {name}"));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn no_drawer_is_named_for_nothing() {
    for (file, _) in code() {
        for drawer in ["utils", "util", "common", "helpers", "misc", "manager"] {
            let is_drawer = file.split(['/', '.']).any(|part| part == drawer);
            assert!(!is_drawer, "src/{file}: say what it is");
        }
    }
}

#[test]
fn a_long_file_says_why() {
    for (file, _) in code() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(&file);
        let text = fs::read_to_string(path).expect("a source file");
        let before_tests = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default().lines().count();
        let says_why = text.lines().next().is_some_and(|line| line.contains("long"));
        assert!(before_tests <= 400 || says_why, "src/{file} has {before_tests} lines before its tests");
    }
}
