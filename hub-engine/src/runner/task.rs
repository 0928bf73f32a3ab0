//! A task to run, and how it ended.

use std::sync::Arc;
use std::time::Duration;

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
    /// Positional arguments: a JSON array.
    pub args: Json,
    /// Named arguments: a JSON object.
    pub kwargs: Json,
    /// Which attempt of the task this is, from 1.
    pub attempt: u32,
    /// Which issue of the task this is, from 1: more than the attempt where workers were lost.
    pub issue: u32,
    /// The worker that runs it.
    pub worker: Arc<str>,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskReport {
    /// How the task ended, or why it has not.
    pub outcome: Result<Outcome, NoOutcome>,
    /// What it printed; its end, where that was much.
    pub log: Option<String>,
    /// For how long it ran, where that is known better than from outside.
    pub took: Option<Duration>,
}

/// Why a run did not end its task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoOutcome {
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

impl TaskReport {
    /// The report of a task that printed nothing.
    #[must_use]
    pub const fn silent(outcome: Outcome) -> Self {
        Self { outcome: Ok(outcome), log: None, took: None }
    }

    /// The report of a run that did not end its task.
    #[must_use]
    pub const fn without(outcome: NoOutcome) -> Self {
        Self { outcome: Err(outcome), log: None, took: None }
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
