//! Numbers as people read them.

/// Powers of a thousand and their letters, greatest first.
const SUFFIXES: [(f64, &str); 4] = [(1e12, " T"), (1e9, " B"), (1e6, " M"), (1e3, " k")];

/// Three significant digits: `1.23 M`, `950`, `0.0123`, `4.5e-7`. A number of thousands keeps its digits up
/// to 9,999.
#[must_use]
pub fn short(value: f64) -> String {
    let size = value.abs();
    if value == 0.0 {
        return "0".to_owned();
    }
    if !size.is_finite() || !(1e-4..1e15).contains(&size) {
        return format!("{value:.2e}");
    }
    // A number that rounding lifts over a power of a thousand takes that one's letter.
    let (unit, suffix) = SUFFIXES.into_iter().find(|(unit, _)| size >= unit * 0.9995).unwrap_or((1.0, ""));
    let (unit, suffix) = if size < 9_999.5 { (1.0, "") } else { (unit, suffix) };
    let scaled = value / unit;
    let decimals = (2 - scaled.abs().log10().floor() as i32).clamp(0, 6) as usize;
    format!("{}{suffix}", trimmed(&format!("{scaled:.decimals$}")))
}

/// A count with thousands apart: `1,234,567`.
#[must_use]
pub fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A share in percent: `12.3%`.
#[must_use]
pub fn percent(share: f64) -> String {
    format!("{:.1}%", share * 100.0)
}

/// Labels of equally spaced ticks: one unit for all, as many decimals as tell them apart.
pub(super) fn ticks(values: &[f64], step: f64) -> Vec<String> {
    let size = values.iter().fold(0.0, |size: f64, value| size.max(value.abs()));
    if size >= 1e15 || step < 1e-6 {
        return values.iter().map(|value| format!("{value:.1e}")).collect();
    }
    let (unit, suffix) = SUFFIXES.into_iter().find(|(unit, _)| size >= *unit).unwrap_or((1.0, ""));
    // Years and the like are not 2.02 k.
    let (unit, suffix) = if size < 1e4 { (1.0, "") } else { (unit, suffix) };
    // Steps are 1, 2 or 5 times a power of ten.
    let decimals = (-(step / unit).log10().floor()).clamp(0.0, 6.0) as usize;
    let label = |value: &f64| match *value == 0.0 {
        true => "0".to_owned(),
        false => format!("{:.decimals$}{suffix}", value / unit),
    };
    values.iter().map(label).collect()
}

/// Without zeros at the end of the decimals.
fn trimmed(text: &str) -> &str {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        for (value, text) in [
            (0.0, "0"),
            (1.0, "1"),
            (-2.5, "-2.5"),
            (0.012_345, "0.0123"),
            (950.4, "950"),
            (2024.0, "2024"),
            (21_504.0, "21.5 k"),
            (999_900.0, "1 M"),
            (1_234_567.0, "1.23 M"),
            (-3e9, "-3 B"),
            (4.5e-7, "4.50e-7"),
            (f64::INFINITY, "inf"),
        ] {
            assert_eq!(short(value), text);
        }
        assert_eq!((count(0), count(999), count(1_234_567)), ("0".into(), "999".into(), "1,234,567".into()));
        assert_eq!((percent(0.1234), percent(1.0)), ("12.3%".into(), "100.0%".into()));
    }

    #[test]
    fn ticks_share_a_unit() {
        assert_eq!(ticks(&[0.0, 0.2, 0.4], 0.2), ["0", "0.2", "0.4"]);
        assert_eq!(ticks(&[0.0, 500_000.0, 1e6], 5e5), ["0", "0.5 M", "1.0 M"]);
        assert_eq!(ticks(&[2000.0, 2010.0], 10.0), ["2000", "2010"]);
        assert_eq!(ticks(&[1e20, 2e20], 1e20), ["1.0e20", "2.0e20"]);
    }
}
