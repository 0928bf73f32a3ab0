//! Why waiting for a job ended.

use hub_core::state::JobSummary;

/// Why waiting ended.
pub(super) enum Followed {
    /// The job has ended.
    Ended(JobSummary),
    /// The time limit passed first.
    TimedOut,
}
