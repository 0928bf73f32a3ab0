//! A Hub, however it is reached.

use std::time::Duration;

use async_trait::async_trait;
use hub_core::record::View;
use hub_core::state::JobSummary;
use hub_core::{JobId, Json};

use super::answer::Answer;
use super::error::RequestError;
use super::health::{HealthReport, WorkerInfo};
use super::jobs::{JobFilter, JobPage, Submission, Submitted, TaskQuery};
use super::posted::ResultUpdate;
use super::record::Record;
use super::request::Request;
use crate::events::Events;

/// A Hub that can be asked: in the same process, over the broker or over HTTP. [`Hub::call`] and [`Hub::submit_with`] are all that
/// one has to implement; the other operations make a [`Request`] and take its [`Answer`] apart.
#[async_trait]
pub trait Hub: Send + Sync + 'static {
    /// Carries a request out.
    ///
    /// # Errors
    /// Those of the methods below, and those of reaching the Hub.
    async fn call(&self, request: Request) -> Result<Answer, RequestError>;

    /// Submits a job, and answers once the dispatcher has stored it. With `wait` it answers when the job has ended or that time is
    /// over, with the job's record if it has ended and the record is small. Less time where the connection to the Hub does not allow
    /// so long a wait.
    ///
    /// # Errors
    /// Those of [`Hub::submit`].
    async fn submit_with(&self, submission: Submission, wait: Option<Duration>) -> Result<Submitted, RequestError>;

    /// What changes, where the dispatcher is in this process.
    fn events(&self) -> Option<Events> {
        None
    }

    /// Submits a job and returns its id, once the dispatcher has stored it.
    ///
    /// # Errors
    /// `InvalidJob` with every problem found; `Conflict` where the id or key is taken by another job.
    async fn submit(&self, submission: Submission) -> Result<JobId, RequestError> {
        self.submit_and_report(submission).await.map(|submitted| submitted.id)
    }

    /// Does the same, and reports with the id what will keep the job waiting.
    ///
    /// # Errors
    /// Those of [`Hub::submit`].
    async fn submit_and_report(&self, submission: Submission) -> Result<Submitted, RequestError> {
        self.submit_with(submission, None).await
    }

    /// Submits a job, and returns its record too if it ends soon: within `wait`, or less where the connection to the Hub
    /// does not allow so long a wait. One exchange instead of two for short jobs; for the others, use [`Hub::job`] next.
    ///
    /// # Errors
    /// Those of [`Hub::submit`].
    async fn submit_and_wait(&self, submission: Submission, wait: Duration) -> Result<Submitted, RequestError> {
        self.submit_with(submission, Some(wait)).await
    }

    /// The status record of a job, as far as `view` shows it. With `wait`, answers when the job has ended or that time is
    /// over, whichever comes first.
    ///
    /// # Errors
    /// `NotFound` for an unknown id; `InvalidRequest` for a view of what no record has; `TooLarge` where the connection to
    /// the Hub does not carry so large an answer; `Unavailable` where too much is being answered at present.
    async fn record(&self, id: JobId, view: View, wait: Option<Duration>) -> Result<Record, RequestError> {
        match self.call(Request::Job { id, wait, view }).await? {
            Answer::Job(record) => Ok(*record),
            _ => Err(Answer::unexpected()),
        }
    }

    /// The whole status record of a job, as [`Hub::record`].
    ///
    /// # Errors
    /// Those of [`Hub::record`].
    async fn job(&self, id: JobId, wait: Option<Duration>) -> Result<Json, RequestError> {
        self.record(id, View::whole(), wait).await?.into_json().await
    }

    /// A job's line in a listing. With `wait` as [`Hub::record`].
    ///
    /// # Errors
    /// `NotFound` for an unknown id.
    async fn summary(&self, id: JobId, wait: Option<Duration>) -> Result<JobSummary, RequestError> {
        match self.call(Request::Summary { id, wait }).await? {
            Answer::Summary(summary) => Ok(summary),
            _ => Err(Answer::unexpected()),
        }
    }

    /// The records of some of a job's tasks: `{"tasks": […], "next": N}`, without `next` on the last page.
    ///
    /// # Errors
    /// Those of [`Hub::record`], and `InvalidRequest` for a page that cannot be.
    async fn tasks(&self, id: JobId, query: TaskQuery) -> Result<Json, RequestError> {
        match self.call(Request::Tasks { id, query }).await? {
            Answer::Tasks(page) => Ok(page),
            _ => Err(Answer::unexpected()),
        }
    }

    /// Jobs that pass `filter`, newest first, a page at a time.
    ///
    /// # Errors
    /// `InvalidRequest` for a page that cannot be.
    async fn jobs(&self, filter: JobFilter) -> Result<JobPage, RequestError> {
        match self.call(Request::Jobs { filter }).await? {
            Answer::Jobs(page) => Ok(page),
            _ => Err(Answer::unexpected()),
        }
    }

    /// Stops a job: tasks that wait are cancelled, running ones are stopped on their workers.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` where the job has ended already.
    async fn cancel(&self, id: JobId) -> Result<(), RequestError> {
        self.call(Request::Cancel { id }).await.map(drop)
    }

    /// Forgets a job that has ended.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` where the job has not ended.
    async fn remove(&self, id: JobId) -> Result<(), RequestError> {
        self.call(Request::Remove { id }).await.map(drop)
    }

    /// Ends a task from outside: an asynchronous one that was launched, or any that runs.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` where the task has not started or has ended differently.
    async fn post_result(&self, update: ResultUpdate) -> Result<(), RequestError> {
        self.call(Request::Result { result: update }).await.map(drop)
    }

    /// The live workers.
    ///
    /// # Errors
    /// Those of reaching the Hub.
    async fn workers(&self) -> Result<Vec<WorkerInfo>, RequestError> {
        match self.call(Request::Workers).await? {
            Answer::Workers(workers) => Ok(workers),
            _ => Err(Answer::unexpected()),
        }
    }

    /// How the dispatcher is.
    ///
    /// # Errors
    /// Those of reaching the Hub.
    async fn health(&self) -> Result<HealthReport, RequestError> {
        match self.call(Request::Health).await? {
            Answer::Health(report) => Ok(report),
            _ => Err(Answer::unexpected()),
        }
    }
}
