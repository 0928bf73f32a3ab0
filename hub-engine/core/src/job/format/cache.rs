//! The keys of `cache`.

use super::key::{self, Object, Table};
use super::{object, shapes, values};
use crate::Json;
use crate::job::draft::CacheDraft;
use crate::job::path::Path;
use crate::job::problem::ProblemCode;
use crate::job::reader::Reader;
use crate::job::value::{Kind, Value};

type Key = key::Key<CacheObject>;

/// The keys of `cache`. Add new keys here.
pub(super) static CACHE: Table<CacheObject> = Table {
    title: "Cache",
    about: "For how long the result of the task is kept for later tasks that would compute the same.",
    noun: "\"cache\"",
    place: "it belongs in \"cache\"",
    keys: &[
        Key::new(
            "ttl",
            "0.2.0",
            |reader, draft, value, path| draft.ttl = values::duration(reader, value, path),
            shapes::ttl,
            "How long a result is kept.",
        )
        .required(ProblemCode::MissingKey),
        Key::new(
            "key",
            "0.2.0",
            |_, draft, value, _| draft.key = Some(value),
            shapes::template,
            "What stands for the arguments and the content of the module: any value. Default: these.",
        ),
        Key::new(
            "version",
            "0.2.0",
            |reader, draft, value, path| draft.version = version(reader, value, path),
            shapes::version,
            "The version of what the task computes: a text or a number. Results of other versions are not taken.",
        ),
        Key::new(
            "refresh",
            "0.2.0",
            |reader, draft, value, path| {
                draft.refresh = reader.boolean(value, path, "\"refresh\"").unwrap_or(false);
            },
            shapes::boolean,
            "Whether the task runs though there is a result, which its own result replaces; default false.",
        ),
    ],
    planned: &[],
    reserved: &[],
    beside: None,
};

/// A cache as an object of the format.
pub(super) struct CacheObject;

impl Object for CacheObject {
    type Draft<'a> = CacheDraft<'a>;
}

/// Reads a cache.
pub(super) fn read<'a>(reader: &mut Reader, value: Value<'a>, path: Path<'_>) -> Option<CacheDraft<'a>> {
    let object = reader.object(value, path, "\"cache\"")?;
    let mut draft = CacheDraft { at: value.at, ..CacheDraft::default() };
    object::read(reader, &CACHE, object, path, &mut draft);
    Some(draft)
}

fn version(reader: &mut Reader, value: Value<'_>, path: Path<'_>) -> Option<Json> {
    if !matches!(value.kind(), Kind::String | Kind::Number) {
        let message = format!("\"version\" must be a string or a number, not {}", value.kind().name());
        reader.report.add(ProblemCode::WrongType, path, value.at, message, None);
        return None;
    }
    Some(Json::from_checked(value.text))
}
