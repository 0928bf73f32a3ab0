//! The state of a job that few jobs have. It is apart: in memory in a box, in the store in one column.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::job_clock::JobClock;

/// What only some jobs have. A field that is not set takes no room in the store.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct JobDetails {
    /// That the job was cancelled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cancel: Option<CancelRecord>,
    /// Why the job is paused. It is paused while there is a cause.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub pauses: BTreeMap<PauseCause, PauseRecord>,
    /// The clock of its durations.
    #[serde(skip_serializing_if = "is_default")]
    pub clock: JobClock,
}

/// What a job is paused by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum PauseCause {
    /// A request to pause this job.
    #[serde(rename = "self")]
    Own,
}

/// A pause of a job or of a pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PauseRecord {
    /// When it began.
    #[serde(with = "crate::time::rfc3339")]
    pub at: Timestamp,
    /// Who asked for it, as the client says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Arc<str>>,
    /// Why, as the client says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Arc<str>>,
}

/// The cancellation of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CancelRecord {
    /// When it was asked for first.
    #[serde(with = "crate::time::rfc3339")]
    pub at: Timestamp,
    /// Whether running tasks are killed without a grace period.
    #[serde(default, skip_serializing_if = "is_false")]
    pub now: bool,
    /// Who asked for it, as the client says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Arc<str>>,
    /// Why, as the client says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Arc<str>>,
}

fn is_default(clock: &JobClock) -> bool {
    *clock == JobClock::default()
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_false(value: &bool) -> bool {
    !*value
}
