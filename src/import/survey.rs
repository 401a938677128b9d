//! The first pass over a file: what each column holds.

use super::{
    error::{ImportError, Place, Result, shortened},
    source::RowSink,
    value::{Cell, ColumnType, parse_date, parse_timestamp},
};

/// What a type that may still be the column's is, as a bit.
const BOOLEAN: u8 = 1;
const BIGINT: u8 = 2;
const DOUBLE: u8 = 4;
const DATE: u8 = 8;
const TIMESTAMP: u8 = 16;
const ANY: u8 = 31;

/// What is known of a column before the file is read.
#[derive(Debug, Clone)]
pub(super) struct Expected {
    /// Its name, for messages.
    pub(super) name: String,
    /// Its type, if it is given; else the narrowest one that holds every value.
    pub(super) kind: Option<ColumnType>,
    /// What a value must fulfil beside its type.
    pub(super) rule: Rule,
}

/// What a value must fulfil.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
    /// Nothing.
    Any,
    /// Not to be missing.
    Required,
    /// To be 0 or 1, or missing.
    Binary,
}

/// A column after the pass.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Surveyed {
    /// Its type.
    pub(super) kind: ColumnType,
    /// Missing values.
    pub(super) nulls: u64,
    /// The first value, shortened.
    pub(super) example: Option<String>,
}

/// Looks at every value, and refuses one that does not fit what is expected.
pub(super) struct Survey {
    columns: Vec<Column>,
    scratch: Vec<u8>,
    pub(super) rows: u64,
}

struct Column {
    expected: Expected,
    /// Types that hold every value so far.
    candidates: u8,
    nulls: u64,
    example: Option<String>,
}

impl Survey {
    pub(super) fn new(expected: Vec<Expected>) -> Self {
        let columns = expected
            .into_iter()
            .map(|expected| Column { expected, candidates: ANY, nulls: 0, example: None })
            .collect();
        Self { columns, scratch: vec![], rows: 0 }
    }

    pub(super) fn finish(self) -> Vec<Surveyed> {
        let surveyed = self.columns.into_iter().map(|column| Surveyed {
            kind: column.expected.kind.unwrap_or_else(|| column.narrowest()),
            nulls: column.nulls,
            example: column.example,
        });
        surveyed.collect()
    }
}

impl RowSink for Survey {
    fn cell(&mut self, column: usize, cell: Cell<'_>, at: Place) -> Result<()> {
        let column = &mut self.columns[column];
        let Expected { name, kind, rule } = &column.expected;
        let refuse = |what: &str| Err(ImportError::Value { at, column: name.clone(), what: what.to_owned() });
        if cell == Cell::Null {
            column.nulls += 1;
            return if *rule == Rule::Required { refuse("the value is missing") } else { Ok(()) };
        }
        if column.example.is_none() {
            column.example = Some(shortened(&cell.to_string()));
        }
        if let Some(kind) = kind {
            self.scratch.clear();
            if !kind.encode(cell, &mut self.scratch) {
                return Err(ImportError::type_mismatch(at, name, &cell.to_string(), *kind));
            }
            // Of type integer: four bytes of length, then four of value.
            if *rule == Rule::Binary && !matches!(self.scratch[4..], [0, 0, 0, 0 | 1]) {
                return refuse("must be 0 or 1");
            }
        } else if let Cell::Text(text) = cell {
            if text.contains('\0') {
                return refuse("holds the character U+0000, which Postgres cannot");
            }
            if column.candidates != 0 {
                column.candidates &= candidates(text, column.candidates);
            }
        }
        Ok(())
    }

    fn end_row(&mut self, _: Place) -> Result<()> {
        self.rows += 1;
        Ok(())
    }
}

impl Column {
    fn narrowest(&self) -> ColumnType {
        let order = [
            (BOOLEAN, ColumnType::Boolean),
            (BIGINT, ColumnType::BigInt),
            (DOUBLE, ColumnType::Double),
            (DATE, ColumnType::Date),
            (TIMESTAMP, ColumnType::Timestamp),
        ];
        match order.into_iter().find(|(bit, _)| self.candidates & bit != 0) {
            Some((_, kind)) if self.example.is_some() => kind,
            _ => ColumnType::Text,
        }
    }
}

/// Which of the types in `among` hold the text.
///
/// `007` and whole numbers beyond 64 bits are names, not numbers: as numbers they would lose digits. `yes` and `no` are
/// categories.
fn candidates(text: &str, among: u8) -> u8 {
    let text = text.trim();
    let mut found = 0;
    if among & BOOLEAN != 0 && (text.eq_ignore_ascii_case("true") || text.eq_ignore_ascii_case("false")) {
        found |= BOOLEAN;
    }
    if among & (BIGINT | DOUBLE) != 0 && is_number(text) {
        if text.strip_prefix('-').unwrap_or(text).bytes().all(|c| c.is_ascii_digit()) {
            if text.parse::<i64>().is_ok() {
                found |= BIGINT | DOUBLE;
            }
        } else if text.parse::<f64>().is_ok_and(f64::is_finite) {
            found |= DOUBLE;
        }
    }
    if among & DATE != 0 && parse_date(text).is_some() {
        found |= DATE;
    }
    if among & TIMESTAMP != 0 && parse_timestamp(text).is_some() {
        found |= TIMESTAMP;
    }
    found
}

/// `-?(0|[1-9][0-9]*)` or begins like it and goes on with a fraction or an exponent; `.5` too.
fn is_number(text: &str) -> bool {
    match text.strip_prefix('-').unwrap_or(text).as_bytes() {
        [b'0', b'0'..=b'9', ..] => false,
        [b'0'..=b'9', ..] | [b'.', b'0'..=b'9', ..] => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inferred(values: &[&str]) -> ColumnType {
        let expected = Expected { name: "x".into(), kind: None, rule: Rule::Any };
        let mut survey = Survey::new(vec![expected]);
        for value in values {
            let cell = if value.is_empty() { Cell::Null } else { Cell::Text(value) };
            survey.cell(0, cell, Place::Line(1)).expect("any text is taken");
        }
        survey.finish().remove(0).kind
    }

    #[test]
    fn the_narrowest_type_that_holds_every_value() {
        use ColumnType::*;
        for (values, kind) in [
            (&["1", "", "-20"][..], BigInt),
            (&["9223372036854775807"], BigInt),
            (&["9223372036854775808"], Text),
            (&["1", "2.5"], Double),
            (&["1e3", ".5", "-.5", "0.1"], Double),
            (&["1e999"], Text),
            (&["inf"], Text),
            (&["1", "x"], Text),
            (&["02134", "10001"], Text),
            (&["0", "1"], BigInt),
            (&["true", "FALSE"], Boolean),
            (&["true", "1"], Text),
            (&["yes", "no"], Text),
            (&["2024-01-31", "1999-12-01"], Date),
            (&["2024-01-31", "2024-01-31T10:00:00Z"], Timestamp),
            (&["2024-01-31 10:00", "2024-01-31 10:00:00.25+01:00"], Timestamp),
            (&["2024-13-01"], Text),
            (&["31.01.2024"], Text),
            (&["2024", "2025"], BigInt),
            (&["-"], Text),
            (&["1-2"], Text),
            (&["1.2.3"], Text),
            (&["", ""], Text),
            (&[], Text),
        ] {
            assert_eq!(inferred(values), kind, "{values:?}");
        }
    }

    #[test]
    fn what_is_expected_is_checked_row_by_row() {
        let expected = |kind, rule| Expected { name: "x".into(), kind: Some(kind), rule };
        let refused = |expected, cell| {
            let error = Survey::new(vec![expected]).cell(0, cell, Place::Line(7)).expect_err("refused");
            error.to_string()
        };
        let any = expected(ColumnType::BigInt, Rule::Any);
        assert_eq!(
            refused(any, Cell::Text("abc")),
            "line 7, column x: 'abc' is no bigint; nothing was imported"
        );
        let required = expected(ColumnType::Text, Rule::Required);
        assert!(refused(required, Cell::Null).contains("missing"));
        let binary = expected(ColumnType::Integer, Rule::Binary);
        assert!(refused(binary.clone(), Cell::Text("2")).contains("0 or 1"));
        for good in ["0", "1", "1.0"] {
            assert!(
                Survey::new(vec![binary.clone()]).cell(0, Cell::Text(good), Place::Line(1)).is_ok(),
                "{good}"
            );
        }
    }
}
