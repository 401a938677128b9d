//! The threads that train. Training never runs on the async threads: on a pool of its own, whose threads yield to
//! everything else.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use rayon::{ThreadPool, ThreadPoolBuilder};
use tokio::sync::{Semaphore, oneshot};

use crate::{
    config::TrainingConfig,
    error::{Error, Result},
};

/// Runs the CPU work of trainings, each on threads that no other has meanwhile: a thread that waits for its own
/// training's last tree would else begin another training on top of it, and hold both up.
#[derive(Debug)]
pub struct TrainingPool {
    idle: Arc<Idle>,
    threads: Threads,
}

/// Threads without a training.
#[derive(Debug)]
struct Idle {
    pools: Mutex<Vec<Arc<ThreadPool>>>,
    /// As many as there are pools.
    places: Arc<Semaphore>,
}

impl Idle {
    fn take(&self) -> Option<Arc<ThreadPool>> {
        self.pools.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    fn put(&self, pool: Arc<ThreadPool>) {
        self.pools.lock().unwrap_or_else(PoisonError::into_inner).push(pool);
    }
}

/// How many threads there are, and how many trainings share them. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Threads {
    all: usize,
    running: Arc<AtomicUsize>,
}

/// Counts one training as running.
struct Running(Arc<AtomicUsize>);

impl Running {
    fn begin(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(count))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl TrainingPool {
    /// Starts the threads: those of the configuration for each training that runs at the same time, for one that is alone
    /// is to have them all.
    ///
    /// # Errors
    /// If the operating system grants no threads.
    pub fn new(config: &TrainingConfig) -> Result<Self> {
        let places = config.workers.max(1);
        let pool = |place| {
            ThreadPoolBuilder::new()
                .num_threads(config.threads)
                .thread_name(move |i| format!("training-{place}-{i}"))
                .start_handler(|_| yield_to_predictions())
                .build()
                .map(Arc::new)
                .map_err(Error::internal)
        };
        let pools = (0..places).map(pool).collect::<Result<Vec<_>>>()?;
        let idle = Idle { pools: Mutex::new(pools), places: Arc::new(Semaphore::new(places)) };
        Ok(Self { idle: Arc::new(idle), threads: Threads { all: config.threads, running: Arc::default() } })
    }

    /// Runs `work` on the pool; what it does in parallel stays there. Dropped, the work goes on: it has to look
    /// for itself whether it is to stop.
    ///
    /// # Errors
    /// [`Error::Internal`] if `work` panics.
    pub async fn run<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        // Also behind a training that was called off and is at its last tree.
        let place = Arc::clone(&self.idle.places).acquire_owned().await.map_err(Error::internal)?;
        let pool = self.idle.take().ok_or_else(|| Error::internal("a place without threads"))?;
        let (answer, answered) = oneshot::channel();
        let running = Running::begin(&self.threads.running);
        let idle = Arc::clone(&self.idle);
        let own = Arc::clone(&pool);
        pool.spawn(move || {
            let done = catch_unwind(AssertUnwindSafe(work));
            drop(running);
            idle.put(own);
            drop(place);
            // Nobody listens when the training was called off; the result is of no use then.
            let _ = answer.send(done);
        });
        let finished = answered.await.map_err(Error::internal)?;
        finished.map_err(|_| Error::internal("the training panicked"))
    }

    /// The threads, for work that asks while it runs.
    #[must_use]
    pub fn threads(&self) -> Threads {
        self.threads.clone()
    }
}

impl Threads {
    /// Threads for a library that brings its own: a training's share among those that run now.
    #[must_use]
    pub fn share(&self) -> usize {
        (self.all / self.running.load(Ordering::Relaxed).max(1)).max(1)
    }
}

/// Lets everything else go first, so that predictions stay quick while all cores train: a training has the time that
/// is left over, and gives way as soon as another thread wakes up. Threads that libxgboost starts inherit it.
fn yield_to_predictions() {
    #[cfg(target_os = "linux")]
    {
        use thread_priority::{
            NormalThreadSchedulePolicy::Idle, ThreadPriority, ThreadSchedulePolicy,
            set_thread_priority_and_policy, thread_native_id,
        };
        // A nice value is not enough: whoever wakes up would wait until the slice of a training is over.
        let policy = ThreadSchedulePolicy::Normal(Idle);
        if let Err(error) = set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, policy) {
            tracing::debug!(?error, "training threads keep their priority");
        }
    }
}

/// Lets a thread that waits for this core have it. Linux alone does not always: a thread that has just had more than its
/// share (EEVDF) waits for the end of the running one's slice, at 250 Hz 4 ms, be that one's policy idle or not; and
/// a prediction wakes threads up ten times, here and in Postgres. To be called every millisecond or so: trainings
/// that share a core take turns as often, and each one finds its caches empty.
pub(super) fn give_way() {
    std::thread::yield_now();
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::config::Config;

    fn pool(workers: usize, threads: usize) -> TrainingPool {
        let config = Config::from_lookup(&|_| None).expect("the defaults are valid").training;
        TrainingPool::new(&TrainingConfig { workers, threads, ..config }).expect("threads")
    }

    #[tokio::test]
    async fn trainings_share_the_threads_of_a_library() {
        let pool = pool(2, 2);
        assert_eq!(pool.threads().share(), 2);
        let (release, held) = mpsc::channel::<()>();
        let mut first = std::pin::pin!(pool.run(move || held.recv().is_ok()));
        assert!(futures::poll!(&mut first).is_pending());
        pool.run(|| ()).await.expect("a thread is left");
        assert_eq!(pool.threads().share(), 2, "the second has ended");
        let mut second =
            std::pin::pin!(pool.run(|| std::thread::sleep(std::time::Duration::from_millis(50))));
        assert!(futures::poll!(&mut second).is_pending());
        assert_eq!(pool.threads().share(), 1, "two are running");
        release.send(()).expect("the holder waits");
        assert!(first.await.expect("ran"));
        second.await.expect("ran");
        assert_eq!(pool.threads().share(), 2);
    }

    #[tokio::test]
    async fn no_training_runs_on_the_threads_of_another() {
        fn place() -> String {
            let thread = std::thread::current();
            let name = thread.name().and_then(|name| name.rsplit_once('-'));
            name.expect("a thread of a place").0.to_owned()
        }
        let pool = pool(2, 2);
        let (release, held) = mpsc::channel::<()>();
        let (begin, begun) = mpsc::channel::<()>();
        // One of its threads is at work, and the other one waits for that: it would take whatever comes.
        let mut first = std::pin::pin!(pool.run(move || {
            rayon::join(move || begin.send(()), move || held.recv()).1.expect("released");
            place()
        }));
        assert!(futures::poll!(&mut first).is_pending());
        begun.recv().expect("it has begun");
        let second = pool.run(place).await.expect("ran");
        release.send(()).expect("the holder waits");
        assert_ne!(first.await.expect("ran"), second);
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn training_threads_yield_and_the_others_do_not() {
        use thread_priority::{
            NormalThreadSchedulePolicy::{Idle, Other},
            ThreadSchedulePolicy::Normal,
            thread_schedule_policy,
        };
        let own = || thread_schedule_policy().expect("the policy");
        let pool = pool(1, 1);
        assert_eq!(pool.run(own).await.expect("ran"), Normal(Idle));
        assert_eq!(own(), Normal(Other));
    }

    #[tokio::test]
    async fn a_panic_is_an_error_and_the_pool_lives_on() {
        let pool = pool(1, 2);
        assert!(pool.run(|| panic!("on purpose")).await.is_err());
        assert_eq!(pool.run(rayon::current_num_threads).await.expect("ran"), 2);
    }
}
