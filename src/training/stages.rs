//! What a training costs: seconds by stage.

use std::time::Instant;

/// Seconds of wall-clock time by stage.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Seconds {
    /// Reading the rows from their source.
    pub(super) read: f64,
    /// Waiting for a training slot.
    pub(super) queued: f64,
    /// From rows to the model's columns: checks, digest, profile, split.
    pub(super) prepare: f64,
    /// Fitting.
    pub(super) fit: f64,
    /// Predicting the rows and judging the predictions.
    pub(super) evaluate: f64,
    /// Writing the model in the forms that are kept of it.
    pub(super) export: f64,
    /// Drawing pictures and writing tables.
    pub(super) report: f64,
}

impl Seconds {
    /// All stages but the waiting.
    pub(super) fn working(&self) -> f64 {
        self.read + self.prepare + self.fit + self.evaluate + self.export + self.report
    }
}

/// Measures one stage after the other.
#[derive(Debug)]
pub(super) struct Stopwatch(Instant);

impl Stopwatch {
    pub(super) fn start() -> Self {
        Self(Instant::now())
    }

    /// Seconds since the start or the last lap.
    pub(super) fn lap(&mut self) -> f64 {
        let last = std::mem::replace(&mut self.0, Instant::now());
        (self.0 - last).as_secs_f64()
    }
}
