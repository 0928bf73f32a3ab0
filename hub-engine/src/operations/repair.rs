//! Repairs of tasks.

use hub_core::details::RepairAction;
use hub_core::machine::Repair;
use hub_core::{Json, TaskId};
use serde::{Deserialize, Serialize};

/// What an operator wants done with a task that has not ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskRepair {
    /// The task.
    pub id: TaskId,
    /// What to do.
    pub action: RepairAction,
    /// For `skip`: the data with which the task ends `SUCCESS`. Without it, the task ends `SKIPPED`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Json>,
    /// Who asks for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl TaskRepair {
    /// A repair without further information.
    #[must_use]
    pub const fn new(id: TaskId, action: RepairAction) -> Self {
        Self { id, action, data: None, by: None, reason: None }
    }
}

impl From<TaskRepair> for Repair {
    fn from(repair: TaskRepair) -> Self {
        let TaskRepair { action, data, by, reason, .. } = repair;
        Self { action, data, by: by.map(Into::into), reason: reason.map(Into::into) }
    }
}
