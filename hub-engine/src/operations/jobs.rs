//! Submissions and listings of jobs.

use std::ops::Range;
use std::sync::Arc;

use hub_core::filter::{Condition, Filter, Pattern, Relation, Term, TextField, TimeField, When};
use hub_core::record::View;
use hub_core::state::JobSummary;
use hub_core::{JobId, JobStatus, Json, Timestamp};
use serde::{Deserialize, Serialize};

use super::error::{RequestError, RequestErrorKind};

/// A job to submit.
#[derive(Clone, Debug)]
pub struct Submission {
    /// The job's JSON text, as the user wrote it.
    pub text: Arc<str>,
    /// The id for the job. Submitting the same text under the same id again has no effect.
    pub id: Option<JobId>,
}

/// Selects a page of task records.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TaskQuery {
    /// The `next` of the previous page: the number of tasks before this page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<u32>,
    /// Maximum number of tasks (1 to 10,000; default 1,000). A page has fewer if they are large.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// The name of a task with `for_each`: its items are shown, counted from the first one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub of: Option<String>,
    /// The parts of each record.
    #[serde(flatten)]
    pub view: View,
}

impl TaskQuery {
    /// Maximum number of tasks of a page.
    pub const MAX_PAGE: u32 = 10_000;
    /// Default number of tasks of a page.
    pub const DEFAULT_PAGE: u32 = 1000;

    /// The positions of the tasks, or the numbers of the items.
    ///
    /// # Errors
    /// If the limit is out of range.
    pub fn range(&self) -> Result<Range<u32>, RequestError> {
        let after = self.after.unwrap_or(0);
        match self.limit.unwrap_or(Self::DEFAULT_PAGE) {
            limit @ 1..=Self::MAX_PAGE => Ok(after..after.saturating_add(limit)),
            limit => {
                let message = format!("limit must be from 1 to {}, not {limit}", Self::MAX_PAGE);
                Err(RequestError::new(RequestErrorKind::InvalidRequest, message))
            }
        }
    }
}

/// An accepted job.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Submitted {
    /// The id of the job.
    pub id: JobId,
    /// The status record, if the job ended within the wait and the record is not too large.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<Json>,
    /// The reasons why tasks will wait, such as a task module that no worker has, and what the job's author may not
    /// expect.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

impl Submitted {
    /// An accepted job without record and warnings.
    #[must_use]
    pub const fn new(id: JobId) -> Self {
        Self { id, record: None, warnings: Vec::new() }
    }
}

/// Selects the jobs of a listing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct JobFilter {
    /// Only jobs with these statuses. Empty for all.
    pub status: Vec<JobStatus>,
    /// Only jobs with exactly this name.
    pub name: Option<String>,
    /// Only jobs that were submitted at this time or later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// Only jobs that were submitted before this time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Only jobs that match this filter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<Filter>,
    /// Also jobs that tasks of other jobs run.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub sub_jobs: bool,
    /// Maximum number of jobs (1 to 1,000; default 100).
    pub limit: Option<u32>,
    /// The cursor of the previous page.
    pub after: Option<String>,
}

impl JobFilter {
    /// The terms that a job has to match, those of [`JobFilter::filter`] and of the other fields.
    #[must_use]
    pub fn terms(&self) -> Vec<Term> {
        let status = (!self.status.is_empty()).then(|| Condition::Status(self.status.clone()));
        let name = self.name.as_ref().map(|name| Condition::Text(TextField::Name, vec![Pattern::exactly(name)]));
        let submitted = |relation, time| Condition::Time(TimeField::Submitted, relation, When::At(time));
        let since = self.since.map(|time| submitted(Relation::From, time));
        let until = self.until.map(|time| submitted(Relation::Before, time));
        let plain = [status, name, since, until].into_iter().flatten();
        let plain = plain.map(|condition| Term { is_negated: false, condition });
        self.filter.iter().flat_map(|filter| filter.terms().iter().cloned()).chain(plain).collect()
    }
}

/// A page of a listing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobPage {
    /// The jobs, newest first. There can be fewer than [`JobFilter::limit`], or none, although there is another page: the search for
    /// rare jobs among very many takes several pages.
    pub jobs: Vec<JobSummary>,
    /// The cursor for [`JobFilter::after`] of the next page. Absent on the last page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}
