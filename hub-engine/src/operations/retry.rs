//! Retries of jobs that have ended.

use std::collections::BTreeMap;

use hub_core::machine::Retry;
use hub_core::{JobId, Json, RetryFrom};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A request to retry a job that has ended, as a new job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobRetry {
    /// The job that has ended.
    pub id: JobId,
    /// The id for the new job. The same request under the same id again has no effect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new_id: Option<JobId>,
    /// What runs again.
    #[serde(default, skip_serializing_if = "RetryFrom::is_failure")]
    pub from: RetryFrom,
    /// The data of tasks, by name. These tasks end `SUCCESS` without having run.
    #[serde(default, rename = "override", skip_serializing_if = "BTreeMap::is_empty")]
    pub overrides: BTreeMap<String, Json>,
    /// Whether the job is cancelled first if it has not ended.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cancel: bool,
    /// Who asks for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl JobRetry {
    /// A retry of what has not succeeded.
    #[must_use]
    pub const fn new(id: JobId) -> Self {
        let overrides = BTreeMap::new();
        Self { id, new_id: None, from: RetryFrom::Failure, overrides, cancel: false, by: None, reason: None }
    }

    /// This request with an id for the new job, so that it can be repeated.
    #[must_use]
    pub fn with_new_id(self) -> Self {
        let new_id = self.new_id.unwrap_or_else(|| JobId::new(Uuid::now_v7()));
        Self { new_id: Some(new_id), ..self }
    }
}

impl From<JobRetry> for Retry {
    fn from(JobRetry { from, overrides, by, reason, .. }: JobRetry) -> Self {
        Self { from, overrides, by: by.map(Into::into), reason: reason.map(Into::into) }
    }
}
