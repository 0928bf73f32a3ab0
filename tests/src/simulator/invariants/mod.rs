//! The invariants of every simulation, one per file.

mod acknowledged_is_kept;
mod all;
mod answered_is_kept;
mod attempts_within_maximum;
mod confirmed_goes_out_once;
mod dependencies_first;
mod each_time_is_decided_once;
mod ends_are_final;
mod every_job_ends;
mod invariant;
mod kept_tasks_stay;
mod killers_are_stopped;
mod nothing_stays_behind;
mod one_run_counts;
mod outputs_as_evaluated;
mod paused_jobs_issue_nothing;
mod repeated_for_a_reason;
mod results_are_of_successes;
mod signals_arrive_once;

pub use all::all;
pub use invariant::Invariant;
