//! Explanations of what a job and its tasks wait for, as data with a sentence for people. The state machine builds
//! them; this module does not know it.

mod counts;
mod gate;
mod model;
mod reason;
mod text;

pub use counts::StatusCounts;
pub use gate::{Gate, GateReport, GateState};
pub use model::{Explanation, Limit, TaskExplanation, TaskGroup, UnknownTask};
pub use reason::{Failure, Listed, Reason, RootCause, TaskNow};
