//! Rows of a Parquet file, without Arrow: columns of a row group are read side by side, some thousand rows at a time.
//!
//! Source of the types: "LogicalTypes.md" of the Parquet format.

use std::path::Path;

use parquet::{
    basic::{ConvertedType, LogicalType, TimeUnit, Type as Physical},
    column::reader::ColumnReader,
    data_type::{ByteArray, FixedLenByteArray, Int96},
    errors::ParquetError,
    file::reader::{FileReader, SerializedFileReader},
    schema::types::ColumnDescriptor,
};

use super::{
    error::{ImportError, Place, Result},
    source::{Field, RowSink, STEP, open, too_long},
    value::{Cell, ColumnType},
};

/// Most bytes of a row group that are unpacked: its columns are in memory side by side.
const MAX_GROUP: u64 = 2 << 30;

/// What a column's physical values stand for.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Meaning {
    Boolean,
    Integer,
    Unsigned,
    Double,
    Date,
    /// Units of a second, as a power of ten: 3, 6 or 9.
    Timestamp(u32),
    /// An integer to be divided by this power of ten.
    Decimal(u32),
    Text,
    Uuid,
}

fn reader(file: &Path) -> Result<SerializedFileReader<std::fs::File>> {
    SerializedFileReader::new(open(file)?).map_err(|error| broken(file, &error))
}

fn broken(file: &Path, error: &ParquetError) -> ImportError {
    ImportError::File(format!("{}: {error}", file.display()))
}

pub(super) fn fields(file: &Path) -> Result<Vec<Field>> {
    let reader = reader(file)?;
    let columns = reader.metadata().file_metadata().schema_descr().columns().iter();
    let fields = columns.map(|column| Field {
        // Of a nested column the outermost name, by which it is left out as a whole.
        name: column.path().parts().first().cloned().unwrap_or_default(),
        declared: meaning(column).map(|meaning| Some(meaning.kind())),
    });
    Ok(fields.collect())
}

impl Meaning {
    fn kind(self) -> ColumnType {
        match self {
            Self::Boolean => ColumnType::Boolean,
            Self::Integer | Self::Unsigned => ColumnType::BigInt,
            Self::Double | Self::Decimal(_) => ColumnType::Double,
            Self::Date => ColumnType::Date,
            Self::Timestamp(_) => ColumnType::Timestamp,
            Self::Text | Self::Uuid => ColumnType::Text,
        }
    }
}

fn meaning(column: &ColumnDescriptor) -> Result<Meaning, String> {
    if column.max_rep_level() > 0 || column.path().parts().len() > 1 {
        return Err("is a list, a map or a struct".into());
    }
    let scale = u32::try_from(column.type_scale()).unwrap_or(0);
    let unsigned = matches!(
        column.converted_type(),
        ConvertedType::UINT_8 | ConvertedType::UINT_16 | ConvertedType::UINT_32 | ConvertedType::UINT_64
    );
    let decimal = column.converted_type() == ConvertedType::DECIMAL;
    match (column.physical_type(), column.logical_type_ref()) {
        (Physical::BOOLEAN, None) => Ok(Meaning::Boolean),
        (Physical::INT32 | Physical::INT64, Some(LogicalType::Integer(integer))) => {
            Ok(if integer.is_signed { Meaning::Integer } else { Meaning::Unsigned })
        }
        (Physical::INT32, Some(LogicalType::Date)) => Ok(Meaning::Date),
        (Physical::INT64, Some(LogicalType::Timestamp(timestamp))) => match timestamp.unit {
            TimeUnit::MILLIS => Ok(Meaning::Timestamp(3)),
            TimeUnit::MICROS => Ok(Meaning::Timestamp(6)),
            TimeUnit::NANOS => Ok(Meaning::Timestamp(9)),
        },
        (
            Physical::INT32 | Physical::INT64 | Physical::BYTE_ARRAY | Physical::FIXED_LEN_BYTE_ARRAY,
            Some(LogicalType::Decimal(decimal)),
        ) => Ok(Meaning::Decimal(u32::try_from(decimal.scale).unwrap_or(0))),
        (Physical::BYTE_ARRAY, Some(LogicalType::String | LogicalType::Enum | LogicalType::Json)) => {
            Ok(Meaning::Text)
        }
        (Physical::FIXED_LEN_BYTE_ARRAY, Some(LogicalType::Uuid)) => Ok(Meaning::Uuid),
        (_, Some(LogicalType::Unknown)) => Ok(Meaning::Text),
        (_, Some(other)) => Err(format!("has the type {other:?}")),
        // Old files know converted types only.
        (_, None) if decimal => Ok(Meaning::Decimal(scale)),
        (Physical::INT32 | Physical::INT64, None) => match column.converted_type() {
            ConvertedType::DATE => Ok(Meaning::Date),
            ConvertedType::TIMESTAMP_MILLIS => Ok(Meaning::Timestamp(3)),
            ConvertedType::TIMESTAMP_MICROS => Ok(Meaning::Timestamp(6)),
            ConvertedType::TIME_MILLIS | ConvertedType::TIME_MICROS => Err("is a time of day".into()),
            _ if unsigned => Ok(Meaning::Unsigned),
            _ => Ok(Meaning::Integer),
        },
        (Physical::INT96, None) => Ok(Meaning::Timestamp(6)),
        (Physical::FLOAT | Physical::DOUBLE, None) => Ok(Meaning::Double),
        // Bytes that name no type are text if they are UTF-8; see `Column::cell`.
        (Physical::BYTE_ARRAY, None) => Ok(Meaning::Text),
        (Physical::FIXED_LEN_BYTE_ARRAY, None) => Err("is bytes of a fixed length".into()),
    }
}

pub(super) fn read(
    file: &Path,
    positions: &[usize],
    sink: &mut impl RowSink,
    progress: &(dyn Fn(f64) + Send + Sync),
) -> Result<()> {
    let reader = reader(file)?;
    let schema = reader.metadata().file_metadata().schema_descr_ptr();
    let total = reader.metadata().file_metadata().num_rows().max(1) as f64;
    for (number, group) in reader.metadata().row_groups().iter().enumerate() {
        let sizes = positions.iter().map(|&position| group.column(position).uncompressed_size());
        // A negative size is a lie, and any size then.
        let sizes = sizes.map(|size| u64::try_from(size).unwrap_or(u64::MAX));
        check_group(number + 1, sizes.fold(0, u64::saturating_add))?;
    }
    let mut row = 0;
    for group in 0..reader.num_row_groups() {
        let group = reader.get_row_group(group).map_err(|error| broken(file, &error))?;
        let columns = positions.iter().map(|&position| {
            let descriptor = schema.column(position);
            let meaning = meaning(&descriptor).map_err(ImportError::File)?;
            let reader = group.get_column_reader(position).map_err(|error| broken(file, &error))?;
            let name = descriptor.name().to_owned();
            Ok(Column::new(name, meaning, descriptor.max_def_level() > 0, reader))
        });
        let mut columns = columns.collect::<Result<Vec<_>>>()?;
        let mut left = u64::try_from(group.metadata().num_rows()).unwrap_or(0);
        while left > 0 {
            let batch = left.min(STEP) as usize;
            for column in &mut columns {
                column.fill(batch).map_err(|error| broken(file, &error))?;
            }
            for i in 0..batch {
                row += 1;
                let at = Place::Row(row);
                for (number, column) in columns.iter_mut().enumerate() {
                    sink.cell(number, column.cell(i, at)?, at)?;
                }
                sink.end_row(at)?;
            }
            left -= batch as u64;
            progress(row as f64 / total);
        }
    }
    progress(1.0);
    Ok(())
}

fn check_group(number: usize, bytes: u64) -> Result<()> {
    if bytes <= MAX_GROUP {
        return Ok(());
    }
    Err(ImportError::File(format!(
        "row group {number} holds {bytes} bytes; at most {MAX_GROUP} are read: write the file with smaller row groups"
    )))
}

/// A column of a row group, and the part of it that is in memory.
struct Column {
    name: String,
    meaning: Meaning,
    reader: ColumnReader,
    optional: bool,
    /// Of each row: 1 if it has a value.
    levels: Vec<i16>,
    values: Values,
    /// The values that have been handed out.
    next: usize,
    /// A value that had to be written as text.
    text: String,
}

enum Values {
    Boolean(Vec<bool>),
    Int32(Vec<i32>),
    Int64(Vec<i64>),
    Int96(Vec<Int96>),
    Float(Vec<f32>),
    Double(Vec<f64>),
    Bytes(Vec<ByteArray>),
    Fixed(Vec<FixedLenByteArray>),
}

impl Column {
    fn new(name: String, meaning: Meaning, optional: bool, reader: ColumnReader) -> Self {
        let values = match &reader {
            ColumnReader::BoolColumnReader(_) => Values::Boolean(vec![]),
            ColumnReader::Int32ColumnReader(_) => Values::Int32(vec![]),
            ColumnReader::Int64ColumnReader(_) => Values::Int64(vec![]),
            ColumnReader::Int96ColumnReader(_) => Values::Int96(vec![]),
            ColumnReader::FloatColumnReader(_) => Values::Float(vec![]),
            ColumnReader::DoubleColumnReader(_) => Values::Double(vec![]),
            ColumnReader::ByteArrayColumnReader(_) => Values::Bytes(vec![]),
            ColumnReader::FixedLenByteArrayColumnReader(_) => Values::Fixed(vec![]),
        };
        Self { name, meaning, reader, optional, levels: vec![], values, next: 0, text: String::new() }
    }

    /// Reads the next `rows` rows in place of those that are here.
    fn fill(&mut self, rows: usize) -> Result<(), ParquetError> {
        macro_rules! fill {
            ($reader:expr, $values:expr) => {{
                $values.clear();
                $reader.read_records(rows, self.optional.then_some(&mut self.levels), None, $values)?.0
            }};
        }
        self.levels.clear();
        self.next = 0;
        let read = match (&mut self.reader, &mut self.values) {
            (ColumnReader::BoolColumnReader(reader), Values::Boolean(values)) => fill!(reader, values),
            (ColumnReader::Int32ColumnReader(reader), Values::Int32(values)) => fill!(reader, values),
            (ColumnReader::Int64ColumnReader(reader), Values::Int64(values)) => fill!(reader, values),
            (ColumnReader::Int96ColumnReader(reader), Values::Int96(values)) => fill!(reader, values),
            (ColumnReader::FloatColumnReader(reader), Values::Float(values)) => fill!(reader, values),
            (ColumnReader::DoubleColumnReader(reader), Values::Double(values)) => fill!(reader, values),
            (ColumnReader::ByteArrayColumnReader(reader), Values::Bytes(values)) => fill!(reader, values),
            (ColumnReader::FixedLenByteArrayColumnReader(reader), Values::Fixed(values)) => {
                fill!(reader, values)
            }
            _ => unreachable!("new() makes the values by the reader"),
        };
        if read == rows {
            return Ok(());
        }
        Err(ParquetError::General(format!("column {} has {read} rows where {rows} should be", self.name)))
    }

    /// The cell of the row `i` of those that are in memory; rows are asked for in order.
    fn cell(&mut self, i: usize, at: Place) -> Result<Cell<'_>> {
        if self.optional && self.levels.get(i) != Some(&1) {
            return Ok(Cell::Null);
        }
        let next = self.next;
        self.next += 1;
        let wrong =
            |what: &str| Err(ImportError::Value { at, column: self.name.clone(), what: what.to_owned() });
        let integer = match &self.values {
            Values::Boolean(values) => return Ok(Cell::Boolean(values[next])),
            // pandas writes a missing number as NaN.
            Values::Float(values) => return Ok(double(values[next].into())),
            Values::Double(values) => return Ok(double(values[next])),
            Values::Int96(values) => return Ok(Cell::Timestamp(values[next].to_micros())),
            Values::Bytes(values) if self.meaning == Meaning::Text => {
                if let Some(what) = too_long(values[next].len()) {
                    return wrong(&what);
                }
                return match std::str::from_utf8(values[next].data()) {
                    Ok(text) => Ok(Cell::Text(text)),
                    Err(_) => wrong("the bytes are no text"),
                };
            }
            Values::Fixed(values) if self.meaning == Meaning::Uuid => {
                let Ok(uuid) = uuid::Uuid::from_slice(values[next].data()) else {
                    return wrong("the bytes are no UUID");
                };
                self.text = uuid.to_string();
                return Ok(Cell::Text(&self.text));
            }
            Values::Int32(values) if self.meaning == Meaning::Unsigned => {
                i128::from(values[next].cast_unsigned())
            }
            Values::Int64(values) if self.meaning == Meaning::Unsigned => {
                i128::from(values[next].cast_unsigned())
            }
            Values::Int32(values) => values[next].into(),
            Values::Int64(values) => values[next].into(),
            Values::Bytes(values) => match big_endian(values[next].data()) {
                Some(value) => value,
                None => return wrong("a decimal of more than 128 bits"),
            },
            Values::Fixed(values) => match big_endian(values[next].data()) {
                Some(value) => value,
                None => return wrong("a decimal of more than 128 bits"),
            },
        };
        let narrow = i64::try_from(integer);
        match (self.meaning, narrow) {
            (Meaning::Decimal(scale), _) => Ok(Cell::Double(decimal(integer, scale))),
            (Meaning::Date, Ok(days)) => Ok(Cell::Date(i32::try_from(days).unwrap_or(i32::MAX))),
            (Meaning::Timestamp(3), Ok(millis)) => match millis.checked_mul(1_000) {
                Some(micros) => Ok(Cell::Timestamp(micros)),
                None => wrong("a time beyond the range of timestamptz"),
            },
            (Meaning::Timestamp(9), Ok(nanos)) => Ok(Cell::Timestamp(nanos.div_euclid(1_000))),
            (Meaning::Timestamp(_), Ok(micros)) => Ok(Cell::Timestamp(micros)),
            (_, Ok(value)) => Ok(Cell::Integer(value)),
            (_, Err(_)) => wrong("a whole number beyond the range of bigint"),
        }
    }
}

fn double(value: f64) -> Cell<'static> {
    if value.is_nan() { Cell::Null } else { Cell::Double(value) }
}

/// The signed integer of up to 128 bits.
fn big_endian(bytes: &[u8]) -> Option<i128> {
    let negative = bytes.first().is_some_and(|byte| byte & 0x80 != 0);
    let mut wide = [if negative { 0xff } else { 0 }; 16];
    let start = 16_usize.checked_sub(bytes.len())?;
    wide[start..].copy_from_slice(bytes);
    Some(i128::from_be_bytes(wide))
}

/// `unscaled / 10^scale`, correctly rounded.
fn decimal(unscaled: i128, scale: u32) -> f64 {
    if unscaled.unsigned_abs() <= 1 << 53 && scale <= 22 {
        // Both operands are exact, so one operation rounds correctly (Clinger, 1990).
        return unscaled as f64 / 10_f64.powi(scale as i32);
    }
    format!("{unscaled}e-{scale}").parse().expect("digits, e, digits")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_rounded_once() {
        for (unscaled, scale, value) in [
            (12_345, 2, 123.45),
            (-1, 3, -0.001),
            (0, 38, 0.0),
            (123_456_789_012_345_678_901, 10, 12_345_678_901.234_567),
        ] {
            assert_eq!(decimal(unscaled, scale), value);
        }
    }

    #[test]
    fn a_row_group_fits_into_memory() {
        assert!(check_group(1, MAX_GROUP).is_ok());
        let error = check_group(3, u64::MAX).expect_err("refused").to_string();
        assert!(error.starts_with("row group 3 holds 18446744073709551615 bytes"), "{error}");
    }

    #[test]
    fn bytes_are_a_signed_integer() {
        assert_eq!(big_endian(&[0x30, 0x39]), Some(12_345));
        assert_eq!(big_endian(&[0xff]), Some(-1));
        assert_eq!(big_endian(&[0; 17]), None);
        assert_eq!(big_endian(&[]), Some(0));
    }
}
