//! Columns that tell a model nothing, or nothing new: they are left out, and requests may go on
//! sending them.

use std::collections::HashMap;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::{digest::ColumnFingerprint, listed};
use crate::features::{Column, ColumnValues, FeatureTable, table::MISSING};

/// A column of the training rows that the model does without.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dropped {
    /// The column's name; a request may send it, with any value.
    pub name: String,
    /// Why it was left out.
    #[serde(flatten)]
    pub reason: Redundancy,
}

/// Why a column tells nothing new.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum Redundancy {
    /// No row has a value.
    NoValue,
    /// Every row has the same value. A column that also lacks values says something by that, and stays.
    Constant,
    /// Every row has the value of an earlier column, a category under whatever name, and lacks it
    /// where that does.
    Duplicate {
        /// The column that was kept.
        of: String,
    },
}

/// Leaves the redundant columns out of the table; of equal ones the first stays. Which they are and why,
/// and the columns themselves. `fingerprints` are [`digest::of`](super::digest::of)'s of this table.
pub fn drop_columns(
    table: &mut FeatureTable,
    fingerprints: &[ColumnFingerprint],
) -> (Vec<Dropped>, Vec<Column>) {
    let own: Vec<_> = table.columns.par_iter().map(|column| by_itself(&column.values)).collect();
    let mut kept: HashMap<ColumnFingerprint, String> = HashMap::new();
    let (mut dropped, mut left_out) = (vec![], vec![]);
    let mut columns = std::mem::take(&mut table.columns);
    for ((column, own), fingerprint) in columns.drain(..).zip(own).zip(fingerprints) {
        let copy = || kept.get(fingerprint).map(|of| Redundancy::Duplicate { of: of.clone() });
        match own.or_else(copy) {
            Some(reason) => {
                dropped.push(Dropped { name: column.name.clone(), reason });
                left_out.push(column);
            }
            None => {
                kept.insert(*fingerprint, column.name.clone());
                table.columns.push(column);
            }
        }
    }
    (dropped, left_out)
}

fn by_itself(values: &ColumnValues) -> Option<Redundancy> {
    let (no_value, constant) = match values {
        ColumnValues::Numeric(values) => (
            values.iter().all(|value| value.is_nan()),
            // False where the first value is missing.
            values.iter().all(|value| *value == values[0]),
        ),
        ColumnValues::Categorical { codes, .. } => {
            (codes.iter().all(|&code| code == MISSING), codes.iter().all(|code| *code == codes[0]))
        }
    };
    if no_value { Some(Redundancy::NoValue) } else { constant.then_some(Redundancy::Constant) }
}

/// One sentence a reason.
pub(super) fn notes(dropped: &[Dropped]) -> Vec<String> {
    let names = |wanted: fn(&Redundancy) -> bool| -> Vec<&str> {
        dropped.iter().filter(|column| wanted(&column.reason)).map(|column| column.name.as_str()).collect()
    };
    let empty = names(|reason| *reason == Redundancy::NoValue);
    let constant = names(|reason| *reason == Redundancy::Constant);
    let copies: Vec<String> = dropped
        .iter()
        .filter_map(|column| match &column.reason {
            Redundancy::Duplicate { of } => Some(format!("{}' of '{of}", column.name)),
            _ => None,
        })
        .collect();
    let mut notes = vec![];
    if !empty.is_empty() {
        notes.push(format!("No row has a value, left out of the model: {}", listed(empty.into_iter())));
    }
    if !constant.is_empty() {
        let names = listed(constant.into_iter());
        notes.push(format!("The same value in every row, left out of the model: {names}"));
    }
    if !copies.is_empty() {
        let names = listed(copies.iter().map(String::as_str));
        notes.push(format!("A copy in every row, left out of the model: {names}"));
    }
    notes
}
