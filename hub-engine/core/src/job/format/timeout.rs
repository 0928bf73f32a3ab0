//! The keys of a task's time limits.

use std::time::Duration;

use super::key::{self, Object, Table};
use super::{object, shapes, values};
use crate::job::path::Path;
use crate::job::problem::ProblemCode;
use crate::job::reader::Reader;
use crate::job::timeouts::Timeouts;
use crate::job::value::{Kind, Value};

type Key = key::Key<TimeoutObject>;

/// The keys of the time limits. A new one goes here, once.
pub(super) static TIMEOUT: Table<TimeoutObject> = Table {
    title: "Timeout",
    about: "How long a task may take.",
    noun: "\"timeout\"",
    place: "it belongs in \"timeout\"",
    keys: &[
        Key::new(
            "start_to_close",
            "0.2.0",
            |reader, draft, value, path| draft.start_to_close = limit(reader, value, path),
            shapes::duration,
            "The longest run of one attempt.",
        ),
        Key::new(
            "schedule_to_start",
            "0.2.0",
            |reader, draft, value, path| draft.schedule_to_start = limit(reader, value, path),
            shapes::duration,
            "The longest wait from when the task is ready until a worker starts it for the first time.",
        ),
        Key::new(
            "schedule_to_close",
            "0.2.0",
            |reader, draft, value, path| draft.schedule_to_close = limit(reader, value, path),
            shapes::duration,
            "The longest time from when the task is ready to its end, over all attempts.",
        ),
        Key::new(
            "heartbeat",
            "0.2.0",
            |reader, draft, value, path| draft.heartbeat = limit(reader, value, path),
            shapes::duration,
            "The longest time within an attempt without a report of progress.",
        ),
        Key::new(
            "grace",
            "0.2.0",
            |reader, draft, value, path| draft.grace = values::duration(reader, value, path),
            shapes::duration,
            "How long the processes of an attempt that is stopped may take to end by themselves; default 10s.",
        ),
    ],
    planned: &[],
    reserved: &[],
    beside: None,
};

/// The time limits of a task as an object of the format.
pub(super) struct TimeoutObject;

/// A time limit and where it stands in the text.
type Limit = Option<(Duration, usize)>;

/// The time limits while their keys are read.
#[derive(Default)]
pub(super) struct Draft {
    start_to_close: Limit,
    schedule_to_start: Limit,
    schedule_to_close: Limit,
    heartbeat: Limit,
    grace: Option<Duration>,
}

impl Object for TimeoutObject {
    type Draft<'a> = Draft;
}

/// Reads time limits: an object, or the longest run of an attempt.
pub(super) fn read(reader: &mut Reader, value: Value<'_>, path: Path<'_>) -> Option<Timeouts> {
    if matches!(value.kind(), Kind::Number | Kind::String) {
        return Some(Timeouts { start_to_close: values::duration(reader, value, path), ..Timeouts::default() });
    }
    let value = reader.object_or("a duration", value, path, "\"timeout\"")?;
    let mut draft = Draft::default();
    object::read(reader, &TIMEOUT, value, path, &mut draft);
    let Draft { start_to_close, schedule_to_start, schedule_to_close, heartbeat, grace } = draft;
    for (short, name, long, by) in [
        (schedule_to_start, "schedule_to_start", schedule_to_close, "schedule_to_close"),
        (start_to_close, "start_to_close", schedule_to_close, "schedule_to_close"),
        (heartbeat, "heartbeat", start_to_close, "start_to_close"),
    ] {
        if let (Some((short, at)), Some((long, _))) = (short, long)
            && short > long
        {
            let message = format!("{name} ({short:?}) is longer than {by} ({long:?}), so it has no effect");
            reader.report.add(ProblemCode::OutOfRange, path.key(name), at, message, None);
        }
    }
    let length = |limit: Limit| limit.map(|(length, _)| length);
    Some(Timeouts {
        start_to_close: length(start_to_close),
        schedule_to_start: length(schedule_to_start),
        schedule_to_close: length(schedule_to_close),
        heartbeat: length(heartbeat),
        grace,
    })
}

fn limit(reader: &mut Reader, value: Value<'_>, path: Path<'_>) -> Limit {
    values::duration(reader, value, path).map(|limit| (limit, value.at))
}
