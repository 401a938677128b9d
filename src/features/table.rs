//! The table that every source of training rows yields.

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
}

/// Rows that know which entity (project, property) they describe, so that another source can add to them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct KeyedTable {
    /// One id a row; several rows may describe one entity.
    pub entity_ids: Vec<String>,
    /// The rows.
    pub table: FeatureTable,
}

/// One feature of all rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// The feature's name, as requests spell it.
    pub name: String,
    /// One value a row.
    pub values: ColumnValues,
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
