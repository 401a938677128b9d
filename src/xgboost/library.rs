//! Finding, opening and checking `libxgboost.so`.

use std::ffi::{OsStr, c_int};
use std::fmt;
use std::mem::ManuallyDrop;
use std::path::{Path, PathBuf};

use libloading::os::unix;

use super::api::Api;

/// Oldest libxgboost that has every function and the model format of today.
pub const OLDEST_VERSION: Version = Version { major: 2, minor: 0, patch: 0 };

const FILE_NAME: &str = "libxgboost.so";
const WAIT_POLICY: &str = "OMP_WAIT_POLICY";

/// Makes idle OpenMP workers sleep instead of spin, unless the operator chose otherwise.
///
/// libgomp reads `OMP_WAIT_POLICY` once, when it is loaded. Its default burns 4-25 times the CPU
/// when cores are shared with other work; the numbers of a training do not depend on it.
///
/// # Safety
/// No other thread may exist yet: writing the environment races with every reader of it in Rust
/// and in C. Call it first thing in `main`, before the async runtime starts.
pub unsafe fn prepare_environment() {
    if std::env::var_os(WAIT_POLICY).is_none() {
        // SAFETY: the caller promises that this is the only thread.
        unsafe { std::env::set_var(WAIT_POLICY, "passive") };
    }
}

/// Where to look for the library.
#[derive(Debug, Clone, Default)]
pub struct Search {
    /// The library's file or its folder (`XGBOOST_LIB`). If given, nothing else is tried.
    pub library: Option<PathBuf>,
    /// A virtual environment, or the folder of an unpacked wheel, that holds `xgboost-cpu`
    /// (`DEPS`). Tried before the system's own library paths.
    pub deps: Option<PathBuf>,
}

impl Search {
    /// The files to try, in order. A bare name is left to the dynamic linker's search path.
    fn candidates(&self) -> Vec<PathBuf> {
        if let Some(library) = &self.library {
            return vec![if library.is_dir() { library.join(FILE_NAME) } else { library.clone() }];
        }
        let mut candidates = Vec::new();
        if let Some(deps) = &self.deps {
            candidates.extend(
                site_packages(deps)
                    .into_iter()
                    .chain([deps.clone()])
                    .map(|folder| folder.join("xgboost/lib").join(FILE_NAME)),
            );
            candidates.push(deps.join("lib").join(FILE_NAME));
        }
        candidates.extend([PathBuf::from(FILE_NAME), Path::new("/usr/local/lib").join(FILE_NAME)]);
        candidates
    }
}

/// `lib/python3*/site-packages` of a virtual environment, in the order of their names.
fn site_packages(environment: &Path) -> Vec<PathBuf> {
    let mut folders: Vec<_> = entries(&environment.join("lib"), |name| name.starts_with("python3"))
        .map(|python| python.join("site-packages"))
        .collect();
    folders.sort();
    folders
}

/// Paths in `folder` whose file names pass; none if it cannot be read.
fn entries(folder: &Path, wanted: fn(&str) -> bool) -> impl Iterator<Item = PathBuf> {
    std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(move |path| path.file_name().and_then(OsStr::to_str).is_some_and(wanted))
}

/// An open libxgboost. Share it freely: it is a table of functions that are safe to call from any
/// thread, each on handles of its own.
///
/// The library stays loaded until the process ends. Unloading it would unmap the code under
/// libgomp's sleeping worker threads.
#[derive(Debug)]
pub struct Library {
    api: Api,
    version: Version,
    path: PathBuf,
}

impl Library {
    /// Opens the first usable library that `search` leads to.
    ///
    /// Logs a warning when `OMP_WAIT_POLICY` is not `passive`; see [`prepare_environment`].
    ///
    /// # Errors
    /// When none can be opened or each is older than [`OLDEST_VERSION`]; names every path tried.
    pub fn open(search: &Search) -> Result<Self, OpenError> {
        let passive = std::env::var_os(WAIT_POLICY).is_some_and(|v| v.eq_ignore_ascii_case("passive"));
        if !passive {
            tracing::warn!("{WAIT_POLICY} is not `passive`: idle training threads will spin");
        }
        let mut attempts = Vec::new();
        for path in search.candidates() {
            match Self::open_file(&path) {
                Ok(library) => return Ok(library),
                Err(reason) => attempts.push(Attempt { path, reason }),
            }
        }
        Err(OpenError { attempts })
    }

    fn open_file(path: &Path) -> Result<Self, Reason> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        if let Some(folder) = folder {
            if !path.is_file() {
                return Err(Reason::NotFound);
            }
            // A wheel's RPATH points to a folder beside it. Where both files were put into one
            // folder, libgomp must be in memory first: the linker then finds it by its name.
            for libgomp in entries(folder, |name| name.starts_with("libgomp") && name.contains(".so")) {
                load(&libgomp)?;
            }
        }
        let library = load(path)?;
        // SAFETY: the file is called libxgboost and is what the operator or the linker's
        // configuration names; `load` never unloads.
        let api = unsafe { Api::resolve(&library) }?;
        let version = Version::of(&api);
        if version < OLDEST_VERSION {
            return Err(Reason::TooOld(version));
        }
        Ok(Self { api, version, path: path.to_owned() })
    }

    /// Version of the library.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// The file that was opened; a bare name if the dynamic linker found it.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn api(&self) -> &Api {
        &self.api
    }
}

/// Maps a shared object for the rest of the process's life.
fn load(path: &Path) -> Result<ManuallyDrop<unix::Library>, Reason> {
    // SAFETY: runs the initialisers of libxgboost, libgomp and what they need: C++ statics and
    // reads of the environment, no assumption on the calling thread.
    let library = unsafe { unix::Library::open(Some(path), unix::RTLD_NOW | unix::RTLD_LOCAL) }?;
    Ok(ManuallyDrop::new(library))
}

/// Version of libxgboost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// Changes with the C API.
    pub major: c_int,
    /// Changes with features.
    pub minor: c_int,
    /// Changes with fixes.
    pub patch: c_int,
}

impl Version {
    fn of(api: &Api) -> Self {
        let mut version = Self { major: 0, minor: 0, patch: 0 };
        // SAFETY: three valid places for one int each.
        unsafe { (api.version)(&mut version.major, &mut version.minor, &mut version.patch) };
        version
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// No usable libxgboost was found.
#[derive(Debug)]
pub struct OpenError {
    /// Every path tried, in order, and why it did not do.
    pub attempts: Vec<Attempt>,
}

/// A path that did not do.
#[derive(Debug)]
pub struct Attempt {
    /// The path; a bare name stands for the dynamic linker's search path.
    pub path: PathBuf,
    /// Why it did not do.
    pub reason: Reason,
}

/// Why a file is not the library.
#[derive(Debug, thiserror::Error)]
pub enum Reason {
    /// There is no such file.
    #[error("not found")]
    NotFound,
    /// The dynamic linker refuses it, or a function is missing.
    #[error(transparent)]
    Linker(#[from] libloading::Error),
    /// It is older than [`OLDEST_VERSION`].
    #[error("version {0} is too old")]
    TooOld(Version),
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "libxgboost {OLDEST_VERSION} or later not found; set XGBOOST_LIB to its file. Tried")?;
        for (i, attempt) in self.attempts.iter().enumerate() {
            let separator = if i == 0 { ':' } else { ';' };
            write!(f, "{separator} {} ({})", attempt.path.display(), attempt.reason)?;
        }
        Ok(())
    }
}

impl std::error::Error for OpenError {}

impl From<OpenError> for crate::Error {
    fn from(error: OpenError) -> Self {
        Self::Unavailable { dependency: "libxgboost", source: Box::new(error) }
    }
}

#[cfg(test)]
impl Library {
    /// The library of the environment that `DEPS` names, `.deps` beside `Cargo.toml` by default.
    pub(super) fn of_deps() -> Self {
        let default = || concat!(env!("CARGO_MANIFEST_DIR"), "/.deps").into();
        let deps = std::env::var_os("DEPS").unwrap_or_else(default);
        Self::open(&Search { library: None, deps: Some(deps.into()) }).expect("libxgboost in DEPS")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_explicit_path_is_the_only_one_tried_and_named_in_the_error() {
        let search = Search { library: Some("/nowhere/libxgboost.so".into()), deps: Some("/usr".into()) };
        let error = Library::open(&search).expect_err("there is no such file");
        assert_eq!(error.attempts.len(), 1);
        assert!(error.to_string().contains("/nowhere/libxgboost.so (not found)"), "{error}");
    }

    #[test]
    fn a_file_that_is_no_library_is_refused_by_the_linker() {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let file = folder.path().join(FILE_NAME);
        std::fs::write(&file, "not an ELF file").expect("writable");
        // The folder may be named instead of the file.
        let search = Search { library: Some(folder.path().to_owned()), deps: None };
        let error = Library::open(&search).expect_err("not a library");
        assert_eq!(error.attempts[0].path, file);
        assert!(matches!(error.attempts[0].reason, Reason::Linker(_)), "{error}");
    }

    #[test]
    fn a_virtual_environment_is_searched_before_the_system() {
        let deps = tempfile::tempdir().expect("a scratch folder");
        std::fs::create_dir_all(deps.path().join("lib/python3.11/site-packages")).expect("writable");
        let candidates = Search { library: None, deps: Some(deps.path().to_owned()) }.candidates();
        let wheel = deps.path().join("lib/python3.11/site-packages/xgboost/lib/libxgboost.so");
        assert_eq!(candidates[0], wheel);
        assert!(candidates.contains(&PathBuf::from(FILE_NAME)), "{candidates:?}");
    }

    #[test]
    fn versions_are_ordered_and_printed_as_usual() {
        assert!(Version { major: 1, minor: 7, patch: 4 } < OLDEST_VERSION);
        assert!(Version { major: 3, minor: 0, patch: 0 } > OLDEST_VERSION);
        assert_eq!(OLDEST_VERSION.to_string(), "2.0.0");
    }
}
