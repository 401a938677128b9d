//! The rows of a data set as a model takes them, each in memory once: holding some out moves them.

use crate::forest::Matrix;

/// The rows to fit on, and those that are held out.
#[derive(Debug, Clone, PartialEq)]
pub struct Examples {
    fitting: Matrix,
    held_out: Matrix,
}

impl Examples {
    /// All rows to fit on.
    #[must_use]
    pub fn new(rows: Matrix) -> Self {
        Self { held_out: rows.take_rows(&[]), fitting: rows }
    }

    /// Holds out rows, by their ascending numbers among those to fit on.
    pub fn hold_out(&mut self, rows: &[usize]) {
        self.held_out = self.fitting.split_off_rows(rows);
    }

    /// The rows to fit on, in order.
    #[must_use]
    pub fn fitting(&self) -> &Matrix {
        &self.fitting
    }

    /// The rows that are held out, in order.
    #[must_use]
    pub fn held_out(&self) -> &Matrix {
        &self.held_out
    }

    /// Number of all rows.
    #[must_use]
    pub fn n_rows(&self) -> usize {
        self.fitting.n_rows() + self.held_out.n_rows()
    }

    /// Memory that the values take, in bytes.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.fitting.memory_bytes() + self.held_out.memory_bytes()
    }

    /// Row `i`, those to fit on first.
    #[must_use]
    pub fn row(&self, i: usize) -> Vec<f32> {
        match i.checked_sub(self.fitting.n_rows()) {
            None => self.fitting.row(i),
            Some(i) => self.held_out.row(i),
        }
    }
}
