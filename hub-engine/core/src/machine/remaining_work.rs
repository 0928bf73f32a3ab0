//! Remaining work on the tasks of a job: see [`super::sweep`].

use std::collections::VecDeque;
use std::sync::Arc;

use crate::state::TaskError;

/// Maximum number of tasks that one turn processes.
pub(super) const MAXIMUM_TASKS_PER_TURN: u32 = 10_000;

/// Remaining work on the tasks of a job.
#[derive(Debug, Default)]
pub(super) struct RemainingWork {
    /// Tasks that end without having run.
    pub(super) unrun: Vec<UnrunTask>,
    /// Unsuccessful tasks whose dependent tasks have not been processed yet.
    pub(super) unsuccessful: Vec<UnsuccessfulTask>,
    /// The unsuccessful task whose dependent tasks are being processed.
    pub(super) current: Option<UnsuccessfulTask>,
    /// Tasks that begin to wait for a time, signals or an approval.
    pub(super) waits: VecDeque<u32>,
    /// The next task to cancel.
    pub(super) cancel: Option<u32>,
}

/// A task that ends without having run.
#[derive(Debug)]
pub(super) struct UnrunTask {
    pub(super) task: u32,
    pub(super) end: UnrunEnd,
}

/// How a task ends that has not run.
#[derive(Debug)]
pub(super) enum UnrunEnd {
    /// It is skipped, with this message.
    Skipped(Arc<str>),
    /// It fails, with this message and this error.
    Failed(Arc<str>, Arc<TaskError>),
    /// It succeeds, with the data in its state.
    Success,
}

/// A task that ended without success.
#[derive(Debug)]
pub(super) struct UnsuccessfulTask {
    pub(super) task: u32,
    /// Number of dependent tasks that have been processed.
    pub(super) done: usize,
    /// The message of the tasks that end because of it. It names the task that failed first.
    pub(super) msg: Arc<str>,
}

impl RemainingWork {
    /// The next task whose dependent tasks are processed.
    pub(super) fn next_unsuccessful(&mut self) -> Option<UnsuccessfulTask> {
        self.current.take().or_else(|| self.unsuccessful.pop())
    }

    pub(super) fn is_over(&self) -> bool {
        let is_spread = self.unrun.is_empty() && self.unsuccessful.is_empty() && self.current.is_none();
        is_spread && self.waits.is_empty() && self.cancel.is_none()
    }
}
