//! Jobs, as they are submitted and listed.

use std::ops::Range;
use std::sync::Arc;

use hub_core::record::View;
use hub_core::state::JobSummary;
use hub_core::{JobId, JobStatus, Json, Timestamp};
use serde::{Deserialize, Serialize};

use super::error::{RequestError, RequestErrorKind};

/// A job on its way in.
#[derive(Clone, Debug)]
pub struct Submission {
    /// The job's JSON text, as the user wrote it.
    pub text: Arc<str>,
    /// The id it shall have. Submitting the same text under the same id again changes nothing.
    pub id: Option<JobId>,
}

/// Which tasks of a job to show.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TaskQuery {
    /// Go on after the page that ended with this `next`: the number of tasks before the page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<u32>,
    /// At most this many (1 to 10,000; 1,000 where absent). A page has fewer where they are large.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// What to show of each.
    #[serde(flatten)]
    pub view: View,
}

impl TaskQuery {
    /// Maximum number of tasks of a page.
    pub const LARGEST_PAGE: u32 = 10_000;
    /// Number of tasks of a page where no limit is given.
    pub const DEFAULT_PAGE: u32 = 1000;

    /// The positions of the tasks.
    ///
    /// # Errors
    /// Where there can be no such page.
    pub fn range(&self) -> Result<Range<u32>, RequestError> {
        let after = self.after.unwrap_or(0);
        match self.limit.unwrap_or(Self::DEFAULT_PAGE) {
            limit @ 1..=Self::LARGEST_PAGE => Ok(after..after.saturating_add(limit)),
            limit => {
                let message = format!("limit must be from 1 to {}, not {limit}", Self::LARGEST_PAGE);
                Err(RequestError::new(RequestErrorKind::InvalidRequest, message))
            }
        }
    }
}

/// A job that was taken.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Submitted {
    /// Its id.
    pub id: JobId,
    /// Its status record, where the job ended while it was waited for, and the record is not too large to be sent along.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<Json>,
    /// What keeps it waiting, for people: a task module that no worker has at present.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

impl Submitted {
    /// A job of which there is nothing more to report.
    #[must_use]
    pub const fn new(id: JobId) -> Self {
        Self { id, record: None, warnings: Vec::new() }
    }
}

/// Which jobs to list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct JobFilter {
    /// Only jobs of these statuses; all where empty.
    pub status: Vec<JobStatus>,
    /// Only jobs of exactly this name.
    pub name: Option<String>,
    /// Only jobs that were submitted at this time or later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// Only jobs that were submitted before this time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// At most this many (1 to 1,000; 100 where absent).
    pub limit: Option<u32>,
    /// Go on after the page that ended with this cursor.
    pub after: Option<String>,
}

/// A page of a listing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobPage {
    /// Its jobs, newest first.
    pub jobs: Vec<JobSummary>,
    /// Where the next page begins: put it into [`JobFilter::after`]. Absent on the last page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}
