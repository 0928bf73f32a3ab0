//! The keys of an approval.

use std::sync::Arc;

use super::key::{self, Object, Table};
use super::{object, shapes};
use crate::job::draft::ApprovalDraft;
use crate::job::path::Path;
use crate::job::problem::ProblemCode;
use crate::job::quoted::quoted;
use crate::job::reader::Reader;
use crate::job::rules;
use crate::job::value::Value;
use crate::job::wait::Approval;

type Key = key::Key<ApprovalObject>;

/// The keys of an approval. Add new keys here.
pub(super) static APPROVAL: Table<ApprovalObject> = Table {
    title: "Approval",
    about: "A question that a person answers.",
    noun: "\"approval\"",
    place: "it belongs in \"approval\"",
    keys: &[
        Key::new("message", "0.2.0", message, shapes::template, "The question: any value, with references."),
        Key::new(
            "choices",
            "0.2.0",
            |reader, draft, value, path| draft.choices = choices(reader, value, path),
            shapes::choices,
            "The possible answers, up to 20; default approve and reject.",
        ),
        Key::new(
            "fail_on",
            "0.2.0",
            |reader, draft, value, path| draft.fail_on = choices(reader, value, path).map(|list| (list, value.at)),
            shapes::failing_choices,
            "The answers that fail the task; default reject, if it is possible.",
        ),
    ],
    planned: &["schema"],
    reserved: &[],
    beside: None,
};

/// An approval as an object of the format.
pub(super) struct ApprovalObject;

/// An approval while its keys are read.
#[derive(Default)]
pub(super) struct Draft<'a> {
    message: Option<Value<'a>>,
    choices: Option<Vec<Arc<str>>>,
    fail_on: Option<(Vec<Arc<str>>, usize)>,
}

impl Object for ApprovalObject {
    type Draft<'a> = Draft<'a>;
}

/// Reads an approval.
pub(super) fn read<'a>(reader: &mut Reader, value: Value<'a>, path: Path<'_>) -> Option<ApprovalDraft<'a>> {
    let value = reader.object(value, path, "\"approval\"")?;
    let mut draft = Draft::default();
    object::read(reader, &APPROVAL, value, path, &mut draft);
    let Draft { message, choices, fail_on } = draft;
    if let Some(([], at)) = choices.as_deref().map(|choices| (choices, value.at)) {
        let message = "an approval has at least one choice".to_owned();
        reader.report.add(ProblemCode::OutOfRange, path.key("choices"), at, message, None);
    }
    let choices = choices.unwrap_or_else(|| Approval::CHOICES.map(Into::into).to_vec());
    let fail_on = match fail_on {
        Some((fail_on, at)) => {
            if let Some(unknown) = fail_on.iter().find(|failing| !choices.contains(failing)) {
                let message = format!("{} is not one of the choices", quoted(unknown));
                let near = reader.report.did_you_mean(unknown, choices.iter().map(|choice| &**choice));
                reader.report.add(ProblemCode::OutOfRange, path.key("fail_on"), at, message, near);
            }
            fail_on
        }
        None => choices.iter().filter(|choice| ***choice == *Approval::FAILING).cloned().collect(),
    };
    Some(ApprovalDraft { message, choices, fail_on })
}

fn message<'a>(_: &mut Reader, draft: &mut Draft<'a>, value: Value<'a>, _: Path<'_>) {
    draft.message = Some(value);
}

/// Different answers.
fn choices(reader: &mut Reader, value: Value<'_>, path: Path<'_>) -> Option<Vec<Arc<str>>> {
    let list = reader.list(value, path, "a list of choices")?;
    let mut choices: Vec<Arc<str>> = Vec::new();
    for (index, value) in list.elements().enumerate() {
        let path = path.index(index);
        let Some(choice) = reader.string(value, path, "a choice") else { continue };
        if index == Approval::MAXIMUM_CHOICES {
            let message = format!("an approval has at most {} choices", Approval::MAXIMUM_CHOICES);
            reader.report.add(ProblemCode::OutOfRange, path, value.at, message, None);
            break;
        }
        let is_new = choices.iter().all(|known| **known != *choice);
        let rule = if is_new { rules::name("a choice", &choice) } else { Err("the choice stands twice".to_owned()) };
        if reader.check_rule(rule, ProblemCode::BadName, path, value.at).is_some() {
            choices.push(reader.interner.text(&choice));
        }
    }
    Some(choices)
}
