//! Names in SQL of a file's columns and of the table.
//!
//! `Overall Qual` becomes `overall_qual`: what one may write in a query without quotes. The rules are those of DuckDB's
//! `normalize_names`, more or less: lower case, everything but letters and digits an underscore, a leading digit after an
//! underscore.

use std::collections::{HashMap, HashSet};

use super::error::{ImportError, Result};
use crate::storage::imported_tables::ROW_NUMBER;

/// Longest name of Postgres, in bytes.
const MAX_NAME: usize = 63;
/// Columns that Postgres or we add to every table.
const KEPT: [&str; 8] = ["ctid", "xmin", "xmax", "cmin", "cmax", "tableoid", "oid", ROW_NUMBER];
/// The column that no file may bring.
pub(super) const TENANT: &str = "tenant_id";

/// The names of the columns in SQL, in order. A name that comes twice gets `_2`, `_3`, ...
pub(super) fn column_names(originals: &[String]) -> Vec<String> {
    let mut taken = HashSet::new();
    // Of each base the number that comes next: a thousand columns of one name are not counted through a thousand times.
    let mut next = HashMap::new();
    let named = originals.iter().enumerate().map(|(i, original)| {
        let base = column_name(original, i + 1);
        let n = next.entry(base.clone()).or_insert(1);
        loop {
            let name = match *n {
                1 => base.clone(),
                n => {
                    let suffix = format!("_{n}");
                    cut(&base, MAX_NAME - suffix.len()).to_owned() + &suffix
                }
            };
            *n += 1;
            if taken.insert(name.clone()) {
                return name;
            }
        }
    });
    named.collect()
}

/// The name in SQL of the `position`th column, from 1.
fn column_name(original: &str, position: usize) -> String {
    let mut name = String::new();
    for c in original.chars() {
        if c.is_alphanumeric() {
            name.extend(c.to_lowercase());
        } else if !name.ends_with('_') {
            name.push('_');
        }
    }
    let name = match name.trim_matches('_') {
        "" => format!("column_{position}"),
        plain => plain.to_owned(),
    };
    let begins_with_letter = name.starts_with(char::is_alphabetic);
    let reserved = name.starts_with("pg_") || KEPT.contains(&name.as_str());
    let name = if reserved || !begins_with_letter { format!("_{name}") } else { name };
    cut(&name, MAX_NAME).to_owned()
}

/// At most `bytes` bytes of the name.
fn cut(name: &str, bytes: usize) -> &str {
    &name[..name.floor_char_boundary(bytes)]
}

/// The table's name as Postgres understands it.
///
/// # Errors
/// A name that would need quotes, or is Postgres' own.
pub(super) fn table_name(text: &str) -> Result<String> {
    let name = text.to_ascii_lowercase();
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let begins = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
    if !begins || !name.chars().all(plain) || name.len() > MAX_NAME || name.starts_with("pg_") {
        return Err(ImportError::Argument(format!(
            "'{text}' cannot name a table: use letters, digits and underscores, at most {MAX_NAME}, a letter first, and not pg_"
        )));
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_snake_case() {
        for (original, name) in [
            ("Overall Qual", "overall_qual"),
            ("overall_qual", "overall_qual"),
            ("SalePrice", "saleprice"),
            ("1st Flr SF", "_1st_flr_sf"),
            ("Año (m²)", "año_m²"),
            ("Größe", "größe"),
            ("  price / $ ", "price"),
            ("\"quoted\"", "quoted"),
            ("order", "order"),
            ("", "column_3"),
            ("%", "column_3"),
            ("xmin", "_xmin"),
            ("pg_class", "_pg_class"),
            ("import_row", "_import_row"),
            ("id", "id"),
        ] {
            assert_eq!(column_name(original, 3), name, "{original:?}");
        }
    }

    #[test]
    fn no_two_columns_have_one_name_and_none_is_too_long() {
        let long = "x".repeat(80);
        let originals = ["A", "a", "a_2", "A", &long, &long, "ä".repeat(40).as_str()].map(str::to_owned);
        let names = column_names(&originals);
        assert_eq!(names[..4], ["a", "a_2", "a_2_2", "a_3"]);
        assert!(names.iter().all(|name| name.len() <= MAX_NAME));
        assert_eq!(names.iter().collect::<HashSet<_>>().len(), names.len());
        assert!(names[5].ends_with("_2"));
    }

    #[test]
    fn table_names_need_no_quotes() {
        assert_eq!(table_name("Ames_2").expect("folded"), "ames_2");
        for bad in ["", "2ames", "a b", "a\"b", "a.b", "pg_ames", "größe", &"a".repeat(64)] {
            assert!(table_name(bad).is_err(), "{bad:?}");
        }
    }
}
