//! What nothing can be learnt from, refused by name and place.

use serde_json::{Value, json};

use super::{Dropped, Redundancy, listed};
use crate::{
    catalog::Family,
    error::{Error, FieldError, MAX_FAULTS, Result},
    features::FeatureTable,
};

/// Largest sum of squared deviations of a regression's target from its mean. libxgboost's gains are
/// single floats of that order: beyond their range it splits nothing, without a word.
const MAX_TARGET_SQUARES: f64 = 1e38;

/// Fewest usable rows that a model is trained on.
pub const MIN_ROWS: usize = 20;

/// Words refusals about the request's field that the rows came from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Refuse<'a> {
    source: Option<&'a str>,
}

impl<'a> Refuse<'a> {
    pub(super) fn at(source: Option<&'a str>) -> Self {
        Self { source }
    }

    fn with(self, kind: &'static str, msg: String, input: Value) -> Error {
        Error::invalid(FieldError::body(kind, self.source, msg, input))
    }
}

/// Refuses a table without features, and names under which the model would train here, and not load
/// in Python.
pub(super) fn refuse_names(table: &FeatureTable, family: Family, refuse: Refuse<'_>) -> Result<()> {
    if table.columns.is_empty() {
        return Err(refuse.with("no_features", "The rows have no feature column".into(), Value::Null));
    }
    let names = table.columns.iter().map(|column| column.name.as_str());
    let mut unloadable = names.filter(|name| name.contains(['[', ']', '<']));
    match unloadable.next().filter(|_| family == Family::BoostedRegression) {
        None => Ok(()),
        Some(name) => {
            let msg =
                format!("'{name}' holds one of [ ] <, which Python's XGBoost refuses in a feature's name");
            Err(refuse.with("invalid_name", msg, json!(name)))
        }
    }
}

/// Refuses an infinite target by its row in the source.
pub(super) fn refuse_infinite_target(target: &[f64], name: &str, refuse: Refuse<'_>) -> Result<()> {
    match target.iter().position(|value| value.is_infinite()) {
        None => Ok(()),
        Some(row) => {
            let msg = format!("The target '{name}' is not finite in row {row}");
            Err(refuse.with("non_finite_target", msg, json!(row)))
        }
    }
}

/// Refuses fewer than [`MIN_ROWS`] usable rows.
pub(super) fn refuse_too_few(table: &FeatureTable, refuse: Refuse<'_>) -> Result<()> {
    if table.n_rows >= MIN_ROWS {
        return Ok(());
    }
    let msg = format!("{} usable rows are too few; at least {MIN_ROWS} are needed", table.n_rows);
    Err(refuse.with("too_few_rows", msg, json!(table.n_rows)))
}

/// Refuses a target that does not vary, is too large, or is no class where one is needed.
pub(super) fn refuse_target(target: &[f64], name: &str, binary: bool, refuse: Refuse<'_>) -> Result<()> {
    match target_problem(target, name, binary) {
        None => Ok(()),
        Some((kind, msg)) => Err(refuse.with(kind, msg, json!(name))),
    }
}

fn target_problem(target: &[f64], name: &str, binary: bool) -> Option<(&'static str, String)> {
    if binary && let Some(class) = target.iter().find(|&&class| class != 0.0 && class != 1.0) {
        return Some(("invalid_class", format!("'{name}' must be 0 or 1; a row holds {class}")));
    }
    let constant = target.iter().all(|&value| value == target[0]);
    match (constant, binary) {
        (true, true) => {
            Some(("single_class", format!("All rows have the class {}; two are needed", target[0])))
        }
        (true, false) => Some(("no_target_variance", format!("'{name}' is {} in every row", target[0]))),
        (false, false) if squared_deviations(target) > MAX_TARGET_SQUARES => {
            Some(("target_too_large", format!("The values of '{name}' are too large; scale them down")))
        }
        (false, _) => None,
    }
}

fn squared_deviations(values: &[f64]) -> f64 {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    values.iter().map(|value| (value - mean).powi(2)).sum()
}

/// The refusal of rows whose columns were all left out.
pub(super) fn nothing_varies(dropped: &[Dropped], refuse: Refuse<'_>) -> Error {
    let named = |wanted: &Redundancy, what: &str| {
        let names: Vec<_> = dropped.iter().filter(|column| column.reason == *wanted).collect();
        let listed = listed(names.iter().map(|column| column.name.as_str()));
        (!names.is_empty()).then(|| format!("{what} {listed}"))
    };
    let parts = [
        named(&Redundancy::Constant, "every row has the same value of"),
        named(&Redundancy::NoValue, "no row has a value of"),
    ];
    let parts: Vec<_> = parts.into_iter().flatten().collect();
    let names: Vec<_> = dropped.iter().take(MAX_FAULTS).map(|column| &column.name).collect();
    let msg = format!("No feature varies, so that there is nothing to learn from: {}", parts.join("; "));
    refuse.with("no_feature_variance", msg, json!(names))
}
