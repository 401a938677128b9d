//! Numbers on their way into single precision, and what is lost on it.
//!
//! Models take `f32`, whose 24 binary digits are enough for measurements and too few for identifiers, large
//! whole amounts or seconds since 1970: numbers that differ become one. Whether they do is seen on a sample of
//! the `f32`s that other numbers were rounded to, drawn by their hash as they come: no second pass, no sort.

use super::ColumnValues;
use crate::error::MAX_FAULTS;

/// `f32`s in the sample: in each part of the hashes the one with the least.
const SAMPLE: usize = 64;
/// Share of the values, one in so many, that must be rounded at all.
const ROUNDED: usize = 10;
/// Share of the sample, one in so many, that must hold several numbers. Numbers drawn at random from the whole
/// range of 24 bits stay below it up to ten million rows.
const HOLDS_SEVERAL: usize = 3;
/// `f32`s between the least and the greatest value that are enough for whatever is measured. Whole numbers are
/// counted or given out: of those each counts.
const ENOUGH: u32 = 1_000;
/// Relative difference below which two numbers differ by how they were computed.
const NOISE: f64 = 1e-12;

/// A numeric column as it is read.
#[derive(Debug, Clone, Default)]
pub(in crate::features) struct Numbers {
    values: Vec<f32>,
    rounded: Rounded,
}

/// Columns whose numbers became one, each with two such numbers.
#[derive(Debug, Default)]
pub(in crate::features) struct Collapsed(Vec<(String, [f64; 2])>);

/// The values that are no `f32`.
#[derive(Debug, Clone, Default)]
struct Rounded {
    count: usize,
    /// Whether one of them has a fraction.
    fractions: bool,
    /// Of what they were rounded to.
    least: f32,
    greatest: f32,
    /// Empty until there is one.
    sample: Vec<Cell>,
}

/// An `f32` with the least and the greatest number that were rounded to it.
#[derive(Debug, Clone, Copy)]
struct Cell {
    hash: u32,
    least: f64,
    greatest: f64,
}

impl Numbers {
    /// So many rows without a value.
    pub(in crate::features) fn missing(rows: usize) -> Self {
        Self { values: vec![f32::NAN; rows], rounded: Rounded::default() }
    }

    /// The next row's number; NaN is missing, and a number beyond `f32` becomes infinite.
    #[inline]
    pub(in crate::features) fn push(&mut self, value: f64) {
        let single = value as f32;
        if f64::from(single) != value && single.is_finite() {
            self.rounded.note(value, single);
        }
        self.values.push(single);
    }
}

impl Rounded {
    fn note(&mut self, value: f64, single: f32) {
        if self.sample.is_empty() {
            let none = Cell { hash: u32::MAX, least: f64::NAN, greatest: f64::NAN };
            self.sample = vec![none; SAMPLE];
            (self.least, self.greatest) = (single, single);
        }
        self.count += 1;
        self.fractions = self.fractions || value.fract() != 0.0;
        (self.least, self.greatest) = (self.least.min(single), self.greatest.max(single));
        let hash = hash(single);
        let cell = &mut self.sample[hash as usize % SAMPLE];
        if hash < cell.hash || cell.least.is_nan() {
            *cell = Cell { hash, least: value, greatest: value };
        } else if hash == cell.hash {
            (cell.least, cell.greatest) = (cell.least.min(value), cell.greatest.max(value));
        }
    }

    fn collapsed(&self, present: usize) -> Option<[f64; 2]> {
        if self.count * ROUNDED < present || (self.fractions && self.distance() > ENOUGH) {
            return None;
        }
        let cells = || self.sample.iter().filter(|cell| !cell.least.is_nan());
        let several = || cells().filter(|cell| cell.greatest - cell.least > cell.greatest.abs() * NOISE);
        let first = several().next()?;
        (several().count() * HOLDS_SEVERAL >= cells().count()).then_some([first.least, first.greatest])
    }

    /// Number of `f32`s from the least to the greatest.
    fn distance(&self) -> u32 {
        // Sign and magnitude to two's complement: the order of the numbers.
        let key = |value: f32| {
            let bits = value.to_bits() as i32;
            bits ^ ((bits >> 31) as u32 >> 1) as i32
        };
        key(self.least).abs_diff(key(self.greatest))
    }
}

/// A permutation of the bits of an `f32` without pattern (the end of Appleby's MurmurHash3).
fn hash(value: f32) -> u32 {
    let mut hash = value.to_bits();
    hash = (hash ^ (hash >> 16)).wrapping_mul(0x85eb_ca6b);
    hash = (hash ^ (hash >> 13)).wrapping_mul(0xc2b2_ae35);
    hash ^ (hash >> 16)
}

impl Collapsed {
    /// The values of a column; notes it if they collapsed.
    pub(in crate::features) fn finish(&mut self, name: &str, numbers: Numbers) -> ColumnValues {
        let present = numbers.values.iter().filter(|value| !value.is_nan()).count();
        self.0.extend(numbers.rounded.collapsed(present).map(|pair| (name.to_owned(), pair)));
        ColumnValues::Numeric(numbers.values)
    }

    /// One sentence a column; the first [`MAX_FAULTS`] and the number of the rest.
    pub(in crate::features) fn warnings(&self) -> Vec<String> {
        let sentence = |(name, [a, b]): &(String, [f64; 2])| {
            let (a, b) = (figure(*a), figure(*b));
            format!(
                "Values of '{name}' differ only beyond 24 bits, more than a model takes: {a} and {b} count as \
                 equal. Subtract a constant, or leave the column out if it identifies rows"
            )
        };
        let mut warnings: Vec<_> = self.0.iter().take(MAX_FAULTS).map(sentence).collect();
        if let more @ 1.. = self.0.len().saturating_sub(MAX_FAULTS) {
            warnings.push(format!("Values of {more} more columns differ only beyond 24 bits"));
        }
        warnings
    }
}

/// Digits, as long as all of them mean something.
fn figure(value: f64) -> String {
    if value.abs() < 1e16 { value.to_string() } else { format!("{value:e}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forest::rng::Rng;

    fn collapsed(values: impl IntoIterator<Item = f64>) -> Option<[f64; 2]> {
        let mut numbers = Numbers::default();
        values.into_iter().for_each(|value| numbers.push(value));
        let mut collapsed = Collapsed::default();
        collapsed.finish("x", numbers);
        collapsed.0.pop().map(|(_, pair)| pair)
    }

    /// The numbers in an order that has nothing to do with their size.
    fn shuffled(mut values: Vec<f64>) -> Vec<f64> {
        let mut rng = Rng::new(1);
        for last in (1..values.len()).rev() {
            values.swap(last, rng.below(last as u32 + 1) as usize);
        }
        values
    }

    #[test]
    fn numbers_that_become_one_are_found_in_any_order() {
        for (first, step, rows) in [
            (20_000_001.0, 1.0, 30),
            (20_000_001.0, 1.0, 50_000),
            (1.7e9, 1.0, 20_000),
            (-9.1e18, 1e5, 20_000),
            // Milliseconds of a minute.
            (1.7e12, 1.0, 60_000),
            // Quarters of a second of an hour.
            (1.7e9, 0.25, 14_400),
        ] {
            let values: Vec<f64> = (0..rows).map(|i| first + step * f64::from(i)).collect();
            for values in [values.clone(), shuffled(values)] {
                let [a, b] = collapsed(values).unwrap_or_else(|| panic!("{first} by {step}"));
                assert!(a < b && a as f32 == b as f32 && a >= first, "{a} {b}");
            }
        }
    }

    #[test]
    fn rounding_that_makes_no_difference_is_not_told() {
        let mut rng = Rng::new(2);
        let mut draw = |scale: f64| -> Vec<f64> { (0..200_000).map(|_| rng.unit() * scale).collect() };
        for (what, values) in [
            ("tenths", (0..1_000).map(|i| f64::from(i % 50) / 10.0).collect()),
            ("drawn", draw(1.0)),
            ("degrees of one town", draw(0.3).into_iter().map(|x| 52.3 + x).collect()),
            ("prices", draw(9e7).into_iter().map(f64::round).collect()),
            ("cents", draw(9e7).into_iter().map(|x| (x * 100.0).round() / 100.0).collect()),
            ("whole", (0..200_000).map(f64::from).collect()),
            ("whole and wide", (0..1_000).map(|i| f64::from(i) * 1e6 + 1.0).collect()),
            ("differently computed", (0..1_000).map(|i| [0.3, 0.1 + 0.2][i % 2]).collect()),
            ("one large", (0..1_000).map(|i| if i < 2 { 2e7 + 1.0 + i as f64 * 2.0 } else { 1.0 }).collect()),
            ("missing and too large", vec![f64::NAN, f64::INFINITY, 1e300, -1e300]),
        ] {
            assert_eq!(collapsed(values), None, "{what}");
        }
    }

    #[test]
    fn a_sentence_names_column_and_numbers() {
        let column = |i: usize| (format!("c{i}"), [20_000_001.0, 1.25e17]);
        let all = Collapsed((0..MAX_FAULTS + 3).map(column).collect()).warnings();
        assert!(all[0].contains("'c0'") && all[0].contains("20000001 and 1.25e17"), "{}", all[0]);
        assert_eq!(all.len(), MAX_FAULTS + 1);
        assert!(all[MAX_FAULTS].contains("3 more columns"), "{}", all[MAX_FAULTS]);
    }
}
