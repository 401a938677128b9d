//! Training rows that come in the request itself.

use std::collections::HashMap;

use chrono::{DateTime, NaiveDate, NaiveDateTime};
use serde_json::{Map, Value, json};

use super::{
    numbers::{Collapsed, Numbers},
    schema::{category_name, number, numbered},
    table::{Column, ColumnValues, FeatureTable, MISSING},
};
use crate::{
    catalog::ModelType,
    error::{Error, FieldError, Result},
};

/// Most distinct names of one categorical feature.
pub const MAX_CATEGORIES: usize = 255;

/// Most features of inline rows.
pub const MAX_FEATURES: usize = 10_000;

/// Most values that inline rows come to, rows times features. Each key is a column of all rows, so
/// that a small body of rows with a key of their own each would not fit into memory.
pub const MAX_VALUES: usize = 50_000_000;

/// Keys of a row that describe it and are never a feature.
const NOT_FEATURES: [&str; 3] = ["tenant_id", "entity_id", "observed_at"];

/// A row as it stands in the request.
pub type Row = Map<String, Value>;

/// The rows as columns: every key is a feature, in order of first appearance, but `target` and
/// the row's own description. A key that a row lacks is missing there.
///
/// # Errors
/// [`Error::Invalid`] naming row and key of a value that is neither number, text, boolean nor null;
/// for too many features; for U+0000 in a name, which neither Postgres nor libxgboost can hold.
pub fn table(rows: &[Row], model_type: ModelType, target: Option<&str>) -> Result<FeatureTable> {
    let mut names: Vec<&str> = vec![];
    let mut seen = HashMap::new();
    for row in rows {
        for key in row.keys().map(String::as_str) {
            if !NOT_FEATURES.contains(&key) && Some(key) != target && seen.insert(key, ()).is_none() {
                names.push(key);
            }
        }
    }
    check_names(&names, rows.len(), target)?;
    let mut collapsed = Collapsed::default();
    let columns = names.into_iter().map(|name| {
        let values = column(rows, model_type, name, &mut collapsed)?;
        Ok(Column { name: name.to_owned(), values })
    });
    let columns = columns.collect::<Result<_>>()?;
    Ok(FeatureTable {
        n_rows: rows.len(),
        columns,
        target: target.map_or(Ok(vec![]), |target| targets(rows, target))?,
        observed_at: times(rows)?,
        warnings: collapsed.warnings(),
    })
}

fn check_names(names: &[&str], n_rows: usize, target: Option<&str>) -> Result<()> {
    let refuse = |kind, msg: String, input| Err(Error::invalid(FieldError::body(kind, ["data"], msg, input)));
    if names.len() > MAX_FEATURES || names.len().saturating_mul(n_rows) > MAX_VALUES {
        let found = names.len();
        let msg = format!(
            "{n_rows} rows with {found} features are too many; at most {MAX_FEATURES} features and {MAX_VALUES} \
             values in all"
        );
        return refuse("too_many_features", msg, json!(found));
    }
    match names.iter().copied().chain(target).find(|name| name.contains('\0')) {
        Some(name) => refuse("invalid_name", "A name must not hold the character U+0000".into(), json!(name)),
        None => Ok(()),
    }
}

fn column(
    rows: &[Row],
    model_type: ModelType,
    name: &str,
    collapsed: &mut Collapsed,
) -> Result<ColumnValues> {
    let numbered = numbered(model_type, name);
    let categorical =
        !numbered.is_empty() || rows.iter().any(|row| matches!(row.get(name), Some(Value::String(_))));
    if categorical {
        return categories(rows, name, &numbered);
    }
    Ok(collapsed.finish(name, numbers(rows, name)?))
}

fn numbers(rows: &[Row], name: &str) -> Result<Numbers> {
    let mut numbers = Numbers::default();
    for (i, row) in rows.iter().enumerate() {
        numbers.push(match row.get(name) {
            None | Some(Value::Null) => f64::NAN,
            Some(value) => number(value).map_err(|(kind, msg)| at(i, name, kind, msg, value))?,
        });
    }
    Ok(numbers)
}

fn categories(rows: &[Row], name: &str, numbered: &[String]) -> Result<ColumnValues> {
    let mut labels: Vec<String> = vec![];
    let mut position: HashMap<String, u32> = HashMap::new();
    let mut codes = Vec::with_capacity(rows.len());
    for (i, row) in rows.iter().enumerate() {
        let value = row.get(name).unwrap_or(&Value::Null);
        if value.is_null() {
            codes.push(MISSING);
            continue;
        }
        let label = category_name(value, numbered).ok_or_else(|| {
            at(i, name, "string_type", "Input should be a category name or a number".into(), value)
        })?;
        if label.is_empty() {
            codes.push(MISSING);
            continue;
        }
        if label.contains('\0') {
            let msg = "A category's name must not hold the character U+0000";
            return Err(at(i, name, "invalid_name", msg.to_owned(), value));
        }
        let code = *position.entry(label).or_insert_with_key(|label| {
            labels.push(label.clone());
            labels.len() as u32 - 1
        });
        codes.push(code);
    }
    if labels.len() > MAX_CATEGORIES {
        let msg =
            format!("'{name}' has {} distinct texts; a feature takes at most {MAX_CATEGORIES}", labels.len());
        let error = FieldError::body("too_many_categories", ["data"], msg, json!(name));
        return Err(Error::invalid(error.with_ctx(json!({ "max": MAX_CATEGORIES }))));
    }
    Ok(ColumnValues::Categorical { labels, codes })
}

fn targets(rows: &[Row], target: &str) -> Result<Vec<f64>> {
    if !rows.iter().any(|row| row.contains_key(target)) {
        let msg = format!("No row has the target '{target}'");
        return Err(Error::invalid(FieldError::body("missing", ["data"], msg, json!(target))));
    }
    let values = rows.iter().enumerate().map(|(i, row)| match row.get(target) {
        None | Some(Value::Null) => Ok(f64::NAN),
        Some(value) => number(value).map_err(|(kind, msg)| at(i, target, kind, msg, value)),
    });
    values.collect()
}

/// `observed_at` of each row: RFC 3339, a date, a date and time, or seconds since 1970.
fn times(rows: &[Row]) -> Result<Vec<f64>> {
    if !rows.iter().any(|row| row.contains_key("observed_at")) {
        return Ok(vec![]);
    }
    let times = rows.iter().enumerate().map(|(i, row)| match row.get("observed_at") {
        None | Some(Value::Null) => Ok(f64::NAN),
        Some(value) => seconds(value).ok_or_else(|| {
            let msg = "Input should be a date, a date and time, or seconds since 1970";
            at(i, "observed_at", "datetime_parsing", msg.to_owned(), value)
        }),
    });
    times.collect()
}

fn seconds(value: &Value) -> Option<f64> {
    let Some(text) = value.as_str() else { return value.as_f64() };
    let time = DateTime::parse_from_rfc3339(text)
        .map(|time| time.timestamp())
        .or_else(|_| text.parse::<NaiveDateTime>().map(|time| time.and_utc().timestamp()))
        .or_else(|_| {
            text.parse::<NaiveDate>().map(|day| day.and_time(chrono::NaiveTime::MIN).and_utc().timestamp())
        });
    time.ok().map(|seconds| seconds as f64)
}

fn at(row: usize, key: &str, kind: &'static str, msg: String, value: &Value) -> Error {
    Error::invalid(FieldError::body(kind, [json!("data"), json!(row), json!(key)], msg, value.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(rows: Value) -> Vec<Row> {
        serde_json::from_value(rows).expect("rows")
    }

    fn cost() -> ModelType {
        ModelType::parse("cost_forecasting").expect("a catalog type")
    }

    #[test]
    fn keys_become_columns_in_order_of_first_appearance() {
        let rows = rows(json!([
            {"tenant_id": "x", "observed_at": "2024-01-01", "size": 1, "total_cost": 10},
            {"size": null, "kind": "b", "total_cost": 20.5, "observed_at": "2024-01-02T00:00:00Z"},
            {"kind": "a", "property_type": 1, "flag": true, "observed_at": 0},
        ]));
        let table = table(&rows, cost(), Some("total_cost")).expect("valid");
        let names: Vec<_> = table.columns.iter().map(|column| column.name.as_str()).collect();
        assert_eq!(names, ["size", "kind", "property_type", "flag"]);
        assert_eq!(table.target[..2], [10.0, 20.5]);
        assert!(table.target[2].is_nan());
        assert_eq!(table.observed_at, [1_704_067_200.0, 1_704_153_600.0, 0.0]);
        let kind =
            ColumnValues::Categorical { labels: vec!["b".into(), "a".into()], codes: vec![MISSING, 0, 1] };
        assert_eq!(table.columns[1].values, kind);
        let property = ColumnValues::Categorical {
            labels: vec!["residential".into()],
            codes: vec![MISSING, MISSING, 0],
        };
        assert_eq!(table.columns[2].values, property, "the catalog knows what the number stands for");
        assert_eq!(table.columns[3].values.missing(), 2);
    }

    #[test]
    fn a_bad_value_is_named_by_row_and_key() {
        for (row, loc) in [
            (json!({"size": [1], "total_cost": 1}), json!(["body", "data", 0, "size"])),
            (json!({"size": 1, "total_cost": "many"}), json!(["body", "data", 0, "total_cost"])),
            (
                json!({"size": 1, "total_cost": 1, "observed_at": "soon"}),
                json!(["body", "data", 0, "observed_at"]),
            ),
            (json!({"size": 1}), json!(["body", "data"])),
        ] {
            let Err(Error::Invalid(errors)) = table(&rows(json!([row])), cost(), Some("total_cost")) else {
                panic!("must be refused")
            };
            assert_eq!(json!(errors[0].loc), loc);
        }
    }

    #[test]
    fn what_no_store_can_hold_is_refused() {
        let refused = |data: Value, target: &str| match table(&rows(data), cost(), Some(target)) {
            Err(Error::Invalid(errors)) => errors[0].kind.clone(),
            other => panic!("must be refused: {other:?}"),
        };
        assert_eq!(refused(json!([{"a\0": 1, "total_cost": 1}]), "total_cost"), "invalid_name");
        assert_eq!(refused(json!([{"a": "\0", "total_cost": 1}]), "total_cost"), "invalid_name");
        assert_eq!(refused(json!([{"a": 1, "b\0": 1}]), "b\0"), "invalid_name");
    }

    #[test]
    fn rows_with_a_key_of_their_own_each_are_refused_before_they_fill_the_memory() {
        let own_key = |i: usize| json!({format!("k{i}"): 1, "total_cost": i});
        for (n_rows, keys) in [(MAX_FEATURES + 1, MAX_FEATURES + 1), (MAX_VALUES / 6_000 + 1, 6_000)] {
            let many: Vec<_> = (0..n_rows).map(|i| own_key(i % keys)).collect();
            let refused = table(&rows(json!(many)), cost(), Some("total_cost"));
            assert!(matches!(refused, Err(Error::Invalid(errors)) if errors[0].kind == "too_many_features"));
        }
    }

    #[test]
    fn an_identifier_is_no_category() {
        let many: Vec<_> = (0..300).map(|i| json!({"id": format!("p{i}"), "total_cost": i})).collect();
        assert!(table(&rows(json!(many)), cost(), Some("total_cost")).is_err());
    }
}
