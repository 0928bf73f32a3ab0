//! The keys of a wait.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value as Tree, json};

use super::key::{self, Object, Table};
use super::{approval, object, shapes, values};
use crate::Json;
use crate::job::draft::{ApprovalDraft, AwaitedDraft, WaitDraft};
use crate::job::path::Path;
use crate::job::problem::ProblemCode;
use crate::job::quoted::quoted;
use crate::job::reader::Reader;
use crate::job::value::{Kind, Value};
use crate::job::wait::{OnTimeout, Wait};

type Key = key::Key<WaitObject>;

/// The keys that say what a task waits for.
const AWAITED: [&str; 3] = ["until", "signal", "approval"];

/// The keys of a wait. Add new keys here.
pub(super) static WAIT: Table<WaitObject> = Table {
    title: "Wait",
    about: "What the task waits for instead of running a module: a time, a signal, or an approval.",
    noun: "\"wait\"",
    place: "it belongs in \"wait\"",
    keys: &[
        Key::new(
            "until",
            "0.2.0",
            until,
            shapes::until,
            "The time at which the task ends, or the duration after which it ends: a value or a reference to one.",
        ),
        Key::new("signal", "0.2.0", signal, shapes::name, "The name of the signal for which the task waits."),
        Key::new("count", "0.2.0", count, shapes::signals, "Number of signals, from 1 to 1000; default 1."),
        Key::new(
            "approval",
            "0.2.0",
            approval,
            shapes::approval,
            "The question that a person answers: an approval, {} for the default.",
        ),
        Key::new(
            "timeout",
            "0.2.0",
            timeout,
            shapes::duration,
            "How long the task waits for signals or an approval; default: without a limit.",
        ),
        Key::new(
            "on_timeout",
            "0.2.0",
            on_timeout,
            shapes::on_timeout,
            "How the task ends after that time: fail, skip, or {\"data\": value} for a success; default fail.",
        ),
    ],
    planned: &[],
    reserved: &[],
    beside: Some(rules),
};

/// A wait as an object of the format.
pub(super) struct WaitObject;

/// A wait while its keys are read.
#[derive(Default)]
pub(super) struct Draft<'a> {
    until: Option<Value<'a>>,
    signal: Option<Arc<str>>,
    count: Option<u32>,
    approval: Option<ApprovalDraft<'a>>,
    timeout: Option<Duration>,
    on_timeout: Option<OnTimeout>,
}

impl Object for WaitObject {
    type Draft<'a> = Draft<'a>;
}

/// Reads a wait.
pub(super) fn read<'a>(reader: &mut Reader, value: Value<'a>, path: Path<'_>) -> Option<WaitDraft<'a>> {
    let value = reader.object(value, path, "\"wait\"")?;
    let mut draft = Draft::default();
    object::read(reader, &WAIT, value, path, &mut draft);
    check_combination(reader, value, path);
    let awaited = match draft {
        Draft { until: Some(until), .. } => AwaitedDraft::Until(until),
        Draft { signal: Some(name), count, .. } => AwaitedDraft::Signal { name, count: count.unwrap_or(1) },
        Draft { approval: Some(approval), .. } => AwaitedDraft::Approval(approval),
        // The problem was reported.
        _ => return None,
    };
    let on_timeout = draft.on_timeout.unwrap_or(OnTimeout::Fail);
    Some(WaitDraft { awaited, timeout: draft.timeout, on_timeout })
}

/// Reports keys that do not fit together.
fn check_combination(reader: &mut Reader, object: Value<'_>, path: Path<'_>) {
    let present: Vec<(String, usize)> = object
        .properties()
        .filter(|(_, value)| value.kind() != Kind::Null)
        .map(|(key, _)| (key.decoded().into_owned(), key.at))
        .collect();
    let find = |word: &str| present.iter().find(|(key, _)| key == word).map(|(_, at)| *at);
    let mut awaited = AWAITED.into_iter().filter_map(|word| Some((word, find(word)?)));
    let Some((first, _)) = awaited.next() else {
        let message = "\"wait\" does not say what the task waits for".to_owned();
        let suggestion = Some("give it one of the keys \"until\", \"signal\" and \"approval\"".to_owned());
        return reader.report.add(ProblemCode::MissingKey, path, object.at, message, suggestion);
    };
    let mut refuse = |word: &str, at, message: String, suggestion: &str| {
        reader.report.add(ProblemCode::OutOfRange, path.key(word), at, message, Some(suggestion.to_owned()));
    };
    for (word, at) in awaited {
        let message = format!("{} and {} cannot stand in the same \"wait\"", quoted(first), quoted(word));
        refuse(word, at, message, "use one task for each, and let a third one depend on them");
    }
    if let Some(at) = find("count").filter(|_| find("signal").is_none()) {
        refuse("count", at, "\"count\" has no effect without \"signal\"".to_owned(), "remove it");
    }
    if let Some(at) = find("timeout").filter(|_| find("until").is_some()) {
        let message = "\"timeout\" has no effect beside \"until\", which ends the wait".to_owned();
        refuse("timeout", at, message, "remove it");
    }
    if let Some(at) = find("on_timeout").filter(|_| find("timeout").is_none()) {
        refuse("on_timeout", at, "\"on_timeout\" has no effect without \"timeout\"".to_owned(), "add a \"timeout\"");
    }
}

/// The same as JSON Schema.
fn rules() -> Tree {
    let (has, lacks) = (shapes::has, |key| json!({ "not": shapes::has(key) }));
    let implies = |key: &str, then: Tree| json!({ "if": has(key), "then": then });
    json!({
        "allOf": [
            { "oneOf": AWAITED.map(has) },
            implies("count", has("signal")),
            implies("until", lacks("timeout")),
            implies("on_timeout", has("timeout"))
        ]
    })
}

fn until<'a>(_: &mut Reader, draft: &mut Draft<'a>, value: Value<'a>, _: Path<'_>) {
    draft.until = Some(value);
}

fn signal(reader: &mut Reader, draft: &mut Draft<'_>, value: Value<'_>, path: Path<'_>) {
    let name = values::name(reader, value, path, "a signal's name");
    // Signals are sent by name, so tasks of one signal share it.
    draft.signal = name.map(|name| reader.interner.text(&name));
}

fn count(reader: &mut Reader, draft: &mut Draft<'_>, value: Value<'_>, path: Path<'_>) {
    let Some(digits) = reader.whole_number(value, path, "the number of signals") else { return };
    let count = digits.parse().ok().filter(|count| (1..=Wait::MAXIMUM_SIGNALS).contains(count));
    let rule = count.ok_or_else(|| format!("the number of signals is from 1 to {}", Wait::MAXIMUM_SIGNALS));
    draft.count = reader.check_rule(rule, ProblemCode::OutOfRange, path, value.at);
}

fn approval<'a>(reader: &mut Reader, draft: &mut Draft<'a>, value: Value<'a>, path: Path<'_>) {
    draft.approval = approval::read(reader, value, path);
}

fn timeout(reader: &mut Reader, draft: &mut Draft<'_>, value: Value<'_>, path: Path<'_>) {
    draft.timeout = values::duration(reader, value, path);
}

fn on_timeout(reader: &mut Reader, draft: &mut Draft<'_>, value: Value<'_>, path: Path<'_>) {
    draft.on_timeout = match value.kind() {
        Kind::Object => on_timeout_data(reader, value, path),
        Kind::String => {
            let word = value.decoded();
            let rule = match &*word {
                "fail" => Ok(OnTimeout::Fail),
                "skip" => Ok(OnTimeout::Skip),
                other => Err(format!("\"on_timeout\" is \"fail\", \"skip\" or {{\"data\": …}}, not {}", quoted(other))),
            };
            reader.check_rule(rule, ProblemCode::OutOfRange, path, value.at)
        }
        kind => {
            let message = format!("\"on_timeout\" is \"fail\", \"skip\" or {{\"data\": …}}, not {}", kind.name());
            reader.report.add(ProblemCode::WrongType, path, value.at, message, None);
            None
        }
    };
}

/// An object with the key `data` only.
fn on_timeout_data(reader: &mut Reader, object: Value<'_>, path: Path<'_>) -> Option<OnTimeout> {
    let mut properties = object.properties();
    if let (Some((key, data)), None) = (properties.next(), properties.next())
        && key.decoded() == "data"
    {
        return Some(OnTimeout::Data(Json::from_checked(data.text)));
    }
    let message = "an object in \"on_timeout\" has the key \"data\" only".to_owned();
    reader.report.add(ProblemCode::WrongType, path, object.at, message, None);
    None
}
