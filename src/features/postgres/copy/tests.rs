use proptest::prelude::*;

use super::*;
use crate::features::{
    postgres::{
        columns::{ColumnPlan, Role},
        wire::WireType,
    },
    table::{ColumnValues, FeatureTable, MISSING},
};

fn columns() -> Columns {
    let plan = |name: &str, wire, role| ColumnPlan { name: name.to_owned(), wire, role };
    Columns::new(vec![
        plan("size", WireType::Float8, Role::Number),
        plan("kind", WireType::Text, Role::Category(vec!["residential".into(), "commercial".into()])),
        plan("cost", WireType::Numeric, Role::Target),
        plan("observed_at", WireType::Timestamp, Role::Time),
    ])
}

type Tuple<'a> = [Option<&'a [u8]>; 4];

fn stream(tuples: &[Tuple<'_>]) -> Vec<u8> {
    let mut bytes = SIGNATURE.to_vec();
    bytes.extend([0; 8]);
    for tuple in tuples {
        bytes.extend(4i16.to_be_bytes());
        for field in tuple {
            bytes.extend(field.map_or(-1, |field| field.len() as i32).to_be_bytes());
            bytes.extend(field.unwrap_or_default());
        }
    }
    bytes.extend((-1i16).to_be_bytes());
    bytes
}

fn read<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Result<FeatureTable> {
    let (mut decoder, mut columns) = (CopyDecoder::default(), columns());
    for piece in pieces {
        decoder.push(piece, &mut columns)?;
    }
    decoder.finish()?;
    Ok(columns.into_table())
}

/// 123.45: two digits to base 10,000 (123, 4500), weight 0.
const NUMERIC: &[u8] = &[0, 2, 0, 0, 0, 0, 0, 2, 0, 123, 0x11, 0x94];

fn sample() -> Vec<u8> {
    let size = 1.5f64.to_be_bytes();
    let infinite = f64::INFINITY.to_be_bytes();
    let time = 1_000_000i64.to_be_bytes();
    stream(&[
        [Some(&size), Some(b"residential"), Some(NUMERIC), Some(&time)],
        [None, None, None, None],
        [Some(&infinite), Some(b"1"), Some(&[0, 0, 0, 0, 0xC0, 0, 0, 0]), None],
        [Some(&size), Some(b""), Some(&[0, 0, 0, 0, 0, 0, 0, 0]), None],
    ])
}

#[test]
fn tuples_become_columns() {
    let table = read([&sample()[..]]).expect("valid");
    assert_eq!(table.n_rows, 4);
    let ColumnValues::Numeric(sizes) = &table.columns[0].values else { panic!("numeric") };
    assert!(sizes[0] == 1.5 && sizes[1].is_nan() && sizes[2] == f32::INFINITY);
    let kinds =
        ColumnValues::Categorical { labels: vec!["residential".into()], codes: vec![0, MISSING, 0, MISSING] };
    assert_eq!(table.columns[1].values, kinds, "the number 1 stands for the first name");
    assert_eq!(table.target[0], 123.45);
    assert!(table.target[1].is_nan() && table.target[2].is_nan());
    assert_eq!(table.target[3], 0.0);
    assert_eq!(table.observed_at[0], 946_684_801.0);
}

#[test]
fn numbers_that_became_one_are_told() {
    let sizes: Vec<_> = (0..50).map(|i| (20_000_001.0 + f64::from(i)).to_be_bytes()).collect();
    let tuples: Vec<Tuple<'_>> =
        sizes.iter().map(|size| [Some(&size[..]), None, Some(NUMERIC), None]).collect();
    let table = read([&stream(&tuples)[..]]).expect("valid");
    assert!(table.warnings.len() == 1 && table.warnings[0].contains("'size'"), "{:?}", table.warnings);
}

#[test]
fn a_stream_that_breaks_off_is_no_table() {
    let bytes = sample();
    for end in 0..bytes.len() {
        assert!(read([&bytes[..end]]).is_err(), "the first {end} bytes");
    }
    let mut more = bytes;
    more.push(0);
    assert!(read([&more[..]]).is_err());
}

proptest! {
    #[test]
    fn any_cut_gives_the_same_table(cuts in proptest::collection::vec(0..200usize, 0..8)) {
        let bytes = sample();
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
        cuts.sort_unstable();
        let mut start = 0;
        let mut pieces: Vec<&[u8]> = vec![];
        for cut in cuts {
            pieces.push(&bytes[start..cut]);
            start = cut;
        }
        pieces.push(&bytes[start..]);
        let whole = format!("{:?}", read([&bytes[..]]).expect("valid"));
        prop_assert_eq!(format!("{:?}", read(pieces).expect("valid")), whole);
    }

    #[test]
    fn hostile_bytes_are_an_error_or_a_table(
        noise in proptest::collection::vec(any::<u8>(), 0..300),
        with_header in any::<bool>(),
    ) {
        let mut bytes = if with_header { sample()[..HEADER].to_vec() } else { vec![] };
        bytes.extend(noise);
        check(&bytes)?;
    }

    #[test]
    fn a_flipped_byte_is_an_error_or_a_table(at in 0..200usize, value in any::<u8>()) {
        let mut bytes = sample();
        let at = at % bytes.len();
        bytes[at] = value;
        check(&bytes)?;
    }

    #[test]
    fn numeric_is_rounded_like_a_literal(
        digits in proptest::collection::vec(0..10_000u16, 1..8), weight in -6..8i16, negative in any::<bool>(),
    ) {
        let mut bytes = vec![];
        let sign = if negative { 0x4000u16 } else { 0 };
        for field in [digits.len() as u16, weight.cast_unsigned(), sign, 0] {
            bytes.extend(field.to_be_bytes());
        }
        bytes.extend(digits.iter().flat_map(|digit| digit.to_be_bytes()));
        let text: String = digits.iter().map(|digit| format!("{digit:04}")).collect();
        let literal: f64 = format!("{text}e{}", 4 * (i32::from(weight) + 1 - digits.len() as i32)).parse().expect("a number");
        let expected = if negative { -literal } else { literal };
        prop_assert_eq!(WireType::Numeric.number(&bytes), Some(expected));
    }
}

/// Whatever comes: no panic, and columns of one length.
fn check(bytes: &[u8]) -> Result<(), TestCaseError> {
    if let Ok(table) = read([bytes]) {
        prop_assert!(table.columns.iter().all(|column| column.values.len() == table.n_rows));
        prop_assert_eq!(table.target.len(), table.n_rows);
    }
    Ok(())
}
