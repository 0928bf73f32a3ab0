//! A job whose keys have been read and whose names have not been resolved.

use std::borrow::Cow;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use super::for_each::Tolerance;
use super::labels::Labels;
use super::model::Task;
use super::moment::Moment;
use super::retry::RetryPolicy;
use super::run::RunForm;
use super::schedule_rules::{CatchUp, Overlap};
use super::timeouts::Timeouts;
use super::value::Value;
use super::wait::OnTimeout;
use crate::definition::Reference;
use crate::{Json, Timestamp};

/// The valid parts of a job. A field is empty if its key is missing or invalid.
#[derive(Default)]
pub(super) struct JobDraft<'a> {
    pub(super) name: Option<Cow<'a, str>>,
    pub(super) key: Option<Cow<'a, str>>,
    pub(super) priority: Option<i32>,
    pub(super) retry: Option<Box<RetryPolicy>>,
    pub(super) timeouts: Option<Box<Timeouts>>,
    pub(super) start_at: Option<Moment>,
    pub(super) deadline: Option<Moment>,
    pub(super) deadline_at: Option<usize>,
    pub(super) tasks: Tasks<'a>,
    pub(super) on_failure: Tasks<'a>,
    pub(super) finally: Tasks<'a>,
    pub(super) handler_deadline: Option<Duration>,
    pub(super) labels: Labels,
    /// The inputs, and their byte offset.
    pub(super) inputs: Option<(Json, usize)>,
    pub(super) input_schema: Option<Json>,
    pub(super) output: Option<Value<'a>>,
    pub(super) extra: Vec<(String, Json)>,
}

/// The valid parts of the start of a definition.
#[derive(Default)]
pub(super) struct StartDraft<'a> {
    /// The definition, and the byte offset of the reference.
    pub(super) definition: Option<(Reference, usize)>,
    pub(super) inputs: Option<Json>,
    pub(super) labels: Labels,
    pub(super) key: Option<Cow<'a, str>>,
    pub(super) priority: Option<i32>,
    pub(super) start_at: Option<Moment>,
    pub(super) deadline: Option<Moment>,
    pub(super) deadline_at: Option<usize>,
    pub(super) extra: Vec<(String, Json)>,
}

/// The valid parts of a schedule.
#[derive(Default)]
pub(super) struct ScheduleDraft<'a> {
    /// The byte offset of the schedule.
    pub(super) at: usize,
    pub(super) name: Option<Cow<'a, str>>,
    /// The job, and its byte offset.
    pub(super) job: Option<(ScheduledJob, usize)>,
    pub(super) inputs: Option<(Json, usize)>,
    pub(super) cron: Vec<(Cow<'a, str>, usize)>,
    /// Whether it says when, in a readable way or not.
    pub(super) has_times: bool,
    pub(super) has_cron_list: bool,
    pub(super) every: Option<(Duration, usize)>,
    pub(super) anchor: Option<(Timestamp, usize)>,
    pub(super) timezone: Option<(Cow<'a, str>, usize)>,
    pub(super) start: Option<Timestamp>,
    pub(super) end: Option<Timestamp>,
    pub(super) end_at: usize,
    pub(super) jitter: Option<Duration>,
    pub(super) overlap: Option<Overlap>,
    pub(super) catch_up: Option<CatchUp>,
    pub(super) catch_up_window: Option<Duration>,
    pub(super) pause_on_failure: Option<u32>,
    pub(super) paused: Option<bool>,
    pub(super) labels: Labels,
    pub(super) extra: Vec<(String, Json)>,
}

/// The job of a schedule.
pub(super) enum ScheduledJob {
    Definition(Reference),
    Inline(Json),
}

/// The valid parts of the tasks, and a second list of the same length with the data that is needed only until the tasks
/// are linked.
#[derive(Default)]
pub(super) struct Tasks<'a> {
    pub(super) tasks: Vec<Task>,
    pub(super) drafts: Vec<TaskDraft<'a>>,
}

impl Tasks<'_> {
    /// Adds the tasks of another list behind these.
    pub(super) fn append(&mut self, mut other: Self) {
        self.tasks.append(&mut other.tasks);
        self.drafts.append(&mut other.drafts);
    }
}

/// What linking needs from the text of a task. There may be millions, so what few tasks have is stored separately.
pub(super) struct TaskDraft<'a> {
    /// The byte offset of the task.
    pub(super) at: usize,
    /// The name of the task, empty if it has none. An invalid name is kept, so that references to the task resolve and
    /// the mistake is reported once.
    pub(super) name: Cow<'a, str>,
    /// The byte offset of the name. Without a name, the byte offset of the task.
    pub(super) name_at: usize,
    pub(super) task_name_at: usize,
    pub(super) args_at: usize,
    pub(super) depends: Option<Value<'a>>,
    pub(super) rare: Option<Box<RareDraft<'a>>>,
}

/// What linking needs from the text of a task with special options.
#[derive(Default)]
pub(super) struct RareDraft<'a> {
    pub(super) kwargs_at: usize,
    pub(super) trigger_rule_at: usize,
    pub(super) when: Option<Value<'a>>,
    pub(super) delay: Option<Value<'a>>,
    pub(super) for_each: Option<ForEachDraft<'a>>,
    /// The keys of a task without a module, with their values, in the order of the text.
    pub(super) run: Vec<(&'static str, Value<'a>)>,
    pub(super) recover: Option<RecoverDraft<'a>>,
    pub(super) wait: Option<WaitDraft<'a>>,
    /// The job that the task runs, and its options.
    pub(super) job: Option<Value<'a>>,
    pub(super) inputs: Option<Value<'a>>,
    pub(super) detached: Option<Value<'a>>,
    pub(super) cache: Option<CacheDraft<'a>>,
}

/// The valid parts of `for_each`.
pub(super) struct ForEachDraft<'a> {
    pub(super) source: Option<Value<'a>>,
    /// Whether there is nothing but the source, without the key `in`.
    pub(super) is_short: bool,
    pub(super) when: Option<Value<'a>>,
    pub(super) parallel: Option<u32>,
    pub(super) tolerated: Tolerance,
    pub(super) fail_fast: bool,
    pub(super) batch: u32,
}

impl<'a> ForEachDraft<'a> {
    /// The draft with what is iterated over, if that is known, and the default of every other key.
    pub(super) const fn of(source: Option<Value<'a>>) -> Self {
        Self {
            source,
            is_short: source.is_some(),
            when: None,
            parallel: None,
            tolerated: Tolerance::Count(0),
            fail_fast: false,
            batch: 1,
        }
    }
}

/// A wait whose templates were not searched for references.
pub(super) struct WaitDraft<'a> {
    pub(super) awaited: AwaitedDraft<'a>,
    pub(super) timeout: Option<Duration>,
    pub(super) on_timeout: OnTimeout,
}

/// What a task waits for.
pub(super) enum AwaitedDraft<'a> {
    Until(Value<'a>),
    Signal { name: Arc<str>, count: u32 },
    Approval(ApprovalDraft<'a>),
}

/// A question whose message was not searched for references.
pub(super) struct ApprovalDraft<'a> {
    pub(super) message: Option<Value<'a>>,
    pub(super) choices: Vec<Arc<str>>,
    pub(super) fail_on: Vec<Arc<str>>,
}

/// A recovery whose fallback was not searched for references.
#[derive(Default)]
pub(super) struct RecoverDraft<'a> {
    pub(super) fallback: Option<Value<'a>>,
    pub(super) matches: Vec<Arc<str>>,
}

/// A cache whose key was not searched for references.
#[derive(Default)]
pub(super) struct CacheDraft<'a> {
    /// Its byte offset.
    pub(super) at: usize,
    pub(super) ttl: Option<Duration>,
    pub(super) key: Option<Value<'a>>,
    pub(super) version: Option<Json>,
    pub(super) refresh: bool,
}

impl<'a> TaskDraft<'a> {
    /// Creates the draft of the task at a byte offset, before its keys are read.
    pub(super) fn at(at: usize) -> Self {
        Self { at, name: Cow::default(), name_at: at, task_name_at: at, args_at: at, depends: None, rare: None }
    }

    /// What few tasks have.
    pub(super) fn rare(&self) -> &RareDraft<'a> {
        static NONE: LazyLock<RareDraft<'static>> = LazyLock::new(RareDraft::default);
        self.rare.as_deref().unwrap_or(&NONE)
    }

    /// What few tasks have, for writing.
    pub(super) fn rare_mut(&mut self) -> &mut RareDraft<'a> {
        self.rare.get_or_insert_default()
    }

    /// The form of what the task runs, and its position among the keys. `None` if it runs a module.
    pub(super) fn form(&self) -> Option<(RunForm, usize)> {
        let of = |key: &str| RunForm::ALL.into_iter().find(|form| form.as_str() == key);
        self.rare().run.iter().enumerate().find_map(|(at, (key, _))| Some((of(key)?, at)))
    }
}
