//! Changes of the priorities of jobs.

use hub_core::{JobId, job};
use serde::{Deserialize, Serialize};

use super::error::{RequestError, RequestErrorKind};

/// A request to change the priority of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PriorityRequest {
    /// The job.
    pub id: JobId,
    /// The new priority, from -1000 to 1000.
    pub priority: i64,
    /// Who asks for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// The priority of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobPriority {
    /// The job.
    pub id: JobId,
    /// Its priority.
    pub priority: i32,
}

impl PriorityRequest {
    /// A request without further information.
    #[must_use]
    pub const fn new(id: JobId, priority: i64) -> Self {
        Self { id, priority, by: None, reason: None }
    }

    /// The priority.
    ///
    /// # Errors
    /// `InvalidRequest` if no job can have it.
    pub fn checked(&self) -> Result<JobPriority, RequestError> {
        let priority = job::read_priority(&self.priority.to_string());
        let priority = priority.map_err(|why| RequestError::new(RequestErrorKind::InvalidRequest, why))?;
        Ok(JobPriority { id: self.id, priority })
    }
}
