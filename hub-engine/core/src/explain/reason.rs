//! The reasons why tasks wait, and how they ended, as data.

use std::sync::Arc;

use serde::Serialize;

use super::counts::StatusCounts;
use crate::details::ItemCounts;
use crate::job_details::{CancelRecord, PauseRecord};
use crate::state::ErrorKind;
use crate::{JobId, TaskStatus, Timestamp};

/// The first of some, and the number of the others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Listed<T> {
    /// The first ones.
    pub first: Vec<T>,
    /// The number of the others.
    pub more: u32,
}

/// A task and its status.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TaskNow {
    /// Its name.
    pub name: Arc<str>,
    /// Its status.
    pub status: TaskStatus,
}

/// The failure of an attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// The kind of its error, if known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<ErrorKind>,
    /// The type of its exception, if known.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub type_name: Option<Arc<str>>,
    /// Its message. A long one is cut.
    pub msg: Arc<str>,
}

/// The task because of which others did not run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RootCause {
    /// Its name.
    pub task: Arc<str>,
    /// How it ended.
    pub status: TaskStatus,
    /// Its message. A long one is cut.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub msg: Option<Arc<str>>,
}

/// Why a task or a job waits, what it does, or how it ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Reason {
    /// It waits for the ends of other tasks.
    Upstream {
        /// Its trigger rule.
        rule: &'static str,
        /// The tasks that have not ended.
        open: Listed<TaskNow>,
        /// Their number by status.
        counts: StatusCounts,
        /// The number of upstream tasks that have ended.
        ended: u32,
    },
    /// It is a handler, and the lists of tasks before it have not ended.
    Handler {
        /// Its list.
        list: &'static str,
    },
    /// Its job has not started.
    JobStart {
        /// When it starts.
        #[serde(with = "crate::time::rfc3339")]
        at: Timestamp,
    },
    /// Its job is paused.
    JobPaused {
        /// The job.
        job: JobId,
        /// The pause.
        #[serde(flatten)]
        pause: PauseRecord,
    },
    /// Its job is being cancelled, or its deadline has passed.
    Stopping {
        /// The worker that has it, if it has started.
        #[serde(skip_serializing_if = "Option::is_none")]
        worker: Option<Arc<str>>,
    },
    /// The job is being cancelled, or its deadline has passed.
    Cancelling {
        /// The cancellation, if there was one.
        #[serde(flatten)]
        cancel: Option<CancelRecord>,
        /// Why it fails otherwise.
        #[serde(skip_serializing_if = "Option::is_none")]
        msg: Option<Arc<str>>,
        /// The tasks that have not ended.
        open: Listed<TaskNow>,
    },
    /// It waits for a time.
    Time {
        /// The time.
        #[serde(with = "crate::time::rfc3339::option", skip_serializing_if = "Option::is_none")]
        until: Option<Timestamp>,
    },
    /// It waits for signals.
    Signal {
        /// Their name.
        name: Arc<str>,
        /// How many it waits for.
        count: u32,
        /// How many have come.
        came: u32,
        /// When it stops waiting.
        #[serde(with = "crate::time::rfc3339::option", skip_serializing_if = "Option::is_none")]
        until: Option<Timestamp>,
    },
    /// It waits for the answer of a person.
    Approval {
        /// The question. A long one is cut.
        #[serde(skip_serializing_if = "Option::is_none")]
        question: Option<Arc<str>>,
        /// The possible answers.
        choices: Listed<Arc<str>>,
        /// When it stops waiting.
        #[serde(with = "crate::time::rfc3339::option", skip_serializing_if = "Option::is_none")]
        until: Option<Timestamp>,
    },
    /// It was launched and waits for its result from outside.
    Launched,
    /// The job that it runs has not ended.
    SubJob {
        /// That job.
        job: JobId,
    },
    /// It has a delay.
    Delay {
        /// When it ends.
        #[serde(with = "crate::time::rfc3339")]
        until: Timestamp,
    },
    /// It waits for its next attempt.
    Retry {
        /// When that begins.
        #[serde(with = "crate::time::rfc3339")]
        until: Timestamp,
        /// The number of attempts that failed.
        failures: u32,
        /// The newest failure.
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<Failure>,
    },
    /// Its last attempt has failed, and it waits for an operator.
    Held {
        /// When it fails.
        #[serde(with = "crate::time::rfc3339")]
        until: Timestamp,
        /// The number of attempts that failed.
        failures: u32,
        /// The newest failure.
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<Failure>,
    },
    /// Its task runs as many items at the same time as it may.
    Parallel {
        /// The task.
        task: Arc<str>,
        /// The maximum number of items.
        #[serde(skip_serializing_if = "Option::is_none")]
        parallel: Option<u32>,
        /// The number of items that have been let into the pool and have not ended.
        active: u32,
    },
    /// Its items run.
    Items {
        /// How many it has, and how those have ended that have.
        #[serde(flatten)]
        counts: ItemCounts,
        /// The number of items that have been let into the pool and have not ended.
        active: u32,
        /// The number of items that wait to be let in.
        waiting: u32,
        /// The maximum number of active items.
        #[serde(skip_serializing_if = "Option::is_none")]
        parallel: Option<u32>,
    },
    /// A task that computes the same result is handed out.
    EqualTask {
        /// The job of that task.
        job: JobId,
        /// Its name.
        task: Arc<str>,
        /// Its status.
        status: TaskStatus,
    },
    /// Its pool is paused.
    PoolPaused {
        /// The pool.
        pool: Arc<str>,
        /// The pause.
        #[serde(flatten)]
        pause: PauseRecord,
    },
    /// Its pool has no worker.
    NoWorker {
        /// The pool.
        pool: Arc<str>,
    },
    /// No worker of its pool has its module.
    NoModule {
        /// The pool.
        pool: Arc<str>,
        /// The module.
        module: Arc<str>,
        /// The modules that workers of the pool have.
        modules: Listed<Arc<str>>,
        /// The one with the nearest name.
        #[serde(skip_serializing_if = "Option::is_none")]
        nearest: Option<Arc<str>>,
    },
    /// No worker of its pool allows tasks of its kind.
    KindNotAllowed {
        /// The pool.
        pool: Arc<str>,
        /// The kind: the word for the key `allow` of a worker.
        allow: &'static str,
    },
    /// As many tasks of its pool are on the broker as may be, or it is not its turn yet.
    NoRoom {
        /// The pool.
        pool: Arc<str>,
        /// The number of tasks on the broker.
        on_broker: u32,
        /// The slots of the live workers of the pool.
        slots: u32,
    },
    /// A policy of the broker removed its message.
    MessageRemoved {
        /// The pool.
        pool: Arc<str>,
    },
    /// It is on the broker.
    OnBroker {
        /// The pool.
        pool: Arc<str>,
        /// Whether the broker has confirmed it.
        confirmed: bool,
        /// The number of live workers of the pool.
        workers: u32,
        /// Their slots.
        slots: u32,
    },
    /// A worker runs it.
    Running {
        /// The worker.
        worker: Arc<str>,
    },
    /// It is on its way from one gate to the next, or is about to end.
    InProgress,
    /// It has ended.
    Ended {
        /// Its message. A long one is cut.
        #[serde(skip_serializing_if = "Option::is_none")]
        msg: Option<Arc<str>>,
        /// The task because of which it did not run, or because of which the job failed.
        #[serde(skip_serializing_if = "Option::is_none")]
        root: Option<RootCause>,
        /// The tasks between the root cause and this one, the nearest first.
        #[serde(skip_serializing_if = "Option::is_none")]
        through: Option<Listed<Arc<str>>>,
    },
}

impl<T> Listed<T> {
    /// Maximum number of listed ones.
    const MAXIMUM: usize = 20;

    /// Lists the first ones, and counts the others.
    pub fn of(all: impl IntoIterator<Item = T>) -> Self {
        let mut all = all.into_iter();
        let first = all.by_ref().take(Self::MAXIMUM).collect();
        Self { first, more: u32::try_from(all.count()).unwrap_or(u32::MAX) }
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.first.is_empty()
    }
}

impl Reason {
    /// Whether both reasons are the same except for times and counts.
    pub(super) fn is_alike(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Time { .. }, Self::Time { .. }) | (Self::Delay { .. }, Self::Delay { .. }) => true,
            (Self::NoRoom { pool: one, .. }, Self::NoRoom { pool: other, .. }) => one == other,
            (Self::Retry { error: one, .. }, Self::Retry { error: other, .. })
            | (Self::Held { error: one, .. }, Self::Held { error: other, .. }) => one == other,
            (Self::Signal { name: one, .. }, Self::Signal { name: other, .. }) => one == other,
            (Self::Parallel { task: one, .. }, Self::Parallel { task: other, .. }) => one == other,
            (one, other) => one == other,
        }
    }
}
