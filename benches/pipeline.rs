//! The feature pipeline on a million rows of twenty columns, seconds by step.
//!
//! `cargo bench --bench pipeline`

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a table on the terminal")]

use std::time::Instant;

use binah_ml::{
    catalog::ModelType,
    features::{
        Column, ColumnValues, Dataset, FeatureSchema, FeatureTable,
        pipeline::{DataProfile, digest, leakage, redundant},
    },
    forest::rng::Rng,
};

const N_ROWS: usize = 1_000_000;
const N_NUMERIC: usize = 16;
const N_CATEGORICAL: usize = 4;

fn main() {
    let table = generated();
    let bytes = table.columns.len() * N_ROWS * 4 + N_ROWS * 8;
    println!(
        "{N_ROWS} rows, {N_NUMERIC} numeric and {N_CATEGORICAL} categorical columns, target: {bytes} bytes"
    );
    for threads in [1, 2] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| steps(&table, threads, bytes));
    }
}

fn steps(table: &FeatureTable, threads: usize, bytes: usize) {
    let model_type = ModelType::parse("cost_forecasting").unwrap();
    let (fingerprints, seconds) = timed(|| digest::of(table).1);
    let rate = bytes as f64 / seconds / 1e9;
    println!("{threads} threads: digest {seconds:.3} s ({rate:.2} GB/s)");
    let mut kept = table.clone();
    let (_, seconds) = timed(|| redundant::drop_columns(&mut kept, &fingerprints));
    println!("{threads} threads: redundant columns {seconds:.3} s");
    let schema = FeatureSchema::of(table, model_type, Some("total_cost".into()));
    let columns = table.columns.clone();
    let (matrix, seconds) = timed(|| schema.matrix(columns));
    println!("{threads} threads: matrix {seconds:.3} s");
    let (_, seconds) = timed(|| leakage::warnings(&schema, &matrix, &table.target));
    println!("{threads} threads: leakage {seconds:.3} s");
    let (profile, seconds) = timed(|| DataProfile::of(&schema, &matrix, &table.target));
    println!("{threads} threads: profile {seconds:.3} s");
    let (json, seconds) = timed(|| serde_json::to_vec(&profile).unwrap());
    println!("{threads} threads: profile as JSON {seconds:.6} s, {} bytes", json.len());
    let whole = table.clone();
    let (_, seconds) = timed(|| Dataset::new(whole, model_type, None, Some("total_cost")).unwrap());
    println!("{threads} threads: whole pipeline {seconds:.3} s");
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, f64) {
    let started = Instant::now();
    let made = work();
    (made, started.elapsed().as_secs_f64())
}

fn generated() -> FeatureTable {
    let mut rng = Rng::new(1);
    let numeric = (0..N_NUMERIC).map(|j| {
        let values = (0..N_ROWS).map(|_| if rng.below(50) == 0 { f32::NAN } else { rng.unit() as f32 * 1e6 });
        Column { name: format!("x{j}"), values: ColumnValues::Numeric(values.collect()) }
    });
    let mut columns: Vec<_> = numeric.collect();
    columns.extend((0..N_CATEGORICAL).map(|j| Column {
        name: format!("c{j}"),
        values: ColumnValues::Categorical {
            labels: (0..40).map(|label| format!("label {label}")).collect(),
            codes: (0..N_ROWS).map(|_| rng.below(40)).collect(),
        },
    }));
    let target = (0..N_ROWS).map(|_| rng.unit() * 1e6).collect();
    FeatureTable { n_rows: N_ROWS, columns, target, ..FeatureTable::default() }
}
