//! What tasks that wait receive from outside: signals and answers.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{Json, Timestamp};

/// Maximum number of signals that a job keeps until a task waits for them, and of keys of signals that it remembers.
pub const KEPT_SIGNALS: usize = 1000;
/// Maximum size of the data of a signal, and of the input of an answer, in bytes.
pub const SIGNAL_BYTES: usize = 64 * 1024;
/// Maximum size of the data of all signals that a job keeps, in bytes.
pub const KEPT_SIGNAL_BYTES: usize = 8 * 1024 * 1024;

/// A signal that a job has accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceivedSignal {
    /// Its name.
    pub name: Arc<str>,
    /// When it came.
    #[serde(with = "crate::time::rfc3339")]
    pub at: Timestamp,
    /// Who sent it, as the client says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Arc<str>>,
    /// Its data. `None` when it is part of the data of a task that has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Json>,
}

/// The key of a signal, which makes sending it idempotent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignalKey {
    /// The name of the signal.
    pub name: Arc<str>,
    /// The key.
    pub key: Arc<str>,
}

/// The answer to the question of an approval. It is also the data of the task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovalAnswer {
    /// The answer that was chosen.
    pub choice: Arc<str>,
    /// Who has chosen it, as the client says.
    pub by: Option<Arc<str>>,
    /// When.
    #[serde(with = "crate::time::rfc3339")]
    pub at: Timestamp,
    /// What the person has added.
    pub input: Json,
}

impl ReceivedSignal {
    /// Its approximate memory in bytes.
    #[must_use]
    pub fn weight(&self) -> usize {
        let data = self.data.as_ref().map_or(0, |data| data.get().len());
        size_of::<Self>() + data + self.by.as_ref().map_or(0, |by| by.len())
    }
}

impl ApprovalAnswer {
    /// Whether another answer says the same, at any time and by anyone.
    #[must_use]
    pub fn says_the_same(&self, choice: &str, input: &Json) -> bool {
        *self.choice == *choice && self.input == *input
    }

    /// Its approximate memory in bytes.
    #[must_use]
    pub fn weight(&self) -> usize {
        size_of::<Self>() + self.choice.len() + self.input.get().len() + self.by.as_ref().map_or(0, |by| by.len())
    }
}
