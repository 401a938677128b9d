//! Use case: submit -> (queue) -> load -> split -> fit -> evaluate -> register -> track.
//!
//! [`Submitter`] queues what a caller asks for and waits for its end; a [`Worker`], of this process or another, takes
//! it from the queue and lets [`Trainer`] do it.

mod again;
pub mod control;
pub mod evaluate;
pub mod fit;
mod flavors;
mod memory;
mod outcome;
pub mod pool;
mod promotion;
pub mod report;
pub mod request;
mod rooms;
pub mod source;
pub mod split;
mod stages;
pub mod submit;
mod task;
pub mod trainer;
mod watch;
pub mod worker;

pub use again::Again;
pub use outcome::{Decision, KeptError, KeptOutcome, TrainOutcome};
pub use pool::TrainingPool;
pub use request::{SplitKind, SubmitOptions, TrainRequest};
pub use rooms::Rooms;
pub use source::Sources;
pub use submit::{Awaited, Submitter};
pub use trainer::Trainer;
pub use watch::Watch;
pub use worker::Worker;
