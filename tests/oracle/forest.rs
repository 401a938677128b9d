//! Our forests beside scikit-learn's on the same rows.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::ops::ControlFlow;
use std::path::Path;

use binah_ml::forest::isolation_forest::{self, Contamination, IsolationForestParams};
use binah_ml::forest::metrics::{Confusion, auc_roc};
use binah_ml::forest::random_forest::{self, MaxFeatures, RandomForestParams};
use binah_ml::forest::rng::Rng;
use binah_ml::forest::{Ensemble, Evaluator, Link, Matrix};

use crate::python;

/// Rows with their labels.
struct Table {
    rows: Matrix,
    labels: Vec<u8>,
}

impl Table {
    /// A random fifth for the test, the rest for training.
    fn split(&self) -> (Self, Self) {
        let mut rng = Rng::new(1);
        let (test, train): (Vec<usize>, Vec<usize>) = (0..self.labels.len()).partition(|_| rng.below(5) == 0);
        (self.take(&train), self.take(&test))
    }

    fn take(&self, rows: &[usize]) -> Self {
        Self { rows: self.rows.take_rows(rows), labels: rows.iter().map(|&i| self.labels[i]).collect() }
    }

    fn write_csv(&self, path: &Path) {
        let mut text = String::new();
        for (i, label) in self.labels.iter().enumerate() {
            for x in self.rows.row(i) {
                let missing = x.is_nan();
                if !missing {
                    write!(text, "{x}").expect("a String takes all");
                }
                text.push(',');
            }
            writeln!(text, "{label}").expect("a String takes all");
        }
        std::fs::write(path, text).expect("a writable scratch folder");
    }
}

/// Runs the oracle over the tables and parses what it prints.
fn oracle(mode: &str, tables: &[&Table]) -> serde_json::Value {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let mut command = python::script("oracle/sklearn_forests.py");
    command.arg(mode);
    for (i, table) in tables.iter().enumerate() {
        let path = folder.path().join(format!("{i}.csv"));
        table.write_csv(&path);
        command.arg(path);
    }
    serde_json::from_str(&python::run(&mut command)).expect("JSON")
}

fn numbers(value: &serde_json::Value) -> Vec<f64> {
    value.as_array().expect("a list").iter().map(|x| x.as_f64().expect("a number")).collect()
}

/// Numbers of different shapes; class 1 by a noisy, partly interacting rule. A value is missing
/// with probability `missing`, of the first feature more often in class 1.
fn generated(n: usize, seed: u64, levels: f64, missing: f64) -> Table {
    let mut rng = Rng::new(seed);
    let mut columns = vec![Vec::new(); 6];
    let mut labels = Vec::with_capacity(n);
    for _ in 0..n {
        let x: [f64; 6] = std::array::from_fn(|_| (rng.unit() * levels).floor() / levels * 2.0 - 1.0);
        let score = 2.0 * x[0] + 3.0 * x[1] * x[2] - x[3].abs() + 0.5 * x[4];
        let label = rng.unit() < 1.0 / (1.0 + (-1.5 * score).exp());
        labels.push(u8::from(label));
        for (j, (column, x)) in columns.iter_mut().zip(x).enumerate() {
            let chance = if j == 0 && label { 2.0 * missing } else { missing };
            column.push(if rng.unit() < chance { f32::NAN } else { x as f32 });
        }
    }
    Table { rows: Matrix::from_columns(columns), labels }
}

/// 4,454 loans; class 1 is status bad. Texts become ordinal codes in alphabetical order.
fn credit_data() -> Option<Table> {
    let mut reader = csv::Reader::from_path("/work/shared/data/credit_data.csv").ok()?;
    let records: Vec<csv::StringRecord> = reader.records().collect::<Result<_, _>>().expect("a sound file");
    let labels = records.iter().map(|record| u8::from(&record[0] == "bad")).collect();
    let column = |j: usize| -> Vec<f32> {
        let texts: Vec<&str> = records.iter().map(|record| &record[j]).collect();
        let missing = |text: &str| text.is_empty() || text == "NA";
        if texts.iter().all(|text| missing(text) || text.parse::<f32>().is_ok()) {
            return texts.iter().map(|text| text.parse().unwrap_or(f32::NAN)).collect();
        }
        let mut codes: BTreeMap<&str, f32> =
            texts.iter().filter(|text| !missing(text)).map(|&text| (text, 0.0)).collect();
        codes.values_mut().zip(0u8..).for_each(|(code, i)| *code = f32::from(i));
        texts.iter().map(|text| codes.get(text).copied().unwrap_or(f32::NAN)).collect()
    };
    let columns: Vec<Vec<f32>> = (1..records[0].len()).map(column).collect();
    Some(Table { rows: Matrix::from_columns(columns), labels })
}

fn fit_forest(table: &Table, params: RandomForestParams, seed: u64) -> Ensemble {
    let params = params.check().expect("parameters in range");
    random_forest::fit(&table.rows, &table.labels, &params, seed, &|_| ControlFlow::Continue(()))
        .expect("a forest")
}

fn predict(ensemble: &Ensemble, rows: &Matrix) -> Vec<f64> {
    Evaluator::new(ensemble).expect("a valid ensemble").predict(rows)
}

fn spread(numbers: &[f64]) -> (f64, f64, f64) {
    let low = numbers.iter().copied().fold(f64::INFINITY, f64::min);
    let high = numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    (low, numbers.iter().sum::<f64>() / numbers.len() as f64, high)
}

/// How our mean over ten seeds must compare with scikit-learn's spread over ten.
#[derive(PartialEq)]
enum Expect {
    /// Within it.
    Same,
    /// Not below it. Histograms smooth what exact thresholds overfit, and may end up above.
    NoWorse,
}

fn assert_forest_agrees(name: &str, table: &Table, expect: Expect) {
    let (train, test) = table.split();
    let theirs = oracle("forest", &[&train, &test]);
    for (seed, probabilities) in theirs["probabilities"].as_array().expect("seeds").iter().enumerate() {
        let probabilities = numbers(probabilities);
        let auc = auc_roc(&test.labels, &probabilities).expect("both classes");
        assert!((auc - numbers(&theirs["auc"])[seed]).abs() < 1e-12, "our AUC of their scores");
        let accuracy = Confusion::at(0.5, &test.labels, &probabilities).accuracy();
        assert!(
            (accuracy - numbers(&theirs["accuracy"])[seed]).abs() < 1e-12,
            "our accuracy of their scores"
        );
    }
    let params = RandomForestParams { max_depth: Some(10), ..RandomForestParams::default() };
    let (mut accuracy, mut auc) = (Vec::new(), Vec::new());
    for seed in 0..10 {
        let scores = predict(&fit_forest(&train, params, seed), &test.rows);
        accuracy.push(Confusion::at(0.5, &test.labels, &scores).accuracy());
        auc.push(auc_roc(&test.labels, &scores).expect("both classes"));
    }
    for (metric, ours) in [("accuracy", accuracy), ("auc", auc)] {
        let (low, mean, high) = spread(&numbers(&theirs[metric]));
        let ours = spread(&ours);
        println!(
            "{name}: {metric} ours {ours:.4?}, scikit-learn ({low:.4}, {mean:.4}, {high:.4}) (min, mean, max)"
        );
        let high = if expect == Expect::Same { high } else { f64::INFINITY };
        assert!((low..=high).contains(&ours.1), "{name}: {metric} {} outside {low}..{high}", ours.1);
    }
}

#[test]
fn random_forest_is_as_good_on_credit_data() {
    match credit_data() {
        Some(table) => assert_forest_agrees("credit_data", &table, Expect::Same),
        None => println!("skipped: /work/shared/data/credit_data.csv is absent"),
    }
}

#[test]
fn random_forest_is_as_good_on_generated_rows() {
    assert_forest_agrees("generated", &generated(3_000, 3, 1e6, 0.0), Expect::NoWorse);
}

#[test]
fn random_forest_is_as_good_on_generated_rows_with_missing_values() {
    assert_forest_agrees("generated, missing", &generated(3_000, 4, 1e6, 0.1), Expect::NoWorse);
}

/// Where each distinct value has its own bin, nothing but random numbers differs.
#[test]
fn random_forest_without_approximation_is_the_same() {
    assert_forest_agrees("generated, 128 levels", &generated(2_000, 8, 128.0, 0.1), Expect::Same);
}

/// Without randomness nothing is left to differ: one tree on columns of at most 128 distinct
/// values, whose middles are exact in f32, agrees in thresholds, leaves and missing directions.
#[test]
fn one_tree_over_all_rows_and_features_is_scikit_learns_tree() {
    for missing in [0.0, 0.1] {
        let (train, test) = generated(3_000, 5, 128.0, missing).split();
        let theirs = oracle("tree", &[&train, &test]);
        let params = RandomForestParams {
            n_estimators: 1,
            max_depth: Some(5),
            min_samples_leaf: 20,
            max_features: MaxFeatures::All,
            bootstrap: false,
            ..RandomForestParams::default()
        };
        let tree = fit_forest(&train, params, 0);
        let ours = predict(&tree, &test.rows);
        let differ = |(a, b): &(&f64, &f64)| (*a - *b).abs() > 1e-12;
        let n_different = ours.iter().zip(&numbers(&theirs["probabilities"])).filter(differ).count();
        println!("one tree, missing {missing}: {n_different} of {} predictions differ", ours.len());
        assert_eq!(n_different, 0);
        for (a, b) in tree.feature_importance().into_iter().zip(numbers(&theirs["importance"])) {
            assert!((a - b).abs() < 1e-6, "importance {a} against {b}");
        }
    }
}

fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_unstable_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut ranks = vec![0.0; values.len()];
    let mut below = 0;
    for tied in order.chunk_by(|&a, &b| values[a] == values[b]) {
        tied.iter().for_each(|&i| ranks[i] = below as f64 + (tied.len() - 1) as f64 / 2.0);
        below += tied.len();
    }
    ranks
}

/// Spearman's rank correlation: Pearson's over ranks, ties sharing their mean rank.
fn spearman(a: &[f64], b: &[f64]) -> f64 {
    let centred = |values: &[f64]| -> Vec<f64> {
        ranks(values).into_iter().map(|rank| rank - (values.len() - 1) as f64 / 2.0).collect()
    };
    let (a, b) = (centred(a), centred(b));
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f64>();
    dot(&a, &b) / (dot(&a, &a) * dot(&b, &b)).sqrt()
}

fn assert_isolation_agrees(name: &str, table: &Table) {
    let theirs = oracle("isolation", &[table]);
    let scores: Vec<Vec<f64>> = theirs["scores"].as_array().expect("seeds").iter().map(numbers).collect();
    let contamination = Contamination::Fraction(0.05);
    let params = IsolationForestParams { contamination, ..IsolationForestParams::default() };
    let params = params.check().expect("parameters in range");
    let forest =
        isolation_forest::fit(&table.rows, &params, 0, &|_| ControlFlow::Continue(())).expect("a forest");
    let Link::AnomalyScore { offset, .. } = forest.link else { panic!("an anomaly score") };
    let ours = predict(&forest, &table.rows);
    let among_theirs = spearman(&scores[0], &scores[1]);
    let with_theirs = [spearman(&ours, &scores[0]), spearman(&ours, &scores[1])];
    let offsets = numbers(&theirs["offset"]);
    println!(
        "{name}: Spearman with scikit-learn {with_theirs:.4?}, between its seeds {among_theirs:.4}; offset {offset:.4}, theirs {offsets:.4?}"
    );
    assert!(with_theirs.iter().all(|&r| r >= among_theirs - 0.02));
    assert!(offsets.iter().all(|theirs| (theirs - offset).abs() < 0.03));
}

#[test]
fn isolation_forest_ranks_credit_data_alike() {
    match credit_data() {
        Some(table) => assert_isolation_agrees("credit_data", &table),
        None => println!("skipped: /work/shared/data/credit_data.csv is absent"),
    }
}

#[test]
fn isolation_forest_ranks_generated_rows_alike() {
    assert_isolation_agrees("generated", &generated(2_000, 6, 1e6, 0.0));
    assert_isolation_agrees("generated, missing", &generated(2_000, 7, 1e6, 0.05));
}
