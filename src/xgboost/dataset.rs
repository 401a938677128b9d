//! The rows that a training takes, checked before they cross into C.

use crate::forest::Matrix;

/// First float that is no category code for libxgboost: above it not every integer is an f32.
const CATEGORY_LIMIT: f32 = 16_777_216.0;

/// Rows with their targets, borrowed for the length of a training.
#[derive(Debug, Clone, Copy)]
pub struct Dataset<'a> {
    /// `n_rows x n_cols` values, finite or NaN (missing).
    pub features: &'a Matrix,
    /// One finite number per row.
    pub target: &'a [f32],
    /// One name per column. Python readers of the model want them unique and without `[`, `]`, `<`.
    pub feature_names: &'a [String],
    /// Whether a column holds category codes `0.0, 1.0, ...` below 2^24; one flag per column.
    pub categorical: &'a [bool],
}

impl Dataset<'_> {
    /// Checks shapes and values.
    ///
    /// # Errors
    /// The first thing that libxgboost would refuse or, worse, misread.
    pub fn check(&self) -> Result<(), DatasetError> {
        let (n_rows, n_cols) = (self.features.n_rows(), self.features.n_cols());
        if n_rows == 0 || n_cols == 0 {
            return Err(DatasetError::Empty);
        }
        let lengths = [
            ("target", self.target.len(), n_rows),
            ("feature_names", self.feature_names.len(), n_cols),
            ("categorical", self.categorical.len(), n_cols),
        ];
        for (what, found, expected) in lengths {
            if found != expected {
                return Err(DatasetError::Length { what, found, expected });
            }
        }
        if let Some(row) = self.target.iter().position(|y| !y.is_finite()) {
            return Err(DatasetError::Target { row });
        }
        for (j, name) in self.feature_names.iter().enumerate() {
            if name.contains('\0') {
                return Err(DatasetError::Name { column: j });
            }
            let column = self.features.column(j);
            if let Some(row) = column.iter().position(|x| x.is_infinite()) {
                return Err(DatasetError::Infinite { feature: name.clone(), row });
            }
            let is_code = |x: f32| (0.0..CATEGORY_LIMIT).contains(&x) && x.fract() == 0.0;
            if self.categorical[j]
                && let Some(row) = column.iter().position(|&x| !x.is_nan() && !is_code(x))
            {
                return Err(DatasetError::Category { feature: name.clone(), row });
            }
        }
        Ok(())
    }

    /// Checks that names and kinds of the columns are those of `other`.
    pub(super) fn check_columns_of(&self, other: &Self) -> Result<(), DatasetError> {
        let same = self.feature_names == other.feature_names && self.categorical == other.categorical;
        if same { Ok(()) } else { Err(DatasetError::Columns) }
    }
}

/// Why rows cannot be trained on. Rows are counted from 0.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DatasetError {
    /// No rows or no columns.
    #[error("there are no rows or no columns")]
    Empty,
    /// A list does not fit the matrix.
    #[error("{what} has {found} entries where {expected} are needed")]
    Length {
        /// Which list.
        what: &'static str,
        /// Its length.
        found: usize,
        /// The length that the matrix asks for.
        expected: usize,
    },
    /// Validation rows have other columns than training rows.
    #[error("the columns are not those of the training rows")]
    Columns,
    /// A target is NaN or infinite.
    #[error("the target of row {row} is not a finite number")]
    Target {
        /// Where.
        row: usize,
    },
    /// A feature name holds a NUL byte.
    #[error("the name of column {column} holds a NUL byte")]
    Name {
        /// Which.
        column: usize,
    },
    /// A feature is infinite.
    #[error("{feature} is infinite in row {row}")]
    Infinite {
        /// Name of the column.
        feature: String,
        /// Where.
        row: usize,
    },
    /// A category code is not a whole number in `0..2^24`.
    #[error("{feature} holds no category code in row {row}")]
    Category {
        /// Name of the column.
        feature: String,
        /// Where.
        row: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(columns: &[Vec<f32>], target: &[f32], categorical: &[bool]) -> Result<(), DatasetError> {
        let features = Matrix::from_columns(columns.to_vec());
        let names: Vec<_> = (0..columns.len()).map(|j| format!("f{j}")).collect();
        Dataset { features: &features, target, feature_names: &names, categorical }.check()
    }

    #[test]
    fn missing_values_and_codes_are_fine() {
        assert_eq!(check(&[vec![f32::NAN, -1.5], vec![3.0, f32::NAN]], &[0.0, 1.0], &[false, true]), Ok(()));
    }

    #[test]
    fn what_the_library_would_misread_is_refused() {
        let infinite = DatasetError::Infinite { feature: "f0".into(), row: 1 };
        assert_eq!(check(&[vec![0.0, f32::INFINITY]], &[0.0, 1.0], &[false]), Err(infinite));
        for code in [-1.0, 0.5, CATEGORY_LIMIT] {
            let category = DatasetError::Category { feature: "f0".into(), row: 0 };
            assert_eq!(check(&[vec![code]], &[0.0], &[true]), Err(category), "{code}");
        }
        assert_eq!(check(&[vec![0.0]], &[f32::NAN], &[false]), Err(DatasetError::Target { row: 0 }));
        assert_eq!(check(&[], &[], &[]), Err(DatasetError::Empty));
        let short = DatasetError::Length { what: "target", found: 1, expected: 2 };
        assert_eq!(check(&[vec![0.0, 1.0]], &[0.0], &[false]), Err(short));
    }
}
