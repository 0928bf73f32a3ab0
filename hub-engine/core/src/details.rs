//! The state of a task that only tasks with special options have. Most tasks have none of it, so it is apart: in memory in a
//! box, in the store in one column.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::failure::TaskError;

/// Maximum number of attempts that are kept of a task: the newest ones.
pub const KEPT_ATTEMPTS: usize = 20;

/// What only tasks with special options have. A field that is not set takes no room in the store.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TaskDetails {
    /// Number of attempts that failed. It never goes down, and it does not count redeliveries or lost workers.
    #[serde(skip_serializing_if = "is_zero")]
    pub failures: u32,
    /// How often an operator has granted all attempts again.
    #[serde(skip_serializing_if = "is_zero")]
    pub grants: u32,
    /// When the next attempt begins, while the task waits for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_at: Option<Timestamp>,
    /// The task waits until then, though it could run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delayed_until: Option<Timestamp>,
    /// The task waits for an operator's decision, until then at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held_until: Option<Timestamp>,
    /// The newest attempts that failed, at most [`KEPT_ATTEMPTS`], in their order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub attempts: Vec<Attempt>,
}

/// An attempt that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// Its number, from 1.
    pub number: u32,
    /// When a worker began with it. `None` if none did, or if that is not known.
    #[serde(default, with = "crate::time::rfc3339::option", skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    #[serde(with = "crate::time::rfc3339")]
    pub ended_at: Timestamp,
    /// The worker that ran it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker: Option<Arc<str>>,
    /// Why it failed, for people.
    pub msg: Arc<str>,
    /// Why it failed, for programs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Arc<TaskError>>,
    /// What it printed; its end, if that was long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<Arc<str>>,
}

impl TaskDetails {
    /// Adds an attempt, and drops the oldest one if there are too many.
    pub fn keep_attempt(&mut self, attempt: Attempt) {
        if self.attempts.len() == KEPT_ATTEMPTS {
            self.attempts.remove(0);
        }
        self.attempts.push(attempt);
    }

    /// About how many bytes of memory it takes.
    #[must_use]
    pub fn weight(&self) -> usize {
        let text = |text: &Option<Arc<str>>| text.as_ref().map_or(0, |text| text.len());
        let attempts = self.attempts.iter().map(|attempt| {
            let trace = attempt.error.as_ref().map_or(0, |error| text(&error.traceback));
            size_of::<Attempt>() + attempt.msg.len() + trace + text(&attempt.log)
        });
        size_of::<Self>() + attempts.sum::<usize>()
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_zero(number: &u32) -> bool {
    *number == 0
}
