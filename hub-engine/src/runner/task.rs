//! A task to run, and how it ended.

use std::sync::Arc;
use std::time::Duration;

use hub_core::state::{ErrorKind, TaskError};
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
    /// Positional arguments: a JSON array.
    pub args: Json,
    /// Named arguments: a JSON object.
    pub kwargs: Json,
    /// Which issue of the task this is, from 1.
    pub attempt: u32,
    /// The worker that runs it.
    pub worker: Arc<str>,
}

/// How a task ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskReport {
    /// How.
    pub outcome: Outcome,
    /// What it printed; its end, where that was much.
    pub log: Option<String>,
    /// For how long it ran, where that is known better than from outside.
    pub took: Option<Duration>,
}

/// How a task ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It returned.
    Success {
        /// This.
        data: Json,
    },
    /// It started something whose result will come from outside, and returned.
    Launched {
        /// This.
        data: Json,
    },
    /// It failed.
    Failed {
        /// Why, for people.
        msg: String,
        /// Why, for programs.
        error: TaskError,
    },
    /// Nothing of it has been run, for a reason outside of the task: it is to be handed over again.
    NotBegun,
    /// Nothing of it has been run: this machine has too little left to start a process for it.
    Shortage {
        /// Of what, and what to do.
        what: String,
    },
    /// There is no such module here.
    Unknown,
    /// It was stopped.
    Cancelled,
}

impl Outcome {
    /// One word for logs.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Success { .. } => "success",
            Self::Launched { .. } => "launched",
            Self::Failed { .. } => "failed",
            Self::NotBegun => "not begun",
            Self::Shortage { .. } => "not started",
            Self::Unknown => "unknown module",
            Self::Cancelled => "stopped",
        }
    }
}

impl TaskReport {
    /// A report of something that printed nothing.
    #[must_use]
    pub const fn silent(outcome: Outcome) -> Self {
        Self { outcome, log: None, took: None }
    }

    /// The report of a module that cannot be run.
    pub(super) const fn broken(msg: String) -> Self {
        let error = TaskError { kind: ErrorKind::BrokenModule, type_name: None, traceback: None };
        Self::silent(Outcome::Failed { msg, error })
    }
}
