//! What goes into the machine beside jobs, and what it says to it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::job::Limits;
use crate::state::{ErrorKind, TaskError};
use crate::{IssueId, Json, TaskStatus, Unreadable};

/// The id of a worker: unique among all, new at every start of one.
pub type WorkerId = Arc<str>;

/// How the machine decides.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The start of the dispatcher: part of every issue's id.
    pub incarnation: u64,
    /// Minimum number of issues of a pool that may be on the broker.
    pub window_floor: u32,
    /// Number of issues on the broker for each slot of the pool's live workers.
    pub window_factor: u32,
    /// For short tasks: number of issues on the broker for each task of the pool that ended within the last tenth or two of a second:
    /// as many as are run while messages are on their way.
    pub window_pace: u32,
    /// Not more issues of a pool are on the broker, whatever its workers say of themselves.
    pub window_ceiling: u32,
    /// A worker that is not heard of for so long has lost what it held.
    pub lease: Duration,
    /// What leases gain when the dispatcher was cut off from the broker.
    pub lease_grace: Duration,
    /// Number of lost workers after which the task that they ran fails.
    pub crash_limit: u32,
    /// How large a value may be on its way through a job, in bytes: see [`Limits::max_value_bytes`].
    pub max_value_bytes: usize,
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
        }
    }
}

/// What became of a submit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Submitted {
    /// A new job.
    New,
    /// The same job was submitted before.
    Known,
}

/// Why a job is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// A different job has this id, or one whose tasks' ids would clash.
    #[error("the id belongs to another job, or is too near to one")]
    IdTaken,
}

/// Why a job cannot be controlled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ControlError {
    /// No job that has not ended has this id.
    #[error("no such job is live")]
    UnknownJob,
}

/// A result from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Update {
    /// `Success` or `Failed`: nothing else can be posted.
    pub status: TaskStatus,
    /// What the task yields.
    pub data: Option<Json>,
    /// Why it failed.
    pub msg: Option<Arc<str>>,
}

/// What became of a result from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Posted {
    /// The task has ended with it.
    Applied,
    /// It says what is known.
    AlreadySame,
}

/// Why a result from outside is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PostError {
    /// No task of a job that has not ended has this id.
    #[error("no such task is live")]
    UnknownTask,
    /// The task waits.
    #[error("the task has not started")]
    NotStarted,
    /// The task has ended, differently.
    #[error("the task has ended")]
    AlreadyEnded,
    /// It is larger or deeper than a value may be.
    #[error(transparent)]
    OutOfBounds(#[from] OutOfBounds),
}

/// Why a result is not taken as a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OutOfBounds {
    /// It is larger than [`Settings::max_value_bytes`].
    #[error("the result has {bytes} bytes, the limit max_value_bytes is {limit}")]
    TooLarge {
        /// How large it is.
        bytes: usize,
        /// How large it may be.
        limit: usize,
    },
    /// It is nested more than [`Json::MAX_DEPTH`] levels deep.
    #[error("the result is nested too deeply: values may be nested {} levels deep", Json::MAX_DEPTH)]
    TooDeep,
    /// Programs that read it may refuse it.
    #[error("the result cannot be written as JSON that every program reads: it has {0}")]
    Unreadable(#[from] Unreadable),
}

impl OutOfBounds {
    /// Checks what every result must hold. `limit` is its maximum size, in bytes.
    ///
    /// # Errors
    /// Where it is too large, too deep or unreadable.
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

    /// How a task fails whose result it is.
    #[must_use]
    pub const fn kind(self) -> ErrorKind {
        match self {
            Self::TooLarge { .. } => ErrorKind::ResultTooLarge,
            Self::TooDeep => ErrorKind::ValueTooDeep,
            Self::Unreadable(_) => ErrorKind::BadResult,
        }
    }
}

/// Whether a report counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It changed something.
    Applied,
    /// It is about an issue that is not the current one, or about a task that has ended.
    Stale,
    /// No task of a job that has not ended has this id.
    Unknown,
}

/// How an issue of a task ended on its worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskResult {
    /// The issue.
    pub issue: IssueId,
    /// How it ended.
    pub outcome: Outcome,
    /// What it printed.
    pub log: Option<Arc<str>>,
    /// Who ran it.
    pub worker: WorkerId,
    /// How long it took. When it began follows from that: clocks of two machines differ.
    pub took: Duration,
}

/// How a task ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It returned this.
    Success {
        /// The value.
        data: Json,
    },
    /// It was launched, returned this, and its result will come from outside.
    Launched {
        /// The value.
        data: Json,
    },
    /// It failed.
    Failed {
        /// Why, for people.
        msg: Arc<str>,
        /// Why, for programs.
        error: Option<Arc<TaskError>>,
    },
}

impl Outcome {
    /// A failure of this kind, with nothing more to say than the message.
    #[must_use]
    pub fn failed(kind: ErrorKind, msg: impl Into<Arc<str>>) -> Self {
        let error = TaskError::new(kind);
        Self::Failed { msg: msg.into(), error: Some(Arc::new(error)) }
    }
}

/// Why a worker gives an issue back without having run it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Returned {
    /// It has no such module.
    UnknownModule,
    /// It cannot run it now: its slots are held by tasks that run long, or its machine is short of processes,
    /// descriptors or memory.
    Busy,
    /// It stops.
    Draining,
}

/// How the publish of an issue ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Published {
    /// The broker has it.
    Confirmed,
    /// No queue takes it: no worker of its pool has ever been there.
    Unroutable,
    /// The broker will not take it; with its reason.
    Rejected(Arc<str>),
    /// The broker does not take it at present: its queue is full, for one.
    Refused,
}

/// Why the broker has given an issue up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeadLetter {
    /// It was delivered too often without an end.
    DeliveryLimit,
    /// A policy of the broker removed its message from the queue: a message TTL or a maximum length.
    Policy,
}

/// What a worker says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerReport {
    /// Its id.
    pub id: WorkerId,
    /// The machine it runs on.
    pub host: Arc<str>,
    /// Its process id there.
    pub pid: u32,
    /// The pools it serves.
    pub pools: Vec<Arc<str>>,
    /// How many tasks it runs at a time.
    pub slots: u32,
    /// How many it runs now.
    pub running: u32,
    /// The task modules it has: name and signature.
    pub tasks: BTreeMap<Arc<str>, Option<Arc<str>>>,
    /// The task modules it could not load: name and reason.
    pub broken: BTreeMap<Arc<str>, Arc<str>>,
    /// What its machine is short of, so that it takes no tasks for now.
    pub shortage: Option<Arc<str>>,
    /// What it holds a lease on.
    pub held: Vec<IssueId>,
    /// What it has beside, on deliveries that the broker still counts as its own.
    pub present: Vec<IssueId>,
}

impl WorkerReport {
    /// Whether it has this module, or has it as a broken one.
    pub(super) fn knows(&self, module: &str) -> bool {
        self.tasks.contains_key(module) || self.broken.contains_key(module)
    }
}

/// Figures of a machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Jobs that have not ended.
    pub live_jobs: u64,
    /// Tasks of those jobs, ended ones included.
    pub live_tasks: u64,
    /// The memory that those jobs take, about, in bytes: their texts, their tasks and the results.
    pub live_bytes: u64,
    /// Live workers.
    pub workers: u64,
    /// Issues on the broker or under a lease.
    pub in_flight: u64,
    /// Tasks that could run and wait for room or a worker.
    pub ready: u64,
    /// Reports of ended or returned issues that came too late to count.
    pub stale: u64,
}
