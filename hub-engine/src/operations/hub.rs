//! The operations of a Hub, independent of how it is reached.

use std::time::Duration;

use async_trait::async_trait;
use hub_core::definition::Reference;
use hub_core::record::View;
use hub_core::state::JobSummary;
use hub_core::{JobId, JobStatus, Json};

use super::answer::Answer;
use super::cancel::JobCancel;
use super::definitions::{AliasChange, Defined, DefinitionDraft, DefinitionPage, DefinitionRecord};
use super::document::Document;
use super::error::RequestError;
use super::health::{HealthReport, WorkerInfo};
use super::jobs::{JobFilter, JobPage, Submission, Submitted, TaskQuery};
use super::name_page::NamePage;
use super::pause::PauseRequest;
use super::posted::ResultUpdate;
use super::priority::PriorityRequest;
use super::record::Record;
use super::repair::TaskRepair;
use super::request::Request;
use super::retry::JobRetry;
use super::schedules::{ScheduleAnswer, ScheduleRequest};
use super::waits::{JobSignal, SignalOutcome, TaskApproval};
use crate::events::Events;

/// A Hub in the same process, over the broker or over HTTP. Only [`Hub::call`] and [`Hub::submit_with`] have to be implemented; the
/// other operations build a [`Request`] and unpack its [`Answer`].
#[async_trait]
pub trait Hub: Send + Sync + 'static {
    /// Executes a request.
    ///
    /// # Errors
    /// The errors of the methods below, and errors of the connection.
    async fn call(&self, request: Request) -> Result<Answer, RequestError>;

    /// Submits a job, and answers when the dispatcher has stored it. With `wait` it answers when the job has ended or that time has
    /// passed, with the record if the job has ended and the record is small. A connection can limit the time.
    ///
    /// # Errors
    /// Those of [`Hub::submit`].
    async fn submit_with(&self, submission: Submission, wait: Option<Duration>) -> Result<Submitted, RequestError>;

    /// The events, if the dispatcher is in this process.
    fn events(&self) -> Option<Events> {
        None
    }

    /// Submits a job and returns its id, once the dispatcher has stored it.
    ///
    /// # Errors
    /// `InvalidJob` with every problem found; `Conflict` if another job has the id or the key.
    async fn submit(&self, submission: Submission) -> Result<JobId, RequestError> {
        self.submit_and_report(submission).await.map(|submitted| submitted.id)
    }

    /// Like [`Hub::submit`]. Also returns warnings about tasks that will wait.
    ///
    /// # Errors
    /// The errors of [`Hub::submit`].
    async fn submit_and_report(&self, submission: Submission) -> Result<Submitted, RequestError> {
        self.submit_with(submission, None).await
    }

    /// Submits a job, and also returns its record if it ends within `wait`. The connection to the Hub may reduce
    /// `wait`. Short jobs need one request instead of two; for other jobs, call [`Hub::job`] next.
    ///
    /// # Errors
    /// The errors of [`Hub::submit`].
    async fn submit_and_wait(&self, submission: Submission, wait: Duration) -> Result<Submitted, RequestError> {
        self.submit_with(submission, Some(wait)).await
    }

    /// The parts of a job's status record that `view` selects. With `wait`, the answer is delayed until the job ends or
    /// that time has passed, whichever comes first.
    ///
    /// # Errors
    /// `NotFound` for an unknown id; `InvalidRequest` for a view with unknown fields; `TooLarge` if the answer is too
    /// large for the connection to the Hub; `Unavailable` if too many large answers are open.
    async fn record(&self, id: JobId, view: View, wait: Option<Duration>) -> Result<Record, RequestError> {
        match self.call(Request::Job { id, wait, view }).await? {
            Answer::Job(record) => Ok(*record),
            _ => Err(Answer::unexpected()),
        }
    }

    /// The complete status record of a job: see [`Hub::record`].
    ///
    /// # Errors
    /// The errors of [`Hub::record`].
    async fn job(&self, id: JobId, wait: Option<Duration>) -> Result<Json, RequestError> {
        self.record(id, View::whole(), wait).await?.into_json().await
    }

    /// The summary of a job. `wait` as in [`Hub::record`].
    ///
    /// # Errors
    /// `NotFound` for an unknown id.
    async fn summary(&self, id: JobId, wait: Option<Duration>) -> Result<JobSummary, RequestError> {
        match self.call(Request::Summary { id, wait }).await? {
            Answer::Summary(summary) => Ok(summary),
            _ => Err(Answer::unexpected()),
        }
    }

    /// A page of task records: `{"tasks": […], "next": N}`, without `next` on the last page.
    ///
    /// # Errors
    /// The errors of [`Hub::record`], and `InvalidRequest` for an invalid page.
    async fn tasks(&self, id: JobId, query: TaskQuery) -> Result<Json, RequestError> {
        match self.call(Request::Tasks { id, query }).await? {
            Answer::Tasks(page) => Ok(page),
            _ => Err(Answer::unexpected()),
        }
    }

    /// A page of the jobs that match `filter`, newest first.
    ///
    /// # Errors
    /// `InvalidRequest` for an invalid page.
    async fn jobs(&self, filter: JobFilter) -> Result<JobPage, RequestError> {
        match self.call(Request::Jobs { filter }).await? {
            Answer::Jobs(page) => Ok(page),
            _ => Err(Answer::unexpected()),
        }
    }

    /// Explains what a job waits for, or the task or the item with this name: which gate holds each task, since when, and what it
    /// waits for ([`hub_core::explain::Explanation`] as JSON). Of a job or a task that has ended, it explains why it ended as it
    /// did.
    ///
    /// # Errors
    /// `NotFound`.
    async fn explain(&self, id: JobId, task: Option<String>) -> Result<Json, RequestError> {
        match self.call(Request::Explain { id, task }).await? {
            Answer::Explained(explanation) => Ok(explanation),
            _ => Err(Answer::unexpected()),
        }
    }

    /// The text of a job as it was submitted, byte for byte.
    ///
    /// # Errors
    /// `NotFound`; `Unavailable` if too many large answers are open.
    async fn document(&self, id: JobId) -> Result<Document, RequestError> {
        match self.call(Request::Document { id, after: None }).await? {
            Answer::Document(document) => Ok(document),
            _ => Err(Answer::unexpected()),
        }
    }

    /// Cancels a job: see [`Hub::cancel_with`].
    ///
    /// # Errors
    /// The errors of [`Hub::cancel_with`].
    async fn cancel(&self, id: JobId) -> Result<(), RequestError> {
        self.cancel_with(JobCancel::new(id)).await.map(drop)
    }

    /// Cancels a job: waiting tasks are cancelled, and running tasks are stopped on their workers. Returns the status of the
    /// job, which is `CANCELLING` until all tasks have ended. Cancelling it again has no effect, except that `now` ends the grace
    /// period.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` if the job has already ended.
    async fn cancel_with(&self, cancel: JobCancel) -> Result<JobStatus, RequestError> {
        match self.call(Request::Cancel { cancel }).await? {
            Answer::Cancelled(cancelled) => Ok(cancelled.status),
            _ => Err(Answer::unexpected()),
        }
    }

    /// Pauses a job or a pool: nothing further is issued, and what is out goes on. Pausing it again has no effect.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` if the job has ended or is being cancelled; `InvalidRequest` for the name of a pool that no pool can
    /// have; `TooLarge` if too many pools are paused.
    async fn pause(&self, of: PauseRequest) -> Result<(), RequestError> {
        self.call(Request::Pause { of }).await.map(drop)
    }

    /// Resumes a job or a pool. Resuming what is not paused has no effect.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` if the job has ended; `InvalidRequest` for the name of a pool that no pool can have.
    async fn resume(&self, of: PauseRequest) -> Result<(), RequestError> {
        self.call(Request::Resume { of }).await.map(drop)
    }

    /// Changes the priority of a job that has not ended. It counts for the tasks without a priority of their own that were not
    /// handed out yet. A change to the priority that the job has has no effect.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` if the job has ended or is being cancelled; `InvalidRequest` for a priority that no job can have.
    async fn set_priority(&self, of: PriorityRequest) -> Result<(), RequestError> {
        self.call(Request::Priority { of }).await.map(drop)
    }

    /// Repairs a task that waits: starts its next attempt, skips it or fails it.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` if the task runs, has ended, or does not wait for what the repair is about; `TooLarge` for
    /// data beyond the limits.
    async fn repair(&self, repair: TaskRepair) -> Result<(), RequestError> {
        self.call(Request::Repair { repair }).await.map(drop)
    }

    /// Retries a job that has ended: submits a new job with the same text, in which tasks that have succeeded are kept. Returns
    /// the new job. A request without `new_id` gets one, so that it can be repeated.
    ///
    /// # Errors
    /// `NotFound` if no job has the id; `NotEnded` if it is being cancelled for the retry; `Conflict` if the job has not ended, another job has the new id, or nothing would run
    /// again; `InvalidRequest` for unknown tasks; `TooLarge` for data beyond the limits.
    async fn retry(&self, retry: JobRetry) -> Result<Submitted, RequestError> {
        match self.call(Request::Retry { retry: retry.with_new_id() }).await? {
            Answer::Retried(submitted) => Ok(submitted),
            _ => Err(Answer::unexpected()),
        }
    }

    /// Sends a signal to a job. A task that waits for it receives it; before one waits, it is kept.
    ///
    /// # Errors
    /// `NotFound`; `InvalidRequest` if no task of the job waits for a signal with this name; `Conflict` if those tasks or
    /// the job have ended; `TooMany` if the job keeps too many signals; `TooLarge` for data beyond the limits.
    async fn signal(&self, signal: JobSignal) -> Result<SignalOutcome, RequestError> {
        match self.call(Request::Signal { signal }).await? {
            Answer::Signalled(receipt) => Ok(receipt.outcome),
            _ => Err(Answer::unexpected()),
        }
    }

    /// Answers the question of a task that waits for an approval.
    ///
    /// # Errors
    /// `NotFound`; `InvalidRequest` for an answer that is not possible; `Conflict` if the task does not wait for an
    /// approval, or has another answer; `TooLarge` for input beyond the limits.
    async fn approve(&self, approval: TaskApproval) -> Result<(), RequestError> {
        self.call(Request::Approve { approval }).await.map(drop)
    }

    /// Removes a job that has ended.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` if the job has not ended.
    async fn remove(&self, id: JobId) -> Result<(), RequestError> {
        self.call(Request::Remove { id }).await.map(drop)
    }

    /// Ends a task with a result from outside: a launched asynchronous task or any running task.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` if the task has not started or has ended with another result.
    async fn post_result(&self, update: ResultUpdate) -> Result<(), RequestError> {
        self.call(Request::Result { result: update }).await.map(drop)
    }

    /// Makes a version of a definition, unless its newest version has the same text.
    ///
    /// # Errors
    /// `InvalidJob` with every problem found; `InvalidRequest` for a name that no definition or alias can have.
    async fn define(&self, definition: DefinitionDraft) -> Result<Defined, RequestError> {
        match self.call(Request::Define { definition }).await? {
            Answer::Defined(defined) => Ok(defined),
            _ => Err(Answer::unexpected()),
        }
    }

    /// Lets an alias of a definition stand for another version, or removes it.
    ///
    /// # Errors
    /// `NotFound` if there is no such definition or version; `InvalidRequest` for a name that no alias can have.
    async fn set_alias(&self, change: AliasChange) -> Result<(), RequestError> {
        self.call(Request::Alias { change }).await.map(drop)
    }

    /// A page of the definitions, by name.
    ///
    /// # Errors
    /// `InvalidRequest` for an invalid page.
    async fn definitions(&self, filter: NamePage) -> Result<DefinitionPage, RequestError> {
        match self.call(Request::Definitions { filter }).await? {
            Answer::Definitions(page) => Ok(page),
            _ => Err(Answer::unexpected()),
        }
    }

    /// Queries or changes schedules.
    ///
    /// # Errors
    /// `InvalidJob` with every problem of a schedule or of its job; `NotFound` if there is no such schedule; `InvalidRequest` for a page
    /// or a name that cannot be.
    async fn schedules(&self, request: ScheduleRequest) -> Result<ScheduleAnswer, RequestError> {
        match self.call(Request::Schedule { schedule: request }).await? {
            Answer::Schedule(answer) => Ok(answer),
            _ => Err(Answer::unexpected()),
        }
    }

    /// One version of a definition.
    ///
    /// # Errors
    /// `NotFound`; `TooLarge` if the answer is too large for the connection to the Hub.
    async fn definition(&self, reference: Reference) -> Result<DefinitionRecord, RequestError> {
        match self.call(Request::Definition { reference }).await? {
            Answer::Definition(record) => Ok(*record),
            _ => Err(Answer::unexpected()),
        }
    }

    /// The live workers.
    ///
    /// # Errors
    /// Errors of the connection.
    async fn workers(&self) -> Result<Vec<WorkerInfo>, RequestError> {
        match self.call(Request::Workers).await? {
            Answer::Workers(workers) => Ok(workers),
            _ => Err(Answer::unexpected()),
        }
    }

    /// The health of the dispatcher.
    ///
    /// # Errors
    /// Errors of the connection.
    async fn health(&self) -> Result<HealthReport, RequestError> {
        match self.call(Request::Health).await? {
            Answer::Health(report) => Ok(report),
            _ => Err(Answer::unexpected()),
        }
    }
}
