//! The features of a model: kept with it, and applied to every later row in the same way.

use std::collections::{BTreeMap, HashSet};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    pipeline::{Dropped, Redundancy},
    table::{Column, ColumnValues, FeatureTable, MISSING},
};
use crate::{
    catalog::{FeatureKindSpec, ModelType},
    error::{Error, FieldError, MAX_FAULTS, Result, echo, echo_object},
    forest::Matrix,
};

/// The features of a model in model order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FeatureSchema {
    /// One entry a column of the model's matrix.
    pub features: Vec<Feature>,
    /// What the model predicts; `None` for an unsupervised one.
    pub target: Option<String>,
    /// Columns of the training rows that the model does without: requests may send them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dropped: Vec<Dropped>,
}

/// One feature of a model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Feature {
    /// Key in a request's `features`.
    pub name: String,
    /// How its values become numbers.
    #[serde(flatten)]
    pub kind: FeatureKind,
    /// Whether a request may leave it out, which then means missing: what the graph alone knew in training.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub optional: bool,
}

/// How the values of a feature become numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum FeatureKind {
    /// The number itself; a boolean is 0 or 1.
    Numeric,
    /// The position of the name in `categories`.
    Categorical {
        /// The names that were seen in training, in ascending order.
        categories: Vec<String>,
        /// Names that the numbers 1, 2, ... stand for.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        numbered: Vec<String>,
    },
}

/// A row as the model takes it.
#[derive(Debug, Clone, PartialEq)]
pub struct EncodedRow {
    /// One value a feature; NaN is missing.
    pub values: Vec<f32>,
    /// Keys that neither the model nor its training rows knew.
    pub ignored: Vec<String>,
    /// Features whose category was not seen in training; treated as missing.
    pub unseen: Vec<String>,
}

impl FeatureSchema {
    /// The schema of a training table. Categories are sorted, so that the order of the rows does
    /// not matter.
    #[must_use]
    pub fn of(table: &FeatureTable, model_type: ModelType, target: Option<String>) -> Self {
        let features = table
            .columns
            .iter()
            .map(|column| {
                let kind = match &column.values {
                    ColumnValues::Numeric(_) => FeatureKind::Numeric,
                    ColumnValues::Categorical { labels, .. } => {
                        let mut categories = labels.clone();
                        categories.sort_unstable();
                        FeatureKind::Categorical { categories, numbered: numbered(model_type, &column.name) }
                    }
                };
                Feature { name: column.name.clone(), kind, optional: false }
            })
            .collect();
        Self { features, target, dropped: vec![] }
    }

    /// Lets requests leave these features out.
    pub fn make_optional(&mut self, names: &[String]) {
        for feature in self.features.iter_mut().filter(|feature| names.contains(&feature.name)) {
            feature.optional = true;
        }
    }

    /// Columns of training rows as the model takes them; they must be the schema's. One after the other is
    /// turned or moved, so that no value is in memory twice.
    #[must_use]
    pub fn matrix(&self, columns: Vec<Column>) -> Matrix {
        let turned = |(feature, column): (&Feature, Column)| match (column.values, &feature.kind) {
            (ColumnValues::Categorical { labels, codes }, FeatureKind::Categorical { categories, .. }) => {
                recode(&labels, codes, categories)
            }
            (ColumnValues::Numeric(values), _) => values,
            (ColumnValues::Categorical { codes, .. }, FeatureKind::Numeric) => vec![f32::NAN; codes.len()],
        };
        Matrix::from_columns(self.features.iter().zip(columns).map(turned).collect())
    }

    /// Rows of the model as names and numbers again, for [`Self::matrix_by_name`] of another one.
    #[must_use]
    pub fn columns(&self, rows: &Matrix) -> Vec<Column> {
        let code = |&code: &f32| if code.is_nan() { MISSING } else { code as u32 };
        let column = |(j, feature): (usize, &Feature)| {
            let values = rows.column(j);
            let values = match &feature.kind {
                FeatureKind::Numeric => ColumnValues::Numeric(values.to_vec()),
                FeatureKind::Categorical { categories, .. } => ColumnValues::Categorical {
                    labels: categories.clone(),
                    codes: values.iter().map(code).collect(),
                },
            };
            Column { name: feature.name.clone(), values }
        };
        self.features.iter().enumerate().map(column).collect()
    }

    /// Rows of another training as this model takes them: columns by name, whatever their order, and more
    /// than it needs. A category that it has not seen is missing, as in [`encode`](Self::encode).
    ///
    /// # Errors
    /// Names of the features that the rows have no column for, or one of another kind.
    pub fn matrix_by_name(&self, columns: &[Column], n_rows: usize) -> Result<Matrix, Vec<&str>> {
        let mut lacking = vec![];
        let mut matrix = Vec::with_capacity(self.features.len());
        for feature in &self.features {
            let column = columns.iter().find(|column| column.name == feature.name);
            let values = match (column.map(|column| &column.values), &feature.kind) {
                (
                    Some(ColumnValues::Categorical { labels, codes }),
                    FeatureKind::Categorical { categories, .. },
                ) => recode(labels, codes.clone(), categories),
                (Some(ColumnValues::Numeric(values)), FeatureKind::Numeric) => values.clone(),
                (Some(ColumnValues::Numeric(values)), kind @ FeatureKind::Categorical { .. }) => {
                    values.iter().map(|&value| kind.category_of_number(value)).collect()
                }
                (None, _) if feature.optional => vec![f32::NAN; n_rows],
                _ => {
                    lacking.push(feature.name.as_str());
                    continue;
                }
            };
            matrix.push(values);
        }
        if lacking.is_empty() { Ok(Matrix::from_columns(matrix)) } else { Err(lacking) }
    }

    /// Turns a request's features into the model's row.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming the features, up to [`MAX_FAULTS`], that are left out or of the wrong type.
    pub fn encode(&self, features: &Map<String, Value>) -> Result<EncodedRow> {
        let mut row =
            EncodedRow { values: Vec::with_capacity(self.features.len()), ignored: vec![], unseen: vec![] };
        let mut errors = vec![];
        for feature in &self.features {
            if errors.len() == MAX_FAULTS {
                break;
            }
            let path = ["features", feature.name.as_str()];
            let value = features.get(&feature.name).or(feature.optional.then_some(&Value::Null));
            let Some(value) = value else {
                errors.push(FieldError::body("missing", path, "Field required", echo_object(features)));
                continue;
            };
            match feature.kind.encode(value) {
                Ok(Encoded::Value(number)) => row.values.push(number),
                Ok(Encoded::Unseen) => {
                    row.values.push(f32::NAN);
                    row.unseen.push(feature.name.clone());
                }
                Err((kind, msg)) => errors.push(FieldError::body(kind, path, msg, echo(value))),
            }
        }
        if !errors.is_empty() {
            return Err(Error::Invalid(errors));
        }
        row.ignored = self.unknown(features);
        Ok(row)
    }

    fn unknown(&self, features: &Map<String, Value>) -> Vec<String> {
        let own = self.features.iter().map(|feature| feature.name.as_str());
        let dropped = self.dropped.iter().map(|column| column.name.as_str());
        let known: HashSet<&str> = own.chain(dropped).collect();
        features.keys().filter(|name| !known.contains(name.as_str())).cloned().collect()
    }

    /// Memory that names and categories take, in bytes.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        let texts = |texts: &[String]| texts.iter().map(text_bytes).sum::<usize>();
        let feature = |feature: &Feature| {
            let kind = match &feature.kind {
                FeatureKind::Numeric => 0,
                FeatureKind::Categorical { categories, numbered } => texts(categories) + texts(numbered),
            };
            size_of::<Feature>() + feature.name.capacity() + kind
        };
        let dropped = |dropped: &Dropped| {
            let of = match &dropped.reason {
                Redundancy::Duplicate { of } => of.capacity(),
                Redundancy::NoValue | Redundancy::Constant => 0,
            };
            size_of::<Dropped>() + dropped.name.capacity() + of
        };
        self.features.iter().map(feature).sum::<usize>()
            + self.dropped.iter().map(dropped).sum::<usize>()
            + self.target.as_ref().map_or(0, text_bytes)
    }

    /// Which features are categorical, in model order.
    #[must_use]
    pub fn categorical(&self) -> Vec<bool> {
        self.features.iter().map(|feature| feature.kind != FeatureKind::Numeric).collect()
    }

    /// The features' names, in model order.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.features.iter().map(|feature| feature.name.clone()).collect()
    }
}

fn text_bytes(text: &String) -> usize {
    size_of::<String>() + text.capacity()
}

enum Encoded {
    Value(f32),
    Unseen,
}

impl FeatureKind {
    /// A number as a request would send it for a category.
    fn category_of_number(&self, number: f32) -> f32 {
        match self.encode(&Value::from(f64::from(number))) {
            Ok(Encoded::Value(code)) => code,
            Ok(Encoded::Unseen) | Err(_) => f32::NAN,
        }
    }

    fn encode(&self, value: &Value) -> Result<Encoded, (&'static str, String)> {
        match (self, value) {
            (_, Value::Null) => Ok(Encoded::Value(f32::NAN)),
            (Self::Numeric, _) => number(value).map(|number| Encoded::Value(number as f32)),
            (Self::Categorical { categories, numbered }, _) => {
                let name = category_name(value, numbered).ok_or_else(|| {
                    ("string_type", "Input should be a category name or a number".to_owned())
                })?;
                // Models of before know "3.0" under that name.
                let as_sent = value.as_str().and_then(|text| position(categories, text.trim()));
                Ok(match as_sent.or_else(|| position(categories, &name)) {
                    Some(code) => Encoded::Value(code as f32),
                    None if name.is_empty() => Encoded::Value(f32::NAN),
                    None => Encoded::Unseen,
                })
            }
        }
    }
}

fn position(categories: &[String], name: &str) -> Option<usize> {
    categories.binary_search_by(|category| category.as_str().cmp(name)).ok()
}

/// A JSON value as a number in the range of f32: numbers, booleans, and numbers in quotes as web forms send them.
///
/// # Errors
/// Pydantic's name of the broken rule, with a message.
pub(crate) fn number(value: &Value) -> Result<f64, (&'static str, String)> {
    let parsed = match value {
        Value::Bool(flag) => Some(f64::from(u8::from(*flag))),
        Value::String(text) => text.parse::<f64>().ok().filter(|_| !text.contains(['n', 'N'])),
        _ => value.as_f64(),
    };
    match parsed {
        Some(number) if (number as f32).is_finite() => Ok(number),
        Some(_) => Err(("finite_number", "Input should be a finite number".to_owned())),
        None if value.is_string() => Err((
            "float_parsing",
            "Input should be a valid number, unable to parse string as a number".to_owned(),
        )),
        None => Err(("float_type", "Input should be a valid number".to_owned())),
    }
}

/// The category that a JSON value names: a text, or a number that stands for one. Empty if the value
/// is missing.
pub(crate) fn category_name(value: &Value, numbered: &[String]) -> Option<String> {
    let text = match value {
        Value::String(text) => return Some(category_of_text(text, numbered)),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => match number.as_f64() {
            // Plus zero: there is no category -0.
            Some(whole) if whole.fract() == 0.0 && whole.abs() < WHOLE => format!("{:.0}", whole + 0.0),
            _ => number.to_string(),
        },
        _ => return None,
    };
    Some(category_of_text(&text, numbered))
}

/// Whole numbers below are categories by their digits.
const WHOLE: f64 = 1e15;

/// The category that a text names: itself without the spaces around, as the number that it spells with a
/// fraction of zeros, or the name that its number stands for. Empty if it is missing.
///
/// "3.0" is what `numeric(9, 1)` and pandas make of 3 on their way to a text. Nothing else is read as a number:
/// "02134" and "1.10" are codes whose zeros mean something.
pub(crate) fn category_of_text(text: &str, numbered: &[String]) -> String {
    let text = without_zero_fraction(text.trim());
    let position = text.parse::<usize>().ok().and_then(|position| position.checked_sub(1));
    position.and_then(|position| numbered.get(position)).cloned().unwrap_or_else(|| text.to_owned())
}

/// "3" for "3.0" and "3.00", "0" for "-0.0"; any other text as it is.
fn without_zero_fraction(text: &str) -> &str {
    let Some((whole, fraction)) = text.split_once('.') else { return text };
    let digits = whole.strip_prefix('-').unwrap_or(whole);
    let canonical = !digits.is_empty()
        && digits.bytes().all(|byte| byte.is_ascii_digit())
        && (digits == "0" || !digits.starts_with('0'));
    let zeros = !fraction.is_empty() && fraction.bytes().all(|byte| byte == b'0');
    match whole.parse::<f64>() {
        Ok(number) if canonical && zeros && number.abs() < WHOLE => {
            if number == 0.0 {
                digits
            } else {
                whole
            }
        }
        _ => text,
    }
}

/// The names that numbers stand for in the catalog's feature of that name.
pub(crate) fn numbered(model_type: ModelType, feature: &str) -> Vec<String> {
    match model_type.features.iter().find(|spec| spec.name == feature).map(|spec| spec.kind) {
        Some(FeatureKindSpec::Categorical { names }) => names.iter().map(|&name| name.to_owned()).collect(),
        _ => vec![],
    }
}

fn recode(labels: &[String], codes: Vec<u32>, categories: &[String]) -> Vec<f32> {
    let mut position: BTreeMap<&str, f32> =
        categories.iter().enumerate().map(|(i, name)| (name.as_str(), i as f32)).collect();
    // Models of before know "3.0" under that name.
    for (i, name) in categories.iter().enumerate() {
        position.entry(without_zero_fraction(name)).or_insert(i as f32);
    }
    let by_code: Vec<f32> =
        labels.iter().map(|label| position.get(label.as_str()).copied().unwrap_or(f32::NAN)).collect();
    // In place: both are four bytes.
    codes.into_iter().map(|code| if code == MISSING { f32::NAN } else { by_code[code as usize] }).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn schema() -> FeatureSchema {
        let table = FeatureTable {
            n_rows: 3,
            columns: vec![
                Column { name: "year".into(), values: ColumnValues::Numeric(vec![2020.0, f32::NAN, 2022.0]) },
                Column {
                    name: "property_type".into(),
                    values: ColumnValues::Categorical {
                        labels: vec!["residential".into(), "commercial".into()],
                        codes: vec![0, 1, MISSING],
                    },
                },
            ],
            ..FeatureTable::default()
        };
        let model_type = ModelType::parse("cost_forecasting").expect("a catalog type");
        let schema = FeatureSchema::of(&table, model_type, Some("total_cost".into()));
        let matrix = schema.matrix(table.columns);
        assert_eq!(&matrix.column(1)[..2], [1.0, 0.0], "categories are sorted by name");
        assert!(matrix.column(1)[2].is_nan());
        schema
    }

    fn encode(features: Value) -> Result<EncodedRow> {
        schema().encode(features.as_object().expect("an object"))
    }

    #[test]
    fn names_numbers_and_their_aliases() {
        for (sent, code) in
            [(json!("commercial"), 0.0), (json!(2), 0.0), (json!("2"), 0.0), (json!(1.0), 1.0)]
        {
            let row = encode(json!({"year": 2024, "property_type": sent})).expect("valid");
            assert_eq!(row.values, [2024.0, code], "{sent}");
        }
        let row = encode(json!({"year": "2024", "property_type": "castle", "zzz": 1})).expect("valid");
        assert!(row.values[1].is_nan());
        assert_eq!((row.unseen, row.ignored), (vec!["property_type".to_owned()], vec!["zzz".to_owned()]));
    }

    #[test]
    fn a_whole_number_is_one_category_however_it_is_spelt() {
        for (value, name) in [
            (json!(3), "3"),
            (json!(3.0), "3"),
            (json!("3"), "3"),
            (json!("3.0"), "3"),
            (json!(" 3.00 "), "3"),
            (json!("-12.0"), "-12"),
            (json!("0.0"), "0"),
            (json!("-0.0"), "0"),
            (json!(-0.0), "0"),
            (json!(3.5), "3.5"),
            (json!("3.50"), "3.50"),
            (json!("1.10"), "1.10"),
            (json!("02134.0"), "02134.0"),
            (json!("02134"), "02134"),
            (json!("3."), "3."),
            (json!(".0"), ".0"),
            (json!("-.0"), "-.0"),
            (json!("1.0.0"), "1.0.0"),
            (json!("+3.0"), "+3.0"),
            (json!("1e3.0"), "1e3.0"),
            (json!("v3.0"), "v3.0"),
            (json!("1000000000000000.0"), "1000000000000000.0"),
        ] {
            assert_eq!(category_name(&value, &[]).as_deref(), Some(name), "{value}");
        }
        let names = ["residential".to_owned(), "commercial".to_owned()];
        assert_eq!(category_name(&json!("2.0"), &names).as_deref(), Some("commercial"));
    }

    #[test]
    fn a_model_of_before_knows_numbers_by_their_old_names() {
        let kind = |categories: &[&str]| FeatureKind::Categorical {
            categories: categories.iter().map(|&name| name.to_owned()).collect(),
            numbered: vec![],
        };
        let code = |kind: &FeatureKind, value: Value| match kind.encode(&value).expect("a category") {
            Encoded::Value(code) => Some(code),
            Encoded::Unseen => None,
        };
        let both = kind(&["3", "3.0"]);
        assert_eq!(
            [json!(3), json!("3"), json!("3.0")].map(|sent| code(&both, sent)),
            [0.0, 0.0, 1.0].map(Some)
        );
        let old = kind(&["3.0"]);
        assert_eq!((code(&old, json!("3.0")), code(&old, json!("4.0"))), (Some(0.0), None));
        assert_eq!(recode(&["3".to_owned()], vec![0], &["3.0".to_owned()]), [0.0], "rows of a new training");
    }

    #[test]
    fn null_is_missing_and_absent_is_an_error() {
        let row = encode(json!({"year": null, "property_type": null})).expect("valid");
        assert!(row.values.iter().all(|value| value.is_nan()));
        let Err(Error::Invalid(errors)) = encode(json!({})) else { panic!("must be refused") };
        assert_eq!(errors.iter().map(|e| e.kind.clone()).collect::<Vec<_>>(), ["missing", "missing"]);
    }

    #[test]
    fn a_wide_model_does_not_swell_the_answer() {
        let feature = |i| Feature { name: format!("f{i}"), kind: FeatureKind::Numeric, optional: false };
        let wide =
            FeatureSchema { features: (0..1000).map(feature).collect(), target: None, dropped: vec![] };
        let sent: Map<String, Value> = (0..10_000).map(|i| (format!("g{i}"), json!(i))).collect();
        let Err(Error::Invalid(errors)) = wide.encode(&sent) else { panic!("must be refused") };
        assert_eq!((errors.len(), &errors[0].input), (MAX_FAULTS, &Value::Null));
    }

    #[test]
    fn wrong_types_are_refused() {
        for (year, kind) in [
            (json!([2024]), "float_type"),
            (json!({"a": 1}), "float_type"),
            (json!("soon"), "float_parsing"),
            (json!("nan"), "float_parsing"),
            (json!(1e39), "finite_number"),
        ] {
            let Err(Error::Invalid(errors)) = encode(json!({"year": year, "property_type": 1})) else {
                panic!("must be refused: {year}")
            };
            assert_eq!(errors[0].kind, kind);
        }
    }

    #[test]
    fn an_optional_feature_may_be_left_out() {
        let mut schema = schema();
        schema.make_optional(&["year".into()]);
        let sent = json!({"property_type": "commercial"});
        let row = schema.encode(sent.as_object().expect("an object")).expect("valid");
        assert!(row.values[0].is_nan() && row.values[1] == 0.0);
        let Err(Error::Invalid(errors)) = schema.encode(&Map::new()) else { panic!("must be refused") };
        assert_eq!(errors[0].loc, [json!("body"), json!("features"), json!("property_type")]);
    }

    #[test]
    fn rows_of_another_training_are_matched_by_name() {
        let numeric = |name: &str, values: &[f32]| Column {
            name: name.into(),
            values: ColumnValues::Numeric(values.to_vec()),
        };
        let kinds = |labels: &[&str], codes: &[u32]| Column {
            name: "property_type".into(),
            values: ColumnValues::Categorical {
                labels: labels.iter().map(|&label| label.to_owned()).collect(),
                codes: codes.to_vec(),
            },
        };
        let (years, schema) = (numeric("year", &[2020.0, 2021.0, f32::NAN]), schema());
        let more = numeric("more", &[1.0; 3]);
        let columns = [kinds(&["castle", "residential", "commercial"], &[2, 0, 1]), more, years.clone()];
        let matrix = schema.matrix_by_name(&columns, 3).expect("all there");
        assert_eq!(matrix.row(0), [2020.0, 0.0]);
        assert!(matrix.row(1)[0] == 2021.0 && matrix.row(1)[1].is_nan(), "a castle was never seen");
        assert!(matrix.row(2)[0].is_nan() && matrix.row(2)[1] == 1.0);
        // 2 stands for the catalog's second name, as in a request.
        let numbered = [years, numeric("property_type", &[2.0, 1.0, f32::NAN])];
        let matrix = schema.matrix_by_name(&numbered, 3).expect("all there");
        assert!((matrix.row(0)[1], matrix.row(1)[1]) == (0.0, 1.0) && matrix.row(2)[1].is_nan());

        let text = [kinds(&["commercial"], &[0, 0, 0])];
        assert_eq!(schema.matrix_by_name(&text, 3), Err(vec!["year"]));
        let mut optional = schema.clone();
        optional.make_optional(&["year".into()]);
        assert!(
            optional
                .matrix_by_name(&text, 3)
                .expect("may lack it")
                .column(0)
                .iter()
                .all(|year| year.is_nan())
        );
    }

    #[test]
    fn rows_of_the_model_become_columns_and_rows_again() {
        let matrix = Matrix::from_columns(vec![vec![2020.0, f32::NAN, -0.0], vec![1.0, 0.0, f32::NAN]]);
        let columns = schema().columns(&matrix);
        let again = schema().matrix_by_name(&columns, 3).expect("all there");
        let bits = |matrix: &Matrix| {
            [0, 1].map(|j| matrix.column(j).iter().map(|x| x.to_bits()).collect::<Vec<_>>())
        };
        assert_eq!(bits(&again), bits(&matrix));
    }

    #[test]
    fn survives_json() {
        let plain = serde_json::to_string(&schema()).expect("serialises");
        assert!(!plain.contains("optional"), "models of before read the same");
        assert_eq!(serde_json::from_str::<FeatureSchema>(&plain).expect("parses"), schema());
        let mut schema = schema();
        schema.make_optional(&["year".into()]);
        let text = serde_json::to_string(&schema).expect("serialises");
        assert_eq!(serde_json::from_str::<FeatureSchema>(&text).expect("parses"), schema);
    }
}
