//! The keys of the start of a definition.

use super::job::{read_inputs, read_labels};
use super::key::{self, Object, Table};
use super::{object, shapes, values};
use crate::Json;
use crate::job::definition_links;
use crate::job::draft::StartDraft;
use crate::job::path::Path;
use crate::job::problem::ProblemCode;
use crate::job::reader::Reader;
use crate::job::value::Value;

type Key = key::Key<StartObject>;

/// The keys of a start. Add new keys here.
pub(super) static START: Table<StartObject> = Table {
    title: "Start",
    about: "The start of a definition: a submission with its name instead of tasks.",
    noun: "the start of a definition",
    place: "it belongs to the start of a definition",
    keys: &[
        Key::new(
            "definition",
            "0.2.0",
            definition,
            shapes::definition_reference,
            "The definition: NAME for its newest version, NAME@7 for the seventh, NAME@prod for the one with this alias.",
        )
        .required(ProblemCode::MissingKey),
        Key::new(
            "inputs",
            "0.2.0",
            |reader, start, value, path| start.inputs = read_inputs(reader, value, path),
            shapes::object,
            "What the tasks read as _.input: an object.",
        ),
        Key::new(
            "labels",
            "0.2.0",
            |reader, start, value, path| start.labels = read_labels(reader, value, path),
            shapes::labels,
            "Texts by name, by which jobs are found, beside those of the definition.",
        ),
        Key::new(
            "key",
            "0.2.0",
            |reader, start, value, path| start.key = values::name(reader, value, path, "a job's key"),
            shapes::name,
            "Makes the start idempotent: the same key with the same text returns the same job.",
        ),
        Key::new(
            "priority",
            "0.2.0",
            |reader, start, value, path| start.priority = values::priority(reader, value, path),
            shapes::job_priority,
            "The priority of the job, in place of that of the definition.",
        ),
        Key::new(
            "start_at",
            "0.2.0",
            |reader, start, value, path| start.start_at = values::moment(reader, value, path),
            shapes::moment,
            "When the job starts: a time, or a duration from the submission.",
        )
        .repeated(),
        Key::new(
            "deadline",
            "0.2.0",
            |reader, start, value, path| {
                start.deadline_at = Some(value.at);
                start.deadline = values::moment(reader, value, path);
            },
            shapes::moment,
            "When the job fails if it has not ended: a time, or a duration from its start.",
        )
        .repeated(),
        Key::new(
            "meta",
            "0.2.0",
            |reader, start, value, path| start.extra.extend(values::meta(reader, value, path)),
            shapes::object,
            "Your own data: stored, and shown in the record.",
        ),
        Key::new(
            "$schema",
            "0.2.0",
            |reader, _, value, path| {
                reader.string(value, path, "\"$schema\"");
            },
            shapes::text,
            "The JSON Schema of the file, for editors. Hub ignores it.",
        ),
    ],
    planned: &[],
    reserved: &[],
    beside: None,
};

/// A start as an object of the format.
pub(super) struct StartObject;

impl Object for StartObject {
    const HAS_OWN_KEYS: bool = true;

    type Draft<'a> = StartDraft<'a>;

    fn extra<'d>(draft: &'d mut StartDraft<'_>) -> Option<&'d mut Vec<(String, Json)>> {
        Some(&mut draft.extra)
    }
}

/// Reads the keys of a start, which is an object.
pub(in crate::job) fn read<'a>(reader: &mut Reader, object: Value<'a>) -> StartDraft<'a> {
    let mut draft = StartDraft::default();
    object::read(reader, &START, object, Path::Root, &mut draft);
    draft
}

fn definition(reader: &mut Reader, start: &mut StartDraft<'_>, value: Value<'_>, path: Path<'_>) {
    start.definition = definition_links::reference(reader, value, path).map(|reference| (reference, value.at));
}
