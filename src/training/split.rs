//! Which rows train and which validate.

use serde_json::json;

use super::{SplitKind, dataset::Dataset};
use crate::{
    error::{Error, FieldError, Result},
    forest::rng::Rng,
};

/// Row numbers of both parts, ascending.
#[derive(Debug, Clone, PartialEq)]
pub struct Split {
    /// How the validation rows were chosen.
    pub kind: SplitKind,
    /// Rows that the model is fitted on.
    pub train: Vec<usize>,
    /// Rows that it is judged on; empty if none are held out.
    pub validation: Vec<usize>,
}

impl Split {
    /// Holds out the share `validation_split` of the rows, rounded up to one row if it is not 0:
    /// the latest ones, or ones drawn by `seed`.
    ///
    /// # Errors
    /// [`Error::Invalid`] when a split by time is asked for and the rows carry no time.
    pub fn new(dataset: &Dataset, kind: Option<SplitKind>, validation_split: f64, seed: u64) -> Result<Self> {
        let timed = dataset.observed_at.iter().any(|time| !time.is_nan());
        let kind = kind.unwrap_or(if timed { SplitKind::Time } else { SplitKind::Random });
        if kind == SplitKind::Time && !timed {
            let msg = "The rows carry no 'observed_at' to split them by time";
            return Err(Error::invalid(FieldError::body("missing", ["split"], msg, json!(kind.name()))));
        }
        let n_rows = dataset.n_rows();
        let n_validation = (n_rows as f64 * validation_split).ceil() as usize;
        let mut rows: Vec<usize> = (0..n_rows).collect();
        match kind {
            SplitKind::Random => shuffle(&mut rows, seed),
            // A stable sort; a row without a time counts as old, so that no model is judged on it.
            SplitKind::Time => {
                let time = |row: usize| Some(dataset.observed_at[row]).filter(|time| !time.is_nan());
                rows.sort_by(|&a, &b| time(a).unwrap_or(f64::MIN).total_cmp(&time(b).unwrap_or(f64::MIN)));
            }
        }
        let mut validation = rows.split_off(n_rows - n_validation.min(n_rows));
        rows.sort_unstable();
        validation.sort_unstable();
        Ok(Self { kind, train: rows, validation })
    }
}

/// Fisher-Yates.
fn shuffle(rows: &mut [usize], seed: u64) {
    let mut rng = Rng::new(seed);
    for last in (1..rows.len()).rev() {
        rows.swap(last, rng.below(last as u32 + 1) as usize);
    }
}
