//! Inputs and outputs of the machine, besides jobs and actions.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::job::{AnyInputs, InputCheck, Limits, ModuleDefaults, Need};
use crate::state::{ErrorKind, TaskError};
use crate::{IssueId, Json, TaskKinds, TaskStatus, Unreadable};

/// The id of a worker: globally unique, and new at each start of a worker.
pub type WorkerId = Arc<str>;

/// Settings of the machine.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The number of the dispatcher's start, which is part of every issue's id.
    pub incarnation: u64,
    /// Minimum number of issues of a pool that may be on the broker.
    pub window_floor: u32,
    /// Number of issues on the broker for each slot of the pool's live workers.
    pub window_factor: u32,
    /// For short tasks: number of issues on the broker for each task of the pool that ended within the last 100 to 200
    /// ms. This covers the tasks that run while messages are in transit.
    pub window_pace: u32,
    /// Maximum number of issues of a pool on the broker, independent of the reports of workers.
    pub window_ceiling: u32,
    /// Duration of a lease. A worker without a heartbeat for this time loses its issues.
    pub lease: Duration,
    /// Extension of all leases after the dispatcher was disconnected from the broker.
    pub lease_grace: Duration,
    /// Number of lost workers after which the task that they ran fails.
    pub crash_limit: u32,
    /// Maximum size of a value in bytes: see [`Limits::max_value_bytes`].
    pub max_value_bytes: usize,
    /// Maximum number of kept results. The oldest ones beyond it are removed.
    pub max_kept_results: usize,
    /// Compares the inputs of sub-jobs with their schemas.
    pub inputs: Arc<dyn InputCheck>,
    /// Maximum number of steps of a comparison: see [`InputCheck::check`].
    pub input_steps: u64,
    /// Approximate maximum memory of kept results in bytes. One result may take a sixty-fourth of it.
    pub max_kept_bytes: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            incarnation: 1,
            window_floor: 64,
            window_factor: 4,
            window_pace: 1,
            window_ceiling: 65_536,
            lease: Duration::from_secs(30),
            lease_grace: Duration::from_secs(10),
            crash_limit: 5,
            max_value_bytes: Limits::default().max_value_bytes,
            inputs: Arc::new(AnyInputs),
            input_steps: 100_000,
            max_kept_results: 10_000,
            max_kept_bytes: 64 * 1024 * 1024,
        }
    }
}

/// The outcome of a submission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Submitted {
    /// A new job.
    New,
    /// The same job was submitted before.
    Known,
}

/// Why a job is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// A different job has this id, or an id whose task ids would collide.
    #[error("the id belongs to another job or is too close to its id")]
    IdTaken,
}

/// Why a job or a pool cannot be controlled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ControlError {
    /// No live job has this id.
    #[error("no such job is live")]
    UnknownJob,
    /// The job is being cancelled.
    #[error("the job is being cancelled")]
    Cancelling,
    /// Too many pools are paused.
    #[error("too many pools are paused")]
    TooManyPools,
}

/// A result from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Update {
    /// `Success` or `Failed`: nothing else can be posted.
    pub status: TaskStatus,
    /// The result of the task.
    pub data: Option<Json>,
    /// The error message.
    pub msg: Option<Arc<str>>,
}

/// The outcome of posting a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Posted {
    /// The task has ended with it.
    Applied,
    /// The task has already ended with the same result.
    AlreadySame,
}

/// Why a posted result is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PostError {
    /// No task of a live job has this id.
    #[error("no such task is live")]
    UnknownTask,
    /// The task has not started.
    #[error("the task has not started")]
    NotStarted,
    /// The task waits for a time, signals or an approval.
    #[error("the task runs no module, so it has no result")]
    Wait,
    /// The task runs a job.
    #[error("the task runs a job, and its result is the output of that job")]
    SubJob,
    /// The task runs for the items of a list. Each of them has a result.
    #[error("the task runs for items, and its result is the list of their results: post the result of an item")]
    Items,
    /// The task has ended with another result.
    #[error("the task has ended")]
    AlreadyEnded,
    /// The value exceeds a limit.
    #[error(transparent)]
    OutOfBounds(#[from] OutOfBounds),
}

/// Why a result is not a valid value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OutOfBounds {
    /// The value is larger than [`Settings::max_value_bytes`].
    #[error("the result has {bytes} bytes, the limit max_value_bytes is {limit}")]
    TooLarge {
        /// Its size in bytes.
        bytes: usize,
        /// The maximum size in bytes.
        limit: usize,
    },
    /// The value is nested more than [`Json::MAX_DEPTH`] levels deep.
    #[error("the result is nested too deeply: values may be nested {} levels deep", Json::MAX_DEPTH)]
    TooDeep,
    /// Some JSON parsers may refuse the value.
    #[error("the result is not JSON that every parser can read: it has {0}")]
    Unreadable(#[from] Unreadable),
}

impl OutOfBounds {
    /// Checks a result. `limit` is its maximum size in bytes.
    ///
    /// # Errors
    /// If the result is too large, nested too deeply or unreadable.
    pub fn check(value: &Json, limit: usize) -> Result<(), Self> {
        let bytes = value.get().len();
        if bytes > limit {
            Err(Self::TooLarge { bytes, limit })
        } else if value.is_deeper_than(Json::MAX_DEPTH) {
            Err(Self::TooDeep)
        } else {
            value.unreadable().map_or(Ok(()), |why| Err(why.into()))
        }
    }

    /// Checks a value that becomes a part of a result.
    pub(super) fn check_part(value: &Json, limit: usize) -> Result<(), Self> {
        if value.is_deeper_than(Json::MAX_DEPTH - 1) { Err(Self::TooDeep) } else { Self::check(value, limit) }
    }

    /// The kind of error of a task with this result.
    #[must_use]
    pub const fn kind(self) -> ErrorKind {
        match self {
            Self::TooLarge { .. } => ErrorKind::ResultTooLarge,
            Self::TooDeep => ErrorKind::ValueTooDeep,
            Self::Unreadable(_) => ErrorKind::BadResult,
        }
    }
}

/// Whether a report was applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The report was applied.
    Applied,
    /// The report is about an issue that is not current, or about a task that has ended.
    Stale,
    /// No task of a live job has this id.
    Unknown,
}

/// How an issue of a task ended on its worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskResult {
    /// The issue.
    pub issue: IssueId,
    /// How it ended.
    pub outcome: Outcome,
    /// The output that the task printed.
    pub log: Option<Arc<str>>,
    /// The newest progress that the task reported.
    pub progress: Option<Json>,
    /// The content of the module that ran, if the worker knows it.
    pub content: Option<Digest>,
    /// The defaults of the module that ran, if the issue asked for them.
    pub defaults: Option<Arc<ModuleDefaults>>,
    /// The worker that ran it.
    pub worker: WorkerId,
    /// The duration of the run. The time of the start is computed from it, because the clocks of two machines differ.
    pub took: Duration,
}

/// How a task ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The task returned a value.
    Success {
        /// The value.
        data: Json,
    },
    /// The task was launched and returned a value. Its result will be posted from outside.
    Launched {
        /// The value.
        data: Json,
    },
    /// The task failed.
    Failed {
        /// The message for users.
        msg: Arc<str>,
        /// The error for programs.
        error: Option<Arc<TaskError>>,
    },
}

impl Outcome {
    /// A failure of this kind with a message and without details.
    #[must_use]
    pub fn failed(kind: ErrorKind, msg: impl Into<Arc<str>>) -> Self {
        let error = TaskError::new(kind);
        Self::Failed { msg: msg.into(), error: Some(Arc::new(error)) }
    }
}

/// Why a worker returns an issue without a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Returned {
    /// The worker does not have the module, or does not allow tasks of this kind.
    UnknownModule,
    /// The worker cannot run it now: long tasks occupy its slots, or its machine lacks processes, descriptors or
    /// memory.
    Busy,
    /// The worker is stopping.
    Draining,
    /// The issue was stopped on request. No process of it is left.
    Stopped,
}

/// How the publish of an issue ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Published {
    /// The broker has confirmed it.
    Confirmed,
    /// It was not routed to a queue: no worker of its pool has connected yet.
    Unroutable,
    /// The broker rejects it permanently, with a reason.
    Rejected(Arc<str>),
    /// The broker refuses it temporarily, for example because its queue is full.
    Refused,
}

/// Why the broker has dead-lettered an issue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeadLetter {
    /// It reached the delivery limit.
    DeliveryLimit,
    /// A policy of the broker removed its message from the queue: a message TTL or a maximum length.
    Policy,
}

/// The report of a worker about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerReport {
    /// The id of the worker.
    pub id: WorkerId,
    /// The host name of its machine.
    pub host: Arc<str>,
    /// Its process id.
    pub pid: u32,
    /// The pools it serves.
    pub pools: Vec<Arc<str>>,
    /// Maximum number of tasks that it runs at the same time.
    pub slots: u32,
    /// Number of tasks that it runs now.
    pub running: u32,
    /// The task modules it has: name and signature.
    pub tasks: BTreeMap<Arc<str>, Option<Arc<str>>>,
    /// The content of these modules, as far as it is known.
    pub contents: BTreeMap<Arc<str>, Digest>,
    /// The defaults of those that have some.
    pub defaults: BTreeMap<Arc<str>, Arc<ModuleDefaults>>,
    /// The task modules it could not load: name and reason.
    pub broken: BTreeMap<Arc<str>, Arc<str>>,
    /// The kinds of tasks that it allows.
    pub allow: TaskKinds,
    /// The resource that its machine lacks. While it is set, the worker takes no tasks.
    pub shortage: Option<Arc<str>>,
    /// The issues that it holds a lease on.
    pub held: Vec<IssueId>,
    /// The other issues that it has received and not acknowledged.
    pub present: Vec<IssueId>,
    /// The newest progress of issues that it runs, where it has changed.
    pub progress: Vec<(IssueId, Json)>,
}

impl WorkerReport {
    /// Whether the worker has what a task needs. A broken module counts, because the worker reports the error.
    pub(super) fn has(&self, need: &Need) -> bool {
        match need {
            Need::Module(module) => self.tasks.contains_key(module) || self.broken.contains_key(module),
            Need::Kind(kind) => self.allow.contains(*kind),
        }
    }

    /// All that it has.
    pub(super) fn offers(&self) -> impl Iterator<Item = Need> {
        let modules = self.tasks.keys().chain(self.broken.keys()).map(|module| Need::Module(Arc::clone(module)));
        modules.chain(self.allow.iter().map(Need::Kind))
    }
}

/// Statistics of a machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Jobs that have not ended.
    pub live_jobs: u64,
    /// Tasks of live jobs, including ended tasks.
    pub live_tasks: u64,
    /// Approximate memory of live jobs in bytes: their texts, tasks and results.
    pub live_bytes: u64,
    /// Live workers.
    pub workers: u64,
    /// Issues on the broker or under a lease.
    pub in_flight: u64,
    /// Ready tasks that wait for a slot or a worker.
    pub ready: u64,
    /// Late reports of ended or returned issues, which were ignored.
    pub stale: u64,
}
