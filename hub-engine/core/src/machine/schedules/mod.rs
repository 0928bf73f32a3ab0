//! The schedules of the machine: they decide which jobs start when.
//!
//! A schedule decides one time after the other. The shell prepares the job of a time ([`Action::Start`](crate::action::Action::Start)), since that takes look-ups
//! in the store; until it answers, the schedule waits. What is decided and what follows from it are in one commit.

mod control;
mod due;
mod live;
mod runs;

pub(super) use live::Schedules;
pub use live::{LiveScheduleView, ScheduleChange};
