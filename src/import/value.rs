//! Types of columns, and values on their way from a file into Postgres' binary format.
//!
//! Source of the format: the `*_recv` functions of `src/backend/utils/adt/{bool,int,float,date,timestamp,varchar}.c`.

use std::{fmt, str::FromStr};

use chrono::{DateTime, NaiveDate, NaiveDateTime};

/// Days from 1970-01-01 to 2000-01-01, where Postgres counts from.
const EPOCH_DAYS: i32 = 10_957;
const DAY_MICROS: i64 = 86_400_000_000;
/// What Postgres takes as a date and as a timestamp, from its own epoch (`datatype/timestamp.h`).
const DATES: std::ops::Range<i32> = -2_451_545..2_145_031_949;
const TIMESTAMPS: std::ops::Range<i64> = -211_813_488_000_000_000..9_223_371_331_200_000_000;
/// Integers up to here are exact in a double.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// Type of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ColumnType {
    /// True or false.
    Boolean,
    /// A whole number of 32 bits; never inferred.
    Integer,
    /// A whole number of 64 bits.
    BigInt,
    /// A number.
    Double,
    /// A day.
    Date,
    /// A point in time; without a zone it is UTC.
    Timestamp,
    /// Anything.
    Text,
}

impl ColumnType {
    /// Its name in SQL, as `format_type()` writes it.
    #[must_use]
    pub fn sql(self) -> &'static str {
        match self {
            Self::Boolean => "boolean",
            Self::Integer => "integer",
            Self::BigInt => "bigint",
            Self::Double => "double precision",
            Self::Date => "date",
            Self::Timestamp => "timestamp with time zone",
            Self::Text => "text",
        }
    }
}

impl fmt::Display for ColumnType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(if *self == Self::Timestamp { "timestamptz" } else { self.sql() })
    }
}

impl FromStr for ColumnType {
    type Err = String;

    /// SQL's names and their usual short forms.
    fn from_str(text: &str) -> Result<Self, String> {
        Ok(match text.trim().to_ascii_lowercase().as_str() {
            "boolean" | "bool" => Self::Boolean,
            "integer" | "int" | "int4" => Self::Integer,
            "bigint" | "int8" => Self::BigInt,
            "double precision" | "double" | "float8" | "float" => Self::Double,
            "date" => Self::Date,
            "timestamptz" | "timestamp with time zone" | "timestamp" => Self::Timestamp,
            "text" | "varchar" | "string" => Self::Text,
            other => {
                return Err(format!(
                    "'{other}' is no type; there are boolean, integer, bigint, double precision, date, timestamptz, text"
                ));
            }
        })
    }
}

/// A value as the file has it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Cell<'a> {
    Null,
    Boolean(bool),
    Integer(i64),
    Double(f64),
    /// Days since 1970.
    Date(i32),
    /// Microseconds since 1970.
    Timestamp(i64),
    Text(&'a str),
}

impl fmt::Display for Cell<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => Ok(()),
            Self::Boolean(value) => value.fmt(f),
            Self::Integer(value) => value.fmt(f),
            Self::Double(value) => value.fmt(f),
            Self::Date(days) => match NaiveDate::from_epoch_days(*days) {
                Some(date) => date.fmt(f),
                None => write!(f, "day {days}"),
            },
            Self::Timestamp(micros) => match DateTime::from_timestamp_micros(*micros) {
                Some(time) => f.write_str(&time.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true)),
                None => write!(f, "microsecond {micros}"),
            },
            Self::Text(text) => f.write_str(text),
        }
    }
}

impl ColumnType {
    /// Appends the cell as a field of a binary COPY: its length, then its bytes. False, and nothing appended, if it is no
    /// value of this type.
    pub(super) fn encode(self, cell: Cell<'_>, out: &mut Vec<u8>) -> bool {
        let done = match self {
            _ if cell == Cell::Null => {
                out.extend_from_slice(&(-1_i32).to_be_bytes());
                Some(())
            }
            Self::Boolean => cell.boolean().map(|value| field(out, [u8::from(value)])),
            Self::Integer => {
                let value = cell.integer().and_then(|value| i32::try_from(value).ok());
                value.map(|value| field(out, value.to_be_bytes()))
            }
            Self::BigInt => cell.integer().map(|value| field(out, value.to_be_bytes())),
            Self::Double => cell.double().map(|value| field(out, value.to_be_bytes())),
            Self::Date => {
                let days = cell.days().and_then(|days| days.checked_sub(EPOCH_DAYS));
                days.filter(|days| DATES.contains(days)).map(|days| field(out, days.to_be_bytes()))
            }
            Self::Timestamp => {
                let micros =
                    cell.micros().and_then(|micros| micros.checked_sub(i64::from(EPOCH_DAYS) * DAY_MICROS));
                let micros = micros.filter(|micros| TIMESTAMPS.contains(micros));
                micros.map(|micros| field(out, micros.to_be_bytes()))
            }
            Self::Text => text(cell, out),
        };
        done.is_some()
    }
}

fn field<const N: usize>(out: &mut Vec<u8>, bytes: [u8; N]) {
    out.extend_from_slice(&(N as i32).to_be_bytes());
    out.extend_from_slice(&bytes);
}

/// Postgres holds no U+0000, and one field of less than 1 GiB.
fn text(cell: Cell<'_>, out: &mut Vec<u8>) -> Option<()> {
    let owned;
    let text = match cell {
        Cell::Text(text) => text,
        other => {
            owned = other.to_string();
            &owned
        }
    };
    let length = i32::try_from(text.len()).ok().filter(|length| *length < 1 << 29)?;
    if text.contains('\0') {
        return None;
    }
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(text.as_bytes());
    Some(())
}

impl Cell<'_> {
    fn boolean(self) -> Option<bool> {
        match self {
            Self::Boolean(value) => Some(value),
            Self::Integer(0) => Some(false),
            Self::Integer(1) => Some(true),
            Self::Text(text) => match text.trim().to_ascii_lowercase().as_str() {
                "true" | "t" | "yes" | "y" | "1" => Some(true),
                "false" | "f" | "no" | "n" | "0" => Some(false),
                _ => None,
            },
            _ => None,
        }
    }

    /// pandas writes whole numbers as `3.0` where one of them is missing.
    fn integer(self) -> Option<i64> {
        let whole = |value: f64| (value.fract() == 0.0 && value.abs() <= EXACT).then_some(value as i64);
        match self {
            Self::Boolean(value) => Some(value.into()),
            Self::Integer(value) => Some(value),
            Self::Double(value) => whole(value),
            Self::Text(text) => {
                let text = text.trim();
                text.parse().ok().or_else(|| text.parse().ok().and_then(whole))
            }
            _ => None,
        }
    }

    fn double(self) -> Option<f64> {
        match self {
            Self::Boolean(value) => Some(value.into()),
            Self::Integer(value) => Some(value as f64),
            Self::Double(value) => Some(value),
            Self::Text(text) => text.trim().parse().ok(),
            _ => None,
        }
    }

    fn days(self) -> Option<i32> {
        match self {
            Self::Date(days) => Some(days),
            Self::Text(text) => parse_date(text.trim()),
            _ => None,
        }
    }

    fn micros(self) -> Option<i64> {
        match self {
            Self::Timestamp(micros) => Some(micros),
            Self::Date(days) => i64::from(days).checked_mul(DAY_MICROS),
            Self::Text(text) => parse_timestamp(text.trim()),
            _ => None,
        }
    }
}

/// Days since 1970 of `2024-01-31`.
pub(super) fn parse_date(text: &str) -> Option<i32> {
    let bytes = text.as_bytes();
    if bytes.len() != 10 || bytes[4] != b'-' || bytes[7] != b'-' || !bytes[0].is_ascii_digit() {
        return None;
    }
    NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().map(|date| date.to_epoch_days())
}

/// Microseconds since 1970 of ISO 8601 with `T` or a blank, with or without seconds, fraction and zone; of a date its
/// midnight.
pub(super) fn parse_timestamp(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    if bytes.len() < 16 || bytes[4] != b'-' || !bytes[0].is_ascii_digit() {
        return parse_date(text).map(|days| i64::from(days) * DAY_MICROS);
    }
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Some(time.timestamp_micros());
    }
    let text = text.replacen('T', " ", 1);
    ["%Y-%m-%d %H:%M:%S%.f%#z", "%Y-%m-%d %H:%M%#z"]
        .iter()
        .find_map(|format| Some(DateTime::parse_from_str(&text, format).ok()?.timestamp_micros()))
        .or_else(|| {
            ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M"].iter().find_map(|format| {
                Some(NaiveDateTime::parse_from_str(&text, format).ok()?.and_utc().timestamp_micros())
            })
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(kind: ColumnType, cell: Cell<'_>) -> Option<Vec<u8>> {
        let mut out = vec![];
        let fits = kind.encode(cell, &mut out);
        assert_eq!(fits, !out.is_empty(), "{kind}: {cell:?}");
        fits.then_some(out)
    }

    #[test]
    fn values_of_each_type_and_what_is_none() {
        use ColumnType::*;
        let eight = |bytes: [u8; 8]| [&8_i32.to_be_bytes()[..], &bytes].concat();
        for (kind, text, expected) in [
            (Boolean, "TRUE", Some([&1_i32.to_be_bytes()[..], &[1]].concat())),
            (Boolean, "2", None),
            (Integer, "-3", Some([4_i32.to_be_bytes(), (-3_i32).to_be_bytes()].concat())),
            (Integer, "3000000000", None),
            (BigInt, "3000000000", Some(eight(3_000_000_000_i64.to_be_bytes()))),
            (BigInt, "7.0", Some(eight(7_i64.to_be_bytes()))),
            (BigInt, "7.5", None),
            (BigInt, "", None),
            (Double, " 1e3 ", Some(eight(1000_f64.to_be_bytes()))),
            (Double, "1,5", None),
            (Date, "2000-01-02", Some([4_i32.to_be_bytes(), 1_i32.to_be_bytes()].concat())),
            (Date, "2023-02-29", None),
            (Timestamp, "2000-01-01T00:00:00Z", Some(eight(0_i64.to_be_bytes()))),
            (Timestamp, "2000-01-01 02:00:00.5+02", Some(eight(500_000_i64.to_be_bytes()))),
            (Timestamp, "2000-01-01 00:01", Some(eight(60_000_000_i64.to_be_bytes()))),
            (Timestamp, "2000-01-02", Some(eight(DAY_MICROS.to_be_bytes()))),
            (Timestamp, "yesterday", None),
            (Text, "né", Some([&3_i32.to_be_bytes()[..], "né".as_bytes()].concat())),
            (Text, "a\0b", None),
        ] {
            assert_eq!(encoded(kind, Cell::Text(text)), expected, "{kind}: {text:?}");
        }
        for kind in [Boolean, Integer, BigInt, Double, Date, Timestamp, Text] {
            assert_eq!(encoded(kind, Cell::Null), Some(vec![0xff; 4]));
        }
    }

    #[test]
    fn typed_values_become_other_types_only_without_loss() {
        use ColumnType::*;
        assert!(encoded(Double, Cell::Integer(7)).is_some());
        assert_eq!(encoded(BigInt, Cell::Double(2.5)), None);
        assert_eq!(encoded(Text, Cell::Date(0)), encoded(Text, Cell::Text("1970-01-01")));
        assert_eq!(encoded(Timestamp, Cell::Date(EPOCH_DAYS)), encoded(Timestamp, Cell::Text("2000-01-01")));
        assert_eq!(encoded(Timestamp, Cell::Timestamp(i64::MIN)), None);
        assert_eq!(encoded(Date, Cell::Date(i32::MAX)), None);
        assert_eq!(encoded(Double, Cell::Timestamp(0)), None);
    }

    #[test]
    fn types_have_sqls_names() {
        for kind in [
            ColumnType::Boolean,
            ColumnType::Integer,
            ColumnType::BigInt,
            ColumnType::Double,
            ColumnType::Date,
            ColumnType::Timestamp,
            ColumnType::Text,
        ] {
            assert_eq!(kind.sql().parse(), Ok(kind));
            assert_eq!(kind.to_string().parse(), Ok(kind));
        }
        assert!("numeric".parse::<ColumnType>().is_err());
    }
}
