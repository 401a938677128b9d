//! The second pass over a file: its rows as the bytes of a binary COPY.
//!
//! Source of the format: PostgreSQL's documentation, COPY, "Binary Format".

use tokio::sync::mpsc::Sender;

use super::{
    error::{ImportError, Place, Result},
    source::RowSink,
    value::{Cell, ColumnType},
};

/// Signature, no flags, no extension.
const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// Bytes that are sent at once.
const CHUNK: usize = 1 << 18;

/// Writes rows and hands them over in chunks. Waits while the receiver is behind: memory stays bounded.
pub(super) struct Encoder {
    columns: Vec<(String, ColumnType)>,
    /// Number of the next row, where rows are numbered.
    number: Option<i64>,
    buffer: Vec<u8>,
    out: Sender<Vec<u8>>,
}

impl Encoder {
    /// `first` is the number of the first row, which then stands before the columns.
    pub(super) fn new(columns: Vec<(String, ColumnType)>, first: Option<i64>, out: Sender<Vec<u8>>) -> Self {
        let mut buffer = Vec::with_capacity(CHUNK + (CHUNK >> 2));
        buffer.extend_from_slice(HEADER);
        Self { columns, number: first, buffer, out }
    }

    /// Sends the rest.
    pub(super) fn finish(mut self) -> Result<()> {
        self.buffer.extend_from_slice(&(-1_i16).to_be_bytes());
        self.send()
    }

    fn begin_row(&mut self) {
        let fields = self.columns.len() + usize::from(self.number.is_some());
        // A table has at most 1,600 columns.
        self.buffer.extend_from_slice(&(fields as i16).to_be_bytes());
        if let Some(number) = &mut self.number {
            self.buffer.extend_from_slice(&8_i32.to_be_bytes());
            self.buffer.extend_from_slice(&number.to_be_bytes());
            *number += 1;
        }
    }

    fn send(&mut self) -> Result<()> {
        let next = Vec::with_capacity(CHUNK + (CHUNK >> 2));
        let full = std::mem::replace(&mut self.buffer, next);
        self.out.blocking_send(full).map_err(|_| ImportError::Interrupted)
    }
}

impl RowSink for Encoder {
    #[inline]
    fn cell(&mut self, column: usize, cell: Cell<'_>, at: Place) -> Result<()> {
        if column == 0 {
            self.begin_row();
        }
        let (name, kind) = &self.columns[column];
        if kind.encode(cell, &mut self.buffer) {
            return Ok(());
        }
        Err(ImportError::type_mismatch(at, name, &cell.to_string(), *kind))
    }

    fn end_row(&mut self, _: Place) -> Result<()> {
        if self.buffer.len() >= CHUNK { self.send() } else { Ok(()) }
    }
}
