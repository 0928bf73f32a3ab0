//! The lists of tasks of a job: its tasks, and the handlers that run after them.

use std::ops::Range;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A list of tasks of a job. A list begins when the one before has ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// The tasks of the job. How they end decides how the job ends.
    #[default]
    Tasks,
    /// The handlers that run if the job fails.
    OnFailure,
    /// The handlers that run however the job ends.
    Finally,
}

impl Phase {
    /// Every list, in the order in which they run.
    pub const ALL: [Self; 3] = [Self::Tasks, Self::OnFailure, Self::Finally];

    /// The key of the list in a job.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tasks => "tasks",
            Self::OnFailure => "on_failure",
            Self::Finally => "finally",
        }
    }
}

/// The positions of the lists. The handlers follow the tasks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Lists {
    /// The position of the first task of `on_failure`.
    pub(super) on_failure: u32,
    /// The position of the first task of `finally`.
    pub(super) finally: u32,
    /// The position after the last task.
    pub(super) end: u32,
}

impl Lists {
    /// Default limit for the time that the tasks of a list of handlers take together.
    pub(super) const DEADLINE: Duration = Duration::from_secs(3600);

    /// The positions of the tasks of a list.
    pub(super) const fn range(self, phase: Phase) -> Range<u32> {
        match phase {
            Phase::Tasks => 0..self.on_failure,
            Phase::OnFailure => self.on_failure..self.finally,
            Phase::Finally => self.finally..self.end,
        }
    }

    /// The list of the task at a position.
    pub(super) const fn phase(self, task: u32) -> Phase {
        if task < self.on_failure {
            Phase::Tasks
        } else if task < self.finally {
            Phase::OnFailure
        } else {
            Phase::Finally
        }
    }

    /// The place of the task at a position in its list.
    pub(super) const fn place_in_list(self, task: u32) -> usize {
        (task - self.range(self.phase(task)).start) as usize
    }
}
