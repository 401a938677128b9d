//! Counts in cells of rows and columns.

use super::{
    number,
    svg::{Anchor, MARGIN, Svg, WIDTH, cut},
};

const TOP: f64 = 104.0;
const ROW: f64 = 110.0;
const LABELS: f64 = 150.0;

/// A matrix of counts. Each cell shows its count and its share of the row, and is the darker the greater
/// that share. `axes` names rows and columns, `names` both rows and columns; `counts` is by row.
#[must_use]
pub fn matrix<const N: usize>(
    title: &str,
    subtitle: &str,
    axes: [&str; 2],
    names: [&str; N],
    counts: [[u64; N]; N],
) -> String {
    let height = TOP + ROW * N as f64 + MARGIN;
    let mut svg = Svg::card(height, title, subtitle);
    let left = MARGIN + 24.0 + LABELS;
    let column = (WIDTH - MARGIN - left) / N.max(1) as f64;
    let centre = (left + WIDTH - MARGIN) / 2.0;
    svg.label(centre, TOP - 26.0, Anchor::Middle, "strong", axes[1]);
    let middle = TOP + ROW * N as f64 / 2.0;
    svg.push(format_args!(r#"<g transform="rotate(-90 {MARGIN} {middle:.1})">"#));
    svg.label(MARGIN, middle + 12.0, Anchor::Middle, "strong", axes[0]);
    svg.push("</g>");
    for (i, (name, row)) in names.iter().zip(&counts).enumerate() {
        let y = TOP + ROW * i as f64;
        svg.label(left + column * (i as f64 + 0.5), TOP - 8.0, Anchor::Middle, "", &cut(name, 36));
        svg.label(left - 12.0, y + ROW / 2.0 + 4.0, Anchor::End, "", &cut(name, 22));
        let all = row.iter().sum::<u64>();
        for (j, &count) in row.iter().enumerate() {
            let x = left + column * j as f64;
            let share = if all > 0 { count as f64 / all as f64 } else { 0.0 };
            // Never so dark that the text on it is hard to read.
            svg.rect("first-fill", 0.05 + 0.4 * share, (x + 2.0, y + 2.0), (column - 4.0, ROW - 4.0));
            let x = x + column / 2.0;
            svg.label(x, y + ROW / 2.0, Anchor::Middle, "big", &number::count(count));
            let of_row = match all {
                0 => "no such rows".to_owned(),
                _ => format!("{} of {}", number::percent(share), number::count(all)),
            };
            svg.label(x, y + ROW / 2.0 + 22.0, Anchor::Middle, "strong", &of_row);
        }
    }
    svg.finish()
}
