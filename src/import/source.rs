//! A file as rows of cells, whatever its format.

use std::{
    fs::{self, File},
    io,
    path::Path,
};

use super::{
    csv,
    error::{ImportError, Place, Result},
    parquet,
    value::{Cell, ColumnType},
};

/// Longest value that is read, in bytes.
pub(super) const MAX_VALUE: usize = 16 << 20;

/// Rows between two calls of the progress.
pub(super) const STEP: u64 = 8_192;

/// How the file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Comma-separated values (RFC 4180).
    Csv,
    /// Apache Parquet.
    Parquet,
}

/// How the file is read.
#[derive(Debug, Clone)]
pub struct Options {
    /// Types of columns by name, as the file or as SQL writes it; the others are inferred.
    pub types: Vec<(String, ColumnType)>,
    /// Columns to leave out, by either name.
    pub skip: Vec<String>,
    /// The sign between fields of a CSV file.
    pub delimiter: u8,
    /// Texts of a CSV file that stand for a missing value.
    pub nulls: Vec<String>,
    /// Whether blanks around a CSV file's values are cut off.
    pub trim: bool,
}

/// Texts that stand for a missing value unless [`Options::nulls`] says otherwise.
pub const NULLS: [&str; 7] = ["", "NA", "N/A", "NaN", "nan", "null", "NULL"];

impl Default for Options {
    /// Everything inferred, commas, [`NULLS`], blanks kept.
    fn default() -> Self {
        let nulls = NULLS.map(str::to_owned).to_vec();
        Self { types: vec![], skip: vec![], delimiter: b',', nulls, trim: false }
    }
}

/// A column as the file names it.
#[derive(Debug, Clone)]
pub(super) struct Field {
    pub(super) name: String,
    /// Its type, where the file says it; an error where that cannot be imported.
    pub(super) declared: Result<Option<ColumnType>, String>,
}

/// What reads rows. Columns are counted among those that are read.
pub(super) trait RowSink {
    /// The next cell of the row.
    fn cell(&mut self, column: usize, cell: Cell<'_>, at: Place) -> Result<()>;
    /// The row is complete.
    fn end_row(&mut self, at: Place) -> Result<()>;
}

impl Format {
    /// By the file's name.
    ///
    /// # Errors
    /// [`ImportError::Argument`] for a name that ends otherwise.
    pub fn of(file: &Path) -> Result<Self> {
        let extension = file.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
        match extension.to_ascii_lowercase().as_str() {
            "csv" | "tsv" | "txt" => Ok(Self::Csv),
            "parquet" | "pq" => Ok(Self::Parquet),
            _ => Err(ImportError::Argument(format!("{}: is neither .csv nor .parquet", file.display()))),
        }
    }

    /// The columns of the file.
    pub(super) fn fields(self, file: &Path, options: &Options) -> Result<Vec<Field>> {
        match self {
            Self::Csv => csv::fields(file, options),
            Self::Parquet => parquet::fields(file),
        }
    }

    /// Hands the columns at `positions` to `sink`, row by row; `progress` hears which share has been read, 0 to 1.
    pub(super) fn read(
        self,
        file: &Path,
        options: &Options,
        positions: &[usize],
        sink: &mut impl RowSink,
        progress: &(dyn Fn(f64) + Send + Sync),
    ) -> Result<()> {
        match self {
            Self::Csv => csv::read(file, options, positions, sink, progress),
            Self::Parquet => parquet::read(file, positions, sink, progress),
        }
    }
}

/// Opens a plain file: it is read twice, which a pipe is not.
pub(super) fn open(file: &Path) -> Result<File> {
    let failed = |source| ImportError::Io { file: file.to_path_buf(), source };
    // Before it is opened: a pipe would wait for somebody who writes.
    if !fs::metadata(file).map_err(failed)?.is_file() {
        return Err(failed(io::Error::other("is no plain file")));
    }
    File::open(file).map_err(failed)
}

/// What is wrong with a value of so many bytes, if it is too long.
pub(super) fn too_long(bytes: usize) -> Option<String> {
    (bytes > MAX_VALUE).then(|| format!("a value of {bytes} bytes; at most {MAX_VALUE} are read"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipe_is_refused_and_not_waited_for() {
        let folder = tempfile::tempdir().expect("a folder");
        let pipe = folder.path().join("pipe.csv");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status().expect("coreutils");
        assert!(made.success());
        let error = open(&pipe).expect_err("refused").to_string();
        assert!(error.ends_with("is no plain file"), "{error}");
    }
}
