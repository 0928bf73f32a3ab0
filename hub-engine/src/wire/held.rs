//! How messages name an issue of a task.

use hub_core::{Attempt, TaskId};
use serde::{Deserialize, Serialize};

/// An issue of a task that a worker holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldAttempt {
    /// The task.
    pub id: TaskId,
    /// Which issue: counted per task.
    pub attempt: u32,
    /// Which issue: the dispatcher's start.
    pub incarnation: u64,
}

impl HeldAttempt {
    /// The task and its issue.
    #[must_use]
    pub fn parts(self) -> (TaskId, Attempt) {
        (self.id, Attempt { attempt: self.attempt, incarnation: self.incarnation })
    }
}

impl From<(TaskId, Attempt)> for HeldAttempt {
    fn from((id, attempt): (TaskId, Attempt)) -> Self {
        Self { id, attempt: attempt.attempt, incarnation: attempt.incarnation }
    }
}
