//! The framing of `COPY ... (FORMAT binary)`: header, tuples, trailer.
//!
//! Source: PostgreSQL's documentation, "COPY", section "Binary Format".

use super::columns::Columns;
use crate::{Error, Result};

const SIGNATURE: &[u8; 11] = b"PGCOPY\n\xff\r\n\0";
/// Signature, flags, length of the header's extension.
const HEADER: usize = 19;
/// Flags that a reader must know; none is known.
const CRITICAL_FLAGS: u32 = 0xffff_0000;

/// Reads the stream in whatever pieces it comes. Postgres sends a tuple a message, so that nothing is
/// copied as a rule; the protocol does not promise it.
#[derive(Debug, Default)]
pub(in crate::features) struct CopyDecoder {
    state: State,
    /// What came of a piece that is not complete yet.
    pending: Vec<u8>,
}

#[derive(Debug, Default, PartialEq, Eq, Clone, Copy)]
enum State {
    #[default]
    Header,
    Tuples,
    Ended,
}

/// How far one step came.
enum Step {
    /// It took that many bytes.
    Took(usize),
    /// The bytes end in the middle of a piece.
    Incomplete,
}

impl CopyDecoder {
    /// Takes the next bytes and appends the tuples that they complete.
    pub(in crate::features) fn push(&mut self, bytes: &[u8], columns: &mut Columns) -> Result<()> {
        if self.pending.is_empty() {
            let taken = self.consume(bytes, columns)?;
            self.pending.extend_from_slice(&bytes[taken..]);
            return Ok(());
        }
        let mut pending = std::mem::take(&mut self.pending);
        pending.extend_from_slice(bytes);
        let taken = self.consume(&pending, columns)?;
        pending.drain(..taken);
        self.pending = pending;
        Ok(())
    }

    /// Checks that the stream came to its end.
    pub(in crate::features) fn finish(&self) -> Result<()> {
        if self.state == State::Ended { Ok(()) } else { Err(malformed("the stream broke off")) }
    }

    fn consume(&mut self, bytes: &[u8], columns: &mut Columns) -> Result<usize> {
        let mut taken = 0;
        while taken < bytes.len() {
            let rest = &bytes[taken..];
            let step = match self.state {
                State::Header => self.header(rest)?,
                State::Tuples => self.tuple(rest, columns)?,
                State::Ended => return Err(malformed("bytes after the end")),
            };
            match step {
                Step::Took(length) => taken += length,
                Step::Incomplete => break,
            }
        }
        Ok(taken)
    }

    fn header(&mut self, bytes: &[u8]) -> Result<Step> {
        let known = bytes.len().min(SIGNATURE.len());
        if bytes[..known] != SIGNATURE[..known] {
            return Err(malformed("no signature"));
        }
        let (Some(flags), Some(extension)) = (be_u32(bytes, 11), be_u32(bytes, 15)) else {
            return Ok(Step::Incomplete);
        };
        if flags & CRITICAL_FLAGS != 0 || extension > i32::MAX as u32 {
            return Err(malformed("unknown flags"));
        }
        let length = HEADER + extension as usize;
        if bytes.len() < length {
            return Ok(Step::Incomplete);
        }
        self.state = State::Tuples;
        Ok(Step::Took(length))
    }

    #[inline]
    fn tuple(&mut self, bytes: &[u8], columns: &mut Columns) -> Result<Step> {
        let Some(count) = bytes.first_chunk() else { return Ok(Step::Incomplete) };
        match i16::from_be_bytes(*count) {
            -1 => {
                self.state = State::Ended;
                return Ok(Step::Took(2));
            }
            count if usize::try_from(count) == Ok(columns.len()) => {}
            _ => return Err(malformed("a tuple of another width")),
        }
        // A row goes in whole: see first whether all of it is there.
        let mut end = 2;
        for _ in 0..columns.len() {
            let Some(length) = be_u32(bytes, end) else { return Ok(Step::Incomplete) };
            end += 4;
            match length.cast_signed() {
                -1 => {}
                length if length >= 0 => end += length.unsigned_abs() as usize,
                _ => return Err(malformed("a negative length")),
            }
        }
        if bytes.len() < end {
            return Ok(Step::Incomplete);
        }
        columns.push_row(Fields { bytes: &bytes[2..end] })?;
        Ok(Step::Took(end))
    }
}

/// The fields of one complete tuple.
struct Fields<'a> {
    bytes: &'a [u8],
}

impl<'a> Iterator for Fields<'a> {
    type Item = Option<&'a [u8]>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let (length, rest) = self.bytes.split_first_chunk()?;
        let Ok(length) = usize::try_from(i32::from_be_bytes(*length)) else {
            self.bytes = rest;
            return Some(None);
        };
        let (field, rest) = rest.split_at_checked(length)?;
        self.bytes = rest;
        Some(Some(field))
    }
}

#[inline]
fn be_u32(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|four| u32::from_be_bytes(*four))
}

#[cold]
fn malformed(what: &str) -> Error {
    Error::internal(format!("COPY stream: {what}"))
}

#[cfg(test)]
mod tests;
