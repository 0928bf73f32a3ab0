//! Results of tasks that come from outside.

use hub_core::machine::Update;
use hub_core::{Json, TaskId, TaskStatus};
use serde::{Deserialize, Serialize};

/// The result of a task, from outside.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResultUpdate {
    /// The task's id.
    pub id: TaskId,
    /// How it ended: `SUCCESS` or `FAILED`.
    pub status: UpdateStatus,
    /// What it returned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Json>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub msg: Option<String>,
    /// The version of the message format; 1 where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub v: Option<u32>,
}

/// How a task can end from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum UpdateStatus {
    /// It ended well.
    Success,
    /// It failed.
    Failed,
}

impl ResultUpdate {
    /// The data of the task: `null` where a success has none, and none of a failure.
    #[must_use]
    pub fn task_data(&self) -> Option<Json> {
        match self.status {
            UpdateStatus::Success => Some(self.data.clone().unwrap_or_else(Json::null)),
            UpdateStatus::Failed => None,
        }
    }

    /// What the machine takes of it.
    #[must_use]
    pub fn to_update(&self) -> Update {
        Update { status: self.status.into(), data: self.data.clone(), msg: self.msg.as_deref().map(Into::into) }
    }
}

impl From<UpdateStatus> for TaskStatus {
    fn from(status: UpdateStatus) -> Self {
        match status {
            UpdateStatus::Success => Self::Success,
            UpdateStatus::Failed => Self::Failed,
        }
    }
}
