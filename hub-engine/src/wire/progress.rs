//! Progress of running issues, in heartbeats.

use hub_core::{IssueId, Json};
use serde::{Deserialize, Deserializer, Serialize};

use super::object;
use crate::progress;

/// The progress of an issue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// The task.
    pub id: hub_core::TaskId,
    /// The number of the issue, counted per task.
    #[serde(rename = "issue")]
    pub number: u32,
    /// The number of the dispatcher's start.
    pub incarnation: u64,
    /// The value that the task has reported.
    pub value: Json,
}

impl Progress {
    /// The progress of this issue.
    #[must_use]
    pub const fn new(issue: IssueId, value: Json) -> Self {
        let IssueId { task: id, number, incarnation } = issue;
        Self { id, number, incarnation, value }
    }

    /// The issue.
    #[must_use]
    pub const fn issue(&self) -> IssueId {
        IssueId { task: self.id, number: self.number, incarnation: self.incarnation }
    }
}

/// Deserialises a list. Values that cannot be a progress are left out.
pub(super) fn list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Progress>, D::Error> {
    let mut list: Vec<Progress> = object::list(deserializer)?;
    list.retain(|progress| progress::flaw(&progress.value).is_none());
    Ok(list)
}

/// Deserialises the last progress of a result, or of an earlier attempt. One that cannot be a progress counts as absent.
pub(super) fn optional<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Json>, D::Error> {
    let value: Option<Json> = object::present(deserializer)?;
    Ok(value.filter(|value| progress::flaw(value).is_none()))
}
