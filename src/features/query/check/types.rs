//! The types that a query may cast to.

use sqlparser::{
    ast::{CharacterLength, DataType, DateTimeField, ExactNumberInfo, TimezoneInfo},
    tokenizer::Span,
};

use super::super::Refusal;

/// The type in Postgres' words.
pub(super) fn type_name(data_type: &DataType, span: Span) -> Result<String, Refusal> {
    let refused = || {
        let message = format!("The type {data_type} is not allowed");
        Refusal::at("query_type", message, span)
    };
    Ok(match data_type {
        DataType::SmallInt(None) | DataType::Int2(None) => "pg_catalog.int2".into(),
        DataType::Int(None) | DataType::Integer(None) | DataType::Int4(None) => "pg_catalog.int4".into(),
        DataType::BigInt(None) | DataType::Int8(None) => "pg_catalog.int8".into(),
        DataType::Real | DataType::Float4 => "pg_catalog.float4".into(),
        DataType::Float8 | DataType::DoublePrecision => "pg_catalog.float8".into(),
        DataType::Float(ExactNumberInfo::None) | DataType::Double(ExactNumberInfo::None) => {
            "pg_catalog.float8".into()
        }
        DataType::Numeric(info) | DataType::Decimal(info) | DataType::Dec(info) => match *info {
            ExactNumberInfo::None => "pg_catalog.numeric".into(),
            ExactNumberInfo::Precision(precision @ 1..=100) => format!("pg_catalog.numeric({precision})"),
            ExactNumberInfo::PrecisionAndScale(precision @ 1..=100, scale @ 0..=100) => {
                format!("pg_catalog.numeric({precision},{scale})")
            }
            _ => return Err(refused()),
        },
        DataType::Text => "pg_catalog.text".into(),
        DataType::Varchar(length) | DataType::CharacterVarying(length) => match length {
            None => "pg_catalog.varchar".into(),
            Some(CharacterLength::IntegerLength { length: length @ 1..=10_000, unit: None }) => {
                format!("pg_catalog.varchar({length})")
            }
            Some(_) => return Err(refused()),
        },
        DataType::Bool | DataType::Boolean => "pg_catalog.bool".into(),
        DataType::Date => "pg_catalog.date".into(),
        DataType::Timestamp(None, zone) => match zone {
            TimezoneInfo::None | TimezoneInfo::WithoutTimeZone => "pg_catalog.timestamp".into(),
            TimezoneInfo::WithTimeZone | TimezoneInfo::Tz => "pg_catalog.timestamptz".into(),
        },
        DataType::Interval { fields: None, precision: None } => "pg_catalog.interval".into(),
        DataType::Uuid => "pg_catalog.uuid".into(),
        DataType::JSON => "pg_catalog.json".into(),
        DataType::JSONB => "pg_catalog.jsonb".into(),
        _ => return Err(refused()),
    })
}

/// A part of a time in Postgres' words.
pub(super) fn time_field(field: &DateTimeField, span: Span) -> Result<&'static str, Refusal> {
    Ok(match field {
        DateTimeField::Year | DateTimeField::Years => "year",
        DateTimeField::Quarter => "quarter",
        DateTimeField::Month | DateTimeField::Months => "month",
        DateTimeField::Week(None) | DateTimeField::Weeks => "week",
        DateTimeField::Day | DateTimeField::Days => "day",
        DateTimeField::Hour | DateTimeField::Hours => "hour",
        DateTimeField::Minute | DateTimeField::Minutes => "minute",
        DateTimeField::Second | DateTimeField::Seconds => "second",
        DateTimeField::Dow => "dow",
        DateTimeField::Doy => "doy",
        DateTimeField::Epoch => "epoch",
        DateTimeField::Isodow => "isodow",
        DateTimeField::Isoyear => "isoyear",
        DateTimeField::Decade => "decade",
        DateTimeField::Century => "century",
        _ => return Err(Refusal::at("query_type", format!("The field {field} is not allowed"), span)),
    })
}
