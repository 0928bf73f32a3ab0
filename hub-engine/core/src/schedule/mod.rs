//! Schedules: jobs that Hub starts by itself.
//!
//! A [`Schedule`] is the text: a job, and the times at which it starts. A [`KeptSchedule`] is a schedule that a Hub keeps under its name,
//! and a [`ScheduleState`] is how far it has come. Each time of a schedule is decided once: its job is added in the commit that
//! moves [`ScheduleState::next_at`] on, or the time is recorded as skipped. The id of the job is a hash of the schedule and the time
//! ([`run_id`]), so a time has one job, whatever fails in between.

mod kept;
mod run;
mod state;

pub use crate::job::{CatchUp, MAXIMUM_FAILURES, Overlap, Schedule};
pub use kept::KeptSchedule;
pub use run::{Preparation, Run, ScheduledStart, run_id};
pub use state::{
    LastRun, MAXIMUM_BUFFERED, MAXIMUM_CAUGHT_UP, MAXIMUM_SKIPS, ScheduleSnapshot, ScheduleState, Skip, SkipReason,
};
