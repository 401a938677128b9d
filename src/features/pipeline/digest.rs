//! The fingerprint of a table's rows: equal for equal rows, whatever the number of threads.
//!
//! SHA-256 by column, and SHA-256 over the columns' sums, so that columns are hashed in parallel.
//! The order of rows counts (splits follow it), as does the order of columns.
//!
//! - A numeric column's sum is that of its values as little-endian `f32`: missing is `0x7fc00000`, a
//!   negative zero is a zero.
//! - A categorical column's is that of its categories as little-endian `u32`, numbered by first
//!   appearance: missing is `0xffffffff`. Its names come below.
//! - Target and times: as little-endian `f64`, missing is `0x7ff8000000000000`.
//! - The digest: `binah-ml rows 1\n`; the number of rows; for each column `n` or `c`, its name and, of
//!   a categorical one, the number of names and each of them; the column's sum; then the target's and
//!   the times' sums (of no value where there are none). Numbers are little-endian `u64`, a text is
//!   its length in bytes and its UTF-8.

use rayon::prelude::*;
use sha2::{Digest, Sha256};

use crate::features::{Column, ColumnValues, FeatureTable, table::MISSING};

/// SHA-256 of rows; shown as 64 lower-case hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RowsDigest([u8; 32]);

/// What tells columns with other values apart: equal for columns that are equal in every row,
/// categorical ones up to the categories' names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ColumnFingerprint {
    is_categorical: bool,
    values: [u8; 32],
}

impl std::fmt::Display for RowsDigest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The table's digest, and each column's fingerprint.
#[must_use]
pub fn of(table: &FeatureTable) -> (RowsDigest, Vec<ColumnFingerprint>) {
    let columns: Vec<_> = table.columns.par_iter().map(|column| sums(&column.values)).collect();
    let mut digest = Sha256::new_with_prefix(b"binah-ml rows 1\n");
    digest.update((table.n_rows as u64).to_le_bytes());
    for (Column { name, values }, (fingerprint, order)) in table.columns.iter().zip(&columns) {
        match values {
            ColumnValues::Numeric(_) => {
                digest.update(b"n");
                update_text(&mut digest, name);
            }
            ColumnValues::Categorical { labels, .. } => {
                digest.update(b"c");
                update_text(&mut digest, name);
                digest.update((order.len() as u64).to_le_bytes());
                order.iter().for_each(|&label| update_text(&mut digest, &labels[label]));
            }
        }
        digest.update(fingerprint.values);
    }
    let wide = |values: &[f64]| sum(values, |value| canonical(value, f64::NAN).to_le_bytes());
    digest.update(wide(&table.target));
    digest.update(wide(&table.observed_at));
    let fingerprints = columns.into_iter().map(|(fingerprint, _)| fingerprint).collect();
    (RowsDigest(digest.finalize().into()), fingerprints)
}

/// A column's fingerprint and, of a categorical one, its labels in order of first appearance.
fn sums(values: &ColumnValues) -> (ColumnFingerprint, Vec<usize>) {
    match values {
        ColumnValues::Numeric(values) => {
            let values = sum(values, |value| canonical(value, f32::NAN).to_le_bytes());
            (ColumnFingerprint { is_categorical: false, values }, vec![])
        }
        ColumnValues::Categorical { labels, codes } => {
            let mut order = vec![];
            let mut number = vec![MISSING; labels.len()];
            let values = sum(codes, |code| {
                if code == MISSING {
                    return MISSING.to_le_bytes();
                }
                let number = &mut number[code as usize];
                if *number == MISSING {
                    *number = order.len() as u32;
                    order.push(code as usize);
                }
                number.to_le_bytes()
            });
            (ColumnFingerprint { is_categorical: true, values }, order)
        }
    }
}

/// Equal values as equal bits.
fn canonical<T: Copy + PartialEq + std::ops::Add<Output = T> + Default>(value: T, missing: T) -> T {
    // Only a NaN differs from itself; minus zero plus zero is zero.
    #[expect(clippy::eq_op, reason = "asks for a NaN of either width")]
    let is_missing = value != value;
    if is_missing { missing } else { value + T::default() }
}

/// SHA-256 of the values' bytes, which are gathered so that the hash takes many blocks at once.
fn sum<T: Copy, const N: usize>(values: &[T], mut bytes: impl FnMut(T) -> [u8; N]) -> [u8; 32] {
    let mut digest = Sha256::new();
    let mut buffer = [0; 1 << 14];
    for chunk in values.chunks(buffer.len() / N) {
        let taken = &mut buffer[..chunk.len() * N];
        for (place, &value) in taken.chunks_exact_mut(N).zip(chunk) {
            place.copy_from_slice(&bytes(value));
        }
        digest.update(taken);
    }
    digest.finalize().into()
}

fn update_text(digest: &mut Sha256, text: &str) {
    digest.update((text.len() as u64).to_le_bytes());
    digest.update(text);
}
