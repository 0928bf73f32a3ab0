//! A checked job.

use std::sync::Arc;

use super::places::Places;
use super::template::Template;
use crate::Json;

/// The pool of tasks that name none.
pub const DEFAULT_POOL: &str = "default";

/// A job that is sound: its names are unique, its references resolve, its tasks can be put in order.
#[derive(Debug)]
pub struct Job {
    pub(super) source: Arc<str>,
    pub(super) name: String,
    pub(super) key: Option<String>,
    pub(super) priority: Option<i32>,
    pub(super) tasks: Vec<Task>,
    pub(super) output: Option<Template>,
    /// The places in values that its templates refer to.
    pub(super) places: Places,
    pub(super) extra: Vec<(String, Json)>,
}

/// A task of a checked job.
#[derive(Debug)]
pub struct Task {
    pub(super) name: Arc<str>,
    pub(super) task_name: Option<Arc<str>>,
    pub(super) args: Option<Template>,
    /// Apart, since few tasks have any.
    pub(super) kwargs: Option<Box<Template>>,
    pub(super) depends: Option<Box<[u32]>>,
    pub(super) upstream: Box<[u32]>,
    pub(super) pool: Arc<str>,
    pub(super) priority: Option<i32>,
    pub(super) effective_priority: i32,
    pub(super) extra: Box<[(String, Json)]>,
}

impl Job {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The text that was submitted, unchanged.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// What makes a submit repeatable: a second job with this key and the same text is the first one.
    #[must_use]
    pub fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }

    /// The priority of tasks that name none, if the job names one. Higher goes first.
    #[must_use]
    pub const fn priority(&self) -> Option<i32> {
        self.priority
    }

    /// Its tasks, in the order of the text.
    #[must_use]
    pub fn tasks(&self) -> &[Task] {
        &self.tasks
    }

    /// The specification of the task at `position`. This is the only place that knows which position has which.
    ///
    /// # Panics
    /// Where the job has no such position.
    #[must_use]
    pub fn spec(&self, position: u32) -> &Task {
        &self.tasks[position as usize]
    }

    /// What it puts out when it has succeeded.
    #[must_use]
    pub const fn output(&self) -> Option<&Template> {
        self.output.as_ref()
    }

    /// The user's own keys: `meta`, and those that begin with `x-`.
    #[must_use]
    pub fn extra(&self) -> &[(String, Json)] {
        &self.extra
    }
}

impl Task {
    /// A task of which only the pool is known.
    pub(super) fn new(pool: Arc<str>) -> Self {
        Self {
            name: Arc::default(),
            task_name: None,
            args: None,
            kwargs: None,
            depends: None,
            upstream: Box::default(),
            pool,
            priority: None,
            effective_priority: 0,
            extra: Box::default(),
        }
    }

    /// Its name, unique in the job.
    #[must_use]
    pub const fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// The task module, as far as the job names one.
    #[must_use]
    pub const fn task_name(&self) -> Option<&Arc<str>> {
        self.task_name.as_ref()
    }

    /// The task module that runs it.
    #[must_use]
    pub fn module(&self) -> &Arc<str> {
        self.task_name.as_ref().unwrap_or(&self.name)
    }

    /// Positional arguments, a JSON array, where the job gives any.
    #[must_use]
    pub const fn args(&self) -> Option<&Template> {
        self.args.as_ref()
    }

    /// Named arguments, a JSON object, where the job gives any.
    #[must_use]
    pub fn kwargs(&self) -> Option<&Template> {
        self.kwargs.as_deref()
    }

    /// The tasks that `depends` names, in its order, where the job has it.
    #[must_use]
    pub fn depends(&self) -> Option<&[u32]> {
        self.depends.as_deref()
    }

    /// Every task that must have succeeded first: those that `depends` names and those whose end the
    /// arguments refer to. Sorted, each once.
    #[must_use]
    pub fn upstream(&self) -> &[u32] {
        &self.upstream
    }

    /// The pool whose workers may run it.
    #[must_use]
    pub const fn pool(&self) -> &Arc<str> {
        &self.pool
    }

    /// Its priority as the job gives it for this task.
    #[must_use]
    pub const fn own_priority(&self) -> Option<i32> {
        self.priority
    }

    /// Its priority: its own, else the job's, else 0. Higher goes first.
    #[must_use]
    pub const fn priority(&self) -> i32 {
        self.effective_priority
    }

    /// The user's own keys: `meta`, and those that begin with `x-`.
    #[must_use]
    pub fn extra(&self) -> &[(String, Json)] {
        &self.extra
    }
}
