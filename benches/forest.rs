//! Our forests against scikit-learn on the same rows in the same run, wall-clock seconds.
//!
//! `cargo bench --bench forest [-- own]`; `own` leaves scikit-learn out. Python is
//! `$DEPS/bin/python` (default `.deps`).

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a table on the terminal")]

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use binah_ml::forest::isolation_forest::{self, Contamination, IsolationForestParams};
use binah_ml::forest::random_forest::{self, RandomForestParams};
use binah_ml::forest::rng::Rng;
use binah_ml::forest::{Ensemble, Evaluator, Matrix};

const N_FEATURES: usize = 5;

fn main() {
    let own_only = std::env::args().any(|arg| arg == "own");
    println!(
        "fit, seconds: 100 trees, {N_FEATURES} features; random forest of depth 10, isolation forest of 256 rows a tree"
    );
    println!(
        "{:>8} {:>8}  {:>30}  {:>30}  {:>30}",
        "rows", "threads", "random forest", "isolation forest, trees", "same, contamination 0.05"
    );
    for n_rows in [1_000, 10_000, 100_000] {
        let (rows, labels) = generate(n_rows);
        for threads in [1, 2] {
            let ours = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap()
                .install(|| fit_seconds(&rows, &labels));
            let repeats = if n_rows > 10_000 { 1 } else { 3 };
            let theirs = if own_only { None } else { Some(scikit_learn(&rows, &labels, threads, repeats)) };
            let their = |key: &str| theirs.as_ref().map(|seconds| seconds[key].as_f64().unwrap());
            println!(
                "{n_rows:>8} {threads:>8}  {:>30}  {:>30}  {:>30}",
                compare(ours[0], their("random_forest")),
                compare(ours[1], their("isolation_trees")),
                compare(ours[2], their("isolation_forest")),
            );
            if threads == 1 {
                bench_evaluator(&rows, &labels, their("predict_row"), their("predict_1000"));
            }
        }
    }
}

fn compare(ours: f64, theirs: Option<f64>) -> String {
    match theirs {
        Some(theirs) => format!("{ours:.4} vs {theirs:.3}: {:.0}x", theirs / ours),
        None => format!("{ours:.4}"),
    }
}

/// Random forest, isolation trees alone, isolation forest with its offset.
fn fit_seconds(rows: &Matrix, labels: &[u8]) -> [f64; 3] {
    let repeats = 5;
    let auto = IsolationForestParams::default();
    let contamination = Contamination::Fraction(0.05);
    let with_offset = IsolationForestParams { contamination, ..auto };
    let isolation = |params: IsolationForestParams| {
        fastest(repeats, || {
            isolation_forest::fit(rows, &params.check().unwrap(), 0, &|_| ControlFlow::Continue(()))
        })
    };
    [fastest(repeats, || fit_forest(rows, labels)), isolation(auto), isolation(with_offset)]
}

fn fit_forest(rows: &Matrix, labels: &[u8]) -> Ensemble {
    let params = RandomForestParams { max_depth: Some(10), ..RandomForestParams::default() };
    random_forest::fit(rows, labels, &params.check().unwrap(), 0, &|_| ControlFlow::Continue(())).unwrap()
}

fn bench_evaluator(rows: &Matrix, labels: &[u8], their_row: Option<f64>, their_1000: Option<f64>) {
    let forest = fit_forest(rows, labels);
    let evaluator = Evaluator::new(&forest).unwrap();
    let head = rows.take_rows(&(0..1_000.min(rows.n_rows())).collect::<Vec<_>>());
    let single: Vec<Vec<f32>> = (0..head.n_rows()).map(|i| head.row(i)).collect();
    let all_singles = fastest(20, || single.iter().map(|row| evaluator.predict_row(row)).sum::<f64>());
    let batch = fastest(20, || evaluator.predict(&head));
    let naive = fastest(5, || {
        let leaf = |row: &[f32]| forest.trees.iter().map(|t| t.value[t.leaf_of(row)]).sum::<f64>();
        single.iter().map(|row| leaf(row)).sum::<f64>()
    });
    let row = all_singles / single.len() as f64;
    println!(
        "         predict: 1 row {:.2} us{}; 1000 rows {:.3} ms{} (plain walk {:.2} ms); {} KiB",
        row * 1e6,
        their_row.map_or(String::new(), |t| format!(" vs {:.0} us", t * 1e6)),
        batch * 1e3,
        their_1000.map_or(String::new(), |t| format!(" vs {:.2} ms", t * 1e3)),
        naive * 1e3,
        evaluator.memory_bytes() / 1024,
    );
}

fn fastest<T>(repeats: usize, mut work: impl FnMut() -> T) -> f64 {
    let one = |_| {
        let start = Instant::now();
        std::hint::black_box(work());
        start.elapsed().as_secs_f64()
    };
    (0..repeats).map(one).fold(f64::INFINITY, f64::min)
}

/// Numbers of different shapes; class 1 by a noisy, partly interacting rule.
fn generate(n: usize) -> (Matrix, Vec<u8>) {
    let mut rng = Rng::new(42);
    let mut columns = vec![Vec::new(); N_FEATURES];
    let mut labels = Vec::with_capacity(n);
    for _ in 0..n {
        let x: [f64; N_FEATURES] = std::array::from_fn(|_| rng.unit() * 2.0 - 1.0);
        let score = 2.0 * x[0] + x[1] * x[2] * 3.0 - x[3].abs() + 0.5 * x[4];
        labels.push(u8::from(rng.unit() < 1.0 / (1.0 + (-1.5 * score).exp())));
        columns.iter_mut().zip(x).for_each(|(column, x)| column.push(x as f32));
    }
    (Matrix::from_columns(columns), labels)
}

fn scikit_learn(rows: &Matrix, labels: &[u8], threads: usize, repeats: usize) -> serde_json::Value {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let deps = std::env::var_os("DEPS").map_or_else(|| here.join(".deps"), PathBuf::from);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rows.f32");
    let values = (0..rows.n_rows()).flat_map(|i| rows.row(i)).chain(labels.iter().map(|&y| f32::from(y)));
    std::fs::write(&file, values.flat_map(f32::to_le_bytes).collect::<Vec<u8>>()).unwrap();
    let output = Command::new(deps.join("bin/python"))
        .arg(here.join("benches/forest.py"))
        .arg(file)
        .args([rows.n_rows(), rows.n_cols(), threads, repeats].map(|n| n.to_string()))
        .output()
        .expect("Python with scikit-learn under $DEPS");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}
