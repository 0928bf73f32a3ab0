//! Reads an object with the table of its keys.

use super::key::{Object, Table, USER_KEY_PREFIX};
use crate::Json;
use crate::job::path::Path;
use crate::job::problem::ProblemCode;
use crate::job::quoted::quoted;
use crate::job::reader::{Reader, Seen};
use crate::job::value::{Kind, Value};

/// Passes each value to the reader of its key, in the order of the text. Reports unknown keys, duplicate keys and
/// missing keys.
pub(super) fn read<'a, O: Object>(
    reader: &mut Reader,
    table: &Table<O>,
    object: Value<'a>,
    path: Path<'_>,
    draft: &mut O::Draft<'a>,
) {
    // Bit sets of positions in the table.
    let (mut seen, mut present) = (0_u64, 0_u64);
    let mut others = Seen::default();
    for (key, value) in object.properties() {
        let name = key.decoded();
        let Some(at) = table.keys.iter().position(|known| known.name == name) else {
            if !others.is_new(name.clone()) {
                reader.report_duplicate_key(&name, key.at, path);
            } else if name.starts_with(USER_KEY_PREFIX)
                && let Some(extra) = O::extra(draft)
            {
                extra.push((name.into_owned(), Json::from_checked(value.text)));
            } else {
                foreign_key(reader, table, &name, key.at, path);
            }
            continue;
        };
        let bit = 1 << at;
        if seen & bit != 0 {
            reader.report_duplicate_key(&name, key.at, path);
        } else if value.kind() != Kind::Null {
            present |= bit;
            (table.keys[at].read)(reader, draft, value, path.key(&name));
            if table.keys[at].is_repeated
                && let Some(extra) = O::extra(draft)
            {
                extra.push((name.into_owned(), Json::from_checked(value.text)));
            }
        }
        seen |= bit;
    }
    for (at, key) in table.keys.iter().enumerate() {
        if let Some(code) = key.missing.filter(|_| present & (1 << at) == 0) {
            let message = format!("{} has no {:?}", table.noun, key.name);
            reader.report.add(code, path, object.at, message, None);
        }
    }
}

/// Reports a key that is not in the table.
fn foreign_key<O: Object>(reader: &mut Reader, table: &Table<O>, key: &str, at: usize, path: Path<'_>) {
    let word = quoted(key);
    let (code, message, suggestion) = if table.reserved.contains(&key) {
        let suggestion = "remove it, and put your own data in \"meta\"".to_owned();
        (ProblemCode::ReservedKey, format!("{word} is set by Hub"), suggestion)
    } else if table.planned.contains(&key) {
        (ProblemCode::UnsupportedKey, format!("{word} is not supported yet"), "remove it".to_owned())
    } else if let Some(other) = reader.objects.iter().find(|object| object.has(key)) {
        (ProblemCode::UnknownKey, format!("{word} is not a key of this object"), other.place().to_owned())
    } else {
        let near = reader.report.did_you_mean(key, table.keys.iter().map(|known| known.name));
        let other = || match table.keys.iter().map(|known| known.name).collect::<Vec<_>>() {
            _ if O::HAS_OWN_KEYS => format!("put your own keys in \"meta\", or begin them with \"{USER_KEY_PREFIX}\""),
            known => format!("the keys of {} are {}", table.noun, known.join(", ")),
        };
        (ProblemCode::UnknownKey, format!("unknown key {word}"), near.unwrap_or_else(other))
    };
    reader.report.add(code, path.key(key), at, message, Some(suggestion));
}
