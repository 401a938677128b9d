//! Which rows train and which validate.

use serde_json::json;

use super::SplitKind;
use crate::{
    error::{Error, FieldError, Result},
    features::Dataset,
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
    /// [`Error::Invalid`] when a split by time is asked for and the rows carry no time, and when all
    /// rows that are left to train on have the same target: such a model knows one answer.
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
        refuse_constant(dataset, &rows)?;
        Ok(Self { kind, train: rows, validation })
    }
}

fn refuse_constant(dataset: &Dataset, train: &[usize]) -> Result<()> {
    let mut targets = train.iter().filter_map(|&row| dataset.target.get(row));
    let Some(first) = targets.next() else { return Ok(()) };
    if targets.any(|target| target != first) {
        return Ok(());
    }
    let msg = format!(
        "All rows that are left to train on have the target {first}; hold out fewer, or split them another way"
    );
    Err(Error::invalid(FieldError::body("no_target_variance", ["validation_split"], msg, json!(first))))
}

/// Fisher-Yates.
fn shuffle(rows: &mut [usize], seed: u64) {
    let mut rng = Rng::new(seed);
    for last in (1..rows.len()).rev() {
        rows.swap(last, rng.below(last as u32 + 1) as usize);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        catalog::ModelType,
        features::inline::{self, Row},
    };

    /// Forty rows; the class is 1 in the last `positives` of them.
    fn rare(positives: usize) -> Dataset {
        let row = |i: usize| json!({"x": i, "high_risk": i >= 40 - positives, "observed_at": i});
        let rows: Vec<Row> = (0..40).map(|i| serde_json::from_value(row(i)).expect("a row")).collect();
        let model_type = ModelType::parse("risk_assessment").expect("a catalog type");
        let table = inline::table(&rows, model_type, Some("high_risk")).expect("valid");
        Dataset::new(table, model_type, Some("data"), Some("high_risk")).expect("usable")
    }

    #[test]
    fn a_split_that_leaves_one_class_to_train_on_is_refused() {
        let refused = Split::new(&rare(8), None, 0.2, 42);
        assert!(matches!(refused, Err(Error::Invalid(errors)) if errors[0].kind == "no_target_variance"));
        let split = Split::new(&rare(9), None, 0.2, 42).expect("both classes");
        assert_eq!((split.train.len(), split.validation.len()), (32, 8));
    }
}
