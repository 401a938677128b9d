//! Rows of Postgres and rows of Neo4j that describe the same entities, as one table. Pure.
//!
//! The rules, for the rows of one tenant:
//! - An *entity's graph values* are, column by column, the first value among its Neo4j rows.
//! - A Postgres row takes from them what it lacks: a cell, the time, and the target if it is the only row of
//!   its entity; of several, one label would be copied onto rows of other times. A value that both sides have
//!   is Postgres's. Missing on both sides stays missing.
//! - Neo4j rows of an entity that Postgres does not know are rows of their own, completed from their
//!   entity's graph values in the same way, the target excepted.
//! - With a target, rows that have none are left out. An unsupervised model keeps every Postgres row, and
//!   those of Neo4j with a value in at least half of Postgres's columns: it would take the gaps of a node that
//!   is no observation for a pattern.
//! - Columns: Postgres's in their order, then those that Neo4j alone has. One column with numbers on one
//!   side and texts on the other is Postgres's alone.

use std::collections::HashMap;

use super::table::{Column, ColumnValues, FeatureTable, KeyedTable, MISSING};

/// What each side gave, for the run's parameters and the response's message.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct JoinReport {
    /// Rows that came from Postgres.
    pub rows_postgres: usize,
    /// Rows that came from Neo4j.
    pub rows_neo4j: usize,
    /// Rows of the result.
    pub rows_joined: usize,
    /// Rows of the result that are Postgres rows of entities that Neo4j knows.
    pub rows_both: usize,
    /// Feature cells of the result with a value from Postgres.
    pub cells_postgres: usize,
    /// Feature cells of the result with a value from Neo4j.
    pub cells_neo4j: usize,
    /// Feature cells of the result that both sides lack.
    pub cells_missing: usize,
    /// Feature cells of the result for which Neo4j had a value, too, and Postgres's was taken.
    pub cells_both: usize,
    /// Columns that are numbers on one side and texts on the other: Neo4j's values were not used.
    pub columns_of_two_kinds: Vec<String>,
}

impl std::fmt::Display for JoinReport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "joined {} rows from {} of Postgres and {} of Neo4j: {} values from Postgres, {} from Neo4j, {} missing",
            self.rows_joined,
            self.rows_postgres,
            self.rows_neo4j,
            self.cells_postgres,
            self.cells_neo4j,
            self.cells_missing
        )
    }
}

/// More rows of both sides together than one table may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0} rows are too many")]
pub struct TooManyRows(pub usize);

/// Joins the rows of both sides; `supervised` says whether a row needs a target. Column by column what was
/// joined is let go, so that both sides and the result are not in memory at once.
///
/// # Errors
/// [`TooManyRows`] beyond `max_rows` of the result.
pub fn join(
    postgres: KeyedTable,
    neo4j: KeyedTable,
    supervised: bool,
    max_rows: usize,
) -> Result<(FeatureTable, JoinReport), TooManyRows> {
    let graph = Entities::of(&neo4j.entity_ids);
    let rows = sources(&postgres, &neo4j, &graph, supervised);
    if rows.len() > max_rows {
        return Err(TooManyRows(rows.len()));
    }
    let mut report = JoinReport {
        rows_postgres: postgres.table.n_rows,
        rows_neo4j: neo4j.table.n_rows,
        rows_joined: rows.len(),
        rows_both: rows.iter().filter(|row| row.postgres.is_some() && row.entity.is_some()).count(),
        ..JoinReport::default()
    };
    let (mut columns, mut others) = (vec![], neo4j.table.columns);
    for own in postgres.table.columns {
        let other = others.iter().position(|column| column.name == own.name).map(|at| others.remove(at));
        let usable = other.as_ref().filter(|other| same_kind(&own.values, &other.values));
        if other.is_some() && usable.is_none() {
            report.columns_of_two_kinds.push(own.name.clone());
        }
        let sides = (Some(&own.values), usable.map(|column| &column.values));
        columns.push(column(&rows, &graph, &own.name, sides, &mut report));
    }
    for other in others {
        columns.push(column(&rows, &graph, &other.name, (None, Some(&other.values)), &mut report));
    }
    let (own, other) = (&postgres.table.observed_at, &neo4j.table.observed_at);
    let first_time = graph.first(|row| present(other, row).is_some());
    let time = |row: &Source| {
        let own = row.postgres.and_then(|row| present(own, row));
        own.or_else(|| row.graph(&first_time).find_map(|row| present(other, row))).unwrap_or(f64::NAN)
    };
    let has_times = !own.is_empty() || !other.is_empty();
    let observed_at = if has_times { rows.iter().map(time).collect() } else { vec![] };
    let target = if supervised { rows.iter().map(|row| row.target).collect() } else { vec![] };
    let warnings = [postgres.table.warnings, neo4j.table.warnings].concat();
    Ok((FeatureTable { n_rows: rows.len(), columns, target, observed_at, warnings }, report))
}

/// The entities of the Neo4j rows, numbered. A look-up costs the same however many rows an entity has.
struct Entities<'a> {
    number: HashMap<&'a str, usize>,
    /// The entity of each row.
    of_row: Vec<usize>,
}

impl<'a> Entities<'a> {
    fn of(ids: &'a [String]) -> Self {
        let mut number = HashMap::new();
        let of_row = ids.iter().map(|id| {
            let next = number.len();
            *number.entry(id.as_str()).or_insert(next)
        });
        Self { of_row: of_row.collect(), number }
    }

    /// Each entity's first row for which `has_value` holds.
    fn first(&self, has_value: impl Fn(usize) -> bool) -> Vec<Option<usize>> {
        let mut first = vec![None; self.number.len()];
        for (row, &entity) in self.of_row.iter().enumerate() {
            if first[entity].is_none() && has_value(row) {
                first[entity] = Some(row);
            }
        }
        first
    }
}

/// Where a row of the result takes its values.
struct Source {
    postgres: Option<usize>,
    /// The Neo4j row that it is, if Postgres does not know its entity.
    own: Option<usize>,
    /// Its entity, if Neo4j knows it.
    entity: Option<usize>,
    target: f64,
}

impl Source {
    /// Neo4j rows in order of preference, given each entity's first one with a value.
    fn graph(&self, first: &[Option<usize>]) -> impl Iterator<Item = usize> {
        self.own.into_iter().chain(self.entity.and_then(|entity| first[entity]))
    }
}

fn sources(postgres: &KeyedTable, neo4j: &KeyedTable, graph: &Entities<'_>, supervised: bool) -> Vec<Source> {
    let mut known: HashMap<&str, usize> = HashMap::new();
    for id in &postgres.entity_ids {
        *known.entry(id).or_default() += 1;
    }
    let labels = graph.first(|row| present(&neo4j.table.target, row).is_some());
    let of_postgres = postgres.entity_ids.iter().enumerate().map(|(row, id)| {
        let entity = graph.number.get(id.as_str()).copied();
        let label = entity.filter(|_| known[id.as_str()] == 1).and_then(|entity| labels[entity]);
        let target = present(&postgres.table.target, row)
            .or_else(|| label.and_then(|row| present(&neo4j.table.target, row)));
        Source { postgres: Some(row), own: None, entity, target: target.unwrap_or(f64::NAN) }
    });
    let of_neo4j = neo4j.entity_ids.iter().enumerate().filter(|(row, id)| {
        !known.contains_key(id.as_str())
            && (supervised || is_observation(&postgres.table, &neo4j.table, *row))
    });
    let of_neo4j = of_neo4j.map(|(row, _)| Source {
        postgres: None,
        own: Some(row),
        entity: Some(graph.of_row[row]),
        target: present(&neo4j.table.target, row).unwrap_or(f64::NAN),
    });
    of_postgres.chain(of_neo4j).filter(|row| !supervised || !row.target.is_nan()).collect()
}

/// Whether the Neo4j row has a value in at least half of Postgres's columns.
fn is_observation(postgres: &FeatureTable, neo4j: &FeatureTable, row: usize) -> bool {
    let has_value = |own: &&Column| {
        neo4j.columns.iter().any(|other| match &other.values {
            _ if other.name != own.name => false,
            ColumnValues::Numeric(values) => !values[row].is_nan(),
            ColumnValues::Categorical { codes, .. } => codes[row] != MISSING,
        })
    };
    2 * postgres.columns.iter().filter(has_value).count() >= postgres.columns.len()
}

/// The value, unless it is missing or the side has none at all.
fn present(values: &[f64], row: usize) -> Option<f64> {
    values.get(row).copied().filter(|value| !value.is_nan())
}

fn same_kind(a: &ColumnValues, b: &ColumnValues) -> bool {
    // A column without any value comes as numbers, whatever it would hold.
    std::mem::discriminant(a) == std::mem::discriminant(b) || b.missing() == b.len() || a.missing() == a.len()
}

/// One column of the result. Of two sides of different kinds one has no value.
fn column<'a>(
    rows: &[Source],
    graph: &Entities<'_>,
    name: &str,
    (own, other): (Option<&'a ColumnValues>, Option<&'a ColumnValues>),
    report: &mut JoinReport,
) -> Column {
    let numeric = |side: Option<&ColumnValues>| {
        side.is_none_or(|values| {
            matches!(values, ColumnValues::Numeric(_)) || values.missing() == values.len()
        })
    };
    let values = if numeric(own) && numeric(other) {
        let number = |side: Option<&ColumnValues>, row: usize| match side {
            Some(ColumnValues::Numeric(values)) => Some(values[row]).filter(|value| !value.is_nan()),
            _ => None,
        };
        let first = graph.first(|row| number(other, row).is_some());
        let pick = pick(rows, |row| number(own, row), |row| number(other, row), &first, report);
        ColumnValues::Numeric(pick.map(|value| value.unwrap_or(f32::NAN)).collect())
    } else {
        let label = |side: Option<&'a ColumnValues>, row: usize| match side {
            Some(ColumnValues::Categorical { labels, codes }) if codes[row] != MISSING => {
                Some(labels[codes[row] as usize].as_str())
            }
            _ => None,
        };
        let first = graph.first(|row| label(other, row).is_some());
        let pick = pick(rows, |row| label(own, row), |row| label(other, row), &first, report);
        categories(pick)
    };
    Column { name: name.to_owned(), values }
}

/// Postgres's value of each row, else Neo4j's; counts what came from where.
fn pick<T>(
    rows: &[Source],
    own: impl Fn(usize) -> Option<T>,
    other: impl Fn(usize) -> Option<T>,
    first: &[Option<usize>],
    report: &mut JoinReport,
) -> impl Iterator<Item = Option<T>> {
    rows.iter().map(move |row| {
        let from_postgres = row.postgres.and_then(&own);
        let from_neo4j = row.graph(first).find_map(&other);
        match (from_postgres, from_neo4j) {
            (Some(value), other) => {
                report.cells_postgres += 1;
                report.cells_both += usize::from(other.is_some());
                Some(value)
            }
            (None, Some(value)) => {
                report.cells_neo4j += 1;
                Some(value)
            }
            (None, None) => {
                report.cells_missing += 1;
                None
            }
        }
    })
}

/// Names numbered by first appearance.
fn categories<'a>(names: impl Iterator<Item = Option<&'a str>>) -> ColumnValues {
    let mut labels: Vec<String> = vec![];
    let mut position: HashMap<&str, u32> = HashMap::new();
    let codes = names
        .map(|name| {
            let Some(name) = name else { return MISSING };
            *position.entry(name).or_insert_with(|| {
                labels.push(name.to_owned());
                labels.len() as u32 - 1
            })
        })
        .collect();
    ColumnValues::Categorical { labels, codes }
}

#[cfg(test)]
mod tests;
