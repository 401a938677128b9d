//! Real, public rows for training: house sales in Ames, Iowa and Spanish consumer loans (both of the R
//! package modeldata). Inline (`data` of `POST /api/ml/train`), or imported and read by a SELECT that
//! gives the same rows in the same order.

use std::path::Path;

use serde_json::{Map, Number, Value};

use super::{Error, Result};

/// Where the files lie beside a checkout.
pub const DEFAULT_FOLDER: &str = "../shared/data";

/// A row as the service takes it: feature (or target) to number, text or null.
pub type Row = Map<String, Value>;

/// A public data set, and the model that it is for.
#[derive(Debug, Clone, Copy)]
pub struct DataSet {
    /// Its file.
    pub file: &'static str,
    /// The table that it is imported into.
    pub table: &'static str,
    /// The model type that learns from it.
    pub model_type: &'static str,
    /// The target of that model type.
    pub target: &'static str,
    /// The column of the file that the target comes from; all others are features.
    column: &'static str,
    /// The text of that column that stands for 1, every other for 0; `None`: it is a number as it is.
    positive: Option<&'static str>,
}

/// 2,930 house sales: the target `total_cost` is `sale_price` in dollars.
pub const AMES: DataSet = DataSet {
    file: "ames.csv",
    table: "ames",
    model_type: "cost_forecasting",
    target: "total_cost",
    column: "sale_price",
    positive: None,
};

/// 4,454 loans: the target `high_risk` is 1 where `status` is `bad`.
pub const CREDIT: DataSet = DataSet {
    file: "credit_data.csv",
    table: "credit_data",
    model_type: "risk_assessment",
    target: "high_risk",
    column: "status",
    positive: Some("bad"),
};

impl DataSet {
    /// The rows, to be sent inline.
    ///
    /// # Errors
    /// [`Error::Missing`] when `folder` has no such file, [`Error::Data`] when it is no such table.
    pub fn rows(&self, folder: &Path) -> Result<Vec<Row>> {
        let rename = |name: &str, value: Value| {
            if name != self.column {
                return (name.to_owned(), value);
            }
            let value = match (self.positive, value.as_str()) {
                (Some(positive), Some(text)) => Value::from(i32::from(text == positive)),
                _ => value,
            };
            (self.target.to_owned(), value)
        };
        read(&folder.join(self.file), self.target, rename)
    }

    /// The query that gives the same rows in the same order, over the imported table of these columns.
    #[must_use]
    pub fn select(&self, columns: &[&str]) -> String {
        let target = match self.positive {
            Some(positive) => format!("CASE WHEN {} = '{positive}' THEN 1 ELSE 0 END", self.column),
            None => self.column.to_owned(),
        };
        let column = |name: &&str| match *name == self.column {
            true => format!("{target} AS {}", self.target),
            false => format!("\"{name}\""),
        };
        let columns: Vec<String> = columns.iter().map(column).collect();
        format!("SELECT {} FROM {} ORDER BY import_row", columns.join(", "), self.table)
    }
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
        let rows = AMES.rows(folder.path()).expect("rows");
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
        let rows = CREDIT.rows(folder.path()).expect("rows");
        assert_eq!(json!(rows), json!([{"high_risk": 0, "age": 30}, {"high_risk": 1, "age": 40}]));
    }

    #[test]
    fn the_query_gives_the_same_columns() {
        assert_eq!(
            CREDIT.select(&["status", "time"]),
            "SELECT CASE WHEN status = 'bad' THEN 1 ELSE 0 END AS high_risk, \"time\" FROM credit_data ORDER BY import_row"
        );
        assert!(
            AMES.select(&["lot_area", "sale_price"])
                .starts_with("SELECT \"lot_area\", sale_price AS total_cost FROM")
        );
    }

    #[test]
    fn absent_or_broken_files_are_named() {
        let empty = tempfile::tempdir().expect("scratch folder");
        let message = AMES.rows(empty.path()).expect_err("absent").to_string();
        assert!(message.contains("ames.csv") && message.contains("../shared/data"), "{message}");
        let ragged = with_file("ames.csv", "a,sale_price\n1,2,3\n");
        assert!(matches!(AMES.rows(ragged.path()), Err(Error::Data { .. })));
        let targetless = with_file("credit_data.csv", "status,age\nNA,30\n");
        let message = CREDIT.rows(targetless.path()).expect_err("no target").to_string();
        assert!(message.contains("row 1 has no high_risk"), "{message}");
    }

    #[test]
    fn the_real_files_have_their_known_shape() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(DEFAULT_FOLDER);
        if !folder.is_dir() {
            return eprintln!("skipped: {} is absent", folder.display());
        }
        let sales = AMES.rows(&folder).expect("ames.csv");
        assert_eq!((sales.len(), sales[0].len()), (2_930, 74));
        assert_eq!((&sales[0]["total_cost"], &sales[0]["lot_area"]), (&json!(215_000), &json!(31_770)));
        let loans = CREDIT.rows(&folder).expect("credit_data.csv");
        let bad = loans.iter().filter(|row| row["high_risk"] == 1).count();
        assert_eq!((loans.len(), loans[0].len(), bad), (4_454, 14, 1_254));
    }
}
