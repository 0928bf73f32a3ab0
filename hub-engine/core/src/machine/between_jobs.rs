//! What jobs cause in other jobs: see [`super::sub_jobs`].

use std::collections::VecDeque;
use std::sync::Arc;

use super::control::{Cancel, Remark};
use crate::{JobId, JobStatus, Json, TaskId};

/// What jobs cause in other jobs, until it is done: in the same turn, but for tasks whose sub-jobs begin in a later one.
#[derive(Debug, Default)]
pub(super) struct BetweenJobs {
    /// Tasks whose sub-jobs begin.
    pub(super) beginning: VecDeque<(JobId, u32)>,
    /// Sub-jobs that have ended.
    pub(super) ended: Vec<EndedChild>,
    /// What is passed to sub-jobs.
    pub(super) orders: Vec<(JobId, Order)>,
    /// Whether a sub-job was added since this was last asked.
    pub(super) has_begun: bool,
}

/// What is passed to a sub-job.
#[derive(Clone, Debug)]
pub(super) enum Order {
    /// It is cancelled.
    Cancel(Cancel),
    /// It is paused with the job that it is a part of.
    Pause(Remark),
    /// This pause is over.
    Resume,
    /// The priority of its task.
    Priority(i32),
}

/// A sub-job that has ended, for its task.
#[derive(Debug)]
pub(super) struct EndedChild {
    pub(super) id: JobId,
    pub(super) task: TaskId,
    pub(super) status: JobStatus,
    pub(super) output: Option<Json>,
    pub(super) msg: Option<Arc<str>>,
}

/// The sub-jobs of a job that is none, of all levels.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Descendants {
    pub(super) jobs: u32,
    pub(super) tasks: u64,
    /// The size of their inputs together.
    pub(super) bytes: u64,
}

impl BetweenJobs {
    pub(super) fn is_idle(&self) -> bool {
        self.beginning.is_empty() && self.ended.is_empty() && self.orders.is_empty()
    }

    /// A task that runs a job is ready.
    pub(super) fn begin(&mut self, id: JobId, index: u32) {
        self.beginning.push_back((id, index));
    }
}
