//! Our profile and digest beside numpy's, pandas' and hashlib's on the same rows.

use std::fs;

use binah_ml::{
    catalog::ModelType,
    features::{
        Column, ColumnValues, Dataset, FeatureTable,
        pipeline::profile::{NumericProfile, ValuesProfile},
    },
    forest::rng::Rng,
};
use serde_json::{Value, json};

use crate::python;

/// Even, skewed, tied, far from zero, gappy; 1,003 rows, so that quantiles fall between values.
fn numbers(rng: &mut Rng, kind: usize) -> Vec<f32> {
    let value = |rng: &mut Rng| match kind {
        0 => rng.unit() as f32,
        1 => (-(1.0 - rng.unit()).ln()).powi(3) as f32 * 1e4,
        2 => rng.below(4) as f32 - 1.0,
        3 => 1.6e7 + rng.below(3) as f32,
        _ => rng.unit() as f32 * -1e30,
    };
    (0..1_003).map(|_| if kind == 4 && rng.below(3) == 0 { f32::NAN } else { value(rng) }).collect()
}

fn close(ours: f64, theirs: &Value, what: &str) {
    let theirs = theirs.as_f64().unwrap_or_else(|| panic!("{what}: {theirs}"));
    assert!((ours - theirs).abs() <= 1e-12 * theirs.abs().max(1e-300), "{what}: {ours} against {theirs}");
}

fn assert_agrees(ours: &NumericProfile, theirs: &Value, name: &str) {
    for (figure, ours) in [
        ("mean", ours.mean),
        ("std", ours.std.expect("several values")),
        ("min", ours.min),
        ("max", ours.max),
    ] {
        close(ours, &theirs[figure], &format!("{name} {figure}"));
    }
    for ((share, quantile), theirs) in
        ours.quantiles.iter().zip(theirs["quantiles"].as_array().expect("a list"))
    {
        close(*quantile, theirs, &format!("{name} at {share}"));
    }
    assert_eq!(json!(ours.histogram.counts), theirs["counts"], "{name}: rows by bin");
}

#[test]
fn the_profile_is_what_numpy_and_pandas_say_and_the_digest_what_hashlib_says() {
    let mut rng = Rng::new(3);
    let mut columns: Vec<_> = (0..5)
        .map(|kind| Column {
            name: format!("x{kind}"),
            values: ColumnValues::Numeric(numbers(&mut rng, kind)),
        })
        .collect();
    let labels = ["zinc", "brick", "\u{e9}tain"].map(str::to_owned).to_vec();
    let codes = (0..1_003).map(|_| if rng.below(9) == 0 { u32::MAX } else { rng.below(3) }).collect();
    columns.push(Column { name: "roof".into(), values: ColumnValues::Categorical { labels, codes } });
    let target: Vec<f64> = (0..1_003).map(|_| 1e9 + rng.unit() * 1e3).collect();
    let table = FeatureTable { n_rows: 1_003, columns, target, ..FeatureTable::default() };

    let column = |column: &Column| match &column.values {
        ColumnValues::Numeric(values) => {
            json!({"name": column.name, "numbers": values.iter().map(|v| (!v.is_nan()).then_some(v)).collect::<Vec<_>>()})
        }
        ColumnValues::Categorical { labels, codes } => {
            let label = |&code: &u32| labels.get(code as usize);
            json!({"name": column.name, "labels": codes.iter().map(label).collect::<Vec<_>>()})
        }
    };
    let rows =
        json!({"columns": table.columns.iter().map(column).collect::<Vec<_>>(), "target": table.target});
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("rows.json");

    let model_type = ModelType::parse("cost_forecasting").expect("a catalog type");
    let dataset = Dataset::new(table, model_type, None, Some("total_cost")).expect("usable");
    let edges = |profile: &ValuesProfile| match profile {
        ValuesProfile::Numeric(numbers) => json!(numbers.histogram.edges),
        ValuesProfile::Categorical { .. } => Value::Null,
    };
    let of_target = dataset.profile.target.as_ref().expect("supervised");
    let mut all_edges: Vec<_> =
        dataset.profile.features.iter().map(|feature| edges(&feature.values)).collect();
    all_edges.push(json!(of_target.histogram.edges));
    fs::write(&path, json!({"rows": rows, "edges": all_edges}).to_string()).expect("writes");
    let theirs = python::run(python::script("oracle/profile.py").arg(&path));
    let theirs: Value = serde_json::from_str(&theirs).expect("JSON");

    for (ours, theirs) in dataset.profile.features.iter().zip(theirs["features"].as_array().expect("a list"))
    {
        assert_eq!(
            (json!(ours.count), json!(ours.missing)),
            (theirs["count"].clone(), theirs["missing"].clone())
        );
        match &ours.values {
            ValuesProfile::Numeric(numbers) => assert_agrees(numbers, theirs, &ours.name),
            ValuesProfile::Categorical { counts } => assert_eq!(json!(counts), theirs["counts"]),
        }
    }
    assert_agrees(of_target, &theirs["target"], "target");
    assert_eq!(json!(dataset.digest.to_string()), theirs["digest"]);
}
