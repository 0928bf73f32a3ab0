//! Cancels of jobs.

use hub_core::machine::Cancel;
use hub_core::{JobId, JobStatus};
use serde::{Deserialize, Serialize};

/// A request to cancel a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobCancel {
    /// The job.
    pub id: JobId,
    /// Whether running tasks are killed without a grace period.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub now: bool,
    /// Whether the handlers of the job are stopped too, or do not run.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub handlers: bool,
    /// Who asks for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// The answer to a cancel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cancelled {
    /// The job.
    pub id: JobId,
    /// Its status: `CANCELLING` while tasks of it are being stopped. Earlier versions of Hub answered at the end.
    #[serde(default = "cancelled")]
    pub status: JobStatus,
}

const fn cancelled() -> JobStatus {
    JobStatus::Cancelled
}

impl JobCancel {
    /// A cancel without further information.
    #[must_use]
    pub const fn new(id: JobId) -> Self {
        Self { id, now: false, handlers: false, by: None, reason: None }
    }
}

impl From<JobCancel> for Cancel {
    fn from(JobCancel { now, handlers, by, reason, .. }: JobCancel) -> Self {
        Self { now, handlers, by: by.map(Into::into), reason: reason.map(Into::into) }
    }
}
