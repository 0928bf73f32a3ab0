//! What runs tasks: Python modules and executables, in processes of their own.
//!
//! A runner knows nothing of queues and dispatchers: it gets a request and gives a report.

mod catalogue;
mod children;
mod conversation;
mod coroutines;
mod environment;
mod executable;
mod files;
mod function;
mod guard;
mod interpreter;
mod lane;
mod modules;
mod pace;
mod program;
mod protocol;
mod scan;
mod sdk;
mod streams;
mod watcher;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hub_core::{JobId, Json, TaskId};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub use catalogue::{Catalogue, Language, TaskInfo};
pub use function::FunctionRunner;
pub use hub_core::machine::Outcome;
pub use modules::{ModuleRunner, RunnerError, RunnerSettings};

/// Runs tasks.
#[async_trait]
pub trait Runner: Send + Sync + 'static {
    /// Runs one task to its end. When `stop` is cancelled it ends soon, with [`NoOutcome::Cancelled`]. It waits for what takes
    /// long, and does not compute here: runs that begin together share a task of the runtime.
    async fn run(&self, request: TaskRequest, stop: CancellationToken) -> TaskReport;

    /// Whether a task of this module may be handed over although every slot is taken. Where the tasks before it turn out
    /// to take long, it comes back with [`NoOutcome::NotBegun`].
    fn has_room_ahead(&self, _module: &str) -> bool {
        false
    }

    /// The tasks that it can run, now and from now on.
    fn catalogue(&self) -> watch::Receiver<Arc<Catalogue>>;

    /// Ends everything it started, by force where that takes longer than `grace`.
    async fn shutdown(&self, grace: Duration);
}

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

/// Why a run was no end of its task.
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

    /// The report of a run that was no end of its task.
    #[must_use]
    pub const fn without(outcome: NoOutcome) -> Self {
        Self { outcome: Err(outcome), log: None, took: None }
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
