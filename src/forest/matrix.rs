//! A dense table of features.

/// Features of `n_rows` rows, column by column; NaN is a missing value.
///
/// A categorical feature holds category codes `0.0, 1.0, ...`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Matrix {
    n_rows: usize,
    columns: Vec<Vec<f32>>,
}

impl Matrix {
    /// Takes columns of equal length as they are.
    ///
    /// # Panics
    /// If the columns differ in length.
    #[must_use]
    pub fn from_columns(columns: Vec<Vec<f32>>) -> Self {
        let n_rows = columns.first().map_or(0, Vec::len);
        assert!(columns.iter().all(|c| c.len() == n_rows), "columns of one length");
        Self { n_rows, columns }
    }

    /// Number of rows.
    #[must_use]
    pub fn n_rows(&self) -> usize {
        self.n_rows
    }

    /// Number of columns.
    #[must_use]
    pub fn n_cols(&self) -> usize {
        self.columns.len()
    }

    /// Memory that the values take, in bytes.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.n_rows * self.n_cols() * size_of::<f32>()
    }

    /// The values of column `j`, one per row.
    #[must_use]
    pub fn column(&self, j: usize) -> &[f32] {
        &self.columns[j]
    }

    /// Row `i` as a new vector of `n_cols` values.
    #[must_use]
    pub fn row(&self, i: usize) -> Vec<f32> {
        self.columns.iter().map(|column| column[i]).collect()
    }

    /// The given rows, in the given order (an index may repeat).
    #[must_use]
    pub fn take_rows(&self, rows: &[usize]) -> Self {
        let taken = |column: &Vec<f32>| rows.iter().map(|&i| column[i]).collect();
        Self { n_rows: rows.len(), columns: self.columns.iter().map(taken).collect() }
    }

    /// Moves the given rows, of ascending numbers, into a matrix of their own: one column at a time, so that no
    /// row is there twice.
    #[must_use]
    pub fn split_off_rows(&mut self, rows: &[usize]) -> Self {
        let split_off = |column: &mut Vec<f32>| -> Vec<f32> {
            let taken = rows.iter().map(|&i| column[i]).collect();
            let (mut row, mut next) = (0, rows.iter().peekable());
            column.retain(|_| {
                let stays = next.next_if_eq(&&row).is_none();
                row += 1;
                stays
            });
            column.shrink_to_fit();
            taken
        };
        let columns = self.columns.iter_mut().map(split_off).collect();
        self.n_rows -= rows.len();
        Self { n_rows: rows.len(), columns }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_split_off_as_they_are_taken() {
        let whole = Matrix::from_columns(vec![vec![0.0, 1.0, 2.0, 3.0, 4.0], vec![5.0, 6.0, 7.0, 8.0, 9.0]]);
        for (rows, others) in [
            (&[0, 3][..], &[1, 2, 4][..]),
            (&[2, 4], &[0, 1, 3]),
            (&[], &[0, 1, 2, 3, 4]),
            (&[0, 1, 2, 3, 4], &[]),
        ] {
            let mut left = whole.clone();
            let taken = left.split_off_rows(rows);
            assert_eq!((taken, left), (whole.take_rows(rows), whole.take_rows(others)));
        }
    }
}
