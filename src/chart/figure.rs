//! A coordinate system and what is drawn in it.

use std::fmt::Write;

use super::{
    Scale,
    density::{CELLS, density},
    number,
    svg::{Anchor, MARGIN, Svg, WIDTH, cut, width},
};

/// More points than this are drawn as the density of cells.
pub const MOST_POINTS: usize = 2000;

const HEIGHT: f64 = 470.0;
/// Base line of the legend, below title and subtitle.
const LEGEND: f64 = 80.0;
const BOTTOM: f64 = 60.0;
/// Points of a line nearer than this to the last one are left out, in pixels.
const NEAR: f64 = 0.7;

/// A picture with two axes.
#[derive(Debug, Clone)]
pub struct Figure {
    /// What it shows, in words.
    pub title: String,
    /// What should be known when reading it.
    pub subtitle: String,
    /// From left to right.
    pub x: Axis,
    /// From below up.
    pub y: Axis,
    /// Drawn in this order.
    pub layers: Vec<Layer>,
}

/// One axis.
#[derive(Debug, Clone)]
pub struct Axis {
    /// What is measured, with its unit if it has one.
    pub label: String,
    /// The range.
    pub scale: Scale,
}

/// A colour by its role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// What the picture is about.
    First,
    /// What it is compared with.
    Second,
    /// What helps the eye.
    Muted,
}

/// Something drawn.
#[derive(Debug, Clone)]
pub enum Layer {
    /// One dot a point; of more than 2,000 the density. Points that are not finite are left out.
    Points {
        /// `(x, y)`.
        points: Vec<(f64, f64)>,
        /// Name in the legend.
        legend: String,
    },
    /// A line through the points, which may be very many.
    Line {
        /// `(x, y)` in the line's order.
        points: Vec<(f64, f64)>,
        /// Colour.
        tone: Tone,
        /// For references.
        dashed: bool,
        /// With a dot at each point.
        dots: bool,
        /// Name in the legend; none without a text.
        legend: String,
    },
    /// Columns on the x axis.
    Columns {
        /// From left to right.
        columns: Vec<Column>,
        /// Colour.
        tone: Tone,
        /// Name in the legend; none without a text.
        legend: String,
    },
}

/// A column from 0 up.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Column {
    /// Left end on the x axis.
    pub from: f64,
    /// Right end.
    pub to: f64,
    /// Height on the y axis; a negative one hangs from 0.
    pub height: f64,
}

impl Tone {
    fn class(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Second => "second",
            Self::Muted => "muted",
        }
    }

    /// Columns that only help the eye stay in the background.
    fn column_opacity(self) -> f64 {
        if self == Self::Muted { 0.3 } else { 0.8 }
    }
}

/// The rectangle between the axes, in pixels.
struct Area {
    left: f64,
    top: f64,
    right: f64,
    bottom: f64,
}

impl Figure {
    /// The picture as an SVG document.
    #[must_use]
    pub fn svg(&self) -> String {
        let mut svg = Svg::card(HEIGHT, &self.title, &self.subtitle);
        let (y_ticks, y_step) = self.y.scale.ticks(6);
        let y_labels = number::ticks(&y_ticks, y_step);
        let widest = y_labels.iter().map(|label| width(label)).fold(0.0, f64::max);
        let top =
            if self.layers.iter().any(|layer| !layer.legend().is_empty()) { LEGEND + 18.0 } else { 74.0 };
        let left = MARGIN + 26.0 + widest;
        let area = Area { left, top, right: WIDTH - MARGIN - 8.0, bottom: HEIGHT - BOTTOM };

        for (tick, label) in y_ticks.iter().zip(&y_labels) {
            let Some(y) = area.y(self.y.scale, *tick) else { continue };
            svg.line("grid", (area.left, y), (area.right, y));
            svg.label(area.left - 8.0, y + 4.0, Anchor::End, "", label);
        }
        let (x_ticks, x_step) = self.x.scale.ticks(7);
        for (tick, label) in x_ticks.iter().zip(number::ticks(&x_ticks, x_step)) {
            let Some(x) = area.x(self.x.scale, *tick) else { continue };
            svg.line("grid", (x, area.top), (x, area.bottom));
            svg.label(x, area.bottom + 18.0, Anchor::Middle, "", &label);
        }
        svg.line("axis", (area.left, area.bottom), (area.right, area.bottom));
        svg.line("axis", (area.left, area.top), (area.left, area.bottom));
        self.axis_titles(&mut svg, &area);
        for layer in &self.layers {
            self.layer(&mut svg, &area, layer);
        }
        self.legend(&mut svg, &area);
        svg.finish()
    }

    fn axis_titles(&self, svg: &mut Svg, area: &Area) {
        let middle = (area.left + area.right) / 2.0;
        svg.label(middle, HEIGHT - 18.0, Anchor::Middle, "strong", &cut(&self.x.label, 80));
        let middle = (area.top + area.bottom) / 2.0;
        svg.push(format_args!(r#"<g transform="rotate(-90 {MARGIN} {middle:.1})">"#));
        svg.label(MARGIN, middle + 6.0, Anchor::Middle, "strong", &cut(&self.y.label, 48));
        svg.push("</g>");
    }

    fn layer(&self, svg: &mut Svg, area: &Area, layer: &Layer) {
        let (x, y) = (self.x.scale, self.y.scale);
        match layer {
            Layer::Points { points, .. } if points.len() > MOST_POINTS => {
                cells(svg, area, &density(points, x, y))
            }
            Layer::Points { points, .. } => {
                svg.push(r#"<g class="first-fill" fill-opacity="0.5">"#);
                for &point in points.iter().filter(|(x, y)| x.is_finite() && y.is_finite()) {
                    if let Some((x, y)) = area.point(self, point) {
                        svg.push(format_args!(r#"<circle cx="{x:.1}" cy="{y:.1}" r="3"/>"#));
                    }
                }
                svg.push("</g>");
            }
            Layer::Line { points, tone, dashed, dots, .. } => {
                let points: Vec<_> = points.iter().filter_map(|&point| area.point(self, point)).collect();
                let dash = if *dashed { " dashed" } else { "" };
                let path = path(&points);
                if !path.is_empty() {
                    svg.push(format_args!(r#"<path class="line {}{dash}" d="{path}"/>"#, tone.class()));
                }
                for (x, y) in points.iter().filter(|_| *dots || points.len() == 1) {
                    let class = tone.class();
                    svg.push(format_args!(r#"<circle class="{class}-fill" cx="{x:.1}" cy="{y:.1}" r="4"/>"#));
                }
            }
            Layer::Columns { columns, tone, .. } => {
                let class = format!("{}-fill", tone.class());
                let opacity = tone.column_opacity();
                for column in columns {
                    let corners =
                        (area.point(self, (column.from, column.height)), area.point(self, (column.to, 0.0)));
                    let (Some(from), Some(to)) = corners else { continue };
                    // A negative column hangs from 0. A hair of the card stays between neighbours.
                    let (left, top) = (from.0.min(to.0), from.1.min(to.1));
                    let size = (((to.0 - from.0).abs() - 1.0).max(0.5), (to.1 - from.1).abs());
                    svg.rect(&class, opacity, (left, top), size);
                }
            }
        }
    }

    /// One line of names with their colours.
    fn legend(&self, svg: &mut Svg, area: &Area) {
        let mut x = area.left;
        for layer in self.layers.iter().filter(|layer| !layer.legend().is_empty()) {
            let name = cut(layer.legend(), 46);
            let middle = LEGEND - 4.0;
            match layer {
                Layer::Points { .. } => {
                    svg.push(format_args!(
                        r#"<circle class="first-fill" cx="{:.1}" cy="{middle:.1}" r="4"/>"#,
                        x + 9.0
                    ));
                }
                Layer::Line { tone, dashed, .. } => {
                    let dash = if *dashed { " dashed" } else { "" };
                    let class = format!("line {}{dash}", tone.class());
                    svg.line(&class, (x, middle), (x + 18.0, middle));
                }
                Layer::Columns { tone, .. } => {
                    let class = format!("{}-fill", tone.class());
                    svg.rect(&class, tone.column_opacity(), (x + 3.0, middle - 6.0), (12.0, 12.0));
                }
            }
            svg.label(x + 24.0, LEGEND, Anchor::Start, "", &name);
            x += 24.0 + width(&name) + 20.0;
        }
    }
}

impl Layer {
    fn legend(&self) -> &str {
        match self {
            Self::Points { legend, .. } | Self::Line { legend, .. } | Self::Columns { legend, .. } => legend,
        }
    }
}

impl Area {
    fn x(&self, scale: Scale, value: f64) -> Option<f64> {
        Some(self.left + scale.place(value)? * (self.right - self.left))
    }

    fn y(&self, scale: Scale, value: f64) -> Option<f64> {
        Some(self.bottom - scale.place(value)? * (self.bottom - self.top))
    }

    fn point(&self, figure: &Figure, (x, y): (f64, f64)) -> Option<(f64, f64)> {
        Some((self.x(figure.x.scale, x)?, self.y(figure.y.scale, y)?))
    }
}

/// `M` and `L` through the points, without those that would not be seen; empty for less than two.
fn path(points: &[(f64, f64)]) -> String {
    let mut path = String::new();
    if points.len() < 2 {
        return path;
    }
    let mut last = (f64::NEG_INFINITY, f64::NEG_INFINITY);
    for (i, &(x, y)) in points.iter().enumerate() {
        let near = (x - last.0).abs() < NEAR && (y - last.1).abs() < NEAR;
        if near && i + 1 < points.len() {
            continue;
        }
        let command = if i == 0 { 'M' } else { 'L' };
        let _ = write!(path, "{command}{x:.1} {y:.1}");
        last = (x, y);
    }
    path
}

/// Cells that are the darker the more points they hold, by the logarithm: one point is seen beside thousands.
fn cells(svg: &mut Svg, area: &Area, counts: &[u32]) {
    let most = f64::from(counts.iter().copied().max().unwrap_or(0)).ln_1p();
    let (width, height) =
        ((area.right - area.left) / CELLS.0 as f64, (area.bottom - area.top) / CELLS.1 as f64);
    for (i, &count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
        let (column, row) = ((i % CELLS.0) as f64, (i / CELLS.0) as f64);
        let at = (area.left + column * width, area.bottom - (row + 1.0) * height);
        svg.rect("first-fill", 0.12 + 0.88 * f64::from(count).ln_1p() / most, at, (width, height));
    }
}
