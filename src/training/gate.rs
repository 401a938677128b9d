//! The gate before CPU work: a permit first, then a thread pool of its own.
//!
//! Training never runs on the async threads. At most `slots` trainings run, at most `queue` more
//! wait, and the next one is refused at once.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use rayon::{ThreadPool, ThreadPoolBuilder};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::{
    config::TrainingConfig,
    error::{Error, Result},
};

/// Seconds after which a refused caller may try again: a training takes a few.
const RETRY_AFTER: u32 = 5;

/// Admits and runs trainings.
#[derive(Debug)]
pub struct Gate {
    places: Arc<Semaphore>,
    slots: Arc<Semaphore>,
    pool: ThreadPool,
}

/// A place in the queue or in a slot; given back when dropped.
#[derive(Debug)]
pub struct Admission {
    _place: OwnedSemaphorePermit,
}

impl Gate {
    /// Starts the pool's threads.
    ///
    /// # Errors
    /// If the operating system grants no threads.
    pub fn new(config: &TrainingConfig) -> Result<Self> {
        let pool = ThreadPoolBuilder::new()
            .num_threads(config.threads)
            .thread_name(|i| format!("training-{i}"))
            .build()
            .map_err(Error::internal)?;
        Ok(Self {
            places: Arc::new(Semaphore::new(config.slots + config.queue)),
            slots: Arc::new(Semaphore::new(config.slots)),
            pool,
        })
    }

    /// Takes a place, or refuses at once.
    ///
    /// # Errors
    /// [`Error::Busy`] when all are taken.
    pub fn admit(&self) -> Result<Admission> {
        let place = Arc::clone(&self.places).try_acquire_owned();
        place.map(|place| Admission { _place: place }).map_err(|_| Error::Busy { retry_after: RETRY_AFTER })
    }

    /// Waits for a slot and runs `work` on the pool; what `work` does in parallel stays there.
    ///
    /// # Errors
    /// [`Error::Internal`] if `work` panics.
    pub async fn run<T, F>(&self, _admission: &Admission, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        let _slot = self.slots.acquire().await.map_err(Error::internal)?;
        let (answer, answered) = oneshot::channel();
        self.pool.spawn(move || {
            // Nobody listens when the service is going down; the result is of no use then.
            let _ = answer.send(catch_unwind(AssertUnwindSafe(work)));
        });
        let finished = answered.await.map_err(Error::internal)?;
        finished.map_err(|_| Error::internal("the training panicked"))
    }

    /// Threads of the pool.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.pool.current_num_threads()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    fn gate(slots: usize, queue: usize) -> Gate {
        Gate::new(&TrainingConfig { slots, queue, threads: 2, max_rows: 1 }).expect("threads")
    }

    #[test]
    fn what_does_not_fit_is_refused_until_a_place_is_given_back() {
        let gate = gate(1, 1);
        let (first, _second) = (gate.admit().expect("slot"), gate.admit().expect("queue"));
        assert!(matches!(gate.admit(), Err(Error::Busy { retry_after: 1.. })));
        drop(first);
        assert!(gate.admit().is_ok());
    }

    #[tokio::test]
    async fn slots_limit_what_runs_at_once() {
        let gate = Arc::new(gate(1, 1));
        let (a, b) = (gate.admit().expect("slot"), gate.admit().expect("queue"));
        let (release, held) = mpsc::channel::<()>();
        let holder = tokio::spawn({
            let gate = Arc::clone(&gate);
            async move { gate.run(&a, move || held.recv().is_ok()).await }
        });
        tokio::task::yield_now().await;
        let mut waiting = std::pin::pin!(gate.run(&b, || 7));
        assert!(futures::poll!(&mut waiting).is_pending(), "the only slot is taken");
        release.send(()).expect("the holder waits");
        assert!(holder.await.expect("joined").expect("ran"));
        assert_eq!(waiting.await.expect("ran"), 7);
    }

    #[tokio::test]
    async fn a_panic_is_an_error_and_the_pool_lives_on() {
        let gate = gate(1, 0);
        let admission = gate.admit().expect("slot");
        assert!(gate.run(&admission, || panic!("on purpose")).await.is_err());
        assert_eq!(gate.run(&admission, rayon::current_num_threads).await.expect("ran"), 2);
    }
}
