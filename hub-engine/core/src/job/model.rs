//! A checked job.

use std::sync::{Arc, LazyLock};

use super::cache::Cache;
use super::condition::Condition;
use super::delay::Delay;
use super::for_each::ForEach;
use super::labels::Labels;
use super::moment::Moment;
use super::options::JobOptions;
use super::phase::Lists;
use super::recover::Recover;
use super::reference::Reference;
use super::retry::RetryPolicy;
use super::run::{Need, Run};
use super::secret::Secret;
use super::template::Template;
use super::timeouts::Timeouts;
use super::trigger_rule::TriggerRule;
use super::wait::Wait;
use crate::{Json, definition};

/// The pool of tasks without the key `pool`.
pub const DEFAULT_POOL: &str = "default";

/// A valid job: its names are unique, its references are resolved, and its dependencies have no cycle. Clones share their tasks.
#[derive(Clone, Debug)]
pub struct Job {
    pub(super) source: Arc<str>,
    pub(super) name: Arc<str>,
    pub(super) priority: Option<i32>,
    /// The tasks, and behind them the handlers.
    pub(super) tasks: Arc<Vec<Task>>,
    pub(super) lists: Lists,
    /// Whether a handler refers to how the tasks ended.
    pub(super) reads_failure: bool,
    pub(super) output: Option<Template>,
    /// The number of jobs that are nested in it, one in the other.
    pub(super) levels: u32,
    pub(super) rare: Option<Box<JobOptions>>,
}

/// A task of a checked job. There may be millions, so options that few tasks set are stored separately.
#[derive(Debug, Default)]
pub struct Task {
    pub(super) name: Arc<str>,
    pub(super) task_name: Option<Arc<str>>,
    pub(super) args: Option<Template>,
    pub(super) kwargs: Option<Box<Template>>,
    pub(super) depends: Option<Box<[u32]>>,
    pub(super) upstream: Box<[u32]>,
    /// Neighbours with equal options share them.
    rare: Option<Arc<Rare>>,
}

/// The job that a task runs, and what it passes to it. The sub-job knows nothing else of the job that it belongs to.
#[derive(Debug)]
pub struct SubJob {
    pub(super) job: Arc<Job>,
    /// The definition that it was named by.
    pub(super) reference: Option<definition::Reference>,
    pub(super) inputs: Option<Template>,
    pub(super) is_detached: bool,
}

/// An item of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ItemPlace {
    /// The position of the task.
    pub task: u32,
    /// The number of the item, from 0.
    pub item: u32,
}

/// Number of positions for the items of a task. It must never change, because ids follow from it.
const ITEM_POSITIONS: u32 = 131_072;

/// Options that few tasks set.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Rare {
    /// `None` for [`DEFAULT_POOL`].
    pub(super) pool: Option<Arc<str>>,
    pub(super) priority: Option<i32>,
    pub(super) retry: Option<Box<RetryPolicy>>,
    pub(super) timeouts: Option<Box<Timeouts>>,
    pub(super) trigger_rule: TriggerRule,
    pub(super) when: Option<Box<Condition>>,
    pub(super) delay: Option<Delay>,
    pub(super) for_each: Option<Box<ForEach>>,
    pub(super) run: Option<Box<Run>>,
    pub(super) secrets: Option<Arc<[Secret]>>,
    pub(super) recover: Option<Box<Recover>>,
    pub(super) wait: Option<Box<Wait>>,
    pub(super) sub_job: Option<Box<SubJob>>,
    pub(super) cache: Option<Box<Cache>>,
    pub(super) extra: Vec<(String, Json)>,
}

/// The shared name of the default pool.
static SHARED_DEFAULT_POOL: LazyLock<Arc<str>> = LazyLock::new(|| DEFAULT_POOL.into());

impl Job {
    /// What only some jobs have.
    pub(super) fn options(&self) -> &JobOptions {
        self.rare.as_deref().unwrap_or_else(|| JobOptions::none())
    }

    /// The name of the job.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its name, to be shared.
    pub(crate) const fn shared_name(&self) -> &Arc<str> {
        &self.name
    }

    /// The text that was submitted, unchanged.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Its text, to be shared.
    #[must_use]
    pub const fn shared_source(&self) -> &Arc<str> {
        &self.source
    }

    /// The key that makes the submission idempotent: a second submission with this key and the same text returns the
    /// first job.
    #[must_use]
    pub fn key(&self) -> Option<&str> {
        self.options().key.as_deref()
    }

    /// Its own labels, by name.
    #[must_use]
    pub fn labels(&self) -> &Arc<Labels> {
        &self.options().labels
    }

    /// The priority of tasks without a priority, if the job has the key. Higher priorities run first.
    #[must_use]
    pub const fn priority(&self) -> Option<i32> {
        self.priority
    }

    /// The retry policy of tasks that have none.
    #[must_use]
    pub fn retry(&self) -> Option<&RetryPolicy> {
        self.rare.as_ref()?.retry.as_deref()
    }

    /// When the job starts, if not at its submission.
    #[must_use]
    pub fn start_at(&self) -> Option<Moment> {
        self.options().start_at
    }

    /// When the job fails if it has not ended.
    #[must_use]
    pub fn deadline(&self) -> Option<Moment> {
        self.options().deadline
    }

    /// The tasks in the order of the text, then the handlers: those of `on_failure`, then those of `finally`.
    #[must_use]
    pub fn tasks(&self) -> &[Task] {
        &self.tasks
    }

    /// The specification of the task at `position`; of an item, the task that it belongs to.
    ///
    /// # Panics
    /// If the job has no task at this position.
    #[must_use]
    pub fn spec(&self, position: u32) -> &Task {
        if let Some(task) = self.tasks.get(position as usize) {
            return task;
        }
        let item = self.item(position).unwrap_or_else(|| panic!("no task has the position {position}"));
        &self.tasks[item.task as usize]
    }

    /// The item at `position`, which is no task of the text. The items of the first task with `for_each` follow the tasks of the
    /// text, those of the second one follow 131,072 positions later, and so on.
    #[must_use]
    pub fn item(&self, position: u32) -> Option<ItemPlace> {
        let beyond = position.checked_sub(self.tasks.len() as u32)?;
        let task = *self.options().for_each.get((beyond / ITEM_POSITIONS) as usize)?;
        Some(ItemPlace { task, item: beyond % ITEM_POSITIONS })
    }

    /// The position of the first item of the task at `task`, if it has `for_each`.
    #[must_use]
    pub fn first_item(&self, task: u32) -> Option<u32> {
        let at = self.options().for_each.binary_search(&task).ok()?;
        Some(self.tasks.len() as u32 + at as u32 * ITEM_POSITIONS)
    }

    /// Whether a task has `for_each`.
    #[must_use]
    pub fn has_items(&self) -> bool {
        !self.options().for_each.is_empty()
    }

    /// Whether a task runs a job.
    #[must_use]
    pub const fn has_sub_jobs(&self) -> bool {
        self.levels > 0
    }

    /// The name of the task at `position`; of an item, with its number: `parse[3]`.
    #[must_use]
    pub fn name_of(&self, position: u32) -> Arc<str> {
        let name = self.spec(position).name();
        match self.item(position) {
            Some(ItemPlace { item, .. }) => format!("{name}[{item}]").into(),
            None => Arc::clone(name),
        }
    }

    /// The retry policy of the task at `position`: its own, or the one of the job.
    #[must_use]
    pub fn retry_policy(&self, position: u32) -> Option<&RetryPolicy> {
        self.spec(position).retry().or_else(|| self.retry())
    }

    /// The time limits of the task at `position`: its own, or those of the job. A wait has none, since it runs no module.
    #[must_use]
    pub fn timeouts(&self, position: u32) -> Option<&Timeouts> {
        let spec = self.spec(position);
        let own = spec.rare.as_ref().and_then(|rare| rare.timeouts.as_deref());
        own.or_else(|| self.rare.as_ref()?.timeouts.as_deref()).filter(|_| spec.wait().is_none())
    }

    /// The output of the job after it has succeeded.
    #[must_use]
    pub const fn output(&self) -> Option<&Template> {
        self.output.as_ref()
    }

    /// Keys that records repeat as they were submitted: the user's own (`meta`, `x-…`) and options.
    #[must_use]
    pub fn extra(&self) -> &[(String, Json)] {
        &self.options().extra
    }
}

impl Task {
    /// The rare options, for writing. They are allocated at the first call.
    ///
    /// # Panics
    /// If the options are shared, which is a bug.
    pub(super) fn rare_mut(&mut self) -> &mut Rare {
        Arc::get_mut(self.rare.get_or_insert_default()).expect("options are shared when all are read")
    }

    /// Lets each task share its rare options with the task before it, if they are equal: often all tasks have the same pool or
    /// the same time limits.
    pub(super) fn share_options(tasks: &mut [Self]) {
        let mut before: Option<Arc<Rare>> = None;
        for task in tasks {
            if task.rare.is_some() && task.rare == before {
                task.rare.clone_from(&before);
            }
            before.clone_from(&task.rare);
        }
    }

    /// The name of the task, unique in the job.
    #[must_use]
    pub const fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// The key `task_name`, if the job has it.
    #[must_use]
    pub const fn task_name(&self) -> Option<&Arc<str>> {
        self.task_name.as_ref()
    }

    /// The task module that runs the task. Of a task without a module, the key that says what it runs.
    #[must_use]
    pub fn module(&self) -> &Arc<str> {
        match self.run() {
            Some(run) => run.form().shared_name(),
            None => self.task_name.as_ref().unwrap_or(&self.name),
        }
    }

    /// What it runs instead of a module.
    #[must_use]
    pub fn run(&self) -> Option<&Run> {
        self.rare.as_ref()?.run.as_deref()
    }

    /// The secrets that the worker puts into its arguments.
    #[must_use]
    pub fn secrets(&self) -> Option<&Arc<[Secret]>> {
        self.rare.as_ref()?.secrets.as_ref()
    }

    /// What it needs of the worker that runs it.
    #[must_use]
    pub fn need(&self) -> Need {
        match self.run() {
            Some(run) => Need::Kind(run.form().kind()),
            None => Need::Module(Arc::clone(self.module())),
        }
    }

    /// The positional arguments, a JSON array, if present.
    #[must_use]
    pub const fn args(&self) -> Option<&Template> {
        self.args.as_ref()
    }

    /// The keyword arguments, a JSON object, if present.
    #[must_use]
    pub fn kwargs(&self) -> Option<&Template> {
        self.kwargs.as_deref()
    }

    /// The tasks in `depends`, in the order of the list, if present.
    #[must_use]
    pub fn depends(&self) -> Option<&[u32]> {
        self.depends.as_deref()
    }

    /// All dependencies: the tasks in `depends` and the tasks whose end the arguments refer to. Sorted, without
    /// duplicates.
    #[must_use]
    pub fn upstream(&self) -> &[u32] {
        &self.upstream
    }

    /// The pool whose workers may run the task.
    #[must_use]
    pub fn pool(&self) -> &Arc<str> {
        let own = self.rare.as_ref().and_then(|rare| rare.pool.as_ref());
        own.unwrap_or_else(|| &SHARED_DEFAULT_POOL)
    }

    /// The task's own key `priority`, if present.
    #[must_use]
    pub fn own_priority(&self) -> Option<i32> {
        self.rare.as_ref()?.priority
    }

    /// When it runs, by how its upstream tasks end.
    #[must_use]
    pub fn trigger_rule(&self) -> TriggerRule {
        self.rare.as_ref().map_or(TriggerRule::AllSuccess, |rare| rare.trigger_rule)
    }

    /// The condition under which it runs.
    #[must_use]
    pub fn when(&self) -> Option<&Condition> {
        self.rare.as_ref()?.when.as_deref()
    }

    /// How long it waits when it could run.
    #[must_use]
    pub fn delay(&self) -> Option<&Delay> {
        self.rare.as_ref()?.delay.as_ref()
    }

    /// The items that it runs for.
    #[must_use]
    pub fn for_each(&self) -> Option<&ForEach> {
        self.rare.as_ref()?.for_each.as_deref()
    }

    /// What it waits for. Such a task runs no module.
    #[must_use]
    pub fn wait(&self) -> Option<&Wait> {
        self.rare.as_ref()?.wait.as_deref()
    }

    /// The job that it runs. Such a task runs no module.
    #[must_use]
    pub fn sub_job(&self) -> Option<&SubJob> {
        self.rare.as_ref()?.sub_job.as_deref()
    }

    /// Whether a worker runs it. Otherwise it waits, or runs a job.
    #[must_use]
    pub fn is_for_worker(&self) -> bool {
        self.wait().is_none() && self.sub_job().is_none()
    }

    /// How its results are kept.
    #[must_use]
    pub fn cache(&self) -> Option<&Cache> {
        self.rare.as_ref()?.cache.as_deref()
    }

    /// Whether its results are the same only as long as the content of its module is the same.
    #[must_use]
    pub fn keeps_by_module(&self) -> bool {
        let runs_module = self.run().is_none() && self.is_for_worker();
        runs_module && self.cache().is_some_and(|cache| cache.key.is_none())
    }

    /// Whether there is more to do with it, between the end of its upstream tasks and its pool, than to hand it out.
    #[must_use]
    pub fn has_gates(&self) -> bool {
        self.rare.as_ref().is_some_and(|rare| {
            rare.when.is_some()
                || rare.delay.is_some()
                || rare.for_each.is_some()
                || rare.wait.is_some()
                || rare.trigger_rule.has_first()
        })
    }

    /// What replaces its result after it has failed.
    #[must_use]
    pub fn recover(&self) -> Option<&Recover> {
        self.rare.as_ref()?.recover.as_deref()
    }

    /// The references in its options, `args` and `kwargs` excluded.
    pub(super) fn references_of_options(&self) -> Vec<&Reference> {
        let delay = match self.delay() {
            Some(Delay::Of(template)) => Some(template),
            _ => None,
        };
        let fallback = self.recover().map(|recover| &recover.fallback);
        let items = self.for_each().map(ForEach::source);
        let waits = self.wait().into_iter().flat_map(Wait::templates);
        let run = self.run().into_iter().flat_map(Run::parts).map(|(_, template)| template);
        let inputs = self.sub_job().and_then(|sub_job| sub_job.inputs.as_ref());
        let cache = self.cache().and_then(|cache| cache.key.as_ref());
        let templates = [delay, fallback, items, inputs, cache].into_iter().flatten().chain(waits).chain(run);
        let when = [self.when(), self.for_each().and_then(ForEach::when)].into_iter().flatten();
        when.flat_map(Condition::references).chain(templates.flat_map(Template::references)).collect()
    }

    /// Its own retry policy.
    #[must_use]
    pub fn retry(&self) -> Option<&RetryPolicy> {
        self.rare.as_ref()?.retry.as_deref()
    }

    /// Keys that records repeat as they were submitted: the user's own (`meta`, `x-…`) and options.
    #[must_use]
    pub fn extra(&self) -> &[(String, Json)] {
        self.rare.as_ref().map_or(&[], |rare| &rare.extra)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_task_does_not_allocate_rare_options() {
        assert!(size_of::<Task>() <= 120, "{} bytes: put options that few tasks set into Rare", size_of::<Task>());
    }

    #[test]
    fn the_default_pool_is_not_stored() {
        let text = r#"{"name": "j", "tasks": [{"name": "a"}, {"name": "b", "pool": "default"}, {"name": "c", "pool": "gpu"}]}"#;
        let job = Job::parse(text, &crate::job::Limits::default()).unwrap();
        let pools: Vec<&str> = job.tasks().iter().map(|task| &**task.pool()).collect();
        assert_eq!(pools, ["default", "default", "gpu"]);
        assert_eq!(job.tasks().iter().map(|task| task.rare.is_some()).collect::<Vec<_>>(), [false, false, true]);
    }

    #[test]
    fn neighbours_share_equal_options() {
        let options = [
            r#""pool": "gpu", "timeout": {"start_to_close": "1h"}, "meta": {"a": [1]}"#,
            r#""timeout": {"start_to_close": "1h"}, "pool": "gpu", "meta": {"a": [1]}"#,
            r#""pool": "gpu", "timeout": {"start_to_close": "2h"}, "meta": {"a": [1]}"#,
            r#""meta": {"a": 1}"#,
            r#""meta": {"a": 2}"#,
            r#""job": {"name": "s", "tasks": [{"name": "a"}]}"#,
            r#""job": {"name": "s", "tasks": [{"name": "a"}]}"#,
            r#""job": {"name": "s", "tasks": [{"name": "b"}]}"#,
            r#""job": {"name": "s", "tasks": [{"name": "b"}]}, "inputs": {}"#,
            r#""priority": 0"#,
            r#""x-a": 0"#,
        ];
        let tasks = options.iter().zip(0..).map(|(options, at)| format!(r#"{{"name": "t{at}", {options}}}"#));
        let text = format!(r#"{{"name": "j", "tasks": [{}]}}"#, tasks.collect::<Vec<_>>().join(","));
        let job = Job::parse(&text, &crate::job::Limits::default()).unwrap();
        let shares = |pair: &[Task]| Arc::ptr_eq(pair[0].rare.as_ref().unwrap(), pair[1].rare.as_ref().unwrap());
        let shared: Vec<bool> = job.tasks().windows(2).map(shares).collect();
        assert_eq!(shared, [true, false, false, false, false, true, false, false, false, false]);
        assert!(job.rare.is_none(), "no task has what only some jobs have");
    }
}
