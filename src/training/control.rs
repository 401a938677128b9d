//! What a running training and those who watch it have in common: the order to stop, and the progress.

use std::{
    ops::ControlFlow,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use serde_json::{Map, Value};

use crate::{
    error::{Error, Result},
    jobs::{Progress, Stage},
};

/// Share of the work, in percent, that is done when a stage begins; fitting ends at [`FITTED`].
const BEFORE_FITTING: u8 = 15;
const FITTED: u8 = 85;

/// Shared between the threads that train and the tasks that watch; read once a tree or round.
#[derive(Debug)]
pub struct Control {
    stopped: AtomicBool,
    seen: Mutex<Seen>,
}

#[derive(Debug)]
struct Seen {
    stage: Stage,
    rounds_done: u32,
    rounds_total: u32,
    fitting_since: Option<Instant>,
    metrics: Map<String, Value>,
}

impl Default for Control {
    /// Of a training that has done nothing yet.
    fn default() -> Self {
        let seen = Seen {
            stage: Stage::Starting,
            rounds_done: 0,
            rounds_total: 0,
            fitting_since: None,
            metrics: Map::new(),
        };
        Self { stopped: AtomicBool::new(false), seen: Mutex::new(seen) }
    }
}

impl Control {
    /// Orders the training to stop: after the tree or round that it is at.
    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// Whether to go on.
    pub(super) fn flow(&self) -> ControlFlow<()> {
        if self.stopped.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    /// Begins a stage.
    ///
    /// # Errors
    /// [`Error::Cancelled`] if the training is to stop.
    pub(super) fn enter(&self, stage: Stage) -> Result<()> {
        self.seen().stage = stage;
        if self.flow().is_break() { Err(Error::Cancelled) } else { Ok(()) }
    }

    /// Begins to grow so many trees, of which `done` are there already.
    ///
    /// # Errors
    /// As [`enter`](Self::enter).
    pub(super) fn enter_fitting(&self, done: u32, total: u32) -> Result<()> {
        {
            let mut seen = self.seen();
            (seen.rounds_done, seen.rounds_total) = (done, total);
            seen.fitting_since = Some(Instant::now());
        }
        self.enter(Stage::Fitting)
    }

    /// Notes that so many trees are there, and whether to go on. Forests finish theirs in any order.
    pub(super) fn grown(&self, done: u32, metrics: impl FnOnce(&mut Map<String, Value>)) -> ControlFlow<()> {
        let mut seen = self.seen();
        seen.rounds_done = seen.rounds_done.max(done);
        metrics(&mut seen.metrics);
        self.flow()
    }

    /// How far the training is.
    pub(super) fn progress(&self) -> Progress {
        let seen = self.seen();
        let share = match seen.rounds_total {
            0 => 0.0,
            total => f64::from(seen.rounds_done) / f64::from(total),
        };
        let percent = match seen.stage {
            Stage::Starting | Stage::WaitingForMemory => 0,
            Stage::Reading => 2,
            Stage::WaitingForThread => 8,
            Stage::Preparing => 10,
            Stage::Fitting => BEFORE_FITTING + (share * f64::from(FITTED - BEFORE_FITTING)) as u8,
            Stage::Evaluating => FITTED,
            Stage::Registering => 95,
        };
        let eta_seconds = match (seen.stage, seen.fitting_since) {
            (Stage::Fitting, Some(since)) if seen.rounds_done > 0 => {
                Some(since.elapsed().as_secs_f64() * (1.0 / share - 1.0))
            }
            _ => None,
        };
        Progress {
            stage: seen.stage,
            percent,
            rounds_done: seen.rounds_done,
            rounds_total: seen.rounds_total,
            eta_seconds: eta_seconds.map(|seconds| (seconds * 10.0).round() / 10.0),
            metrics: seen.metrics.clone(),
        }
    }

    /// No code panics while it holds this lock; were it so, the numbers would still be good.
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn percent_never_falls_and_the_pace_tells_the_end() {
        let control = Control::default();
        let mut last = 0;
        let mut further = |control: &Control| {
            let progress = control.progress();
            assert!(progress.percent >= last, "{progress:?}");
            last = progress.percent;
            progress
        };
        for stage in [Stage::WaitingForMemory, Stage::Reading, Stage::WaitingForThread, Stage::Preparing] {
            control.enter(stage).expect("goes on");
            assert_eq!(further(&control).eta_seconds, None);
        }
        control.enter_fitting(0, 4).expect("goes on");
        for done in [2, 1, 4] {
            assert!(
                control
                    .grown(done, |metrics| _ = metrics.insert("train_rmse".into(), json!(1)))
                    .is_continue()
            );
            further(&control);
        }
        let progress = control.progress();
        assert_eq!((progress.rounds_done, progress.percent, progress.eta_seconds), (4, FITTED, Some(0.0)));
        control.enter(Stage::Registering).expect("goes on");
        assert_eq!(further(&control).metrics["train_rmse"], 1);
    }

    #[test]
    fn a_stopped_training_goes_no_further() {
        let control = Control::default();
        control.stop();
        assert!(control.grown(1, |_| ()).is_break());
        assert!(matches!(control.enter(Stage::Evaluating), Err(Error::Cancelled)));
    }
}
