//! Signals to jobs, and answers to the questions of approvals.

use hub_core::machine::{Choice, Signal, Signalled};
use hub_core::{JobId, Json, TaskId};
use serde::{Deserialize, Serialize};

/// A signal to a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobSignal {
    /// The job.
    pub id: JobId,
    /// The name of the signal.
    pub name: String,
    /// The data. Default: `null`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Json>,
    /// Makes the signal idempotent: a further signal with this name and this key has no effect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Whether all tasks that wait for it now receive it, instead of the first one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub broadcast: bool,
    /// Who sends it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// What happened to a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignalReceipt {
    /// The job.
    pub id: JobId,
    /// What happened.
    pub outcome: SignalOutcome,
}

/// What happened to a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SignalOutcome {
    /// A task that waits has received it, or several have.
    Delivered,
    /// It is kept until a task waits for it.
    Kept,
    /// It was accepted before.
    Repeated,
    /// A broadcast for which no task waits.
    Dropped,
}

/// The answer to the question of an approval.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskApproval {
    /// The task.
    pub id: TaskId,
    /// The answer. Default: `approve`.
    #[serde(default = "TaskApproval::default_choice")]
    pub choice: String,
    /// What the person adds. Default: `null`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<Json>,
    /// Who gives the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

impl JobSignal {
    /// A signal without data.
    #[must_use]
    pub fn new(id: JobId, name: impl Into<String>) -> Self {
        Self { id, name: name.into(), data: None, key: None, broadcast: false, by: None }
    }
}

impl TaskApproval {
    /// An answer without further information.
    #[must_use]
    pub fn new(id: TaskId, choice: impl Into<String>) -> Self {
        Self { id, choice: choice.into(), input: None, by: None }
    }

    /// The answer if none is named.
    #[must_use]
    pub fn default_choice() -> String {
        "approve".to_owned()
    }
}

impl From<JobSignal> for Signal {
    fn from(signal: JobSignal) -> Self {
        let JobSignal { name, data, key, broadcast, by, .. } = signal;
        let data = data.unwrap_or_else(Json::null);
        Self { name: name.into(), data, key: key.map(Into::into), by: by.map(Into::into), broadcast }
    }
}

impl From<TaskApproval> for Choice {
    fn from(approval: TaskApproval) -> Self {
        let TaskApproval { choice, input, by, .. } = approval;
        Self { choice: choice.into(), input: input.unwrap_or_else(Json::null), by: by.map(Into::into) }
    }
}

impl From<Signalled> for SignalOutcome {
    fn from(signalled: Signalled) -> Self {
        match signalled {
            Signalled::Delivered => Self::Delivered,
            Signalled::Kept => Self::Kept,
            Signalled::Repeated => Self::Repeated,
            Signalled::Dropped => Self::Dropped,
        }
    }
}
