//! What is still to be done about tasks of a job: see [`super::sweep`].

use std::sync::Arc;

use crate::state::TaskError;

/// Maximum number of tasks that one turn looks at.
pub(super) const TASKS: u32 = 10_000;

/// What is still to be done about tasks of a job.
#[derive(Debug, Default)]
pub(super) struct Remainder {
    /// Tasks that are to end without having run.
    pub(super) shut: Vec<Shut>,
    /// Tasks that did not succeed. What depends on them was not looked at yet.
    pub(super) behind: Vec<Behind>,
    /// The one that is being worked on.
    pub(super) current: Option<Behind>,
    /// The next task to cancel.
    pub(super) cancel: Option<u32>,
}

/// A task one of whose gates is shut: it is skipped, or it fails with the error.
#[derive(Debug)]
pub(super) struct Shut {
    pub(super) task: u32,
    pub(super) msg: Arc<str>,
    pub(super) error: Option<Arc<TaskError>>,
}

/// A task that did not succeed.
#[derive(Debug)]
pub(super) struct Behind {
    pub(super) task: u32,
    /// How many of those that depend on it were looked at.
    pub(super) done: usize,
    /// The message of those that end with it. It names the task that all this began with.
    pub(super) msg: Arc<str>,
}

impl Remainder {
    pub(super) fn is_over(&self) -> bool {
        self.shut.is_empty() && self.behind.is_empty() && self.current.is_none() && self.cancel.is_none()
    }
}
