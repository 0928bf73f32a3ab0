//! The keys of `for_each`.

use super::key::{self, Object, Table};
use super::{object, shapes};
use crate::job::draft::ForEachDraft;
use crate::job::for_each::{ForEach, Tolerance};
use crate::job::path::Path;
use crate::job::problem::ProblemCode;
use crate::job::reader::Reader;
use crate::job::value::{Kind, Value};

type Key = key::Key<ForEachObject>;

/// The keys of `for_each`. A new one goes here, once.
pub(super) static FOR_EACH: Table<ForEachObject> = Table {
    title: "ForEach",
    about: "The items that a task runs for, and how.",
    noun: "\"for_each\"",
    place: "it belongs in \"for_each\"",
    keys: &[
        Key::new(
            "in",
            "0.2.0",
            |_, draft, value, _| draft.source = Some(value),
            shapes::items,
            "What is iterated over: a list, an object, a whole number, or a reference to one of them.",
        )
        .required(ProblemCode::MissingKey),
        Key::new(
            "parallel",
            "0.2.0",
            |reader, draft, value, path| draft.parallel = count(reader, value, path, 1),
            shapes::count,
            "How many items run at the same time. Default: as many as there are slots.",
        ),
        Key::new(
            "tolerated_failures",
            "0.2.0",
            |reader, draft, value, path| draft.tolerated = tolerated(reader, value, path),
            shapes::tolerated,
            "How many items may fail: a number, or a percentage such as \"5%\"; default 0.",
        ),
        Key::new(
            "fail_fast",
            "0.2.0",
            |reader, draft, value, path| {
                draft.fail_fast = reader.boolean(value, path, "\"fail_fast\"").unwrap_or(false);
            },
            shapes::boolean,
            "Whether the other items are given up once too many have failed; default false.",
        ),
        Key::new(
            "batch",
            "0.2.0",
            |reader, draft, value, path| draft.batch = count(reader, value, path, 1).unwrap_or(1),
            shapes::count,
            "How many elements make one item, which is a list then; default 1.",
        ),
        Key::new(
            "when",
            "0.2.0",
            |_, draft, value, _| draft.when = Some(value),
            shapes::condition,
            "The condition under which an item runs. It is skipped otherwise.",
        ),
    ],
    planned: &["label"],
    reserved: &[],
    beside: None,
};

/// `for_each` as an object of the format.
pub(super) struct ForEachObject;

impl Object for ForEachObject {
    type Draft<'a> = ForEachDraft<'a>;
}

/// Reads `for_each`: an object with its keys, or what is iterated over.
pub(super) fn read<'a>(reader: &mut Reader, value: Value<'a>, path: Path<'_>) -> Option<ForEachDraft<'a>> {
    if value.kind() != Kind::Object {
        return Some(ForEachDraft::of(Some(value)));
    }
    let mut draft = ForEachDraft::of(None);
    object::read(reader, &FOR_EACH, value, path, &mut draft);
    draft.source.is_some().then_some(draft)
}

fn count(reader: &mut Reader, value: Value<'_>, path: Path<'_>, least: u32) -> Option<u32> {
    let digits = reader.whole_number(value, path, "it")?;
    let number = digits.parse().ok().filter(|number| (least..=ForEach::MAXIMUM_ITEMS).contains(number));
    let rule = number.ok_or_else(|| format!("it must be from {least} to {}, not {digits}", ForEach::MAXIMUM_ITEMS));
    reader.check_rule(rule, ProblemCode::OutOfRange, path, value.at)
}

fn tolerated(reader: &mut Reader, value: Value<'_>, path: Path<'_>) -> Tolerance {
    if value.kind() == Kind::Number {
        return Tolerance::Count(count(reader, value, path, 0).unwrap_or(0));
    }
    let Some(text) = reader.string(value, path, "\"tolerated_failures\"") else { return Tolerance::Count(0) };
    let part = text.strip_suffix('%').filter(|digits| is_decimal(digits)).and_then(|digits| digits.parse().ok());
    let part = part.filter(|part| (0.0..=100.0).contains(part));
    let rule = part.map(Tolerance::Percent).ok_or_else(|| {
        "\"tolerated_failures\" is a number of items, or a percentage from \"0%\" to \"100%\"".to_owned()
    });
    reader.check_rule(rule, ProblemCode::OutOfRange, path, value.at).unwrap_or(Tolerance::Count(0))
}

fn is_decimal(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_digit())
        && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
}
