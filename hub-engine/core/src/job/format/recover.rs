//! The keys of a recovery.

use super::key::{self, Object, Table};
use super::{object, shapes, values};
use crate::job::draft::RecoverDraft;
use crate::job::path::Path;
use crate::job::reader::Reader;
use crate::job::value::Value;

type Key = key::Key<RecoverObject>;

/// The keys of a recovery. Add new keys here.
pub(super) static RECOVER: Table<RecoverObject> = Table {
    title: "Recover",
    about: "After which failures the job goes on as if the task had succeeded, and with which data.",
    noun: "\"recover\"",
    place: "it belongs in \"recover\"",
    keys: &[
        Key::new(
            "fallback",
            "0.2.0",
            fallback,
            shapes::template,
            "The data of the task after it has failed: any value. _.failure is its error. Default: null.",
        ),
        Key::new(
            "match",
            "0.2.0",
            matches,
            shapes::error_names,
            "Kinds and types of errors: the task is not recovered after others. Default: all.",
        ),
    ],
    planned: &[],
    reserved: &[],
    beside: None,
};

/// A recovery as an object of the format.
pub(super) struct RecoverObject;

impl Object for RecoverObject {
    type Draft<'a> = RecoverDraft<'a>;
}

fn fallback<'a>(_: &mut Reader, draft: &mut RecoverDraft<'a>, value: Value<'a>, _: Path<'_>) {
    draft.fallback = Some(value);
}

fn matches(reader: &mut Reader, draft: &mut RecoverDraft<'_>, value: Value<'_>, path: Path<'_>) {
    draft.matches = values::error_names(reader, value, path);
}

/// Reads a recovery.
pub(super) fn read<'a>(reader: &mut Reader, value: Value<'a>, path: Path<'_>) -> Option<RecoverDraft<'a>> {
    let value = reader.object(value, path, "\"recover\"")?;
    let mut draft = RecoverDraft::default();
    object::read(reader, &RECOVER, value, path, &mut draft);
    Some(draft)
}
