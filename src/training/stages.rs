//! What a training costs: seconds by stage, memory.

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

/// Most memory that this process ever held at once, in bytes: of all trainings and requests since its start,
/// not of one training. None where the system does not say (other than Linux).
pub(super) fn process_peak_memory() -> Option<u64> {
    peak_in(&std::fs::read_to_string("/proc/self/status").ok()?)
}

fn peak_in(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_read_from_the_process_status() {
        assert_eq!(peak_in("Name:\tx\nVmHWM:\t   12 kB\nVmRSS:\t 3 kB\n"), Some(12 * 1024));
        assert_eq!(peak_in("Name:\tx\n"), None);
    }
}
