//! A dense table of features.

/// Features of `n_rows` rows in column-major order; NaN is a missing value.
///
/// A categorical feature holds category codes `0.0, 1.0, ...`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Matrix {
    n_rows: usize,
    n_cols: usize,
    values: Vec<f32>,
}

impl Matrix {
    /// Takes `n_cols` columns of equal length.
    ///
    /// # Panics
    /// If the columns differ in length.
    #[must_use]
    pub fn from_columns(columns: &[Vec<f32>]) -> Self {
        let n_rows = columns.first().map_or(0, Vec::len);
        assert!(columns.iter().all(|c| c.len() == n_rows), "columns of one length");
        Self { n_rows, n_cols: columns.len(), values: columns.concat() }
    }

    /// Number of rows.
    #[must_use]
    pub fn n_rows(&self) -> usize {
        self.n_rows
    }

    /// Number of columns.
    #[must_use]
    pub fn n_cols(&self) -> usize {
        self.n_cols
    }

    /// The values of column `j`, one per row.
    #[must_use]
    pub fn column(&self, j: usize) -> &[f32] {
        &self.values[j * self.n_rows..(j + 1) * self.n_rows]
    }

    /// Row `i` as a new vector of `n_cols` values.
    #[must_use]
    pub fn row(&self, i: usize) -> Vec<f32> {
        (0..self.n_cols).map(|j| self.values[j * self.n_rows + i]).collect()
    }

    /// The given rows, in the given order (an index may repeat).
    #[must_use]
    pub fn take_rows(&self, rows: &[usize]) -> Self {
        let mut values = Vec::with_capacity(rows.len() * self.n_cols);
        for j in 0..self.n_cols {
            let column = self.column(j);
            values.extend(rows.iter().map(|&i| column[i]));
        }
        Self { n_rows: rows.len(), n_cols: self.n_cols, values }
    }
}
