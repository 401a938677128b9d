//! Use case: load -> split -> fit -> evaluate -> register -> track.

pub mod request;
pub mod trainer;

pub use request::{SplitKind, TrainOutcome, TrainRequest};
pub use trainer::Trainer;
