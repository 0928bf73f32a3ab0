//! What is known of a job and its tasks: the rows that a store keeps and that status records are made of.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::job::Job;
use crate::{Attempt, JobId, JobStatus, Json, TaskId, TaskStatus, Timestamp};

/// Why a task failed, in a form that programs can tell apart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskError {
    /// Who or what is at fault.
    pub kind: ErrorKind,
    /// The exception's type, where the task raised one (`ZeroDivisionError`); `panic` where it is Rust and panicked.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub type_name: Option<Arc<str>>,
    /// The traceback, or the end of what the program wrote to its error output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceback: Option<Arc<str>>,
}

/// Who or what is at fault when a task fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ErrorKind {
    /// The task's code raised an exception or ended with a non-zero exit code.
    TaskFailed,
    /// The task was called with arguments that it does not take.
    BadArguments,
    /// What the task returned cannot be written as JSON.
    BadResult,
    /// The result is larger than the limit.
    ResultTooLarge,
    /// The arguments are larger than the limit once their references are replaced.
    ArgumentsTooLarge,
    /// A value (the result, or the arguments once their references are replaced) is nested more than
    /// [`Json::MAX_DEPTH`] levels deep.
    ValueTooDeep,
    /// The process that ran the task died under it.
    ChildDied,
    /// The module could not be loaded.
    BrokenModule,
    /// The task ran longer than it may.
    TimedOut,
    /// A reference in the arguments found nothing at its path.
    MissingValue,
    /// The task took its workers down with it, `crash_limit` times.
    WorkerLost,
    /// The broker would not carry the task (too large, refused).
    Undeliverable,
    /// Someone outside posted the failure.
    Posted,
}

/// Everything that changes about one task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskState {
    /// Where it stands.
    pub status: TaskStatus,
    /// The latest issue to the workers; `None` until the first.
    pub attempt: Option<Attempt>,
    /// Whether the broker has confirmed that it holds the latest issue.
    pub confirmed: bool,
    /// Whether the task was launched and now awaits its result from outside.
    pub launched: bool,
    /// How many workers died with it.
    pub deaths: u32,
    /// The worker that runs or ran the latest issue, as far as known.
    pub worker: Option<Arc<str>>,
    /// What it returned (or what its launch returned).
    pub data: Option<Json>,
    /// Why it failed, as text for people.
    pub msg: Option<Arc<str>>,
    /// Why it failed, for programs.
    pub error: Option<Arc<TaskError>>,
    /// What it printed (its end, where that was long).
    pub log: Option<Arc<str>>,
    /// When the latest issue was handed out.
    pub submitted_at: Option<Timestamp>,
    /// When a worker began with it.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
}

impl TaskState {
    /// A task that nothing happened to yet.
    #[must_use]
    pub const fn pending() -> Self {
        Self {
            status: TaskStatus::Pending,
            attempt: None,
            confirmed: false,
            launched: false,
            deaths: 0,
            worker: None,
            data: None,
            msg: None,
            error: None,
            log: None,
            submitted_at: None,
            started_at: None,
            ended_at: None,
        }
    }
}

/// Everything that changes about a job beside its tasks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobState {
    /// Where it stands.
    pub status: JobStatus,
    /// What it put out; `None` until it succeeded, or if it asks for no output.
    pub output: Option<Json>,
    /// Why it failed, where that was not a task's doing.
    pub msg: Option<Arc<str>>,
    /// When it was submitted.
    pub submitted_at: Timestamp,
    /// When the first of its tasks was handed out.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
}

/// A job as it stands at one moment, whole: what a store loads and a status record is made of.
#[derive(Clone, Debug)]
pub struct JobSnapshot {
    /// Its id.
    pub id: JobId,
    /// What was submitted.
    pub job: Arc<Job>,
    /// Where it stands.
    pub state: JobState,
    /// Where its tasks stand, in the order of the job.
    pub tasks: Vec<TaskState>,
    /// Why tasks that could run wait all the same: position and reason. Known only of live jobs.
    pub waiting: Vec<(u32, String)>,
}

/// A line of a job listing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobSummary {
    /// Its id.
    pub id: JobId,
    /// Its name.
    pub name: Arc<str>,
    /// Where it stands.
    pub status: JobStatus,
    /// How many tasks it has.
    pub tasks: u32,
    /// How many of them have ended.
    pub tasks_ended: u32,
    /// When it was submitted.
    #[serde(with = "crate::time::rfc3339")]
    pub submitted_at: Timestamp,
    /// When it ended.
    #[serde(with = "crate::time::rfc3339::option")]
    pub ended_at: Option<Timestamp>,
}

impl JobSnapshot {
    /// The id of the task at `index`.
    #[must_use]
    pub fn task_id(&self, index: u32) -> TaskId {
        self.id.task(index)
    }

    /// The line of this job in a listing.
    #[must_use]
    pub fn summary(&self) -> JobSummary {
        JobSummary {
            id: self.id,
            name: self.job.name().into(),
            status: self.state.status,
            tasks: u32::try_from(self.tasks.len()).unwrap_or(u32::MAX),
            tasks_ended: u32::try_from(self.tasks.iter().filter(|task| task.status.is_terminal()).count())
                .unwrap_or(u32::MAX),
            submitted_at: self.state.submitted_at,
            ended_at: self.state.ended_at,
        }
    }
}
