//! How long a task may take.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The time limits of a task. `docs/jobs.md` describes the keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timeouts {
    /// The longest run of one attempt.
    pub start_to_close: Option<Duration>,
    /// The longest time from when the task is ready to its first start.
    pub schedule_to_start: Option<Duration>,
    /// The longest time from when the task is ready to its end, over all attempts.
    pub schedule_to_close: Option<Duration>,
    /// The longest time within an attempt without a report of progress.
    pub heartbeat: Option<Duration>,
    /// How long the processes of an attempt that is stopped may take to end by themselves.
    pub grace: Option<Duration>,
}

/// The time limits of one attempt, which the worker enforces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttemptLimits {
    /// The longest run.
    pub start_to_close: Option<Duration>,
    /// The longest time without a report of progress.
    pub heartbeat: Option<Duration>,
    /// How long its processes may take to end by themselves when it is stopped.
    pub grace: Duration,
}

/// The time limit that a task exceeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Timeout {
    /// [`Timeouts::start_to_close`].
    StartToClose,
    /// [`Timeouts::schedule_to_start`].
    ScheduleToStart,
    /// [`Timeouts::schedule_to_close`].
    ScheduleToClose,
    /// [`Timeouts::heartbeat`].
    Heartbeat,
}

impl Timeouts {
    /// The grace of tasks that name none.
    pub const GRACE: Duration = Duration::from_secs(10);

    /// The limits that the worker enforces.
    #[must_use]
    pub fn of_attempt(&self) -> AttemptLimits {
        let Self { start_to_close, heartbeat, .. } = *self;
        AttemptLimits { start_to_close, heartbeat, grace: self.grace() }
    }

    /// Whether a limit begins when the task is ready.
    #[must_use]
    pub const fn begins_when_ready(&self) -> bool {
        self.schedule_to_start.is_some() || self.schedule_to_close.is_some()
    }

    /// The limit of an attempt that ends first if the task reports no progress.
    #[must_use]
    pub fn first_of_attempt(&self) -> Option<(Timeout, Duration)> {
        let heartbeat = self.heartbeat.map(|limit| (Timeout::Heartbeat, limit));
        let start_to_close = self.start_to_close.map(|limit| (Timeout::StartToClose, limit));
        heartbeat.into_iter().chain(start_to_close).min_by_key(|(_, limit)| *limit)
    }

    /// The grace of the task.
    #[must_use]
    pub fn grace(&self) -> Duration {
        self.grace.unwrap_or(Self::GRACE)
    }
}

impl AttemptLimits {
    /// Whether there is a limit.
    #[must_use]
    pub const fn is_limited(&self) -> bool {
        self.start_to_close.is_some() || self.heartbeat.is_some()
    }
}

impl Timeout {
    /// The key of the limit in the job format.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::StartToClose => "start_to_close",
            Self::ScheduleToStart => "schedule_to_start",
            Self::ScheduleToClose => "schedule_to_close",
            Self::Heartbeat => "heartbeat",
        }
    }
}
