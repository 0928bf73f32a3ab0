//! What is read of a job before its names are looked up.

use std::borrow::Cow;

use super::model::Task;
use super::retry::RetryPolicy;
use super::value::Value;
use crate::Json;

/// A job as far as it has the right shape. What is absent here is not in the text, or is wrong there.
#[derive(Default)]
pub(super) struct JobDraft<'a> {
    pub(super) name: Option<Cow<'a, str>>,
    pub(super) key: Option<Cow<'a, str>>,
    pub(super) priority: Option<i32>,
    pub(super) retry: Option<RetryPolicy>,
    pub(super) tasks: Tasks<'a>,
    pub(super) output: Option<Value<'a>>,
    pub(super) extra: Vec<(String, Json)>,
}

/// The tasks of a job as far as each has the right shape, and in another list, as long, what is not kept of
/// them.
#[derive(Default)]
pub(super) struct Tasks<'a> {
    pub(super) tasks: Vec<Task>,
    pub(super) drafts: Vec<TaskDraft<'a>>,
}

/// What is needed of a task's text until it is linked to the others.
pub(super) struct TaskDraft<'a> {
    /// Its byte offset.
    pub(super) at: usize,
    /// Its name. It may break a rule: references to the task are looked up all the same, so that one
    /// mistake is told once. Empty where there is none.
    pub(super) name: Cow<'a, str>,
    /// The byte offset of its name, else its own.
    pub(super) name_at: usize,
    pub(super) args_at: usize,
    pub(super) kwargs_at: usize,
    pub(super) trigger_rule_at: usize,
    pub(super) depends: Option<Value<'a>>,
    pub(super) when: Option<Value<'a>>,
    pub(super) delay: Option<Value<'a>>,
}

impl TaskDraft<'_> {
    /// A task at a byte offset, of which nothing was read.
    pub(super) fn at(at: usize) -> Self {
        Self {
            at,
            name: Cow::default(),
            name_at: at,
            args_at: at,
            kwargs_at: at,
            trigger_rule_at: at,
            depends: None,
            when: None,
            delay: None,
        }
    }
}
