//! Rows of a CSV file: RFC 4180, LF or CRLF, with or without a byte order mark. The first line names the columns.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::Path,
    str,
};

use csv::{ByteRecord, ErrorKind, Position, Reader, ReaderBuilder};

use super::{
    error::{ImportError, Place, Result},
    source::{Field, Options, RowSink, STEP, open, too_long},
    value::Cell,
};

/// Bytes read at once.
const BUFFER: usize = 1 << 18;

/// Longest record, in bytes. A quote that is not closed would otherwise take the rest of the file into memory.
const MAX_RECORD: u64 = 64 << 20;

fn reader(file: &Path, options: &Options) -> Result<Reader<Bounded>> {
    let builder = &mut ReaderBuilder::new();
    let builder = builder.delimiter(options.delimiter).buffer_capacity(BUFFER);
    Ok(builder.from_reader(Bounded { file: open(file)?, read: 0, allowed: MAX_RECORD }))
}

/// A file that gives no more than [`Bounded::begin`] allows.
struct Bounded {
    file: File,
    read: u64,
    allowed: u64,
}

/// A record is longer than [`MAX_RECORD`].
#[derive(Debug, thiserror::Error)]
#[error("the record is longer than {MAX_RECORD} bytes; perhaps a quote is not closed")]
struct RecordTooLong;

impl Bounded {
    /// A record begins at the byte `at`.
    fn begin(&mut self, at: u64) {
        self.allowed = at + MAX_RECORD;
    }
}

impl Read for Bounded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.read >= self.allowed {
            return Err(io::Error::other(RecordTooLong));
        }
        let read = self.file.read(buffer)?;
        self.read += read as u64;
        Ok(read)
    }
}

pub(super) fn fields(file: &Path, options: &Options) -> Result<Vec<Field>> {
    let mut reader = reader(file, options)?;
    let header = reader.byte_headers().map_err(|error| broken(file, 0, error))?;
    let names = header.iter().map(|name| match str::from_utf8(name) {
        Ok(name) => Ok(Field { name: name.trim().to_owned(), declared: Ok(None) }),
        Err(_) => Err(ImportError::Row { at: Place::Line(1), what: "the header is not UTF-8".into() }),
    });
    names.collect()
}

pub(super) fn read(
    file: &Path,
    options: &Options,
    positions: &[usize],
    sink: &mut impl RowSink,
    progress: &(dyn Fn(f64) + Send + Sync),
) -> Result<()> {
    let mut reader = reader(file, options)?;
    let size = reader.get_ref().file.metadata().map_or(1, |file| file.len().max(1)) as f64;
    let names = fields(file, options)?;
    let nulls: Vec<&[u8]> = options.nulls.iter().map(String::as_bytes).collect();
    let mut record = ByteRecord::new();
    let mut rows: u64 = 0;
    loop {
        let start = reader.position().byte();
        reader.get_mut().begin(start);
        if !reader.read_byte_record(&mut record).map_err(|error| broken(file, start, error))? {
            break;
        }
        row(&record, &names, positions, &nulls, options.trim, sink).map_err(|error| {
            let at = record.position().map_or(0, Position::byte);
            error.moved(Place::Line(line(file, at)))
        })?;
        rows += 1;
        if rows.is_multiple_of(STEP) {
            progress(reader.position().byte() as f64 / size);
        }
    }
    progress(1.0);
    Ok(())
}

#[inline]
fn row(
    record: &ByteRecord,
    names: &[Field],
    positions: &[usize],
    nulls: &[&[u8]],
    trim: bool,
    sink: &mut impl RowSink,
) -> Result<()> {
    let at = Place::Line(record.position().map_or(0, Position::line));
    for (column, &position) in positions.iter().enumerate() {
        let mut bytes = &record[position];
        if trim {
            bytes = bytes.trim_ascii();
        }
        if let Some(what) = too_long(bytes.len()) {
            return Err(ImportError::Value { at, column: names[position].name.clone(), what });
        }
        let cell = if nulls.contains(&bytes) {
            Cell::Null
        } else {
            match str::from_utf8(bytes) {
                Ok(text) => Cell::Text(text),
                Err(_) => {
                    let column = names[position].name.clone();
                    return Err(ImportError::Value { at, column, what: "the text is not UTF-8".into() });
                }
            }
        };
        sink.cell(column, cell, at)?;
    }
    sink.end_row(at)
}

/// The line of the record that is read from the byte `at` on. The reader's own count leaves out empty lines, and the
/// second half of CRLF until the next record; so where a line is to be told, it is counted anew.
fn line(file: &Path, at: u64) -> u64 {
    let count = || -> io::Result<u64> {
        let mut reader = BufReader::with_capacity(BUFFER, File::open(file)?);
        let mut lines = 1;
        let mut before = (&mut reader).take(at);
        loop {
            let bytes = before.fill_buf()?;
            if bytes.is_empty() {
                break;
            }
            lines += bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
            let n = bytes.len();
            before.consume(n);
        }
        while let Some(byte @ (b'\r' | b'\n')) = reader.fill_buf()?.first().copied() {
            lines += u64::from(byte == b'\n');
            reader.consume(1);
        }
        Ok(lines)
    };
    count().unwrap_or(0)
}

/// Why the record that begins at the byte `start` cannot be read.
fn broken(file: &Path, start: u64, error: csv::Error) -> ImportError {
    let at = Place::Line(line(file, error.position().map_or(start, Position::byte)));
    match error.into_kind() {
        ErrorKind::Io(source) if source.get_ref().is_some_and(|inner| inner.is::<RecordTooLong>()) => {
            ImportError::Row { at, what: source.to_string() }
        }
        ErrorKind::Io(source) => ImportError::Io { file: file.to_path_buf(), source },
        ErrorKind::UnequalLengths { expected_len, len, .. } => {
            ImportError::Row { at, what: format!("{len} fields, but the header has {expected_len}") }
        }
        other => ImportError::Row { at, what: format!("cannot be read: {other:?}") },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes down what it is told.
    #[derive(Default)]
    struct Log(Vec<String>);

    impl RowSink for Log {
        fn cell(&mut self, column: usize, cell: Cell<'_>, _: Place) -> Result<()> {
            self.0.push(format!("{column} {cell:?}"));
            Ok(())
        }

        fn end_row(&mut self, _: Place) -> Result<()> {
            Ok(())
        }
    }

    fn rows(text: &[u8], options: &Options) -> (Vec<String>, Result<Vec<String>>) {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), text).expect("written");
        let fields = fields(file.path(), options).expect("a header");
        let positions: Vec<usize> = (0..fields.len()).collect();
        let mut log = Log::default();
        let read = read(file.path(), options, &positions, &mut log, &|_| ());
        (fields.into_iter().map(|field| field.name).collect(), read.map(|()| log.0))
    }

    #[test]
    fn quotes_line_ends_and_the_byte_order_mark() {
        let text = "\u{feff}a,\"b \"\"x\"\"\"\r\n1,\"two\nlines, really\"\r\n\r\nNA, y \r\n".as_bytes();
        let (names, read) = rows(text, &Options::default());
        assert_eq!(names, ["a", "b \"x\""]);
        assert_eq!(
            read.expect("read"),
            ["0 Text(\"1\")", "1 Text(\"two\\nlines, really\")", "0 Null", "1 Text(\" y \")"]
        );
        let own = Options { nulls: vec!["-".into()], trim: true, delimiter: b';', ..Options::default() };
        let (_, read) = rows(b"a;b\n NA ; - \n", &own);
        assert_eq!(read.expect("read"), ["0 Text(\"NA\")", "1 Null"]);
    }

    #[test]
    fn a_bad_row_is_named() {
        let options = Options::default();
        let message = |text: &[u8]| rows(text, &options).1.expect_err("refused").to_string();
        assert_eq!(message(b"a,b\n1,2\n3\n"), "line 3: 1 fields, but the header has 2; nothing was imported");
        assert_eq!(message(b"a,b\n1,2,3\n"), "line 2: 3 fields, but the header has 2; nothing was imported");
        assert_eq!(
            message(b"a,b\n\"x\ny\",2\n1,\xff\n"),
            "line 4, column b: the text is not UTF-8; nothing was imported"
        );
        assert!(message(b"a,b\r\n1,2\r\n\r\n3\r\n").starts_with("line 4: 1 fields"));
        assert!(message(b"a,b\r\n1,2\r\n\r\n\r\n1,\xff").starts_with("line 5, column b"));
    }

    /// Writes `text` and `zeros` bytes after it, which take no room on the disk.
    fn padded(text: &[u8], zeros: u64, end: &[u8]) -> Result<()> {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), text).expect("written");
        let mut tail = std::fs::OpenOptions::new().append(true).open(file.path()).expect("opened");
        tail.set_len(text.len() as u64 + zeros).expect("grown");
        io::Write::write_all(&mut tail, end).expect("written");
        read(file.path(), &Options::default(), &[0, 1], &mut Log::default(), &|_| ())
    }

    #[test]
    fn an_open_quote_does_not_swallow_the_file() {
        let error =
            padded(b"a,b\n1,2\n3,\"4\n", MAX_RECORD + (1 << 20), b"").expect_err("refused").to_string();
        assert!(error.starts_with("line 3: the record is longer than 67108864 bytes"), "{error}");
        let error = padded(b"a,b\n1,2\n3,\"4\n", 17 << 20, b"\"\n").expect_err("refused").to_string();
        assert!(error.starts_with("line 3, column b: a value of 178"), "{error}");
    }
}
