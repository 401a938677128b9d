//! The document: card, colours, text that cannot become markup.

use std::fmt::{Display, Write};

/// Width of every picture, in pixels.
pub(super) const WIDTH: f64 = 720.0;

/// Distance of all things from the card's edge.
pub(super) const MARGIN: f64 = 24.0;

/// Colours by role. The light ones stand outside the media query: what knows none of it shows light.
const STYLE: &str = "\
text{font-family:system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif;font-size:12px;fill:#4a5560}\
.card{fill:#fff;stroke:#d5dae0}.title{font-size:17px;font-weight:600;fill:#1c2530}.strong{fill:#1c2530}\
.big{font-size:22px;font-weight:600;fill:#1c2530}.grid{stroke:#e6eaee}.axis{stroke:#8a949e}\
.first{stroke:#1464d2}.second{stroke:#c2410c}.muted{stroke:#7b8692}\
.first-fill{fill:#1464d2}.second-fill{fill:#c2410c}.muted-fill{fill:#7b8692}\
.line{fill:none;stroke-width:2;stroke-linejoin:round}.dashed{stroke-dasharray:6 5}\
@media (prefers-color-scheme:dark){text{fill:#a9b4c0}.card{fill:#161b22;stroke:#30363d}\
.title,.strong,.big{fill:#e6edf3}.grid{stroke:#262d36}.axis{stroke:#6e7883}\
.first{stroke:#58a6ff}.second{stroke:#f0883e}.muted{stroke:#8b96a2}\
.first-fill{fill:#58a6ff}.second-fill{fill:#f0883e}.muted-fill{fill:#8b96a2}}";

/// An SVG that is being written.
pub(super) struct Svg {
    text: String,
}

/// Where a text begins, ends or has its middle.
#[derive(Debug, Clone, Copy)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

impl Svg {
    /// A card with a title and a line below it.
    pub(super) fn card(height: f64, title: &str, subtitle: &str) -> Self {
        let mut svg = Self { text: String::with_capacity(16 << 10) };
        let (title_text, subtitle_text) = (escaped(title), escaped(subtitle));
        svg.push(format_args!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" role="img"><title>{title_text}</title><desc>{subtitle_text}</desc><style>{STYLE}</style><rect class="card" x="0.5" y="0.5" width="{}" height="{}" rx="8"/>"#,
            WIDTH - 1.0,
            height - 1.0
        ));
        svg.label(MARGIN, 34.0, Anchor::Start, "title", &cut(title, 64));
        svg.label(MARGIN, 54.0, Anchor::Start, "", &cut(subtitle, 108));
        svg
    }

    /// Appends markup that the caller made.
    pub(super) fn push(&mut self, markup: impl Display) {
        write!(self.text, "{markup}").expect("a String takes every write");
    }

    /// Text at its base line. Anybody's text: it is escaped here.
    pub(super) fn label(&mut self, x: f64, y: f64, anchor: Anchor, class: &str, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let text = escaped(text);
        self.push(format_args!(
            r#"<text x="{x:.1}" y="{y:.1}" text-anchor="{anchor}" class="{class}">{text}</text>"#
        ));
    }

    /// A straight line.
    pub(super) fn line(&mut self, class: &str, from: (f64, f64), to: (f64, f64)) {
        let ((x1, y1), (x2, y2)) = (from, to);
        self.push(format_args!(
            r#"<line class="{class}" x1="{x1:.1}" y1="{y1:.1}" x2="{x2:.1}" y2="{y2:.1}"/>"#
        ));
    }

    /// A filled rectangle.
    pub(super) fn rect(&mut self, class: &str, opacity: f64, at: (f64, f64), size: (f64, f64)) {
        let ((x, y), (width, height)) = (at, size);
        self.push(format_args!(
            r#"<rect class="{class}" fill-opacity="{opacity:.2}" x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{height:.1}"/>"#
        ));
    }

    /// The whole document.
    pub(super) fn finish(mut self) -> String {
        self.text.push_str("</svg>\n");
        self.text
    }
}

/// Text that is no markup, without the characters that XML 1.0 does not know.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

/// Text of at most so many columns, with an ellipsis if it was longer.
pub(super) fn cut(text: &str, columns: usize) -> String {
    if columns_of(text) <= columns {
        return text.to_owned();
    }
    let mut used = 1;
    let kept = text.chars().take_while(|&c| {
        used += columns_of_char(c);
        used <= columns
    });
    kept.chain(['\u{2026}']).collect()
}

/// About how wide a text of 12 pixels is, in pixels.
pub(super) fn width(text: &str) -> f64 {
    columns_of(text) as f64 * 6.8
}

fn columns_of(text: &str) -> usize {
    text.chars().map(columns_of_char).sum()
}

/// Letters of East Asia, symbols and emoji are two columns wide.
fn columns_of_char(c: char) -> usize {
    if matches!(c, '\u{1100}'..='\u{115f}' | '\u{2e80}'..='\u{fe4f}' | '\u{ff00}'..='\u{ff60}' | '\u{1f000}'..)
    {
        2
    } else {
        1
    }
}
