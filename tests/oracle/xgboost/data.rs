//! Rows to train on: generated ones and real house sales.

use std::path::Path;

use binah_ml::forest::{Matrix, rng::Rng};
use binah_ml::xgboost::Dataset;

/// Features and target with all that a [`Dataset`] borrows.
pub(crate) struct Table {
    pub(crate) features: Matrix,
    pub(crate) target: Vec<f32>,
    pub(crate) names: Vec<String>,
    pub(crate) categorical: Vec<bool>,
}

impl Table {
    pub(crate) fn dataset(&self) -> Dataset<'_> {
        Dataset {
            features: &self.features,
            target: &self.target,
            feature_names: &self.names,
            categorical: &self.categorical,
        }
    }

    pub(crate) fn take(&self, rows: &[usize]) -> Self {
        Self {
            features: self.features.take_rows(rows),
            target: rows.iter().map(|&i| self.target[i]).collect(),
            names: self.names.clone(),
            categorical: self.categorical.clone(),
        }
    }
}

/// Mean 0, variance 1.
fn normal(rng: &mut Rng) -> f64 {
    (0..12).map(|_| rng.unit()).sum::<f64>() - 6.0
}

/// Five numeric columns of different scales and two categorical ones (3 and 40 categories), 8 % of
/// the values missing, and a target that needs them all.
pub(crate) fn generated(n_rows: usize, seed: u64) -> Table {
    let mut rng = Rng::new(seed);
    let mut columns = vec![Vec::new(); 7];
    let mut target = Vec::with_capacity(n_rows);
    for _ in 0..n_rows {
        let numeric: Vec<f64> = (0..5).map(|j| normal(&mut rng) * 10_f64.powi(2 * j - 4)).collect();
        let (small, large) = (rng.below(3), rng.below(40));
        let effect = [3.0, -1.0, 0.5][small as usize] + f64::from(u32::from(large.is_multiple_of(7))) * 2.0;
        let y =
            numeric[0] * 1e4 * (1.0 + effect) + (numeric[1] * 1e2).sin() * 4.0 + effect + numeric[4] * 1e-4;
        target.push((y + 0.5 * normal(&mut rng)) as f32);
        let values = numeric.into_iter().chain([f64::from(small), f64::from(large)]);
        for (column, value) in columns.iter_mut().zip(values) {
            column.push(if rng.unit() < 0.08 { f32::NAN } else { value as f32 });
        }
    }
    let names = ["a", "b \"quoted\"", "base_score", "größe", "e", "kind", "district"];
    Table {
        features: Matrix::from_columns(columns),
        target,
        names: names.map(str::to_owned).into(),
        categorical: [false, false, false, false, false, true, true].into(),
    }
}

/// All columns of the Ames data against `sale_price`: text columns as categories, in the order of
/// their names. None if the file is not there.
pub(crate) fn ames(path: &Path) -> Option<Table> {
    let mut reader = csv::Reader::from_path(path).ok()?;
    let header: Vec<String> = reader.headers().expect("a header").iter().map(str::to_owned).collect();
    let records: Vec<csv::StringRecord> = reader.records().collect::<Result<_, _>>().expect("a table");
    let (mut columns, mut categorical, mut names, mut target) = (vec![], vec![], vec![], vec![]);
    for (j, name) in header.into_iter().enumerate() {
        let texts: Vec<&str> = records.iter().map(|r| &r[j]).collect();
        let numbers: Option<Vec<f32>> =
            texts.iter().map(|t| if t.is_empty() { Some(f32::NAN) } else { t.parse().ok() }).collect();
        if name == "sale_price" {
            target = numbers.expect("prices");
            continue;
        }
        categorical.push(numbers.is_none());
        columns.push(numbers.unwrap_or_else(|| {
            let mut categories = texts.clone();
            categories.sort_unstable();
            categories.dedup();
            texts.iter().map(|t| categories.binary_search(t).expect("one of them") as f32).collect()
        }));
        names.push(name);
    }
    Some(Table { features: Matrix::from_columns(columns), target, names, categorical })
}

/// `n_rows` rows drawn from `table`, with a tenth of the values missing and a hundredth of the
/// categories unknown.
pub(crate) fn with_gaps(table: &Table, n_rows: usize) -> Table {
    let mut rng = Rng::new(11);
    let rows: Vec<_> = (0..n_rows).map(|_| rng.below(table.target.len() as u32) as usize).collect();
    let drawn = table.take(&rows);
    let columns: Vec<Vec<f32>> = (0..drawn.names.len())
        .map(|j| {
            let change = |&x: &f32| match rng.below(100) {
                0..10 => f32::NAN,
                10 if drawn.categorical[j] => 5_000.0,
                _ => x,
            };
            drawn.features.column(j).iter().map(change).collect()
        })
        .collect();
    Table { features: Matrix::from_columns(columns), ..drawn }
}
