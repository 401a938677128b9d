//! The columns that a COPY fills.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::wire::WireType;
use crate::{
    Error, Result,
    error::FieldError,
    features::{
        inline::MAX_CATEGORIES,
        numbers::{Collapsed, Numbers},
        schema::category_name,
        table::{Column, ColumnValues, FeatureTable, KeyedTable, MISSING},
    },
};

/// What a column of the result is for.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::features) enum Role {
    /// A numeric feature.
    Number,
    /// A categorical feature, with the names that 1, 2, ... stand for.
    Category(Vec<String>),
    /// What the model learns.
    Target,
    /// When the row was observed.
    Time,
    /// Which entity the row describes.
    Entity,
}

/// A column of the result.
#[derive(Debug, Clone)]
pub(in crate::features) struct ColumnPlan {
    pub(in crate::features) name: String,
    pub(in crate::features) wire: WireType,
    pub(in crate::features) role: Role,
}

/// The columns so far.
pub(in crate::features) struct Columns {
    columns: Vec<(ColumnPlan, Sink)>,
    n_rows: usize,
}

enum Sink {
    Numbers(Numbers),
    Wide(Vec<f64>),
    Categories(Categories),
    Texts(Vec<String>),
}

/// Category names by first appearance.
#[derive(Default)]
struct Categories {
    labels: Vec<String>,
    codes: Vec<u32>,
    /// Codes by the bytes as they came, so that a name is spelled out once.
    known: HashMap<Box<[u8]>, u32>,
}

impl Columns {
    pub(in crate::features) fn new(plans: Vec<ColumnPlan>) -> Self {
        let sink = |role: &Role| match role {
            Role::Number => Sink::Numbers(Numbers::default()),
            Role::Target | Role::Time => Sink::Wide(vec![]),
            Role::Category(_) => Sink::Categories(Categories::default()),
            Role::Entity => Sink::Texts(vec![]),
        };
        let columns = plans.into_iter().map(|plan| (sink(&plan.role), plan)).map(|(s, p)| (p, s)).collect();
        Self { columns, n_rows: 0 }
    }

    /// Number of columns.
    pub(in crate::features) fn len(&self) -> usize {
        self.columns.len()
    }

    /// Number of complete rows.
    pub(in crate::features) fn n_rows(&self) -> usize {
        self.n_rows
    }

    /// Appends one row: as many fields as there are columns, `None` for NULL.
    pub(in crate::features) fn push_row<'a>(
        &mut self,
        fields: impl Iterator<Item = Option<&'a [u8]>>,
    ) -> Result<()> {
        for ((plan, sink), field) in self.columns.iter_mut().zip(fields) {
            match sink {
                Sink::Numbers(numbers) => numbers.push(plan.number(field)?),
                Sink::Wide(values) if plan.role == Role::Time => values.push(plan.seconds(field)?),
                Sink::Wide(values) => values.push(plan.number(field)?),
                Sink::Categories(categories) => categories.push(field, plan)?,
                Sink::Texts(texts) => texts.push(plan.text(field)?),
            }
        }
        self.n_rows += 1;
        Ok(())
    }

    pub(in crate::features) fn into_table(self) -> FeatureTable {
        self.into_keyed().table
    }

    /// As [`Self::into_table`], with the entities if the plan has them.
    pub(in crate::features) fn into_keyed(self) -> KeyedTable {
        let (mut entity_ids, mut collapsed) = (vec![], Collapsed::default());
        let mut table = FeatureTable { n_rows: self.n_rows, ..FeatureTable::default() };
        for (plan, sink) in self.columns {
            let values = match sink {
                Sink::Numbers(numbers) => collapsed.finish(&plan.name, numbers),
                Sink::Categories(Categories { labels, codes, .. }) => {
                    ColumnValues::Categorical { labels, codes }
                }
                Sink::Texts(texts) => {
                    entity_ids = texts;
                    continue;
                }
                Sink::Wide(values) if plan.role == Role::Time => {
                    table.observed_at = values;
                    continue;
                }
                Sink::Wide(values) => {
                    table.target = values;
                    continue;
                }
            };
            table.columns.push(Column { name: plan.name, values });
        }
        // A table none of whose rows has a time has no times.
        if table.observed_at.iter().all(|time| time.is_nan()) {
            table.observed_at = vec![];
        }
        table.warnings = collapsed.warnings();
        KeyedTable { entity_ids, table }
    }
}

impl ColumnPlan {
    #[inline]
    fn number(&self, field: Option<&[u8]>) -> Result<f64> {
        let Some(bytes) = field else { return Ok(f64::NAN) };
        self.wire.number(bytes).ok_or_else(|| self.malformed())
    }

    fn seconds(&self, field: Option<&[u8]>) -> Result<f64> {
        let Some(bytes) = field else { return Ok(f64::NAN) };
        self.wire.seconds(bytes).ok_or_else(|| self.malformed())
    }

    fn text(&self, field: Option<&[u8]>) -> Result<String> {
        let bytes = field.ok_or_else(|| self.malformed())?;
        std::str::from_utf8(bytes).map(str::to_owned).map_err(Error::internal)
    }

    #[cold]
    fn malformed(&self) -> Error {
        Error::internal(format!("column '{}': no value of the type {:?}", self.name, self.wire))
    }

    /// The category's name; `None` for an empty text.
    fn label(&self, bytes: &[u8]) -> Result<Option<String>> {
        let value = match self.wire {
            WireType::Text => Value::from(std::str::from_utf8(bytes).map_err(Error::internal)?),
            WireType::Bool => Value::Bool(self.number(Some(bytes))? == 1.0),
            _ => json!(self.number(Some(bytes))?),
        };
        let Role::Category(numbered) = &self.role else { return Ok(None) };
        Ok(category_name(&value, numbered).filter(|label| !label.is_empty()))
    }
}

impl Categories {
    fn push(&mut self, field: Option<&[u8]>, plan: &ColumnPlan) -> Result<()> {
        let code = match field {
            None => MISSING,
            Some(bytes) => match self.known.get(bytes) {
                Some(&code) => code,
                None => self.learn(bytes, plan)?,
            },
        };
        self.codes.push(code);
        Ok(())
    }

    /// The code of bytes that come for the first time. Two spellings ("1", "residential") may be one name.
    fn learn(&mut self, bytes: &[u8], plan: &ColumnPlan) -> Result<u32> {
        let code = match plan.label(bytes)? {
            None => MISSING,
            Some(label) => {
                let position = self.labels.iter().position(|known| *known == label);
                let position = position.unwrap_or_else(|| {
                    self.labels.push(label);
                    self.labels.len() - 1
                });
                position as u32
            }
        };
        if self.labels.len() > MAX_CATEGORIES {
            let msg = format!(
                "'{}' has more than {MAX_CATEGORIES} distinct texts, the most of a feature",
                plan.name
            );
            let error = FieldError::body("too_many_categories", ["model_type"], msg, json!(plan.name));
            return Err(Error::invalid(error.with_ctx(json!({ "max": MAX_CATEGORIES }))));
        }
        self.known.insert(bytes.into(), code);
        Ok(code)
    }
}
