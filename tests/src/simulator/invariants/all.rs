//! The list of all invariants.

use super::invariant::Invariant;
use super::{
    acknowledged_is_kept, answered_is_kept, attempts_within_maximum, confirmed_goes_out_once, dependencies_first,
    each_time_is_decided_once, ends_are_final, every_job_ends, kept_tasks_stay, killers_are_stopped,
    nothing_stays_behind, one_run_counts, outputs_as_evaluated, paused_jobs_issue_nothing, repeated_for_a_reason,
    results_are_of_successes, signals_arrive_once,
};

/// All invariants. If an event violates several, the first one is reported.
#[must_use]
pub fn all() -> Vec<Box<dyn Invariant>> {
    vec![
        Box::new(ends_are_final::EndsAreFinal),
        Box::new(acknowledged_is_kept::AcknowledgedIsKept),
        Box::new(answered_is_kept::AnsweredIsKept),
        Box::new(confirmed_goes_out_once::ConfirmedGoesOutOnce::default()),
        Box::new(paused_jobs_issue_nothing::PausedJobsIssueNothing),
        Box::new(kept_tasks_stay::KeptTasksStay),
        Box::new(results_are_of_successes::ResultsAreOfSuccesses),
        Box::new(dependencies_first::DependenciesFirst::default()),
        Box::new(one_run_counts::OneRunCounts::default()),
        Box::new(repeated_for_a_reason::RepeatedForAReason::default()),
        Box::new(killers_are_stopped::KillersAreStopped::default()),
        Box::new(attempts_within_maximum::AttemptsWithinMaximum),
        Box::new(signals_arrive_once::SignalsArriveOnce::default()),
        Box::new(each_time_is_decided_once::EachTimeIsDecidedOnce::default()),
        Box::new(every_job_ends::EveryJobEnds),
        Box::new(outputs_as_evaluated::OutputsAsEvaluated::default()),
        Box::new(nothing_stays_behind::NothingStaysBehind),
    ]
}
