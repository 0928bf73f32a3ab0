//! Results of tasks that are posted from outside.

use hub_core::machine::Update;
use hub_core::{Json, TaskId, TaskStatus};
use serde::{Deserialize, Serialize};

/// The result of a task from outside.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResultUpdate {
    /// The task's id.
    pub id: TaskId,
    /// The final status: `SUCCESS` or `FAILED`.
    pub status: UpdateStatus,
    /// The data of the task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Json>,
    /// The error message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub msg: Option<String>,
    /// The version of the message format. Default: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub v: Option<u32>,
}

/// The final status of a result from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum UpdateStatus {
    /// The task succeeded.
    Success,
    /// The task failed.
    Failed,
}

impl ResultUpdate {
    /// The data of the task: `null` for a success without data, `None` for a failure.
    #[must_use]
    pub fn task_data(&self) -> Option<Json> {
        match self.status {
            UpdateStatus::Success => Some(self.data.clone().unwrap_or_else(Json::null)),
            UpdateStatus::Failed => None,
        }
    }

    /// The result as an input of the machine.
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
