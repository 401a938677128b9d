//! Bolt values as columns.

use std::collections::HashMap;

use chrono::{DateTime, FixedOffset, NaiveDate, NaiveDateTime};
use neo4rs::{BoltType, Row};
use serde_json::json;

use crate::catalog::ModelType;
use crate::error::{Error, FieldError, Result};
use crate::features::inline::MAX_CATEGORIES;
use crate::features::numbers::{Collapsed, Numbers};
use crate::features::schema::{category_name, numbered};
use crate::features::table::{Column, ColumnValues, FeatureTable, KeyedTable, MISSING};

const SECONDS_A_DAY: f64 = 86_400.0;
/// Columns that describe the row and are no feature.
const NOT_FEATURES: [&str; 3] = ["tenant_id", "entity_id", "observed_at"];

/// Columns that grow row by row.
pub(super) struct Columns {
    entity_ids: Vec<String>,
    features: Vec<Builder>,
    target: Option<(String, Vec<f64>)>,
    observed_at: Option<Vec<f64>>,
}

struct Builder {
    name: String,
    /// The names that numbers stand for; empty unless the catalog calls it a category.
    numbered: Vec<String>,
    values: Values,
}

enum Values {
    /// So many rows without a value, and none with one.
    Missing(usize),
    Numbers(Numbers),
    Texts {
        labels: Vec<String>,
        position: HashMap<String, u32>,
        codes: Vec<u32>,
    },
}

impl Columns {
    /// Empty columns of those names; `target` is one of them, or absent. The catalog's categories take
    /// numbers and spellings as the other sources do.
    pub(super) fn new(names: &[String], model_type: ModelType, target: Option<&str>) -> Self {
        let features = names
            .iter()
            .filter(|name| !NOT_FEATURES.contains(&name.as_str()) && Some(name.as_str()) != target)
            .map(|name| Builder {
                name: name.clone(),
                numbered: numbered(model_type, name),
                values: Values::Missing(0),
            })
            .collect();
        let has = |wanted: &str| names.iter().any(|name| name == wanted);
        Self {
            entity_ids: vec![],
            features,
            target: target.map(|name| (name.to_owned(), vec![])),
            observed_at: has("observed_at").then(Vec::new),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.entity_ids.len()
    }

    pub(super) fn too_many(&self, limit: usize) -> Error {
        let msg = format!("Neo4j has more than {limit} rows for this training");
        Error::invalid(FieldError::body("too_many_rows", ["training_data_query"], msg, json!(null)))
    }

    /// # Errors
    /// [`Error::Invalid`] naming the column of a value that is no feature.
    pub(super) fn push(&mut self, row: &Row) -> Result<()> {
        let value = |name: &str| row.get::<BoltType>(name).map_err(Error::internal);
        match value("entity_id")? {
            BoltType::String(id) => self.entity_ids.push(id.value),
            BoltType::Integer(id) => self.entity_ids.push(id.value.to_string()),
            other => return Err(wrong("entity_id", "a text or an integer", &other)),
        }
        for feature in &mut self.features {
            feature.push(value(&feature.name)?)?;
        }
        if let Some((name, values)) = &mut self.target {
            // A template may leave the target to Postgres.
            let target = row.get::<BoltType>(name).unwrap_or(BoltType::Null(neo4rs::BoltNull));
            values.push(match target {
                BoltType::Null(_) => f64::NAN,
                other => number(&other).ok_or_else(|| wrong(name, "a number", &other))?,
            });
        }
        if let Some(times) = &mut self.observed_at {
            times.push(match value("observed_at")? {
                BoltType::Null(_) => f64::NAN,
                BoltType::Integer(seconds) => seconds.value as f64,
                other => days(&other).map(|days| days * SECONDS_A_DAY).ok_or_else(|| {
                    wrong("observed_at", "a date, a date and time, or seconds since 1970", &other)
                })?,
            });
        }
        Ok(())
    }

    pub(super) fn finish(self) -> KeyedTable {
        let n_rows = self.entity_ids.len();
        let mut collapsed = Collapsed::default();
        let columns = self.features.into_iter().map(|feature| feature.finish(&mut collapsed)).collect();
        let warnings = collapsed.warnings();
        let target = self.target.map_or_else(Vec::new, |(_, values)| values);
        let observed_at = self.observed_at.unwrap_or_default();
        let table = FeatureTable { n_rows, columns, target, observed_at, warnings };
        KeyedTable { entity_ids: self.entity_ids, table }
    }
}

impl Builder {
    fn push(&mut self, value: BoltType) -> Result<()> {
        let value = if self.numbered.is_empty() { value } else { category(value, &self.numbered) };
        if let Values::Missing(rows) = self.values {
            self.values = match &value {
                BoltType::Null(_) => Values::Missing(rows + 1),
                BoltType::String(_) => {
                    Values::Texts { labels: vec![], position: HashMap::new(), codes: vec![MISSING; rows] }
                }
                _ => Values::Numbers(Numbers::missing(rows)),
            };
        }
        match &mut self.values {
            Values::Missing(_) => Ok(()),
            Values::Numbers(numbers) => {
                let number = match &value {
                    BoltType::Null(_) => Some(f64::NAN),
                    other => number(other).or_else(|| days(other)),
                };
                numbers
                    .push(number.ok_or_else(|| wrong(&self.name, "a number, a boolean or a date", &value))?);
                Ok(())
            }
            Values::Texts { labels, position, codes } => {
                let code = match value {
                    BoltType::Null(_) => MISSING,
                    BoltType::String(text) if text.value.is_empty() => MISSING,
                    BoltType::String(text) => match position.get(&text.value) {
                        Some(&code) => code,
                        None => {
                            if labels.len() == MAX_CATEGORIES {
                                return Err(too_many_texts(&self.name));
                            }
                            let code = labels.len() as u32;
                            labels.push(text.value.clone());
                            position.insert(text.value, code);
                            code
                        }
                    },
                    other => return Err(wrong(&self.name, "a text, as in the rows before", &other)),
                };
                codes.push(code);
                Ok(())
            }
        }
    }

    fn finish(self, collapsed: &mut Collapsed) -> Column {
        let values = match self.values {
            Values::Missing(rows) => ColumnValues::Numeric(vec![f32::NAN; rows]),
            Values::Numbers(numbers) => collapsed.finish(&self.name, numbers),
            Values::Texts { labels, codes, .. } => ColumnValues::Categorical { labels, codes },
        };
        Column { name: self.name, values }
    }
}

/// A category of the catalog by its name.
fn category(value: BoltType, numbered: &[String]) -> BoltType {
    let plain = match &value {
        BoltType::String(text) => json!(text.value),
        BoltType::Integer(integer) => json!(integer.value),
        BoltType::Float(float) => json!(float.value),
        BoltType::Boolean(boolean) => json!(boolean.value),
        _ => return value,
    };
    category_name(&plain, numbered).map_or(BoltType::Null(neo4rs::BoltNull), Into::into)
}

fn number(value: &BoltType) -> Option<f64> {
    match value {
        BoltType::Integer(integer) => Some(integer.value as f64),
        BoltType::Float(float) => Some(float.value),
        BoltType::Boolean(boolean) => Some(f64::from(u8::from(boolean.value))),
        _ => None,
    }
}

/// Days since 1970, with fraction.
fn days(value: &BoltType) -> Option<f64> {
    let seconds = match value {
        BoltType::Date(date) => {
            let date = NaiveDate::try_from(date).ok()?;
            return Some(f64::from(date.signed_duration_since(NaiveDate::default()).num_days() as i32));
        }
        BoltType::DateTime(time) => DateTime::<FixedOffset>::try_from(time).ok()?.timestamp_millis(),
        BoltType::DateTimeZoneId(time) => DateTime::<FixedOffset>::try_from(time).ok()?.timestamp_millis(),
        BoltType::LocalDateTime(time) => NaiveDateTime::try_from(time).ok()?.and_utc().timestamp_millis(),
        _ => return None,
    };
    Some(seconds as f64 / 1e3 / SECONDS_A_DAY)
}

fn wrong(column: &str, wanted: &str, value: &BoltType) -> Error {
    let kind = match value {
        BoltType::Null(_) => "null",
        BoltType::String(_) => "a text",
        BoltType::Boolean(_) => "a boolean",
        BoltType::Integer(_) | BoltType::Float(_) => "a number",
        BoltType::List(_) => "a list",
        BoltType::Map(_) => "a map",
        BoltType::Node(_) => "a node",
        BoltType::Relation(_) | BoltType::UnboundedRelation(_) => "a relationship",
        BoltType::Path(_) => "a path",
        BoltType::Point2D(_) | BoltType::Point3D(_) => "a point",
        BoltType::Bytes(_) => "bytes",
        BoltType::Duration(_) => "a duration",
        BoltType::Time(_) | BoltType::LocalTime(_) => "a time of day",
        BoltType::Date(_)
        | BoltType::DateTime(_)
        | BoltType::LocalDateTime(_)
        | BoltType::DateTimeZoneId(_) => "a date",
    };
    let msg = format!("Column '{column}' from Neo4j must be {wanted}; a row has {kind}");
    Error::invalid(FieldError::body("graph_value", ["training_data_query"], msg, json!(column)))
}

fn too_many_texts(column: &str) -> Error {
    let msg = format!("'{column}' from Neo4j has more than {MAX_CATEGORIES} distinct texts");
    let error = FieldError::body("too_many_categories", ["training_data_query"], msg, json!(column));
    Error::invalid(error.with_ctx(json!({ "max": MAX_CATEGORIES })))
}
