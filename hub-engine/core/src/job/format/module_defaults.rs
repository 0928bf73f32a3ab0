//! The keys that a task module may set for its tasks.

use super::key::{self, Object, Table};
use super::{object, retry, shapes, timeout};
use crate::job::path::Path;
use crate::job::problem::ProblemCode;
use crate::job::reader::Reader;
use crate::job::retry::RetryPolicy;
use crate::job::timeouts::Timeouts;
use crate::job::value::Value;

type Key = key::Key<DefaultsObject>;

/// The keys of a module. They mean what they mean in a task, and are no part of a job.
static DEFAULTS: Table<DefaultsObject> = Table {
    title: "ModuleDefaults",
    about: "The defaults of a task module.",
    noun: "the module",
    place: "it belongs in the module",
    keys: &[
        Key::new(
            "retry",
            "0.2.0",
            |reader, draft, value, path| draft.retry = retry::read(reader, value, path),
            shapes::attempts,
            "Whether and when its tasks are tried again.",
        ),
        Key::new("timeout", "0.2.0", limits, shapes::duration, "How long an attempt of its tasks may take."),
    ],
    planned: &[],
    reserved: &[],
    beside: None,
};

struct DefaultsObject;

/// The defaults of a module while their keys are read.
#[derive(Default)]
pub(in crate::job) struct Draft {
    pub(in crate::job) retry: Option<RetryPolicy>,
    pub(in crate::job) timeouts: Option<Timeouts>,
}

impl Object for DefaultsObject {
    type Draft<'a> = Draft;
}

/// Reads the defaults of a module.
pub(in crate::job) fn read(reader: &mut Reader, value: Value<'_>) -> Option<Draft> {
    let value = reader.object(value, Path::Root, "the options of @task")?;
    let mut draft = Draft::default();
    object::read(reader, &DEFAULTS, value, Path::Root, &mut draft);
    Some(draft)
}

fn limits<'a>(reader: &mut Reader, draft: &mut Draft, value: Value<'a>, path: Path<'_>) {
    let Some(timeouts) = timeout::read(reader, value, path) else { return };
    let from_ready =
        [("schedule_to_start", timeouts.schedule_to_start), ("schedule_to_close", timeouts.schedule_to_close)];
    for (name, _) in from_ready.into_iter().filter(|(_, limit)| limit.is_some()) {
        let message = format!("a module cannot set {name}");
        let suggestion = Some("set it in the task or in the job".to_owned());
        reader.report.add(ProblemCode::UnsupportedKey, path.key(name), value.at, message, suggestion);
    }
    draft.timeouts = Some(timeouts);
}
