//! The states of jobs and tasks, as stored and as shown in status records.

use std::borrow::{Borrow, Cow};
use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::details::TaskDetails;
pub use crate::failure::{Cause, ErrorKind, RetryAdvice, TaskError};
use crate::job::{Job, Labels, MAX_LABELS};
use crate::job_clock::JobClock;
use crate::job_details::{JobDetails, Origin};
use crate::text::Shown;
use crate::{Issue, JobId, JobStatus, Json, TaskId, TaskStatus, Timestamp};

/// The state of one task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskState {
    /// The status.
    pub status: TaskStatus,
    /// The latest issue to the workers; `None` until the first.
    pub issue: Option<Issue>,
    /// Whether the broker has confirmed the latest issue.
    pub confirmed: bool,
    /// Whether the task was launched and waits for its result from outside.
    pub launched: bool,
    /// Number of workers that died while they ran the task.
    pub deaths: u32,
    /// The worker that runs or ran the latest issue, if known.
    pub worker: Option<Arc<str>>,
    /// The return value of the task or of its launch.
    pub data: Option<Json>,
    /// The error message.
    pub msg: Option<Arc<str>>,
    /// The error for programs.
    pub error: Option<Arc<TaskError>>,
    /// The output that the task printed. Long output is truncated.
    pub log: Option<Arc<str>>,
    /// When the latest issue was handed out.
    pub submitted_at: Option<Timestamp>,
    /// When a worker started the task.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// What only tasks with special options have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<Box<TaskDetails>>,
}

impl TaskState {
    /// The initial state of a task.
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

    /// The initial states of this number of tasks.
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

    /// The status that counts for the tasks that depend on it and for its job: a failure that is recovered is a success.
    #[must_use]
    pub fn counts_as(&self) -> TaskStatus {
        let is_recovered = self.details.as_ref().is_some_and(|details| details.recovered);
        if is_recovered { TaskStatus::Success } else { self.status }
    }

    /// Whether it runs for the items of a list, and these are known.
    pub(crate) fn has_items(&self) -> bool {
        self.details.as_deref().is_some_and(|details| details.rare().items.is_some())
    }

    /// Whether it waits for its next attempt, for the end of its delay, or for an operator.
    #[must_use]
    pub fn waits_for_a_time(&self) -> bool {
        let waits = |details: &TaskDetails| {
            details.retry_at.is_some() || details.held_until.is_some() || details.delayed_until.is_some()
        };
        self.status == TaskStatus::Pending && self.details.as_deref().is_some_and(waits)
    }

    /// Whether it has passed the gates before its pool already: it was ready, was handed out, or an operator sent it on.
    #[must_use]
    pub fn has_passed_gates(&self) -> bool {
        let was_ready = |details: &TaskDetails| details.ready_at.is_some() || !details.rare().repairs.is_empty();
        self.issue.is_some() || self.details.as_deref().is_some_and(was_ready)
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
    /// The type of the exception and the message on one line, with control characters escaped. Long messages are
    /// truncated.
    pub msg: Arc<str>,
    /// The kind of the error. Unknown for failures of jobs that an earlier version of Hub ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<ErrorKind>,
    /// The type of the exception.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub type_name: Option<Arc<str>>,
}

impl FirstFailure {
    /// Maximum length of the message, in characters.
    const MAX_CHARS: usize = 300;

    /// The failure of the task of this name.
    #[must_use]
    pub fn new(task: &Arc<str>, error: Option<&TaskError>, msg: &str) -> Self {
        let type_name = error.and_then(|error| error.type_name.clone());
        let msg = Self::line(type_name.as_deref(), msg);
        Self { task: Arc::clone(task), msg, kind: error.map(|error| error.kind), type_name }
    }

    /// The message on one line. The type of the exception, if known, is put before it unless the message begins with it, because
    /// some exceptions have no useful message.
    pub(crate) fn line(type_name: Option<&str>, msg: &str) -> Arc<str> {
        let msg = msg.trim();
        let line = match type_name.filter(|name| !msg.starts_with(name)) {
            Some(name) => Shown(format_args!("{name}: {msg}")).to_string(),
            None => Shown(msg).to_string(),
        };
        match line.char_indices().nth(Self::MAX_CHARS) {
            Some((end, _)) => format!("{}…", &line[..end]).into(),
            None => line.into(),
        }
    }
}

/// The state of a job without its tasks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobState {
    /// The status.
    pub status: JobStatus,
    /// The output. `None` until the job has succeeded, or if the job has no key `output`.
    pub output: Option<Json>,
    /// The error message: a summary of the failed tasks, or why the output cannot be built.
    pub msg: Option<Arc<str>>,
    /// The first task that failed.
    pub first_failure: Option<Arc<FirstFailure>>,
    /// When it was submitted.
    pub submitted_at: Timestamp,
    /// When the first of its tasks was handed out.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// What only some jobs have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<Arc<JobDetails>>,
}

impl JobState {
    /// The initial state of a job.
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
            details: None,
        }
    }

    /// The job to which it belongs, if it is a sub-job: the first one of the chain of jobs above it.
    #[must_use]
    pub fn root(&self) -> Option<JobId> {
        Some(self.details.as_deref()?.parent.as_ref()?.root)
    }

    /// The job that it is a retry of.
    #[must_use]
    pub fn origin(&self) -> Option<&Origin> {
        self.details.as_deref()?.origin.as_ref()
    }

    /// How the tasks of the job ended, as its handlers see it.
    #[must_use]
    pub fn failure(&self) -> Option<&Json> {
        self.details.as_deref()?.failure.as_ref()
    }

    fn inherited_labels(&self) -> Option<&Labels> {
        self.details.as_deref()?.labels.as_deref()
    }

    /// The labels of the job: its own, and those that it inherits, up to [`MAX_LABELS`] together.
    #[must_use]
    pub fn labels<'a>(&'a self, job: &'a Job) -> Cow<'a, Labels> {
        match self.inherited_labels() {
            None => Cow::Borrowed(job.labels()),
            Some(inherited) if job.labels().is_empty() => Cow::Borrowed(inherited),
            Some(inherited) => {
                let mut labels = Labels::clone(job.labels());
                for (name, value) in inherited {
                    if labels.len() < MAX_LABELS {
                        labels.entry(Arc::clone(name)).or_insert_with(|| Arc::clone(value));
                    }
                }
                Cow::Owned(labels)
            }
        }
    }

    /// The clock of its durations.
    #[must_use]
    pub fn clock(&self) -> JobClock {
        self.details.as_deref().map_or_else(JobClock::default, |details| details.clock)
    }

    /// Its details, to change one of them.
    pub fn details_mut(&mut self) -> &mut JobDetails {
        Arc::make_mut(self.details.get_or_insert_default())
    }
}

/// The complete state of a job at one moment. A store loads it, and a status record is built from it.
#[derive(Clone, Debug)]
pub struct JobSnapshot {
    /// Its id.
    pub id: JobId,
    /// The submitted job.
    pub job: Arc<Job>,
    /// The state of the job.
    pub state: JobState,
    /// The states of the tasks, in the order of the job.
    pub tasks: Vec<Arc<TaskState>>,
    /// The states of items, by their positions. An item that is not here is pending, or was not read.
    pub items: BTreeMap<u32, Arc<TaskState>>,
    /// The positions of waiting tasks and the reasons why they wait. Known only for live jobs.
    pub waiting: Vec<(u32, String)>,
}

/// The summary of a job for listings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobSummary {
    /// Its id.
    pub id: JobId,
    /// Its name.
    pub name: Arc<str>,
    /// The status.
    pub status: JobStatus,
    /// Number of tasks.
    pub tasks: u32,
    /// Number of tasks that have ended.
    pub tasks_ended: u32,
    /// When it was submitted.
    #[serde(with = "crate::time::rfc3339")]
    pub submitted_at: Timestamp,
    /// When it ended.
    #[serde(with = "crate::time::rfc3339::option")]
    pub ended_at: Option<Timestamp>,
    /// The error message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub msg: Option<Arc<str>>,
    /// The first of its tasks that failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_failure: Option<Arc<FirstFailure>>,
}

impl JobSummary {
    /// The summary of a job in this state.
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

    /// The state of the task or the item at `position`. An item that is not there is pending.
    #[must_use]
    pub fn state_of(&self, position: u32) -> &TaskState {
        static PENDING: TaskState = TaskState::pending();
        let task = self.tasks.get(position as usize).or_else(|| self.items.get(&position));
        task.map_or(&PENDING, |state| state)
    }

    /// The position after the last task of the text; after the last item, if `start` is the position of one.
    #[must_use]
    pub fn end_of(&self, start: u32) -> u32 {
        let Some(place) = self.job.item(start) else { return self.tasks.len() as u32 };
        let counts = self.tasks[place.task as usize].details.as_ref().and_then(|details| details.rare().items);
        start - place.item + counts.map_or(0, |counts| counts.total)
    }

    /// The summary of this job.
    #[must_use]
    pub fn summary(&self) -> JobSummary {
        let ended = self.tasks.iter().filter(|task| task.status.is_terminal()).count();
        JobSummary::new(self.id, self.job.name(), &self.state, self.tasks.len(), ended)
    }

    /// The approximate memory of the snapshot in bytes. A record can be larger, because it repeats values.
    #[must_use]
    pub fn weight(&self) -> usize {
        weight(&self.job, &self.state, &self.tasks, true)
    }
}

/// The [`JobSnapshot::weight`] of a job with these tasks, with or without the values of tasks.
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
    let details = state.details.as_ref().filter(|_| data).map_or(0, |details| details.weight());
    job.text_bytes() + details + state.output.as_ref().map_or(0, |output| output.get().len()) + tasks.sum::<usize>()
}

/// The memory of a task in a [`JobSnapshot`] without its texts, in bytes.
pub const TASK_WEIGHT: usize = std::mem::size_of::<TaskState>();
