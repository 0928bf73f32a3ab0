//! A task to run, and the report about its run.

use std::sync::Arc;
use std::time::Duration;

use hub_core::digest::Digest;
use hub_core::job::Secret;
use hub_core::machine::Outcome;
use hub_core::state::ErrorKind;
use hub_core::{JobId, Json, TaskId};

/// A task to run.
#[derive(Clone, Debug)]
pub struct TaskRequest {
    /// The task.
    pub id: TaskId,
    /// Its job.
    pub parent_id: JobId,
    /// Its name in the job.
    pub name: Arc<str>,
    /// The module to run.
    pub task_name: Arc<str>,
    /// The positional arguments: a JSON array.
    pub args: Json,
    /// The keyword arguments: a JSON object.
    pub kwargs: Json,
    /// What to run instead of a module: a JSON object with its keys of the job format.
    pub run: Option<Json>,
    /// The secrets to put into these values, each with its place.
    pub secrets: Option<Arc<[Secret]>>,
    /// The number of the attempt, from 1.
    pub attempt: u32,
    /// The number of the issue, from 1. It is larger than the attempt if workers were lost.
    pub issue: u32,
    /// The worker that runs it.
    pub worker: Arc<str>,
    /// The newest progress that an earlier attempt reported.
    pub last_progress: Option<Json>,
    /// Whether the report has to name the content of the module.
    pub wants_content: bool,
}

/// The report about a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskReport {
    /// The outcome of the task, or why there is none.
    pub outcome: Result<Outcome, NoOutcome>,
    /// The output that it printed. Long output is truncated.
    pub log: Option<String>,
    /// The duration, if the process has measured it.
    pub took: Option<Duration>,
    /// The content of the module that ran, if the request asks for it and it is known.
    pub content: Option<Digest>,
}

/// Why a run has no outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoOutcome {
    /// The task was not started, or its process was ended because of another task. It must be run again.
    NotBegun,
    /// The task was not started, because no process could be started on this machine.
    Shortage {
        /// The shortage, and what to do.
        what: String,
    },
    /// There is no such module, or tasks of this kind are not allowed.
    Unknown,
    /// The task was stopped, and its processes have ended.
    Cancelled,
}

impl TaskReport {
    /// The report of a task that printed nothing.
    #[must_use]
    pub const fn silent(outcome: Outcome) -> Self {
        Self { outcome: Ok(outcome), log: None, took: None, content: None }
    }

    /// The report of a run without an outcome.
    #[must_use]
    pub const fn without(outcome: NoOutcome) -> Self {
        Self { outcome: Err(outcome), log: None, took: None, content: None }
    }

    /// The report of a module that cannot be run.
    pub(super) fn broken(msg: String) -> Self {
        Self::silent(Outcome::failed(ErrorKind::BrokenModule, msg))
    }

    /// The outcome in one or two words, for logs.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match &self.outcome {
            Ok(Outcome::Success { .. }) => "success",
            Ok(Outcome::Launched { .. }) => "launched",
            Ok(Outcome::Failed { .. }) => "failed",
            Err(NoOutcome::NotBegun) => "not begun",
            Err(NoOutcome::Shortage { .. }) => "not started",
            Err(NoOutcome::Unknown) => "unknown module",
            Err(NoOutcome::Cancelled) => "stopped",
        }
    }
}
