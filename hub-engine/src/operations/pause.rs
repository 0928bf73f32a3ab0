//! Pauses of jobs and pools.

use std::fmt;

use hub_core::job_details::PauseRecord;
use hub_core::{JobId, Timestamp, job};
use serde::{Deserialize, Serialize};

use super::error::{RequestError, RequestErrorKind};

/// What can be paused. In JSON: `{"id": JOB}` or `{"pool": NAME}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Pausable {
    /// A job.
    #[serde(rename = "id")]
    Job(JobId),
    /// A pool.
    #[serde(rename = "pool")]
    Pool(String),
}

/// A request to pause or resume something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PauseRequest {
    /// The job or the pool.
    #[serde(flatten)]
    pub of: Pausable,
    /// Who asks for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A request to pause or resume something, for the dispatcher's loop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PauseOrder {
    /// Whether it is paused or resumed.
    pub pause: bool,
    /// The job or the pool.
    pub of: Pausable,
    /// Who asks for it.
    pub by: Option<String>,
    /// Why.
    pub reason: Option<String>,
}

/// A paused pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PausedPool {
    /// Its name.
    pub name: String,
    /// When it was paused.
    #[serde(with = "hub_core::time::rfc3339")]
    pub at: Timestamp,
    /// Who paused it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Pausable {
    /// Checks the name of a pool.
    ///
    /// # Errors
    /// `InvalidRequest` if no pool can have this name.
    pub fn check(&self) -> Result<(), RequestError> {
        match self {
            Self::Job(_) => Ok(()),
            Self::Pool(name) => {
                job::check_pool(name).map_err(|why| RequestError::new(RequestErrorKind::InvalidRequest, why))
            }
        }
    }
}

impl fmt::Display for Pausable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Job(id) => write!(f, "job {id}"),
            Self::Pool(name) => write!(f, "pool {name:?}"),
        }
    }
}

impl PauseRequest {
    /// A request without further information.
    #[must_use]
    pub const fn new(of: Pausable) -> Self {
        Self { of, by: None, reason: None }
    }
}

impl PausedPool {
    /// The pool of this name and its pause.
    #[must_use]
    pub fn new(name: &str, pause: &PauseRecord) -> Self {
        let text = |text: &Option<std::sync::Arc<str>>| text.as_deref().map(str::to_owned);
        Self { name: name.to_owned(), at: pause.at, by: text(&pause.by), reason: text(&pause.reason) }
    }
}
