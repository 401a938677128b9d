//! The table that every source of training rows yields.

use std::cmp::Ordering;

/// Training rows as columns. All columns, the target and the times have [`n_rows`](Self::n_rows) entries.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FeatureTable {
    /// Number of rows.
    pub n_rows: usize,
    /// The features, in the order of the source.
    pub columns: Vec<Column>,
    /// What the model learns to predict; NaN where the row has none. Empty for an unsupervised model.
    pub target: Vec<f64>,
    /// When each row was observed, seconds since 1970; NaN where unknown. Empty if the source has no times.
    pub observed_at: Vec<f64>,
    /// What was lost in reading, for the caller.
    pub warnings: Vec<String>,
}

/// Rows that know which entity (project, property) they describe, so that another source can add to them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct KeyedTable {
    /// One id a row; several rows may describe one entity.
    pub entity_ids: Vec<String>,
    /// The rows.
    pub table: FeatureTable,
}

impl KeyedTable {
    /// The rows in the order of their entities, those of one entity by time, target and values. A graph
    /// query's own order is nobody's promise, and the same rows are to give the same model.
    #[must_use]
    pub fn in_entity_order(mut self) -> Self {
        let mut order: Vec<usize> = (0..self.table.n_rows).collect();
        order.sort_by(|&a, &b| {
            self.entity_ids[a].cmp(&self.entity_ids[b]).then_with(|| self.table.compare_rows(a, b))
        });
        self.entity_ids = order.iter().map(|&row| std::mem::take(&mut self.entity_ids[row])).collect();
        for column in &mut self.table.columns {
            match &mut column.values {
                ColumnValues::Numeric(values) => reorder(values, &order),
                ColumnValues::Categorical { codes, .. } => reorder(codes, &order),
            }
        }
        reorder(&mut self.table.target, &order);
        reorder(&mut self.table.observed_at, &order);
        self
    }
}

impl FeatureTable {
    /// A total order of rows by what stands in them: the time, the target, then column by column.
    fn compare_rows(&self, a: usize, b: usize) -> Ordering {
        let by = |values: &[f64]| {
            if values.is_empty() { Ordering::Equal } else { values[a].total_cmp(&values[b]) }
        };
        let by_column = |column: &Column| match &column.values {
            ColumnValues::Numeric(values) => values[a].total_cmp(&values[b]),
            ColumnValues::Categorical { labels, codes } => {
                labels.get(codes[a] as usize).cmp(&labels.get(codes[b] as usize))
            }
        };
        let columns = self.columns.iter().map(by_column);
        [by(&self.observed_at), by(&self.target)]
            .into_iter()
            .chain(columns)
            .find(|order| order.is_ne())
            .unwrap_or(Ordering::Equal)
    }
}

/// One entry a row, or none at all.
fn reorder<T: Copy>(values: &mut Vec<T>, order: &[usize]) {
    if !values.is_empty() {
        *values = order.iter().map(|&row| values[row]).collect();
    }
}

/// One feature of all rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// The feature's name, as requests spell it.
    pub name: String,
    /// One value a row.
    pub values: ColumnValues,
}

impl Column {
    /// The column's values in `rows`.
    #[must_use]
    pub fn take_rows(&self, rows: &[usize]) -> Self {
        let values = match &self.values {
            ColumnValues::Numeric(values) => {
                ColumnValues::Numeric(rows.iter().map(|&row| values[row]).collect())
            }
            ColumnValues::Categorical { labels, codes } => ColumnValues::Categorical {
                labels: labels.clone(),
                codes: rows.iter().map(|&row| codes[row]).collect(),
            },
        };
        Self { name: self.name.clone(), values }
    }
}

/// The values of one feature.
#[derive(Debug, Clone, PartialEq)]
pub enum ColumnValues {
    /// Numbers; NaN is missing. A boolean is 0 or 1.
    Numeric(Vec<f32>),
    /// Category names by number of first appearance: `labels[codes[row]]`; [`MISSING`] is missing.
    Categorical {
        /// The distinct names.
        labels: Vec<String>,
        /// One index into `labels` a row.
        codes: Vec<u32>,
    },
}

/// Code of a missing category.
pub const MISSING: u32 = u32::MAX;

impl ColumnValues {
    /// Number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Numeric(values) => values.len(),
            Self::Categorical { codes, .. } => codes.len(),
        }
    }

    /// Whether there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of rows without a value.
    #[must_use]
    pub fn missing(&self) -> usize {
        match self {
            Self::Numeric(values) => values.iter().filter(|value| value.is_nan()).count(),
            Self::Categorical { codes, .. } => codes.iter().filter(|&&code| code == MISSING).count(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_move_as_a_whole() {
        let kinds =
            ColumnValues::Categorical { labels: vec!["x".into(), "y".into()], codes: vec![0, 1, 1, MISSING] };
        let rows = |ids: [&str; 4], kinds, sizes: [f32; 4], target: [f64; 4]| KeyedTable {
            entity_ids: ids.map(str::to_owned).to_vec(),
            table: FeatureTable {
                n_rows: 4,
                columns: vec![
                    Column { name: "kind".into(), values: kinds },
                    Column { name: "size".into(), values: ColumnValues::Numeric(sizes.to_vec()) },
                ],
                target: target.to_vec(),
                ..FeatureTable::default()
            },
        };
        let unordered = rows(["b", "a", "c", "a"], kinds, [1.0, 2.0, 3.0, 4.0], [10.0, 20.0, 30.0, 40.0]);
        let moved =
            ColumnValues::Categorical { labels: vec!["x".into(), "y".into()], codes: vec![1, MISSING, 0, 1] };
        let ordered = rows(["a", "a", "b", "c"], moved, [2.0, 4.0, 1.0, 3.0], [20.0, 40.0, 10.0, 30.0]);
        assert_eq!(unordered.in_entity_order(), ordered);
    }
}
