//! What is known of a job and its tasks: the rows that a store keeps and that status records are made of.

use std::borrow::Borrow;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::details::TaskDetails;
pub use crate::failure::{ErrorKind, RetryAdvice, TaskError};
use crate::job::Job;
use crate::text::Shown;
use crate::{Issue, JobId, JobStatus, Json, TaskId, TaskStatus, Timestamp};

/// Everything that changes about one task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskState {
    /// Where it stands.
    pub status: TaskStatus,
    /// The latest issue to the workers; `None` until the first.
    pub issue: Option<Issue>,
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
    /// What only tasks with special options have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<Box<TaskDetails>>,
}

impl TaskState {
    /// A task that nothing happened to yet.
    #[must_use]
    pub const fn pending() -> Self {
        Self {
            status: TaskStatus::Pending,
            issue: None,
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
            details: None,
        }
    }

    /// The states of this number of tasks, to none of which anything happened yet.
    #[must_use]
    pub fn all_pending(tasks: usize) -> Vec<Arc<Self>> {
        let pending = Arc::new(Self::pending());
        vec![pending; tasks]
    }

    /// The number of its current attempt, from 1. An attempt that did not fail, since its worker was lost, is repeated under
    /// the same number.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        let failures = self.details.as_ref().map_or(0, |details| details.failures);
        if self.status == TaskStatus::Failed { failures.max(1) } else { failures.saturating_add(1) }
    }

    /// Whether it waits for its next attempt, for the end of its delay, or for an operator.
    #[must_use]
    pub fn waits_for_a_time(&self) -> bool {
        let waits = |details: &TaskDetails| {
            details.retry_at.is_some() || details.held_until.is_some() || details.delayed_until.is_some()
        };
        self.status == TaskStatus::Pending && self.details.as_deref().is_some_and(waits)
    }

    /// Its details, to set one of them.
    pub fn details_mut(&mut self) -> &mut TaskDetails {
        self.details.get_or_insert_default()
    }
}

/// The first task of a job that failed, as listings show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FirstFailure {
    /// The task's name.
    pub task: Arc<str>,
    /// Its message, behind the exception's type: one line, control characters escaped, cut where it is long.
    pub msg: Arc<str>,
}

impl FirstFailure {
    /// Maximum length of the message, in characters.
    const MAX_CHARS: usize = 300;

    /// The failure of `task`, whose message is `msg`. The exception's type, where it is known and the message does not begin
    /// with it, stands before the message: some exceptions say nothing without it.
    #[must_use]
    pub fn new(task: &Arc<str>, type_name: Option<&str>, msg: &str) -> Self {
        let msg = msg.trim();
        let line = match type_name.filter(|name| !msg.starts_with(name)) {
            Some(name) => Shown(format_args!("{name}: {msg}")).to_string(),
            None => Shown(msg).to_string(),
        };
        let line = match line.char_indices().nth(Self::MAX_CHARS) {
            Some((end, _)) => format!("{}…", &line[..end]),
            None => line,
        };
        Self { task: Arc::clone(task), msg: line.into() }
    }
}

/// Everything that changes about a job beside its tasks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobState {
    /// Where it stands.
    pub status: JobStatus,
    /// What it put out; `None` until it succeeded, or if it asks for no output.
    pub output: Option<Json>,
    /// Why it failed: a summary of the tasks that failed, or why its output cannot be built.
    pub msg: Option<Arc<str>>,
    /// The first task that failed.
    pub first_failure: Option<Arc<FirstFailure>>,
    /// When it was submitted.
    pub submitted_at: Timestamp,
    /// When the first of its tasks was handed out.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
}

impl JobState {
    /// A job that was submitted and has not begun.
    #[must_use]
    pub const fn pending(submitted_at: Timestamp) -> Self {
        Self {
            status: JobStatus::Pending,
            output: None,
            msg: None,
            first_failure: None,
            submitted_at,
            started_at: None,
            ended_at: None,
        }
    }
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
    pub tasks: Vec<Arc<TaskState>>,
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
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub msg: Option<Arc<str>>,
    /// The first of its tasks that failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_failure: Option<Arc<FirstFailure>>,
}

impl JobSummary {
    /// The line of a job in this state.
    #[must_use]
    pub fn new(id: JobId, name: &str, state: &JobState, tasks: usize, tasks_ended: usize) -> Self {
        Self {
            id,
            name: name.into(),
            status: state.status,
            tasks: u32::try_from(tasks).unwrap_or(u32::MAX),
            tasks_ended: u32::try_from(tasks_ended).unwrap_or(u32::MAX),
            submitted_at: state.submitted_at,
            ended_at: state.ended_at,
            msg: state.msg.clone(),
            first_failure: state.first_failure.clone(),
        }
    }
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
        let ended = self.tasks.iter().filter(|task| task.status.is_terminal()).count();
        JobSummary::new(self.id, self.job.name(), &self.state, self.tasks.len(), ended)
    }

    /// About how many bytes of memory it takes: what it holds, not what its record repeats.
    #[must_use]
    pub fn weight(&self) -> usize {
        weight(&self.job, &self.state, &self.tasks, true)
    }
}

/// [`JobSnapshot::weight`] of a job with these tasks, with or without values of tasks.
pub fn weight<'a, T>(job: &Job, state: &JobState, tasks: impl IntoIterator<Item = &'a T>, data: bool) -> usize
where
    T: Borrow<TaskState> + 'a,
{
    let text = |text: &Option<Arc<str>>| text.as_ref().map_or(0, |text| text.len());
    let tasks = tasks.into_iter().map(|task| {
        let task = task.borrow();
        let returned = task.data.as_ref().map_or(0, |data| data.get().len());
        let trace = task.error.as_ref().map_or(0, |error| text(&error.traceback));
        let details = task.details.as_ref().map_or(0, |details| details.weight());
        let values = if data { returned + trace + text(&task.log) + details } else { 0 };
        TASK_WEIGHT + values + text(&task.msg)
    });
    job.source().len() + state.output.as_ref().map_or(0, |output| output.get().len()) + tasks.sum::<usize>()
}

/// What a task takes in a [`JobSnapshot`] beside its texts, in bytes.
pub const TASK_WEIGHT: usize = std::mem::size_of::<TaskState>();
