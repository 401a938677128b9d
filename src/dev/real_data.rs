//! Real, public rows for training inline (`data` of `POST /api/ml/train`): house sales in Ames, Iowa
//! and Spanish consumer loans (both of the R package modeldata).

use std::path::Path;

use serde_json::{Map, Number, Value};

use super::{Error, Result};

/// Where the files lie beside a checkout.
pub const DEFAULT_FOLDER: &str = "../shared/data";

/// A row as the service takes it: feature (or target) to number, text or null.
pub type Row = Map<String, Value>;

/// 2,930 house sales for cost_forecasting: every column of `ames.csv` is a feature, `sale_price` (dollars)
/// is renamed to the target `total_cost`.
///
/// # Errors
/// [`Error::Missing`] when `folder` has no `ames.csv`, [`Error::Data`] when it is no such table.
pub fn ames(folder: &Path) -> Result<Vec<Row>> {
    let file = folder.join("ames.csv");
    let rename = |name: &str, value: Value| match name {
        "sale_price" => ("total_cost".to_owned(), value),
        _ => (name.to_owned(), value),
    };
    read(&file, "total_cost", rename)
}

/// 4,454 loans for risk_assessment: the target `high_risk` is 1 where `status` is `bad`, else 0; the
/// other columns of `credit_data.csv` are features.
///
/// # Errors
/// [`Error::Missing`] when `folder` has no `credit_data.csv`, [`Error::Data`] when it is no such table.
pub fn credit(folder: &Path) -> Result<Vec<Row>> {
    let file = folder.join("credit_data.csv");
    let rename = |name: &str, value: Value| match (name, value.as_str()) {
        ("status", Some(status)) => ("high_risk".to_owned(), Value::from(i32::from(status == "bad"))),
        _ => (name.to_owned(), value),
    };
    read(&file, "high_risk", rename)
}

fn read(file: &Path, target: &str, rename: impl Fn(&str, Value) -> (String, Value)) -> Result<Vec<Row>> {
    if !file.is_file() {
        return Err(Error::Missing {
            what: format!("the data set {}", file.display()),
            hint: "it comes beside the repository, in ../shared/data".into(),
        });
    }
    let broken = |what: String| Error::Data { file: file.to_path_buf(), what };
    let mut reader =
        csv::ReaderBuilder::new().trim(csv::Trim::All).from_path(file).map_err(|e| broken(e.to_string()))?;
    let header = reader.headers().map_err(|e| broken(e.to_string()))?.clone();
    let records: Vec<csv::StringRecord> =
        reader.records().collect::<Result<_, _>>().map_err(|e| broken(e.to_string()))?;
    let numeric: Vec<bool> = (0..header.len()).map(|j| is_numeric(&records, j)).collect();

    let row = |record: &csv::StringRecord| -> Row {
        let cells = header.iter().zip(record).zip(&numeric);
        cells.map(|((name, cell), &numeric)| rename(name, value(cell, numeric))).collect()
    };
    let rows: Vec<Row> = records.iter().map(row).collect();
    match rows.iter().position(|row| row.get(target).is_none_or(Value::is_null)) {
        Some(row) => Err(broken(format!("row {} has no {target}", row + 1))),
        None => Ok(rows),
    }
}

/// A column is numeric if each of its values is: `no`, `1` and `2` in one column are names.
fn is_numeric(records: &[csv::StringRecord], column: usize) -> bool {
    records
        .iter()
        .filter_map(|record| record.get(column))
        .filter(|cell| !is_missing(cell))
        .all(|cell| cell.parse::<f64>().is_ok_and(f64::is_finite))
}

fn is_missing(cell: &str) -> bool {
    matches!(cell, "" | "NA")
}

fn value(cell: &str, numeric: bool) -> Value {
    if is_missing(cell) {
        return Value::Null;
    }
    if numeric {
        let integer = cell.parse::<i64>().ok().map(Number::from);
        let number = integer.or_else(|| Number::from_f64(cell.parse().ok()?));
        return number.map_or(Value::Null, Value::Number);
    }
    Value::from(cell)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn with_file(name: &str, text: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("scratch folder");
        std::fs::write(folder.path().join(name), text).expect("file");
        folder
    }

    #[test]
    fn cells_become_numbers_text_or_null() {
        let folder = with_file("ames.csv", "lot,fence,grade,sale_price\n12,Wood ,1,1000.5\nNA,,no,2000\n");
        let rows = ames(folder.path()).expect("rows");
        assert_eq!(
            json!(rows),
            json!([
                {"lot": 12, "fence": "Wood", "grade": "1", "total_cost": 1000.5},
                {"lot": null, "fence": null, "grade": "no", "total_cost": 2000},
            ])
        );
    }

    #[test]
    fn bad_status_is_high_risk() {
        let folder = with_file("credit_data.csv", "status,age\ngood,30\nbad,40\n");
        let rows = credit(folder.path()).expect("rows");
        assert_eq!(json!(rows), json!([{"high_risk": 0, "age": 30}, {"high_risk": 1, "age": 40}]));
    }

    #[test]
    fn absent_or_broken_files_are_named() {
        let empty = tempfile::tempdir().expect("scratch folder");
        let message = ames(empty.path()).expect_err("absent").to_string();
        assert!(message.contains("ames.csv") && message.contains("../shared/data"), "{message}");
        let ragged = with_file("ames.csv", "a,sale_price\n1,2,3\n");
        assert!(matches!(ames(ragged.path()), Err(Error::Data { .. })));
        let targetless = with_file("credit_data.csv", "status,age\nNA,30\n");
        let message = credit(targetless.path()).expect_err("no target").to_string();
        assert!(message.contains("row 1 has no high_risk"), "{message}");
    }

    #[test]
    fn the_real_files_have_their_known_shape() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(DEFAULT_FOLDER);
        if !folder.is_dir() {
            return eprintln!("skipped: {} is absent", folder.display());
        }
        let sales = ames(&folder).expect("ames.csv");
        assert_eq!((sales.len(), sales[0].len()), (2_930, 74));
        assert_eq!((&sales[0]["total_cost"], &sales[0]["lot_area"]), (&json!(215_000), &json!(31_770)));
        let loans = credit(&folder).expect("credit_data.csv");
        let bad = loans.iter().filter(|row| row["high_risk"] == 1).count();
        assert_eq!((loans.len(), loans[0].len(), bad), (4_454, 14, 1_254));
    }
}
