//! Use case: load -> split -> fit -> evaluate -> register -> track.

pub mod evaluate;
pub mod fit;
mod flavors;
pub mod gate;
mod promotion;
pub mod report;
pub mod request;
mod rooms;
pub mod source;
pub mod split;
mod stages;
pub mod trainer;

pub use gate::Gate;
pub use request::{SplitKind, TrainOutcome, TrainRequest};
pub use rooms::Rooms;
pub use source::Sources;
pub use trainer::Trainer;
