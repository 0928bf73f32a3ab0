//! The shape of a job: its keys and their types, names not looked up yet.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;

use super::Limits;
use super::model::{DEFAULT_POOL, Task};
use super::path::Path;
use super::problem::ProblemCode;
use super::reader::{Property, Reader};
use super::rules;
use super::template::Template;
use super::value::Value;
use super::vocabulary::{self, is_own};
use crate::Json;

/// A job as far as it has the right shape. What is absent here is not in the text, or is wrong there.
pub(super) struct JobDraft<'a> {
    pub(super) name: Option<Cow<'a, str>>,
    pub(super) key: Option<Cow<'a, str>>,
    pub(super) priority: Option<i32>,
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
    pub(super) depends: Option<Value<'a>>,
}

/// Reads the shape of a job. `None` where it is no object at all.
pub(super) fn read<'a>(reader: &mut Reader, value: Value<'a>, limits: &Limits) -> Option<JobDraft<'a>> {
    let root = Path::Root;
    let object = reader.object(value, root, "a job")?;
    let keys = reader.keys(object, root, &vocabulary::JOB);
    let mut job =
        JobDraft { name: None, key: None, priority: None, tasks: Tasks::default(), output: None, extra: Vec::new() };
    let (mut has_name, mut has_tasks) = (false, false);
    for Property { key, value, .. } in keys {
        let here = root.key(&key);
        match &*key {
            "name" => {
                has_name = true;
                job.name = read_name(reader, value, here, "a job's name");
            }
            "tasks" => {
                has_tasks = true;
                job.tasks = read_tasks(reader, value, here, limits);
            }
            "output" => job.output = Some(value),
            "key" => job.key = read_name(reader, value, here, "a job's key"),
            "priority" => job.priority = read_priority(reader, value, here),
            own => job.extra.extend(read_own(reader, own, value, here)),
        }
    }
    if !has_name {
        reader.report.add(ProblemCode::MissingKey, root, value.at, "the job has no \"name\"", None);
    }
    if !has_tasks {
        reader.report.add(ProblemCode::NoTasks, root, value.at, "the job has no \"tasks\"", None);
    }
    Some(job)
}

fn read_tasks<'a>(reader: &mut Reader, value: Value<'a>, path: Path<'_>, limits: &Limits) -> Tasks<'a> {
    let Some(list) = reader.list(value, path, "\"tasks\"") else { return Tasks::default() };
    let tasks: Vec<Value<'a>> = list.elements().collect();
    if tasks.is_empty() {
        reader.report.add(ProblemCode::NoTasks, path, value.at, "the job has no tasks", None);
    }
    // Positions are kept in 32 bits.
    let most = limits.max_tasks.min(u32::MAX as usize / 2);
    if tasks.len() > most {
        let message = format!("the job has {} tasks, the limit max_tasks is {most}", tasks.len());
        reader.report.add(ProblemCode::LimitExceeded, path, value.at, message, None);
        return Tasks::default();
    }
    let mut shared = Shared::default();
    let mut read = Tasks { tasks: Vec::with_capacity(tasks.len()), drafts: Vec::with_capacity(tasks.len()) };
    for (index, value) in tasks.into_iter().enumerate() {
        let (task, draft) = read_task(reader, &mut shared, value, path.index(index));
        read.tasks.push(task);
        read.drafts.push(draft);
    }
    read
}

fn read_task<'a>(reader: &mut Reader, shared: &mut Shared, value: Value<'a>, path: Path<'_>) -> (Task, TaskDraft<'a>) {
    let at = value.at;
    let mut task = Task::new(shared.text(DEFAULT_POOL));
    let mut draft = TaskDraft { at, name: Cow::default(), name_at: at, args_at: at, kwargs_at: at, depends: None };
    let Some(object) = reader.object(value, path, "a task") else { return (task, draft) };
    let (mut name, mut has_name, mut extra) = (None, false, Vec::new());
    for Property { key, value, .. } in reader.keys(object, path, &vocabulary::TASK) {
        let here = path.key(&key);
        match &*key {
            "name" => {
                (has_name, draft.name_at) = (true, value.at);
                name = reader.string(value, here, "a task's name");
            }
            "task_name" => {
                let module = reader.string(value, here, "\"task_name\"");
                let rule = module.as_deref().map_or(Ok(()), rules::module);
                reader.obey(rule, ProblemCode::BadName, here, value.at);
                task.task_name = module.map(|name| shared.text(&name));
            }
            "args" => {
                draft.args_at = value.at;
                task.args = reader.list(value, here, "\"args\"").map(|list| Template::literal(list.text));
            }
            "kwargs" => {
                draft.kwargs_at = value.at;
                let object = reader.object(value, here, "\"kwargs\"");
                object.into_iter().for_each(|object| reader.unique_keys(object, here));
                task.kwargs = object.map(|object| Template::literal(object.text).into());
            }
            "depends" => draft.depends = reader.list(value, here, "\"depends\""),
            "pool" => task.pool = read_pool(reader, value, here).map_or(task.pool, |pool| shared.text(&pool)),
            "priority" => task.priority = read_priority(reader, value, here),
            own => extra.extend(read_own(reader, own, value, here)),
        }
    }
    if !has_name {
        reader.report.add(ProblemCode::MissingKey, path, at, "the task has no \"name\"", None);
    }
    task.extra = extra.into();
    if let Some(name) = name {
        // A task without `task_name` names its module by its name.
        let as_module = || if task.task_name.is_none() { rules::module(&name) } else { Ok(()) };
        let rule = rules::task_name(&name).and_then(|()| as_module());
        reader.obey(rule, ProblemCode::BadName, path.key("name"), draft.name_at);
        task.name = (&*name).into();
        draft.name = name;
    }
    (task, draft)
}

/// One copy of each module and pool, which many tasks have in common.
#[derive(Default)]
struct Shared(HashSet<Arc<str>>);

impl Shared {
    fn text(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.0.get(text) {
            return Arc::clone(known);
        }
        let new: Arc<str> = text.into();
        self.0.insert(Arc::clone(&new));
        new
    }
}

fn read_name<'a>(reader: &mut Reader, value: Value<'a>, path: Path<'_>, what: &str) -> Option<Cow<'a, str>> {
    let name = reader.string(value, path, what)?;
    reader.obey(rules::name(what, &name), ProblemCode::BadName, path, value.at).map(|()| name)
}

fn read_pool<'a>(reader: &mut Reader, value: Value<'a>, path: Path<'_>) -> Option<Cow<'a, str>> {
    let pool = reader.string(value, path, "\"pool\"")?;
    reader.obey(rules::pool(&pool), ProblemCode::BadName, path, value.at).map(|()| pool)
}

fn read_priority(reader: &mut Reader, value: Value<'_>, path: Path<'_>) -> Option<i32> {
    let digits = reader.whole_number(value, path, "\"priority\"")?;
    reader.obey(rules::priority(digits), ProblemCode::OutOfRange, path, value.at)
}

/// `meta`, an object, or a key that begins with `x-`, anything.
fn read_own(reader: &mut Reader, key: &str, value: Value<'_>, path: Path<'_>) -> Option<(String, Json)> {
    if !is_own(key) {
        reader.object(value, path, "\"meta\"")?;
    }
    Some((key.to_owned(), Json::from_checked(value.text)))
}
