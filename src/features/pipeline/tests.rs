use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;
use crate::{
    Error,
    features::{
        Column, ColumnValues, FeatureKind,
        inline::{self, Row},
        table::MISSING,
    },
};

fn model_type(name: &str) -> ModelType {
    ModelType::parse(name).expect("a catalog type")
}

fn dataset(name: &str, rows: impl Iterator<Item = Value>) -> Result<Dataset> {
    let model_type = model_type(name);
    let rows: Vec<Row> = rows.map(|row| serde_json::from_value(row).expect("a row")).collect();
    let target = model_type.target.map(|target| target.name);
    Dataset::new(inline::table(&rows, model_type, target)?, model_type, Some("data"), target)
}

fn refusal(name: &str, rows: impl Iterator<Item = Value>) -> String {
    match dataset(name, rows) {
        Err(Error::Invalid(errors)) => {
            assert_eq!(json!(errors[0].loc), json!(["body", "data"]));
            errors[0].kind.to_string()
        }
        other => panic!("must be refused: {other:?}"),
    }
}

fn numeric(name: &str, values: impl Iterator<Item = f32>) -> Column {
    Column { name: name.into(), values: ColumnValues::Numeric(values.collect()) }
}

fn categorical(name: &str, labels: &[&str], codes: Vec<u32>) -> Column {
    let labels = labels.iter().map(|&label| label.to_owned()).collect();
    Column { name: name.into(), values: ColumnValues::Categorical { labels, codes } }
}

fn table(columns: Vec<Column>, target: Vec<f64>) -> FeatureTable {
    FeatureTable { n_rows: columns[0].values.len(), columns, target, ..FeatureTable::default() }
}

fn cost(columns: Vec<Column>) -> Dataset {
    let target = (0..columns[0].values.len()).map(|i| (i * 31 % 17) as f64).collect();
    Dataset::new(table(columns, target), model_type("cost_forecasting"), None, Some("total_cost"))
        .expect("usable")
}

#[test]
fn unusable_rows_are_left_out_and_counted() {
    let rows = (0..30).map(|i| match i {
        0 => json!({"a": 1, "b": "x"}),
        1 => json!({"a": null, "b": null, "total_cost": 5}),
        _ => json!({"a": i, "b": if i % 2 == 0 { "x" } else { "y" }, "total_cost": i}),
    });
    let dataset = dataset("cost_forecasting", rows).expect("usable");
    assert_eq!((dataset.n_rows(), dataset.dropped_rows, dataset.target[0]), (28, 2, 2.0));
    assert_eq!(dataset.features.fitting().column(0)[0], 2.0);
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
    assert_eq!(refusal("risk_assessment", (0..30).map(|i| json!({"a": i, "high_risk": i}))), "invalid_class");
    assert_eq!(
        refusal("cost_forecasting", (0..30).map(|i| json!({"a": 1, "b": null, "total_cost": i}))),
        "no_feature_variance"
    );
    assert_eq!(refusal("anomaly_detection", (0..30).map(|_| json!({"a": "x"}))), "no_feature_variance");
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
fn the_refusal_of_columns_without_information_names_them() {
    let rows = (0..30).map(|i| json!({"a": 1, "b": null, "c": "x", "total_cost": i}));
    let Err(Error::Invalid(errors)) = dataset("cost_forecasting", rows) else { panic!("must be refused") };
    assert_eq!(
        errors[0].msg,
        "No feature varies, so that there is nothing to learn from: every row has the same value of 'a', 'c'; \
         no row has a value of 'b'"
    );
    assert_eq!(errors[0].input, json!(["a", "b", "c"]));
}

#[test]
fn a_target_that_is_not_finite_is_refused_by_its_row() {
    let target = (0..30).map(|i| if i == 7 { f64::INFINITY } else { f64::from(i) }).collect();
    let table = table(vec![numeric("a", (0..30u8).map(f32::from))], target);
    let refused = Dataset::new(table, model_type("cost_forecasting"), None, Some("total_cost"));
    let Err(Error::Invalid(errors)) = refused else { panic!("must be refused") };
    assert_eq!((&*errors[0].kind, &errors[0].input), ("non_finite_target", &json!(7)));
}

#[test]
fn infinite_features_count_as_missing_and_are_told() {
    let values = (0..30).map(|i| if i == 7 { f32::INFINITY } else { i as f32 });
    let table = table(vec![numeric("a", values)], vec![]);
    let dataset = Dataset::new(table, model_type("anomaly_detection"), None, None).expect("usable");
    assert_eq!((dataset.n_rows(), dataset.dropped_rows), (29, 1), "its only feature is missing");
    assert!(dataset.warnings[0].contains("'a'"), "{:?}", dataset.warnings);
}

#[test]
fn an_unsupervised_model_needs_no_target() {
    let dataset = dataset("anomaly_detection", (0..20).map(|i| json!({"a": i}))).expect("usable");
    assert_eq!((dataset.n_rows(), dataset.target.len(), dataset.schema.target), (20, 0, None));
    assert_eq!(dataset.profile.target, None);
}

#[test]
fn columns_that_say_nothing_new_are_left_out_with_a_note() {
    let gaps = |i: usize| if i.is_multiple_of(3) { f32::NAN } else { i as f32 };
    let dataset = cost(vec![
        numeric("a", (0..30).map(gaps)),
        numeric("empty", (0..30).map(|_| f32::NAN)),
        numeric("five", (0..30).map(|_| 5.0)),
        // Says something by where it is missing.
        numeric("five or none", (0..30).map(|i| if i % 2 == 0 { 5.0 } else { f32::NAN })),
        numeric("a again", (0..30).map(gaps)),
        numeric("almost a", (0..30).map(|i| if i == 29 { 0.5 } else { gaps(i) })),
        categorical("kind", &["x", "y"], (0..30).map(|i| if i % 5 == 0 { MISSING } else { i % 2 }).collect()),
        categorical(
            "art",
            &["Ypsilon", "Ix"],
            (0..30).map(|i| if i % 5 == 0 { MISSING } else { 1 - i % 2 }).collect(),
        ),
        categorical("one", &["unused", "only"], vec![1; 30]),
    ]);
    assert_eq!(dataset.schema.names(), ["a", "five or none", "almost a", "kind"]);
    assert_eq!(
        dataset.warnings,
        [
            "No row has a value, left out of the model: 'empty'",
            "The same value in every row, left out of the model: 'five', 'one'",
            "A copy in every row, left out of the model: 'a again' of 'a', 'art' of 'kind'",
        ]
    );
    let kept = json!(dataset.schema)["dropped"].clone();
    assert_eq!(kept[3], json!({"name": "art", "reason": "duplicate", "of": "kind"}));
    let schema: FeatureSchema = serde_json::from_value(json!(dataset.schema)).expect("parses");
    assert_eq!(schema, dataset.schema);
}

#[test]
fn requests_may_go_on_sending_what_was_left_out() {
    let dataset = cost(vec![
        numeric("a", (0..30u8).map(f32::from)),
        numeric("five", (0..30).map(|_| 5.0)),
        numeric("a again", (0..30u8).map(f32::from)),
    ]);
    let encode = |features: Value| dataset.schema.encode(features.as_object().expect("an object"));
    let row = encode(json!({"a": 1, "five": "what", "a again": [2], "else": 3})).expect("valid");
    assert_eq!((row.values, row.ignored), (vec![1.0], vec!["else".to_owned()]));
    assert_eq!(encode(json!({"a": 1})).expect("not needed").values, [1.0]);
}

#[test]
fn categories_are_spelt_as_a_request_spells_them() {
    let codes = (0..30).map(|i| i % 5).collect();
    let dataset = cost(vec![
        numeric("a", (0..30u8).map(f32::from)),
        categorical("property_type", &[" 2.0", "commercial", "  ", "castle ", "1"], codes),
    ]);
    let FeatureKind::Categorical { categories, .. } = &dataset.schema.features[1].kind else {
        panic!("a category")
    };
    assert_eq!(categories, &["castle", "commercial", "residential"]);
    let column = &dataset.features.fitting().column(1)[..5];
    assert_eq!((column[0], column[1], column[3], column[4]), (1.0, 1.0, 0.0, 2.0));
    assert!(column[2].is_nan());
}

#[test]
fn a_leak_is_told_with_its_figure() {
    let rows = (0..100).map(|i: u32| {
        let cost = f64::from(i * 37 % 101);
        json!({"size": i % 10, "cost_in_cents": cost * 100.0 + f64::from(i % 3), "total_cost": cost,
               "band": format!("b{}", i % 4)})
    });
    let dataset = dataset("cost_forecasting", rows).expect("usable");
    assert_eq!(dataset.warnings.len(), 1, "{:?}", dataset.warnings);
    let told = "'cost_in_cents' may give the target 'total_cost' away: its correlation with it is 1.00000";
    assert_eq!(dataset.warnings[0], told);
}

#[test]
fn a_wide_table_does_not_swell_the_answer() {
    let constants = (0..1000).map(|j| numeric(&format!("c{j}"), (0..30).map(|_| 1.0)));
    let dataset = cost([numeric("a", (0..30u8).map(f32::from))].into_iter().chain(constants).collect());
    assert_eq!(dataset.warnings.len(), 1);
    assert!(dataset.warnings[0].ends_with("'c19' and 980 more"), "{}", dataset.warnings[0]);
}

/// A cell of inline rows: a number, a text, a flag, or none.
fn cell() -> impl Strategy<Value = Value> {
    prop_oneof![
        3 => (-1000..1000i32).prop_map(|i| json!(f64::from(i) / 8.0)),
        1 => Just(Value::Null),
        1 => any::<bool>().prop_map(Value::from),
    ]
}

fn text_cell() -> impl Strategy<Value = Value> {
    prop_oneof![
        4 => prop::sample::select(vec!["a", " a", "b ", "c", "2", "1.5", ""]).prop_map(Value::from),
        1 => Just(Value::Null),
        1 => Just(json!(2)),
    ]
}

fn inline_rows() -> impl Strategy<Value = Vec<Row>> {
    let row = (cell(), text_cell(), text_cell(), prop::option::of(cell()));
    prop::collection::vec(row, 25..60).prop_map(|rows| {
        let row = |(i, (number, text, kind, maybe)): (usize, (Value, Value, Value, Option<Value>))| {
            let mut row = Map::new();
            row.extend([("id".into(), json!(i)), ("number".into(), number), ("text".into(), text)]);
            row.extend([("property_type".into(), kind), ("total_cost".into(), json!(i * 7 % 5))]);
            row.extend(maybe.map(|value| ("maybe".into(), value)));
            row
        };
        rows.into_iter().enumerate().map(row).collect()
    })
}

/// A table of a few columns with cells that repeat, so that columns are often alike.
fn small_table() -> impl Strategy<Value = FeatureTable> {
    let number = prop::sample::select(vec![0.0, -0.0, 1.0, f32::NAN, 2.5]);
    let numbers = prop::collection::vec(prop::collection::vec(number, 24), 1..4);
    let code = prop::sample::select(vec![0, 1, 2, MISSING]);
    let codes = prop::collection::vec(prop::collection::vec(code, 24), 1..3);
    (numbers, codes).prop_map(|(numbers, codes)| {
        let numbers =
            numbers.into_iter().enumerate().map(|(j, values)| numeric(&format!("n{j}"), values.into_iter()));
        let codes = codes.into_iter().enumerate();
        let codes = codes.map(|(j, codes)| categorical(&format!("c{j}"), &["x", "y", "z"], codes));
        table(numbers.chain(codes).collect(), (0..24).map(f64::from).collect())
    })
}

/// The cell as what it means: equal for equal cells.
fn meaning(values: &ColumnValues, row: usize) -> Option<String> {
    match values {
        ColumnValues::Numeric(values) if values[row].is_nan() => None,
        ColumnValues::Numeric(values) => Some((values[row] + 0.0).to_string()),
        ColumnValues::Categorical { codes, .. } if codes[row] == MISSING => None,
        ColumnValues::Categorical { labels, codes } => Some(labels[codes[row] as usize].clone()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_request_is_encoded_as_the_row_was(rows in inline_rows()) {
        let model_type = model_type("cost_forecasting");
        let table = inline::table(&rows, model_type, Some("total_cost")).expect("rows");
        let dataset = Dataset::new(table, model_type, None, Some("total_cost")).expect("usable");
        for (i, row) in rows.iter().enumerate() {
            // A request must send each feature; one that the row lacked is sent as null.
            let mut features = row.clone();
            features.entry("maybe").or_insert(Value::Null);
            features.remove("total_cost");
            let encoded = dataset.schema.encode(&features).expect("valid");
            prop_assert!(encoded.unseen.is_empty());
            let bits = |values: Vec<f32>| values.into_iter().map(f32::to_bits).collect::<Vec<_>>();
            prop_assert_eq!(bits(encoded.values), bits(dataset.features.row(i)));
        }
    }

    #[test]
    fn digests_differ_exactly_where_cells_do(table in small_table(), row in 0..24usize, to in 0..4usize) {
        let digest = |table: &FeatureTable| digest::of(table).0;
        let first = digest(&table);
        let one = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a thread");
        prop_assert_eq!(one.install(|| digest(&table)), first);
        for j in 0..table.columns.len() {
            let mut changed = table.clone();
            match &mut changed.columns[j].values {
                ColumnValues::Numeric(values) => values[row] = [0.0, 1.0, f32::NAN, 9.0][to],
                ColumnValues::Categorical { codes, .. } => codes[row] = [0, 1, 2, MISSING][to],
            }
            let same = meaning(&changed.columns[j].values, row) == meaning(&table.columns[j].values, row);
            prop_assert_eq!(digest(&changed) == first, same);
        }
        let mut other = table.clone();
        other.target[row] += 0.5;
        prop_assert_ne!(digest(&other), first);
        other = table.clone();
        other.observed_at = vec![0.0; 24];
        prop_assert_ne!(digest(&other), first);
        other = table.clone();
        other.columns[0].name.push('x');
        prop_assert_ne!(digest(&other), first);
        // The same names under other numbers are the same rows.
        other = table.clone();
        for column in &mut other.columns {
            if let ColumnValues::Categorical { labels, codes } = &mut column.values {
                labels.reverse();
                codes.iter_mut().filter(|code| **code != MISSING).for_each(|code| *code = 2 - *code);
            }
        }
        prop_assert_eq!(digest(&other), first);
    }

    #[test]
    fn columns_are_left_out_exactly_where_they_repeat_another_or_themselves(table in small_table()) {
        let expected: Vec<_> = (0..table.columns.len()).filter(|&j| {
            let cells = |j: usize| -> Vec<_> {
                (0..24).map(|row| meaning(&table.columns[j].values, row)).collect()
            };
            let own = cells(j);
            let varies = own.iter().any(|cell| *cell != own[0]);
            let is_numeric = |j: usize| matches!(table.columns[j].values, ColumnValues::Numeric(_));
            // Of the same kind, and equal or, for categories, equal up to renaming.
            let copies = |k: usize| {
                let other = cells(k);
                is_numeric(j) == is_numeric(k)
                    && (0..24).all(|a| own[a].is_none() == other[a].is_none())
                    && if is_numeric(j) { own == other } else {
                        (0..24).all(|a| (0..24).all(|b| (own[a] == own[b]) == (other[a] == other[b])))
                    }
            };
            varies && !(0..j).any(copies)
        }).map(|j| table.columns[j].name.clone()).collect();
        let mut left = table.clone();
        let (_, fingerprints) = digest::of(&table);
        let (dropped, _) = redundant::drop_columns(&mut left, &fingerprints);
        let names: Vec<_> = left.columns.iter().map(|column| column.name.clone()).collect();
        prop_assert_eq!(&names, &expected);
        prop_assert_eq!(names.len() + dropped.len(), table.columns.len());
        for column in &left.columns {
            let before = table.columns.iter().find(|other| other.name == column.name).expect("is there");
            for row in 0..24 {
                prop_assert_eq!(meaning(&column.values, row), meaning(&before.values, row));
            }
        }
    }
}
