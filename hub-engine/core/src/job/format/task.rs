//! The keys of a task.

use std::borrow::Cow;

use super::key::{self, Object, Table};
use super::{cache, for_each, http, object, recover, retry, shapes, timeout, values, wait};
use crate::Json;
use crate::job::draft::TaskDraft;
use crate::job::model::{DEFAULT_POOL, Task};
use crate::job::path::Path;
use crate::job::problem::ProblemCode;
use crate::job::quoted::quoted;
use crate::job::reader::Reader;
use crate::job::rules;
use crate::job::template::Template;
use crate::job::trigger_rule::TriggerRule;
use crate::job::value::{Kind, Value};

type Key = key::Key<TaskObject>;

/// The keys of a task. Add new keys here.
pub(super) static TASK: Table<TaskObject> = Table {
    title: "Task",
    about: "A task: a run of a task module.",
    noun: "the task",
    place: "it belongs in a task",
    keys: &[
        Key::new("name", "0.1.0", name, shapes::task_name, "The name of the task, unique in the job, without dots.")
            .required(ProblemCode::MissingKey),
        Key::new(
            "task_name",
            "0.1.0",
            task_name,
            shapes::module,
            "The task module to run. Default: the name of the task.",
        ),
        Key::new("args", "0.1.0", args, shapes::args, "The list of positional arguments."),
        Key::new("kwargs", "0.1.0", kwargs, shapes::kwargs, "The object of keyword arguments."),
        Key::new(
            "depends",
            "0.1.0",
            depends,
            shapes::depends,
            "The names of the tasks that must succeed before this one starts, or end as the trigger_rule says.",
        ),
        Key::new("pool", "0.1.0", pool, shapes::pool, "The pool whose workers may run the task. Default: default."),
        Key::new(
            "priority",
            "0.1.0",
            priority,
            shapes::priority,
            "The priority, from -1000 to 1000. Default: the priority of the job.",
        ),
        Key::new(
            "trigger_rule",
            "0.2.0",
            trigger_rule,
            shapes::trigger_rule,
            "When the task runs, by how its upstream tasks end: a trigger rule. Default: all_success.",
        )
        .repeated(),
        Key::new(
            "when",
            "0.2.0",
            when,
            shapes::condition,
            "The condition under which the task runs. It is skipped otherwise.",
        )
        .repeated(),
        Key::new(
            "delay",
            "0.2.0",
            delay,
            shapes::delay,
            "How long the task waits when it could run: a duration, or a reference to one.",
        )
        .repeated(),
        Key::new("wait", "0.2.0", wait, shapes::wait, "What the task waits for instead of running a module: a wait.")
            .repeated(),
        Key::new(
            "retry",
            "0.2.0",
            retry,
            shapes::retry,
            "Whether and when the task is tried again after a failure: a number of attempts or a retry policy.",
        )
        .repeated(),
        Key::new(
            "timeout",
            "0.2.0",
            timeout,
            shapes::timeout,
            "How long the task may take: the longest run of an attempt, or an object of time limits.",
        )
        .repeated(),
        Key::new(
            "for_each",
            "0.2.0",
            for_each,
            shapes::for_each,
            "The task runs once for each of these: a list, an object, a whole number, a reference to one, or an object with options.",
        )
        .repeated(),
        Key::new(
            "command",
            "0.2.0",
            command,
            shapes::command,
            "The program to run instead of a task module, and its arguments: a list.",
        ),
        Key::new(
            "shell",
            "0.2.0",
            shell,
            shapes::script,
            "The text that sh -c runs instead of a task module. Nothing is replaced in it.",
        ),
        Key::new("http", "0.2.0", request, shapes::http, "The HTTP request to send instead of running a task module."),
        Key::new("env", "0.2.0", env, shapes::env, "The variables of a command or a shell text: an object."),
        Key::new(
            "cwd",
            "0.2.0",
            cwd,
            shapes::script,
            "The directory in which a command or a shell text runs. Default: the directory of task modules.",
        ),
        Key::new(
            "output",
            "0.2.0",
            output,
            shapes::output,
            "How the output of a command or a shell text is read: text or json. Default: text.",
        ),
        Key::new(
            "job",
            "0.2.0",
            |_, parts, value, _| parts.draft.rare_mut().job = Some(value),
            shapes::sub_job,
            "The job to run instead of a task module: a sub-job, or the name of a definition. Its output is the data of the task.",
        ),
        Key::new(
            "inputs",
            "0.2.0",
            |_, parts, value, _| parts.draft.rare_mut().inputs = Some(value),
            shapes::inputs,
            "What the sub-job reads as _.input: an object.",
        ),
        Key::new(
            "detached",
            "0.2.0",
            |_, parts, value, _| parts.draft.rare_mut().detached = Some(value),
            shapes::no,
            "Whether the task succeeds when the sub-job begins, which then goes on by itself; default false.",
        ),
        Key::new(
            "recover",
            "0.2.0",
            recover,
            shapes::recover,
            "What replaces the result of the task after it has failed: a recovery.",
        )
        .repeated(),
        Key::new(
            "cache",
            "0.2.0",
            cache,
            shapes::cache,
            "For how long the result of the task is kept for later tasks that would compute the same: a cache.",
        )
        .repeated(),
        Key::new("meta", "0.1.0", meta, shapes::object, "Your own data: stored, and shown in the record."),
    ],
    planned: &["deadline", "concurrency"],
    reserved: &[
        "id",
        "status",
        "data",
        "handler",
        "parent_id",
        "msg",
        "error",
        "log",
        "answer",
        "attempt",
        "attempts",
        "cached_from",
        "child",
        "delayed_until",
        "held_until",
        "issue",
        "items",
        "not_cached",
        "progress",
        "recovered",
        "repairs",
        "retry_at",
        "signals",
        "worker",
        "waiting_reason",
        "waits_until",
        "submitted_at",
        "started_at",
        "ended_at",
    ],
    beside: Some(|| shapes::task(&BESIDE_WAIT.map(|(key, _)| key), &BESIDE_JOB.map(|(key, _)| key))),
};

/// Keys that cannot stand beside `wait`, with the reason.
const BESIDE_WAIT: [(&str, &str); 15] = [
    ("task_name", "a wait runs no module"),
    ("args", "a wait runs no module"),
    ("kwargs", "a wait runs no module"),
    ("command", "a wait runs nothing"),
    ("shell", "a wait runs nothing"),
    ("http", "a wait runs nothing"),
    ("env", "a wait runs nothing"),
    ("cwd", "a wait runs nothing"),
    ("output", "a wait runs nothing"),
    ("pool", "a wait needs no worker"),
    ("priority", "a wait needs no worker"),
    ("for_each", "a wait has no items"),
    ("retry", "a wait is never tried again"),
    ("timeout", "its timeout is a key of \"wait\""),
    ("cache", "a wait computes no result"),
];

/// Keys that cannot stand beside `job`, with the reason.
const BESIDE_JOB: [(&str, &str); 11] = [
    ("task_name", "a sub-job runs no module"),
    ("args", "what is passed to a sub-job stands in \"inputs\""),
    ("kwargs", "what is passed to a sub-job stands in \"inputs\""),
    ("command", "the task runs a job"),
    ("shell", "the task runs a job"),
    ("http", "the task runs a job"),
    ("env", "the task runs a job"),
    ("cwd", "the task runs a job"),
    ("output", "the output of the sub-job is a key of \"job\""),
    ("wait", "the task runs a job"),
    ("pool", "the tasks of the sub-job have pools"),
];

/// The object of a task.
pub(super) struct TaskObject;

/// A task while its keys are read.
pub(super) struct Parts<'a> {
    task: Task,
    draft: TaskDraft<'a>,
    name: Option<Cow<'a, str>>,
    /// Whether it has the key `wait`, valid or not.
    has_wait: bool,
}

impl Object for TaskObject {
    const HAS_OWN_KEYS: bool = true;

    type Draft<'a> = Parts<'a>;

    fn extra<'d>(parts: &'d mut Parts<'_>) -> Option<&'d mut Vec<(String, Json)>> {
        Some(&mut parts.task.rare_mut().extra)
    }
}

/// Reads a task.
pub(super) fn read<'a>(reader: &mut Reader, value: Value<'a>, path: Path<'_>) -> (Task, TaskDraft<'a>) {
    let mut parts = Parts { task: Task::default(), draft: TaskDraft::at(value.at), name: None, has_wait: false };
    if let Some(value) = reader.object(value, path, "a task") {
        object::read(reader, &TASK, value, path, &mut parts);
        if parts.draft.rare().job.is_some() {
            refuse_beside(reader, value, path, "job", &BESIDE_JOB);
        } else if parts.has_wait {
            refuse_beside(reader, value, path, "wait", &BESIDE_WAIT);
        }
    }
    let Parts { mut task, mut draft, name, has_wait } = parts;
    if let Some(name) = name {
        // The name of a task that says nothing else is the name of its module.
        let is_module = task.task_name.is_none() && draft.form().is_none() && draft.rare().job.is_none() && !has_wait;
        let as_module = || if is_module { rules::module(&name) } else { Ok(()) };
        let rule = rules::task_name(&name).and_then(|()| as_module());
        reader.check_rule(rule, ProblemCode::BadName, path.key("name"), draft.name_at);
        task.name = (&*name).into();
        draft.name = name;
    }
    (task, draft)
}

/// Refuses keys that cannot stand beside the key `beside`.
fn refuse_beside(reader: &mut Reader, task: Value<'_>, path: Path<'_>, beside: &str, excluded: &[(&str, &str)]) {
    for (key, _) in task.properties().filter(|(_, value)| value.kind() != Kind::Null) {
        let word = key.decoded();
        if let Some((_, why)) = excluded.iter().find(|(excluded, _)| *excluded == word) {
            let message = format!("{} cannot stand beside {beside:?}: {why}", quoted(&word));
            reader.report.add(ProblemCode::OutOfRange, path.key(&word), key.at, message, Some("remove it".to_owned()));
        }
    }
}

/// The name is checked after the whole task has been read, because the rule depends on `task_name`.
fn name<'a>(reader: &mut Reader, parts: &mut Parts<'a>, value: Value<'a>, path: Path<'_>) {
    parts.draft.name_at = value.at;
    parts.name = reader.string(value, path, "a task's name");
}

fn task_name(reader: &mut Reader, parts: &mut Parts<'_>, value: Value<'_>, path: Path<'_>) {
    parts.draft.task_name_at = value.at;
    let Some(module) = reader.string(value, path, "\"task_name\"") else { return };
    reader.check_rule(rules::module(&module), ProblemCode::BadName, path, value.at);
    parts.task.task_name = Some(reader.interner.text(&module));
}

fn args(reader: &mut Reader, parts: &mut Parts<'_>, value: Value<'_>, path: Path<'_>) {
    parts.draft.args_at = value.at;
    parts.task.args = reader.list(value, path, "\"args\"").map(|list| Template::literal(list.text));
}

fn kwargs(reader: &mut Reader, parts: &mut Parts<'_>, value: Value<'_>, path: Path<'_>) {
    parts.draft.rare_mut().kwargs_at = value.at;
    let Some(object) = reader.object(value, path, "\"kwargs\"") else { return };
    reader.unique_keys(object, path);
    parts.task.kwargs = Some(Template::literal(object.text).into());
}

fn depends<'a>(reader: &mut Reader, parts: &mut Parts<'a>, value: Value<'a>, path: Path<'_>) {
    parts.draft.depends = reader.list(value, path, "\"depends\"");
}

fn pool(reader: &mut Reader, parts: &mut Parts<'_>, value: Value<'_>, path: Path<'_>) {
    let Some(pool) = reader.string(value, path, "\"pool\"") else { return };
    let is_sound = reader.check_rule(rules::pool(&pool), ProblemCode::BadName, path, value.at).is_some();
    if is_sound && pool != DEFAULT_POOL {
        parts.task.rare_mut().pool = Some(reader.interner.text(&pool));
    }
}

fn priority(reader: &mut Reader, parts: &mut Parts<'_>, value: Value<'_>, path: Path<'_>) {
    if let Some(priority) = values::priority(reader, value, path) {
        parts.task.rare_mut().priority = Some(priority);
    }
}

fn trigger_rule(reader: &mut Reader, parts: &mut Parts<'_>, value: Value<'_>, path: Path<'_>) {
    let Some(word) = reader.string(value, path, "\"trigger_rule\"") else { return };
    let words = TriggerRule::ALL.map(TriggerRule::as_str);
    match TriggerRule::ALL.into_iter().find(|rule| rule.as_str() == word) {
        Some(rule) => {
            parts.draft.rare_mut().trigger_rule_at = value.at;
            parts.task.rare_mut().trigger_rule = rule;
        }
        None => {
            let near = reader.report.did_you_mean(&word, words);
            let message = format!("there is no trigger rule {}", quoted(&word));
            let known = || format!("the trigger rules are {}", words.join(", "));
            reader.report.add(ProblemCode::OutOfRange, path, value.at, message, Some(near.unwrap_or_else(known)));
        }
    }
}

fn when<'a>(_: &mut Reader, parts: &mut Parts<'a>, value: Value<'a>, _: Path<'_>) {
    parts.draft.rare_mut().when = Some(value);
}

fn delay<'a>(_: &mut Reader, parts: &mut Parts<'a>, value: Value<'a>, _: Path<'_>) {
    parts.draft.rare_mut().delay = Some(value);
}

fn wait<'a>(reader: &mut Reader, parts: &mut Parts<'a>, value: Value<'a>, path: Path<'_>) {
    parts.has_wait = true;
    parts.draft.rare_mut().wait = wait::read(reader, value, path);
}

fn retry(reader: &mut Reader, parts: &mut Parts<'_>, value: Value<'_>, path: Path<'_>) {
    parts.task.rare_mut().retry = retry::read(reader, value, path).map(Box::new);
}

fn timeout(reader: &mut Reader, parts: &mut Parts<'_>, value: Value<'_>, path: Path<'_>) {
    parts.task.rare_mut().timeouts = timeout::read(reader, value, path).map(Box::new);
}

fn for_each<'a>(reader: &mut Reader, parts: &mut Parts<'a>, value: Value<'a>, path: Path<'_>) {
    parts.draft.rare_mut().for_each = for_each::read(reader, value, path);
}

fn command<'a>(_: &mut Reader, parts: &mut Parts<'a>, value: Value<'a>, _: Path<'_>) {
    parts.draft.rare_mut().run.push(("command", value));
}

fn shell<'a>(_: &mut Reader, parts: &mut Parts<'a>, value: Value<'a>, _: Path<'_>) {
    parts.draft.rare_mut().run.push(("shell", value));
}

fn request<'a>(reader: &mut Reader, parts: &mut Parts<'a>, value: Value<'a>, path: Path<'_>) {
    http::check(reader, value, path);
    parts.draft.rare_mut().run.push(("http", value));
}

fn env<'a>(_: &mut Reader, parts: &mut Parts<'a>, value: Value<'a>, _: Path<'_>) {
    parts.draft.rare_mut().run.push(("env", value));
}

fn cwd<'a>(_: &mut Reader, parts: &mut Parts<'a>, value: Value<'a>, _: Path<'_>) {
    parts.draft.rare_mut().run.push(("cwd", value));
}

fn output<'a>(_: &mut Reader, parts: &mut Parts<'a>, value: Value<'a>, _: Path<'_>) {
    parts.draft.rare_mut().run.push(("output", value));
}

fn recover<'a>(reader: &mut Reader, parts: &mut Parts<'a>, value: Value<'a>, path: Path<'_>) {
    parts.draft.rare_mut().recover = recover::read(reader, value, path);
}

fn cache<'a>(reader: &mut Reader, parts: &mut Parts<'a>, value: Value<'a>, path: Path<'_>) {
    parts.draft.rare_mut().cache = cache::read(reader, value, path);
}

fn meta(reader: &mut Reader, parts: &mut Parts<'_>, value: Value<'_>, path: Path<'_>) {
    if let Some(meta) = values::meta(reader, value, path) {
        parts.task.rare_mut().extra.push(meta);
    }
}
