//! Labelled values, one bar each.

use super::{
    number,
    svg::{Anchor, MARGIN, Svg, WIDTH, cut, width},
};

/// Bars of a picture; the rest is told in words.
const SHOWN: usize = 20;
const LABEL_COLUMNS: usize = 36;
const ROW: f64 = 24.0;
const TOP: f64 = 76.0;

/// The greatest 20 shares of a whole, greatest first, equal ones by position.
#[must_use]
pub fn bars(title: &str, subtitle: &str, shares: &[(&str, f64)]) -> String {
    let mut sorted: Vec<_> = shares.iter().filter(|(_, value)| value.is_finite()).collect();
    sorted.sort_by(|a, b| b.1.total_cmp(&a.1));
    let hidden = sorted.len().saturating_sub(SHOWN);
    sorted.truncate(SHOWN);

    let height = TOP + ROW * sorted.len().max(1) as f64 + if hidden > 0 { 44.0 } else { 20.0 };
    let mut svg = Svg::card(height, title, subtitle);
    let labels: Vec<String> = sorted.iter().map(|(name, _)| cut(name, LABEL_COLUMNS)).collect();
    let widest = labels.iter().map(|label| width(label)).fold(60.0, f64::max);
    let (left, right) = (MARGIN + widest + 8.0, WIDTH - MARGIN - 52.0);
    let greatest = sorted.first().map_or(0.0, |(_, value)| *value).max(f64::MIN_POSITIVE);
    for (i, ((_, value), label)) in sorted.iter().zip(&labels).enumerate() {
        let y = TOP + ROW * i as f64;
        let length = (right - left) * (value / greatest).clamp(0.0, 1.0);
        svg.label(left - 8.0, y + 15.0, Anchor::End, "strong", label);
        svg.rect("first-fill", 0.85, (left, y + 3.0), (length.max(1.0), ROW - 8.0));
        svg.label(left + length + 7.0, y + 15.0, Anchor::Start, "", &number::percent(*value));
    }
    if hidden > 0 {
        let rest: f64 = shares.iter().map(|(_, value)| value).filter(|value| value.is_finite()).sum::<f64>()
            - sorted.iter().map(|(_, value)| value).sum::<f64>();
        let text = format!("and {hidden} more with {} together", number::percent(rest.max(0.0)));
        svg.label(left, height - 20.0, Anchor::Start, "", &text);
    }
    svg.finish()
}
