//! Pictures of numbers as SVG: data in, text out. Pure; what a picture means is not known here.
//!
//! Every picture is a card of its own colours: MLflow shows artifacts in an `<img>`, which neither sees
//! the page's theme nor lets the page style it. The card follows the system's light or dark scheme
//! (`prefers-color-scheme`), and text keeps a contrast of at least 4.5 on its own card in both.
//!
//! - [`Figure`]: points, lines and columns in a coordinate system.
//! - [`bars`]: labelled values from the greatest down.
//! - [`matrix`]: counts in labelled cells.

mod bars;
pub mod density;
mod figure;
mod matrix;
pub mod number;
mod scale;
mod svg;

pub use bars::bars;
pub use figure::{Axis, Column, Figure, Layer, MOST_POINTS, Tone};
pub use matrix::matrix;
pub use scale::Scale;

#[cfg(test)]
mod tests;
