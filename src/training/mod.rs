//! Use case: load -> split -> fit -> evaluate -> register -> track.

pub mod request;

pub use request::{SplitKind, TrainOutcome, TrainRequest};
