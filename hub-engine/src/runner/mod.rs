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
use hub_core::state::TaskError;
use hub_core::{JobId, Json, TaskId};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub use catalogue::{Catalogue, Language, TaskInfo};
pub use function::FunctionRunner;
pub use modules::{ModuleRunner, RunnerError, RunnerSettings};

/// Runs tasks.
#[async_trait]
pub trait Runner: Send + Sync + 'static {
    /// Runs one task to its end. When `stop` is cancelled it ends soon, with [`Outcome::Cancelled`]. It waits for what takes
    /// long, and does not compute here: runs that begin together share a task of the runtime.
    async fn run(&self, request: TaskRequest, stop: CancellationToken) -> TaskReport;

    /// Whether a task of this module may be handed over although every slot is taken. Where the tasks before it turn out
    /// to take long, it comes back with [`Outcome::NotBegun`].
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
}
