//! The shape of a job: its keys and their types, names not looked up yet.

use std::borrow::Cow;

use super::Limits;
use super::path::Path;
use super::problem::ProblemCode;
use super::reader::Reader;
use super::rules;
use super::value::Value;
use super::vocabulary::{self, is_own};
use crate::Json;

/// A job as far as it has the right shape. What is absent here is not in the text, or is wrong there.
pub(super) struct JobDraft<'a> {
    pub(super) name: Option<Cow<'a, str>>,
    pub(super) key: Option<Cow<'a, str>>,
    pub(super) priority: Option<i32>,
    pub(super) tasks: Vec<TaskDraft<'a>>,
    pub(super) output: Option<Value<'a>>,
    pub(super) extra: Vec<(String, Json)>,
}

/// A task as far as it has the right shape.
#[derive(Default)]
pub(super) struct TaskDraft<'a> {
    /// Its byte offset.
    pub(super) at: usize,
    /// Its name. It may break a rule: references to the task are looked up all the same, so that one
    /// mistake is told once.
    pub(super) name: Option<Cow<'a, str>>,
    /// The byte offset of its name, else its own.
    pub(super) name_at: usize,
    pub(super) task_name: Option<Cow<'a, str>>,
    pub(super) args: Option<Value<'a>>,
    pub(super) kwargs: Option<Value<'a>>,
    pub(super) depends: Option<Value<'a>>,
    pub(super) pool: Option<Cow<'a, str>>,
    pub(super) priority: Option<i32>,
    pub(super) extra: Vec<(String, Json)>,
}

/// Reads the shape of a job. `None` where it is no object at all.
pub(super) fn read<'a>(reader: &mut Reader, value: Value<'a>, limits: &Limits) -> Option<JobDraft<'a>> {
    let root = Path::Root;
    let object = reader.object(value, root, "a job")?;
    let keys = reader.keys(object, root, &vocabulary::JOB);
    let mut job =
        JobDraft { name: None, key: None, priority: None, tasks: Vec::new(), output: None, extra: Vec::new() };
    let (mut has_name, mut has_tasks) = (false, false);
    for (key, value) in keys {
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

fn read_tasks<'a>(reader: &mut Reader, value: Value<'a>, path: Path<'_>, limits: &Limits) -> Vec<TaskDraft<'a>> {
    let Some(list) = reader.list(value, path, "\"tasks\"") else { return Vec::new() };
    let tasks: Vec<Value<'a>> = list.elements().collect();
    if tasks.is_empty() {
        reader.report.add(ProblemCode::NoTasks, path, value.at, "the job has no tasks", None);
    }
    // Positions are kept in 32 bits.
    let most = limits.max_tasks.min(u32::MAX as usize / 2);
    if tasks.len() > most {
        let message = format!("the job has {} tasks, the limit max_tasks is {most}", tasks.len());
        reader.report.add(ProblemCode::LimitExceeded, path, value.at, message, None);
        return Vec::new();
    }
    tasks.into_iter().enumerate().map(|(index, value)| read_task(reader, value, path.index(index))).collect()
}

fn read_task<'a>(reader: &mut Reader, value: Value<'a>, path: Path<'_>) -> TaskDraft<'a> {
    let at = value.at;
    let mut task = TaskDraft { at, name_at: at, ..TaskDraft::default() };
    let Some(object) = reader.object(value, path, "a task") else { return task };
    let keys = reader.keys(object, path, &vocabulary::TASK);
    let mut has_name = false;
    for (key, value) in keys {
        let here = path.key(&key);
        match &*key {
            "name" => {
                (has_name, task.name_at) = (true, value.at);
                task.name = reader.string(value, here, "a task's name");
            }
            // The original's records have an empty one where there is none.
            "task_name" => {
                task.task_name = reader.string(value, here, "\"task_name\"").filter(|name| !name.is_empty());
                let rule = task.task_name.as_deref().map_or(Ok(()), rules::module);
                reader.obey(rule, ProblemCode::BadName, here, value.at);
            }
            "args" => task.args = reader.list(value, here, "\"args\""),
            "kwargs" => {
                task.kwargs = reader.object(value, here, "\"kwargs\"");
                task.kwargs.into_iter().for_each(|object| reader.unique_keys(object, here));
            }
            "depends" => task.depends = reader.list(value, here, "\"depends\""),
            "pool" => task.pool = read_pool(reader, value, here),
            "priority" => task.priority = read_priority(reader, value, here),
            own => task.extra.extend(read_own(reader, own, value, here)),
        }
    }
    if !has_name {
        reader.report.add(ProblemCode::MissingKey, path, at, "the task has no \"name\"", None);
    }
    check_name(reader, &mut task, path);
    task
}

/// A task without `task_name` names its module by its name.
fn check_name(reader: &mut Reader, task: &mut TaskDraft<'_>, path: Path<'_>) {
    let Some(name) = task.name.take() else { return };
    let as_module = || if task.task_name.is_none() { rules::module(&name) } else { Ok(()) };
    reader.obey(
        rules::task_name(&name).and_then(|()| as_module()),
        ProblemCode::BadName,
        path.key("name"),
        task.name_at,
    );
    task.name = Some(name).filter(|name| !name.is_empty());
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
