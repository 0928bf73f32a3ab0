//! The job of a schedule for one time.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::job::Labels;
use crate::{JobId, Timestamp};

/// What a job is started by: a schedule, and one of its times.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// The name of the schedule.
    pub name: Arc<str>,
    /// What identifies the schedule.
    pub uid: Uuid,
    /// The time, without jitter and delays: `_.job.scheduled_at`.
    #[serde(rename = "scheduled_at", with = "crate::time::rfc3339")]
    pub at: Timestamp,
    /// Whether a client has asked for it: then the time is that of the request.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub triggered: bool,
}

/// The preparation of the job for a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preparation {
    /// The schedule and the time.
    pub run: Run,
    /// The number of the preparation. If the schedule has changed meanwhile, another one counts.
    pub number: u64,
}

/// A job to submit for a schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScheduledStart {
    /// The schedule and the time.
    pub preparation: Preparation,
    /// The id of the job.
    pub id: JobId,
    /// The text of the submission.
    pub text: Arc<str>,
    /// The labels that the job inherits.
    pub labels: Option<Arc<Labels>>,
}

/// The id of the job that the schedule `uid` starts for a time.
#[must_use]
pub fn run_id(uid: Uuid, at: Timestamp) -> JobId {
    JobId::new(Uuid::new_v5(&uid, &at.as_millis().to_be_bytes()))
}
