//! What anyone can ask of a Hub, whichever way they reach it: in the same process, over the broker or over
//! HTTP. One trait, so that the client, the HTTP API and the tests say the same words.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hub_core::state::JobSummary;
use hub_core::{JobId, JobStatus, Json, TaskId, Timestamp};
use serde::{Deserialize, Serialize};

pub use crate::record::Record;
pub use crate::request_error::{RequestError, RequestErrorKind};
pub use hub_core::record::View;

/// A Hub that can be asked.
#[async_trait]
pub trait Hub: Send + Sync + 'static {
    /// Submits a job and returns its id, once the dispatcher has it safe.
    ///
    /// # Errors
    /// `InvalidJob` with every problem found; `Conflict` where the id or key is taken by another job.
    async fn submit(&self, submission: Submission) -> Result<JobId, RequestError>;

    /// Does the same, and reports with the id what will keep the job waiting.
    ///
    /// # Errors
    /// Those of [`Hub::submit`].
    async fn submit_and_report(&self, submission: Submission) -> Result<Submitted, RequestError> {
        self.submit(submission).await.map(Submitted::new)
    }

    /// Submits a job, and gives its record along where it ends soon: within `wait`, or less where the way to the Hub does
    /// not bear so long a silence. One exchange instead of two for short jobs; for the others [`Hub::job`] goes on.
    ///
    /// # Errors
    /// Those of [`Hub::submit`].
    async fn submit_and_wait(&self, submission: Submission, wait: Duration) -> Result<Submitted, RequestError>;

    /// The status record of a job, as far as `view` shows it. With `wait`, answers when the job has ended or that time is
    /// over, whichever comes first.
    ///
    /// # Errors
    /// `NotFound` for an unknown id; `InvalidRequest` for a view of what no record has; `TooLarge` where the way to the
    /// Hub does not carry so large an answer; `Unavailable` where too much is being answered at present.
    async fn record(&self, id: JobId, view: View, wait: Option<Duration>) -> Result<Record, RequestError>;

    /// The whole status record of a job, as [`Hub::record`].
    ///
    /// # Errors
    /// Those of [`Hub::record`].
    async fn job(&self, id: JobId, wait: Option<Duration>) -> Result<Json, RequestError> {
        self.record(id, View::whole(), wait).await?.into_json().await
    }

    /// How a job stands, in few words: its line in a listing. With `wait` as [`Hub::record`].
    ///
    /// # Errors
    /// `NotFound` for an unknown id.
    async fn summary(&self, id: JobId, wait: Option<Duration>) -> Result<JobSummary, RequestError>;

    /// The records of some of a job's tasks: `{"tasks": […], "next": N}`, without `next` where no others come behind them.
    ///
    /// # Errors
    /// Those of [`Hub::record`], and `InvalidRequest` for a page that cannot be.
    async fn tasks(&self, id: JobId, query: TaskQuery) -> Result<Json, RequestError>;

    /// Jobs that pass `filter`, newest first, a page at a time.
    ///
    /// # Errors
    /// `InvalidRequest` for a page that cannot be.
    async fn jobs(&self, filter: JobFilter) -> Result<JobPage, RequestError>;

    /// Stops a job: tasks that wait are cancelled, running ones are stopped on their workers.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` where the job has ended already.
    async fn cancel(&self, id: JobId) -> Result<(), RequestError>;

    /// Forgets a job that has ended.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` where the job has not ended.
    async fn remove(&self, id: JobId) -> Result<(), RequestError>;

    /// Ends a task from outside: an asynchronous one that was launched, or any that runs.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` where the task has not started or has ended differently.
    async fn post_result(&self, update: ResultUpdate) -> Result<(), RequestError>;

    /// The live workers.
    ///
    /// # Errors
    /// Those of reaching the Hub.
    async fn workers(&self) -> Result<Vec<WorkerInfo>, RequestError>;

    /// How the dispatcher is.
    ///
    /// # Errors
    /// Those of reaching the Hub.
    async fn health(&self) -> Result<HealthReport, RequestError>;
}

/// A job on its way in.
#[derive(Clone, Debug)]
pub struct Submission {
    /// The job's JSON text, as the user wrote it.
    pub text: Arc<str>,
    /// The id it shall have. Submitting the same text under the same id again changes nothing.
    pub id: Option<JobId>,
}

/// Which tasks of a job to show.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TaskQuery {
    /// Go on after the page that ended with this `next`: so many tasks stand before.
    pub after: Option<u32>,
    /// At most this many (1 to 10,000; 1,000 where absent). A page has fewer where they are large.
    pub limit: Option<u32>,
    /// What to show of each.
    pub view: View,
}

impl TaskQuery {
    /// How many tasks a page has at most.
    pub const LARGEST_PAGE: u32 = 10_000;
    /// How many where nothing is said.
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

/// The result of a task, from outside.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResultUpdate {
    /// The task's id.
    pub id: TaskId,
    /// How it ended: `SUCCESS` or `FAILED`.
    pub status: UpdateStatus,
    /// What it returned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Json>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub msg: Option<String>,
    /// The version of the message format; 1 where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub v: Option<u32>,
}

/// How a task can end from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum UpdateStatus {
    /// It ended well.
    Success,
    /// It failed.
    Failed,
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

/// A live worker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerInfo {
    /// Its id.
    pub id: String,
    /// The machine it runs on.
    pub host: String,
    /// Its process id there.
    pub pid: u32,
    /// The pools it serves.
    pub pools: Vec<String>,
    /// How many tasks it runs at a time.
    pub slots: u32,
    /// How many it runs now, as far as it has reported.
    pub running: u32,
    /// The task modules it has.
    pub tasks: Vec<String>,
    /// The task modules it could not load, with the reason.
    pub broken: std::collections::BTreeMap<String, String>,
    /// What its machine is short of, so that it takes no tasks for now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shortage: Option<String>,
    /// When it was last heard of.
    #[serde(with = "hub_core::time::rfc3339")]
    pub last_seen: Timestamp,
}

/// How the dispatcher is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthReport {
    /// `up`, `blocked` (the broker takes no messages) or `down` (no broker).
    pub broker: String,
    /// Whether the store takes changes.
    pub store: String,
    /// Hub's version.
    pub version: String,
    /// Which start of the dispatcher this is, counted in its store.
    pub incarnation: u64,
    /// Jobs that have not ended.
    pub live_jobs: u64,
    /// The memory that they take, about, in bytes.
    #[serde(default)]
    pub live_bytes: u64,
    /// Live workers.
    pub workers: u64,
    /// Tasks handed to the broker or running.
    pub tasks_in_flight: u64,
    /// Tasks that could run and wait for room or a worker.
    pub tasks_ready: u64,
}
