//! The statuses of tasks and jobs, and the table of legal transitions.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The status of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum TaskStatus {
    /// Waits for its dependencies, for space in the window of its pool, or for a worker that has its module.
    Pending,
    /// Published to the broker.
    Submitted,
    /// Running on a worker, or waiting: for a result from outside, a time, a signal, an approval or its sub-job.
    Running,
    /// Succeeded. Its data is available.
    Success,
    /// Failed. `msg` and `error` describe the error.
    Failed,
    /// Cancelled by a user.
    Cancelled,
    /// Will not run, because a task that it depends on did not succeed.
    UpstreamFailed,
    /// Will not run because of a condition or trigger rule.
    Skipped,
}

/// The status of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum JobStatus {
    /// Accepted. None of its tasks has been handed out.
    Pending,
    /// At least one task was handed out, and not all tasks have ended.
    Running,
    /// Paused by a user: running tasks continue, and no further tasks start.
    Paused,
    /// Its tasks are being stopped. The job ends when all of them have ended.
    Cancelling,
    /// All tasks succeeded and the output was built.
    Success,
    /// A task failed, or the output could not be built.
    Failed,
    /// Cancelled by a user.
    Cancelled,
}

impl TaskStatus {
    /// All statuses, in the order of a task's life.
    pub const ALL: [Self; 8] = [
        Self::Pending,
        Self::Submitted,
        Self::Running,
        Self::Success,
        Self::Failed,
        Self::Cancelled,
        Self::UpstreamFailed,
        Self::Skipped,
    ];

    /// Whether the task has ended. An ended task never changes.
    #[must_use]
    pub const fn is_terminal(self) -> bool {
        !matches!(self, Self::Pending | Self::Submitted | Self::Running)
    }

    /// Whether a task may change from `self` to `next`. This is the only table of transitions.
    ///
    /// A task becomes `Pending` again when its issue was lost, could not be routed, or was returned by a worker.
    /// `Submitted` may end directly, because a short task does not report that it started. Only a task that waits for a
    /// time, a signal, an approval or a sub-job, or that has items, goes from `Pending` to `Running`. Of these, one that waits can
    /// become `Skipped`.
    #[must_use]
    pub const fn may_become(self, next: Self) -> bool {
        use TaskStatus::{Cancelled, Failed, Pending, Running, Skipped, Submitted, Success, UpstreamFailed};
        match self {
            Pending => matches!(next, Submitted | Running | Success | Failed | Cancelled | UpstreamFailed | Skipped),
            Submitted => matches!(next, Pending | Running | Success | Failed | Cancelled),
            Running => matches!(next, Pending | Success | Failed | Cancelled | Skipped),
            Success | Failed | Cancelled | UpstreamFailed | Skipped => false,
        }
    }

    /// The name of the status in records.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Submitted => "SUBMITTED",
            Self::Running => "RUNNING",
            Self::Success => "SUCCESS",
            Self::Failed => "FAILED",
            Self::Cancelled => "CANCELLED",
            Self::UpstreamFailed => "UPSTREAM_FAILED",
            Self::Skipped => "SKIPPED",
        }
    }
}

impl JobStatus {
    /// All statuses, in the order of a job's life.
    pub const ALL: [Self; 7] =
        [Self::Pending, Self::Running, Self::Paused, Self::Cancelling, Self::Success, Self::Failed, Self::Cancelled];

    /// Whether the job has ended. An ended job never changes.
    #[must_use]
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Success | Self::Failed | Self::Cancelled)
    }

    /// Whether a job may change from `self` to `next`.
    #[must_use]
    pub const fn may_become(self, next: Self) -> bool {
        use JobStatus::{Cancelled, Cancelling, Failed, Paused, Pending, Running, Success};
        match self {
            Pending => matches!(next, Running | Paused | Cancelling | Success | Failed | Cancelled),
            Running => matches!(next, Paused | Cancelling | Success | Failed | Cancelled),
            Paused => matches!(next, Pending | Running | Cancelling | Success | Failed | Cancelled),
            Cancelling => matches!(next, Success | Failed | Cancelled),
            Success | Failed | Cancelled => false,
        }
    }

    /// The name of the status in records.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Running => "RUNNING",
            Self::Paused => "PAUSED",
            Self::Cancelling => "CANCELLING",
            Self::Success => "SUCCESS",
            Self::Failed => "FAILED",
            Self::Cancelled => "CANCELLED",
        }
    }
}

/// A text that is not the name of a status.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown status {word:?}; known statuses: {known}")]
pub struct UnknownStatus {
    word: String,
    known: String,
}

macro_rules! status_text {
    ($name:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = UnknownStatus;

            fn from_str(word: &str) -> Result<Self, Self::Err> {
                Self::ALL.into_iter().find(|status| status.as_str().eq_ignore_ascii_case(word)).ok_or_else(|| {
                    UnknownStatus { word: word.to_owned(), known: Self::ALL.map(Self::as_str).join(", ") }
                })
            }
        }
    };
}

status_text!(TaskStatus);
status_text!(JobStatus);
