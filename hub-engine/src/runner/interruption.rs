//! Why the worker ends a task early, and what that makes of its report.

use std::time::Duration;

use hub_core::job::Timeout;
use hub_core::state::{ErrorKind, TaskError};

use super::{NoOutcome, Outcome, TaskReport};

/// Why the worker ends a task early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interruption {
    /// The task was stopped on request, or because the worker stops.
    Stopped,
    /// The task has exceeded a time limit.
    TimedOut {
        /// Which limit.
        which: Timeout,
        /// Its duration.
        limit: Duration,
    },
}

impl Interruption {
    /// The report of the interrupted task. `report` is what the run itself has reported.
    ///
    /// A stopped task that has succeeded in time keeps its result. A task that has exceeded a time limit fails, however
    /// it has ended.
    #[must_use]
    pub fn apply(self, report: TaskReport) -> TaskReport {
        let outcome = match (self, report.outcome) {
            (Self::Stopped, Ok(outcome @ (Outcome::Success { .. } | Outcome::Launched { .. }))) => Ok(outcome),
            (Self::Stopped, _) => Err(NoOutcome::Cancelled),
            (Self::TimedOut { which, limit }, outcome) => Ok(timed_out(which, limit, outcome.ok())),
        };
        TaskReport { outcome, ..report }
    }
}

/// The failure of a task that has exceeded a time limit. The traceback shows where it was.
fn timed_out(which: Timeout, limit: Duration, outcome: Option<Outcome>) -> Outcome {
    let traceback = match outcome {
        Some(Outcome::Failed { error: Some(error), .. }) => error.traceback.clone(),
        _ => None,
    };
    let name = which.as_str();
    let msg = match which {
        Timeout::Heartbeat => format!(
            "the task reported no progress for longer than its timeout {name} ({limit:?}), and its processes were stopped"
        ),
        _ => format!("the task ran longer than its timeout {name} ({limit:?}), and its processes were stopped"),
    };
    let error = TaskError { which: Some(which), traceback, ..TaskError::new(ErrorKind::TimedOut) };
    Outcome::Failed { msg: msg.into(), error: Some(error.into()) }
}
