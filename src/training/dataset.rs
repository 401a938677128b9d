//! From a source's table to rows that can be learnt from, or a precise refusal.

use serde_json::{Value, json};

use crate::{
    catalog::{Family, ModelType, TargetSpec},
    error::{Error, FieldError, Result},
    features::{ColumnValues, FeatureSchema, FeatureTable, table::MISSING},
    forest::Matrix,
};

/// Largest sum of squared deviations of a regression's target from its mean. libxgboost's gains are
/// single floats of that order: beyond their range it splits nothing, without a word.
const MAX_TARGET_SQUARES: f64 = 1e38;

/// Fewest usable rows that a model is trained on.
pub const MIN_ROWS: usize = 20;

/// Rows that can be learnt from.
#[derive(Debug, Clone)]
pub struct Dataset {
    /// The features, kept with the model.
    pub schema: FeatureSchema,
    /// One row an example.
    pub features: Matrix,
    /// One value a row; empty for an unsupervised model.
    pub target: Vec<f64>,
    /// Seconds since 1970, NaN where unknown; empty if the source has no times.
    pub observed_at: Vec<f64>,
    /// Rows of the source that were left out: no target, or no feature at all.
    pub dropped_rows: usize,
    /// What was changed that the caller should know.
    pub warnings: Vec<String>,
}

impl Dataset {
    /// Checks the table and keeps its usable rows. `source` is the request's field that the rows
    /// came from, for error locations; `target` is the column that is predicted.
    ///
    /// # Errors
    /// [`Error::Invalid`] for fewer than [`MIN_ROWS`] usable rows, an all-missing column, a
    /// non-finite target, a target that does not vary or is too large to be fitted, or classes
    /// other than 0 and 1.
    pub fn new(
        mut table: FeatureTable,
        model_type: ModelType,
        source: Option<&str>,
        target: Option<&str>,
    ) -> Result<Self> {
        let refuse =
            |kind, msg: String, input: Value| Err(Error::invalid(FieldError::body(kind, source, msg, input)));
        if table.columns.is_empty() {
            return refuse("no_features", "The rows have no feature column".into(), Value::Null);
        }
        if let Some(name) = unloadable_name(&table, model_type.family) {
            let msg =
                format!("'{name}' holds one of [ ] <, which Python's XGBoost refuses in a feature's name");
            return refuse("invalid_name", msg, json!(name));
        }
        if let Some(row) = table.target.iter().position(|value| value.is_infinite()) {
            let msg = format!("The target '{}' is not finite in row {row}", target.unwrap_or_default());
            return refuse("non_finite_target", msg, json!(row));
        }
        let warnings = blank_infinite(&mut table);
        let n_rows = table.n_rows;
        retain_usable(&mut table);
        if table.n_rows < MIN_ROWS {
            let msg = format!("{} usable rows are too few; at least {MIN_ROWS} are needed", table.n_rows);
            return refuse("too_few_rows", msg, json!(table.n_rows));
        }
        let empty: Vec<_> = table
            .columns
            .iter()
            .filter(|column| column.values.missing() == column.values.len())
            .map(|column| column.name.as_str())
            .collect();
        if !empty.is_empty() {
            let msg = format!("No row has a value for {}", empty.join(", "));
            return refuse("all_missing", msg, json!(empty));
        }
        if let Some(TargetSpec { binary, .. }) = model_type.target {
            let name = target.unwrap_or_default();
            if let Some((kind, msg)) = target_problem(&table.target, name, binary) {
                return refuse(kind, msg, json!(name));
            }
        }
        let schema = FeatureSchema::of(&table, model_type, target.map(str::to_owned));
        Ok(Self {
            features: schema.matrix(&table),
            schema,
            dropped_rows: n_rows - table.n_rows,
            warnings,
            target: table.target,
            observed_at: table.observed_at,
        })
    }

    /// Number of usable rows.
    #[must_use]
    pub fn n_rows(&self) -> usize {
        self.features.n_rows()
    }
}

/// A name under which the model would train here, and not load in Python.
fn unloadable_name(table: &FeatureTable, family: Family) -> Option<&str> {
    let names = table.columns.iter().map(|column| column.name.as_str());
    let mut refused = names.filter(|name| name.contains(['[', ']', '<']));
    if family == Family::BoostedRegression { refused.next() } else { None }
}

fn target_problem(target: &[f64], name: &str, binary: bool) -> Option<(&'static str, String)> {
    if binary && let Some(row) = target.iter().position(|&class| class != 0.0 && class != 1.0) {
        return Some(("invalid_class", format!("'{name}' must be 0 or 1; row {row} holds {}", target[row])));
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

/// Makes infinite features missing: no tree can split on them, and libxgboost refuses them.
fn blank_infinite(table: &mut FeatureTable) -> Vec<String> {
    let mut warnings = vec![];
    for column in &mut table.columns {
        let ColumnValues::Numeric(values) = &mut column.values else { continue };
        let mut blanked = 0;
        for value in values.iter_mut().filter(|value| value.is_infinite()) {
            *value = f32::NAN;
            blanked += 1;
        }
        if blanked > 0 {
            let name = &column.name;
            warnings.push(format!(
                "{blanked} values of '{name}' are infinite or too large; they count as missing"
            ));
        }
    }
    warnings
}

/// Drops rows that have no target or no feature.
fn retain_usable(table: &mut FeatureTable) {
    let is_usable = |row: usize| {
        table.target.get(row).is_none_or(|target| !target.is_nan())
            && table.columns.iter().any(|column| match &column.values {
                ColumnValues::Numeric(values) => !values[row].is_nan(),
                ColumnValues::Categorical { codes, .. } => codes[row] != MISSING,
            })
    };
    let usable: Vec<bool> = (0..table.n_rows).map(is_usable).collect();
    if usable.iter().all(|&keep| keep) {
        return;
    }
    for column in &mut table.columns {
        match &mut column.values {
            ColumnValues::Numeric(values) => keep(values, &usable),
            ColumnValues::Categorical { codes, .. } => keep(codes, &usable),
        }
    }
    keep(&mut table.target, &usable);
    keep(&mut table.observed_at, &usable);
    table.n_rows = usable.iter().filter(|&&keep| keep).count();
}

fn keep<T>(values: &mut Vec<T>, usable: &[bool]) {
    let mut flags = usable.iter();
    values.retain(|_| flags.next().copied().unwrap_or(false));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::inline::{self, Row};

    fn dataset(model_type: &str, rows: impl Iterator<Item = Value>) -> Result<Dataset> {
        let model_type = ModelType::parse(model_type).expect("a catalog type");
        let rows: Vec<Row> = rows.map(|row| serde_json::from_value(row).expect("a row")).collect();
        let target = model_type.target.map(|target| target.name);
        Dataset::new(inline::table(&rows, model_type, target)?, model_type, Some("data"), target)
    }

    fn refusal(model_type: &str, rows: impl Iterator<Item = Value>) -> &'static str {
        match dataset(model_type, rows) {
            Err(Error::Invalid(errors)) => {
                assert_eq!(json!(errors[0].loc), json!(["body", "data"]));
                errors[0].kind
            }
            other => panic!("must be refused: {other:?}"),
        }
    }

    #[test]
    fn unusable_rows_are_left_out_and_counted() {
        let rows = (0..30).map(|i| match i {
            0 => json!({"a": 1, "b": "x"}),
            1 => json!({"a": null, "b": null, "total_cost": 5}),
            _ => json!({"a": i, "b": "x", "total_cost": i}),
        });
        let dataset = dataset("cost_forecasting", rows).expect("usable");
        assert_eq!((dataset.n_rows(), dataset.dropped_rows, dataset.target[0]), (28, 2, 2.0));
        assert_eq!(dataset.features.column(0)[0], 2.0);
    }

    #[test]
    fn each_refusal_has_its_name() {
        assert_eq!(
            refusal("cost_forecasting", (0..19).map(|i| json!({"a": i, "total_cost": i}))),
            "too_few_rows"
        );
        assert_eq!(
            refusal("cost_forecasting", (0..30).map(|i| json!({"a": i, "total_cost": 3}))),
            "no_target_variance"
        );
        assert_eq!(
            refusal("risk_assessment", (0..30).map(|i| json!({"a": i, "high_risk": true}))),
            "single_class"
        );
        assert_eq!(
            refusal("risk_assessment", (0..30).map(|i| json!({"a": i, "high_risk": i}))),
            "invalid_class"
        );
        assert_eq!(
            refusal("cost_forecasting", (0..30).map(|i| json!({"a": i, "b": null, "total_cost": i}))),
            "all_missing"
        );
        assert_eq!(refusal("cost_forecasting", (0..30).map(|i| json!({"total_cost": i}))), "no_features");
        assert_eq!(
            refusal("cost_forecasting", (0..30).map(|i| json!({"a[0]": i, "total_cost": i}))),
            "invalid_name"
        );
        for scale in [1e20, 1e37] {
            let rows = (0..30).map(|i| json!({"a": i, "total_cost": f64::from(i) * scale}));
            assert_eq!(refusal("cost_forecasting", rows), "target_too_large", "{scale}");
        }
    }

    #[test]
    fn a_target_that_is_not_finite_is_refused() {
        let model_type = ModelType::parse("cost_forecasting").expect("a catalog type");
        let table = FeatureTable {
            n_rows: 30,
            columns: vec![crate::features::Column {
                name: "a".into(),
                values: ColumnValues::Numeric(vec![1.0; 30]),
            }],
            target: (0..30).map(|i| if i == 7 { f64::INFINITY } else { f64::from(i) }).collect(),
            observed_at: vec![],
        };
        let refused = Dataset::new(table, model_type, None, Some("total_cost"));
        assert!(matches!(refused, Err(Error::Invalid(errors)) if errors[0].kind == "non_finite_target"));
    }

    #[test]
    fn infinite_features_count_as_missing_and_are_told() {
        let model_type = ModelType::parse("anomaly_detection").expect("a catalog type");
        let values = (0..30).map(|i| if i == 7 { f32::INFINITY } else { i as f32 }).collect();
        let columns =
            vec![crate::features::Column { name: "a".into(), values: ColumnValues::Numeric(values) }];
        let table = FeatureTable { n_rows: 30, columns, ..FeatureTable::default() };
        let dataset = Dataset::new(table, model_type, None, None).expect("usable");
        assert_eq!((dataset.n_rows(), dataset.dropped_rows), (29, 1), "its only feature is missing");
        assert!(dataset.warnings[0].contains("'a'"), "{:?}", dataset.warnings);
    }

    #[test]
    fn an_unsupervised_model_needs_no_target() {
        let dataset = dataset("anomaly_detection", (0..20).map(|i| json!({"a": i}))).expect("usable");
        assert_eq!((dataset.n_rows(), dataset.target.len(), dataset.schema.target), (20, 0, None));
    }
}
