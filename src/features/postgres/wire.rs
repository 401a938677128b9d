//! Values in Postgres' binary format, as numbers.
//!
//! Source of the formats: `src/backend/utils/adt/{int,float,numeric,timestamp,date}.c`, the `*_send`
//! functions.

/// Seconds from 1970-01-01 to 2000-01-01, where Postgres counts from.
const EPOCH: f64 = 946_684_800.0;
const DAY: f64 = 86_400.0;

/// The types that a training query may yield.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::features) enum WireType {
    Bool,
    Int2,
    Int4,
    Int8,
    Float4,
    Float8,
    Numeric,
    Text,
    /// With or without time zone; the session's zone is UTC.
    Timestamp,
    Date,
}

impl WireType {
    /// From sqlx's name of the type.
    pub(in crate::features) fn of(sql_type: &str) -> Option<Self> {
        Some(match sql_type {
            "BOOL" => Self::Bool,
            "INT2" => Self::Int2,
            "INT4" => Self::Int4,
            "INT8" => Self::Int8,
            "FLOAT4" => Self::Float4,
            "FLOAT8" => Self::Float8,
            "NUMERIC" => Self::Numeric,
            "TEXT" | "VARCHAR" | "CHAR" | "NAME" => Self::Text,
            "TIMESTAMP" | "TIMESTAMPTZ" => Self::Timestamp,
            "DATE" => Self::Date,
            _ => return None,
        })
    }

    /// The value as a number: a boolean is 0 or 1, a time the days since 1970, an infinite time NaN.
    /// `None` if the bytes are no value of the type, or for a text.
    #[inline]
    pub(in crate::features) fn number(self, bytes: &[u8]) -> Option<f64> {
        Some(match self {
            Self::Float8 => f64::from_be_bytes(bytes.try_into().ok()?),
            Self::Int4 => i32::from_be_bytes(bytes.try_into().ok()?).into(),
            Self::Float4 => f32::from_be_bytes(bytes.try_into().ok()?).into(),
            Self::Int2 => i16::from_be_bytes(bytes.try_into().ok()?).into(),
            Self::Int8 => i64::from_be_bytes(bytes.try_into().ok()?) as f64,
            Self::Bool => match bytes {
                [0] => 0.0,
                [1] => 1.0,
                _ => return None,
            },
            Self::Numeric => numeric(bytes)?,
            Self::Timestamp | Self::Date => self.seconds(bytes)? / DAY,
            Self::Text => return None,
        })
    }

    /// A time as seconds since 1970; NaN for `infinity`.
    pub(in crate::features) fn seconds(self, bytes: &[u8]) -> Option<f64> {
        match self {
            Self::Timestamp => match i64::from_be_bytes(bytes.try_into().ok()?) {
                i64::MIN | i64::MAX => Some(f64::NAN),
                micros => Some(micros as f64 / 1e6 + EPOCH),
            },
            Self::Date => match i32::from_be_bytes(bytes.try_into().ok()?) {
                i32::MIN | i32::MAX => Some(f64::NAN),
                days => Some(f64::from(days) * DAY + EPOCH),
            },
            _ => None,
        }
    }
}

/// `ndigits, weight, sign, dscale`, then digits to base 10,000: `sum d_i * 10000^(weight - i)`.
fn numeric(bytes: &[u8]) -> Option<f64> {
    let (header, digits) = bytes.split_at_checked(8)?;
    let field = |i: usize| u16::from_be_bytes([header[2 * i], header[2 * i + 1]]);
    let (count, weight, sign) = (usize::from(field(0)), field(1).cast_signed(), field(2));
    let negative = match sign {
        0x0000 => false,
        0x4000 => true,
        0xC000 => return Some(f64::NAN),
        0xD000 => return Some(f64::INFINITY),
        0xF000 => return Some(f64::NEG_INFINITY),
        _ => return None,
    };
    if digits.len() != 2 * count {
        return None;
    }
    let digits = digits.chunks_exact(2).map(|digit| u16::from_be_bytes([digit[0], digit[1]]));
    let exponent = 4 * (i32::from(weight) + 1 - i32::try_from(count).ok()?);
    let magnitude = if count <= 3 && exponent.abs() <= 22 {
        // Both operands are exact in f64, so one operation rounds correctly (Clinger, 1990).
        let whole = digits.map(f64::from).fold(0.0, |whole, digit| whole * 1e4 + digit);
        if exponent < 0 { whole / 10f64.powi(-exponent) } else { whole * 10f64.powi(exponent) }
    } else {
        let mut text = String::with_capacity(4 * count + 8);
        for digit in digits {
            if digit > 9999 {
                return None;
            }
            text.push_str(&format!("{digit:04}"));
        }
        format!("{text}e{exponent}").parse().ok()?
    };
    Some(if negative { -magnitude } else { magnitude })
}
