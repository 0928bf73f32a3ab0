//! The words for where tasks and jobs stand, and the one table of legal changes.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Where a task stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum TaskStatus {
    /// Waits: for its dependencies, for room in its pool's window, or for a worker that knows it.
    Pending,
    /// Handed to the broker for a worker to take.
    Submitted,
    /// A worker reported that it runs, or launched it and a result from outside is awaited.
    Running,
    /// Ended well; its data is there.
    Success,
    /// Ended with an error; `msg` and `error` say which.
    Failed,
    /// Stopped on a user's request.
    Cancelled,
    /// Will not run, because a task that it depends on did not succeed.
    UpstreamFailed,
    /// Will not run, because a condition or trigger rule said so.
    Skipped,
}

/// Where a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum JobStatus {
    /// Accepted; none of its tasks was handed out yet.
    Pending,
    /// At least one of its tasks was handed out, and not all have ended.
    Running,
    /// Held on a user's request: running tasks go on, no further ones start.
    Paused,
    /// Every task ended well and the output could be built.
    Success,
    /// Some task failed, or the output could not be built.
    Failed,
    /// Stopped on a user's request.
    Cancelled,
}

impl TaskStatus {
    /// Every status, in the order of a task's life.
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

    /// Whether the task has ended. What has ended never changes.
    #[must_use]
    pub const fn is_terminal(self) -> bool {
        !matches!(self, Self::Pending | Self::Submitted | Self::Running)
    }

    /// The table: whether a task may go from `self` to `next`. Only here is this known.
    ///
    /// A task becomes `Pending` again when its issue was lost, could not be routed, or came back from a worker without the
    /// task's module. `Submitted` may end directly, since a short task never reports that it started.
    #[must_use]
    pub const fn may_become(self, next: Self) -> bool {
        use TaskStatus::{Cancelled, Failed, Pending, Running, Skipped, Submitted, Success, UpstreamFailed};
        match self {
            Pending => matches!(next, Submitted | Failed | Cancelled | UpstreamFailed | Skipped),
            Submitted => matches!(next, Pending | Running | Success | Failed | Cancelled),
            Running => matches!(next, Pending | Success | Failed | Cancelled),
            Success | Failed | Cancelled | UpstreamFailed | Skipped => false,
        }
    }

    /// The word as it stands in records.
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
    /// Every status, in the order of a job's life.
    pub const ALL: [Self; 6] =
        [Self::Pending, Self::Running, Self::Paused, Self::Success, Self::Failed, Self::Cancelled];

    /// Whether the job has ended. What has ended never changes.
    #[must_use]
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Success | Self::Failed | Self::Cancelled)
    }

    /// The table: whether a job may go from `self` to `next`.
    #[must_use]
    pub const fn may_become(self, next: Self) -> bool {
        use JobStatus::{Cancelled, Failed, Paused, Pending, Running, Success};
        match self {
            Pending => matches!(next, Running | Paused | Success | Failed | Cancelled),
            Running => matches!(next, Paused | Success | Failed | Cancelled),
            Paused => matches!(next, Pending | Running | Success | Failed | Cancelled),
            Success | Failed | Cancelled => false,
        }
    }

    /// The word as it stands in records.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Running => "RUNNING",
            Self::Paused => "PAUSED",
            Self::Success => "SUCCESS",
            Self::Failed => "FAILED",
            Self::Cancelled => "CANCELLED",
        }
    }
}

/// A text that names no status.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown status {word:?}: known are {known}")]
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
