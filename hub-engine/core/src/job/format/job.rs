//! The keys of a job.

use super::key::{self, Object, Table};
use super::{object, retry, shapes, task, timeout, values};
use crate::Json;
use crate::job::draft::{JobDraft, Tasks};
use crate::job::labels::Labels;
use crate::job::path::Path;
use crate::job::problem::ProblemCode;
use crate::job::reader::Reader;
use crate::job::rules::{self, MAX_LABELS, MAX_SCHEMA_BYTES};
use crate::job::value::Value;

type Key = key::Key<JobObject>;

/// The keys of a job. Add new keys here.
pub(super) static JOB: Table<JobObject> = Table {
    title: "Job",
    about: "A job: tasks, and the dependencies between them.",
    noun: "the job",
    place: "it belongs to the job, beside \"tasks\"",
    keys: &[
        Key::new("name", "0.1.0", name, shapes::name, "The name of the job, up to 255 bytes.")
            .required(ProblemCode::MissingKey),
        Key::new("tasks", "0.1.0", tasks, shapes::tasks, "The list of tasks, at least one.")
            .required(ProblemCode::NoTasks),
        Key::new(
            "output",
            "0.1.0",
            output,
            shapes::template,
            "The output: any value. Its references are replaced after the job has succeeded.",
        ),
        Key::new(
            "key",
            "0.1.0",
            key,
            shapes::name,
            "Makes a submission idempotent: the same key with the same text returns the same job. \
            The same key with another text is refused.",
        ),
        Key::new(
            "priority",
            "0.1.0",
            priority,
            shapes::job_priority,
            "The priority of tasks without a priority, \
            from -1000 to 1000; default 0. Higher priorities run first.",
        ),
        Key::new("retry", "0.2.0", retry, shapes::retry, "The retry policy of tasks that have none.").repeated(),
        Key::new("timeout", "0.2.0", timeout, shapes::timeout, "The time limits of tasks that have none.").repeated(),
        Key::new(
            "start_at",
            "0.2.0",
            start_at,
            shapes::moment,
            "When the job starts: a time, or a duration from the submission. Default: at once.",
        )
        .repeated(),
        Key::new(
            "deadline",
            "0.2.0",
            deadline,
            shapes::moment,
            "When the job fails if it has not ended: a time, or a duration from its start.",
        )
        .repeated(),
        Key::new(
            "on_failure",
            "0.2.0",
            on_failure,
            shapes::handlers,
            "The list of tasks that run if the job fails: handlers.",
        ),
        Key::new(
            "finally",
            "0.2.0",
            finally,
            shapes::handlers,
            "The list of tasks that run at the end, however the job ends: handlers.",
        ),
        Key::new(
            "handler_deadline",
            "0.2.0",
            handler_deadline,
            shapes::duration,
            "How long the tasks of each list of handlers may take together: a duration. Default: 1h.",
        )
        .repeated(),
        Key::new(
            "labels",
            "0.2.0",
            labels,
            shapes::labels,
            "Texts by name, up to 64, by which jobs are found: {\"team\": \"data\"}.",
        ),
        Key::new(
            "inputs",
            "0.2.0",
            inputs,
            shapes::object,
            "What the tasks read as _.input: an object. The inputs of a sub-job are a key of its task.",
        ),
        Key::new(
            "input_schema",
            "0.2.0",
            input_schema,
            shapes::input_schema,
            "The JSON Schema that the inputs match. Its defaults are inserted where an input is missing.",
        ),
        Key::new("meta", "0.1.0", meta, shapes::object, "Your own data: stored, and shown in the record."),
        Key::new("$schema", "0.1.0", schema, shapes::text, "The JSON Schema of the file, for editors. Hub ignores it."),
    ],
    planned: &["concurrency"],
    reserved: &[
        "id",
        "status",
        "data",
        "parent",
        "parent_id",
        "task_name",
        "msg",
        "error",
        "cancel",
        "deadline_at",
        "definition",
        "pauses",
        "phase",
        "starts_at",
        "submitted_at",
        "started_at",
        "ended_at",
        "signals",
        "verdict",
    ],
    beside: None,
};

/// Maximum number of handlers in a list, because all of them begin in the same turn.
const MAX_HANDLERS: usize = 1000;

/// The object of a job.
pub(super) struct JobObject;

impl Object for JobObject {
    const HAS_OWN_KEYS: bool = true;

    type Draft<'a> = JobDraft<'a>;

    fn extra<'d>(draft: &'d mut JobDraft<'_>) -> Option<&'d mut Vec<(String, Json)>> {
        Some(&mut draft.extra)
    }
}

/// Reads the keys of a job. Returns `None` if the value is not an object.
pub(in crate::job) fn read<'a>(reader: &mut Reader, value: Value<'a>) -> Option<JobDraft<'a>> {
    let mut draft = JobDraft::default();
    let value = reader.object(value, Path::Root, "a job")?;
    object::read(reader, &JOB, value, Path::Root, &mut draft);
    Some(draft)
}

fn name<'a>(reader: &mut Reader, job: &mut JobDraft<'a>, value: Value<'a>, path: Path<'_>) {
    job.name = values::name(reader, value, path, "a job's name");
}

fn tasks<'a>(reader: &mut Reader, job: &mut JobDraft<'a>, value: Value<'a>, path: Path<'_>) {
    // Positions are kept in 32 bits.
    let most = reader.max_tasks.min(u32::MAX as usize / 2);
    if let Some(tasks) = read_tasks(reader, value, path, "\"tasks\"", ("the job", "max_tasks", most)) {
        if tasks.tasks.is_empty() && value.elements().next().is_none() {
            reader.report.add(ProblemCode::NoTasks, path, value.at, "the job has no tasks", None);
        }
        job.tasks = tasks;
    }
}

fn on_failure<'a>(reader: &mut Reader, job: &mut JobDraft<'a>, value: Value<'a>, path: Path<'_>) {
    let handlers = read_tasks(reader, value, path, "\"on_failure\"", ("the list", "for handlers", MAX_HANDLERS));
    job.on_failure = handlers.unwrap_or_default();
}

fn finally<'a>(reader: &mut Reader, job: &mut JobDraft<'a>, value: Value<'a>, path: Path<'_>) {
    job.finally =
        read_tasks(reader, value, path, "\"finally\"", ("the list", "for handlers", MAX_HANDLERS)).unwrap_or_default();
}

/// Reads a list of tasks. `limit` is for a message: what has the limit, its name, and the maximum number of tasks.
fn read_tasks<'a>(
    reader: &mut Reader,
    value: Value<'a>,
    path: Path<'_>,
    what: &str,
    (whose, limit, most): (&str, &str, usize),
) -> Option<Tasks<'a>> {
    let list: Vec<Value<'a>> = reader.list(value, path, what)?.elements().collect();
    if list.len() > most {
        let message = format!("{whose} has {} tasks, the limit {limit} is {most}", list.len());
        reader.report.add(ProblemCode::LimitExceeded, path, value.at, message, None);
        return Some(Tasks::default());
    }
    let mut tasks = Tasks { tasks: Vec::with_capacity(list.len()), drafts: Vec::with_capacity(list.len()) };
    for (index, value) in list.into_iter().enumerate() {
        let (task, draft) = task::read(reader, value, path.index(index));
        tasks.tasks.push(task);
        tasks.drafts.push(draft);
    }
    Some(tasks)
}

fn handler_deadline(reader: &mut Reader, job: &mut JobDraft<'_>, value: Value<'_>, path: Path<'_>) {
    job.handler_deadline = values::duration(reader, value, path);
}

fn labels(reader: &mut Reader, job: &mut JobDraft<'_>, value: Value<'_>, path: Path<'_>) {
    job.labels = read_labels(reader, value, path);
}

/// Labels by name. A label that is not valid is left out and reported.
pub(super) fn read_labels(reader: &mut Reader, value: Value<'_>, path: Path<'_>) -> Labels {
    let mut labels = Labels::new();
    let Some(object) = reader.object(value, path, "\"labels\"") else { return labels };
    reader.unique_keys(object, path);
    let count = object.properties().count();
    if count > MAX_LABELS {
        let message = format!("the job has {count} labels, the limit is {MAX_LABELS}");
        reader.report.add(ProblemCode::LimitExceeded, path, value.at, message, None);
        return labels;
    }
    for (key, value) in object.properties() {
        let name = key.decoded();
        let path = path.key(&name);
        let is_named = reader.check_rule(rules::label_name(&name), ProblemCode::BadName, path, key.at).is_some();
        let Some(text) = reader.string(value, path, "the value of a label") else { continue };
        let is_valid = reader.check_rule(rules::label_value(&text), ProblemCode::OutOfRange, path, value.at).is_some();
        if is_named && is_valid {
            labels.insert(name.as_ref().into(), text.as_ref().into());
        }
    }
    labels
}

fn inputs(reader: &mut Reader, job: &mut JobDraft<'_>, value: Value<'_>, path: Path<'_>) {
    job.inputs = read_inputs(reader, value, path).map(|inputs| (inputs, value.at));
}

/// The inputs of a job.
pub(super) fn read_inputs(reader: &mut Reader, value: Value<'_>, path: Path<'_>) -> Option<Json> {
    let object = reader.object(value, path, "\"inputs\"")?;
    reader.unique_keys(object, path);
    Some(Json::from_checked(object.text))
}

fn input_schema(reader: &mut Reader, job: &mut JobDraft<'_>, value: Value<'_>, path: Path<'_>) {
    let Some(object) = reader.object(value, path, "\"input_schema\"") else { return };
    let bytes = object.text.len();
    if bytes > MAX_SCHEMA_BYTES {
        let message = format!("\"input_schema\" has {bytes} bytes, the limit is {MAX_SCHEMA_BYTES}");
        return reader.report.add(ProblemCode::LimitExceeded, path, value.at, message, None);
    }
    job.input_schema = Some(Json::from_checked(object.text));
}

fn output<'a>(_: &mut Reader, job: &mut JobDraft<'a>, value: Value<'a>, _: Path<'_>) {
    job.output = Some(value);
}

fn key<'a>(reader: &mut Reader, job: &mut JobDraft<'a>, value: Value<'a>, path: Path<'_>) {
    job.key = values::name(reader, value, path, "a job's key");
}

fn priority(reader: &mut Reader, job: &mut JobDraft<'_>, value: Value<'_>, path: Path<'_>) {
    job.priority = values::priority(reader, value, path);
}

fn retry(reader: &mut Reader, job: &mut JobDraft<'_>, value: Value<'_>, path: Path<'_>) {
    job.retry = retry::read(reader, value, path).map(Box::new);
}

fn timeout(reader: &mut Reader, job: &mut JobDraft<'_>, value: Value<'_>, path: Path<'_>) {
    job.timeouts = timeout::read(reader, value, path).map(Box::new);
}

fn start_at(reader: &mut Reader, job: &mut JobDraft<'_>, value: Value<'_>, path: Path<'_>) {
    job.start_at = values::moment(reader, value, path);
}

fn deadline(reader: &mut Reader, job: &mut JobDraft<'_>, value: Value<'_>, path: Path<'_>) {
    job.deadline_at = Some(value.at);
    job.deadline = values::moment(reader, value, path);
}

fn meta(reader: &mut Reader, job: &mut JobDraft<'_>, value: Value<'_>, path: Path<'_>) {
    job.extra.extend(values::meta(reader, value, path));
}

fn schema(reader: &mut Reader, _: &mut JobDraft<'_>, value: Value<'_>, path: Path<'_>) {
    reader.string(value, path, "\"$schema\"");
}
