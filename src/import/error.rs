//! Why a file is not imported. Every message is meant for the person at the terminal.

use std::{fmt, io, path::PathBuf};

use super::ColumnType;

/// What the functions of this room return.
pub type Result<T, E = ImportError> = std::result::Result<T, E>;

/// Why nothing was imported. What came out of a file is shown without its control characters.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The file cannot be opened or read.
    #[error("{}: {source}", printable(&file.display().to_string()))]
    Io {
        /// The file.
        file: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The file as a whole is no table that can be imported, or does not fit its destination.
    #[error("{}", printable(.0))]
    File(String),
    /// An argument cannot work.
    #[error("{}", printable(.0))]
    Argument(String),
    /// A row has too few or too many fields, or cannot be read.
    #[error("{at}: {}; nothing was imported", printable(what))]
    Row {
        /// Which row.
        at: Place,
        /// What is wrong with it.
        what: String,
    },
    /// A value does not fit its column.
    #[error("{at}, column {}: {}; nothing was imported", printable(column), printable(what))]
    Value {
        /// Which row.
        at: Place,
        /// Name of the column.
        column: String,
        /// What is wrong with it.
        what: String,
    },
    /// Postgres stopped taking rows; its own error says why.
    #[error("Postgres takes no more rows")]
    Interrupted,
    /// The database, or a defect of ours.
    #[error(transparent)]
    Storage(#[from] crate::Error),
}

impl ImportError {
    /// The same at another place, if it is about a row.
    pub(super) fn moved(mut self, to: Place) -> Self {
        if let Self::Row { at, .. } | Self::Value { at, .. } = &mut self {
            *at = to;
        }
        self
    }

    pub(super) fn type_mismatch(at: Place, column: &str, value: &str, wanted: ColumnType) -> Self {
        let value = shortened(value);
        let what = format!("'{value}' is no {wanted}");
        Self::Value { at, column: column.to_owned(), what }
    }
}

/// The text with whatever a terminal would obey (escape sequences, signs that turn the direction of writing) written out.
fn printable(text: &str) -> String {
    let mut printable = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\'' | '"' | '\\' => printable.push(c),
            _ => printable.extend(c.escape_debug()),
        }
    }
    printable
}

/// At most 60 characters of a text.
pub(super) fn shortened(text: &str) -> String {
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

/// A row of a file, as a person finds it again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Line of a text file, from 1.
    Line(u64),
    /// Row of a Parquet file, from 1.
    Row(u64),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(line) => write!(f, "line {line}"),
            Self::Row(row) => write!(f, "row {row}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_file_says_nothing_to_the_terminal() {
        let hostile = "\u{1b}]0;mine\u{7}\r\u{202e}it's \"größe\" \\";
        let shown = "\\u{1b}]0;mine\\u{7}\\r\\u{202e}it's \"größe\" \\";
        let at = Place::Line(2);
        let value = ImportError::type_mismatch(at, hostile, hostile, ColumnType::BigInt);
        assert_eq!(
            value.to_string(),
            format!("line 2, column {shown}: '{shown}' is no bigint; nothing was imported")
        );
        let row = ImportError::Row { at, what: hostile.into() };
        let (file, argument) = (ImportError::File(hostile.into()), ImportError::Argument(hostile.into()));
        let io = ImportError::Io { file: hostile.into(), source: io::Error::other("x") };
        for error in [row, file, argument, io] {
            assert!(error.to_string().contains(shown), "{error}");
        }
    }
}
