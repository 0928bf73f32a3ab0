//! Reads an object by the table of its keys.

use super::key::{OWN, Object, Table};
use crate::Json;
use crate::job::path::Path;
use crate::job::problem::ProblemCode;
use crate::job::quoted::quoted;
use crate::job::reader::{Reader, Seen};
use crate::job::value::{Kind, Value};

/// Hands each value to the reader of its key, in the order of the text. Notes keys that are wrong, that stand twice, or that
/// are required and absent.
pub(super) fn read<'a, O: Object>(
    reader: &mut Reader,
    table: &Table<O>,
    object: Value<'a>,
    path: Path<'_>,
    draft: &mut O::Draft<'a>,
) {
    // Sets of positions in the table.
    let (mut seen, mut present) = (0_u64, 0_u64);
    let mut others = Seen::default();
    for (key, value) in object.properties() {
        let name = key.meant();
        let Some(at) = table.keys.iter().position(|known| known.name == name) else {
            if !others.is_new(name.clone()) {
                reader.stands_twice(&name, key.at, path);
            } else if let Some(extra) = O::extra(draft).filter(|_| name.starts_with(OWN)) {
                extra.push((name.into_owned(), Json::from_checked(value.text)));
            } else {
                foreign_key(reader, table, &name, key.at, path);
            }
            continue;
        };
        let bit = 1 << at;
        if seen & bit != 0 {
            reader.stands_twice(&name, key.at, path);
        } else if value.kind() != Kind::Null {
            present |= bit;
            (table.keys[at].read)(reader, draft, value, path.key(&name));
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

/// Notes a key that is not in the table.
fn foreign_key<O: Object>(reader: &mut Reader, table: &Table<O>, key: &str, at: usize, path: Path<'_>) {
    let word = quoted(key);
    let (code, message, suggestion) = if table.reserved.contains(&key) {
        let suggestion = "leave it out; data of your own goes into \"meta\"".to_owned();
        (ProblemCode::ReservedKey, format!("{word} is set by Hub"), suggestion)
    } else if table.planned.contains(&key) {
        (ProblemCode::UnsupportedKey, format!("{word} is not supported yet"), "leave it out".to_owned())
    } else if let Some(other) = reader.objects.iter().find(|object| object.has(key)) {
        (ProblemCode::UnknownKey, format!("{word} is not a key of this object"), other.place().to_owned())
    } else {
        let near = reader.report.did_you_mean(key, table.keys.iter().map(|known| known.name));
        let other = || match table.keys.iter().map(|known| known.name).collect::<Vec<_>>() {
            _ if O::HAS_OWN_KEYS => format!("keys of your own go into \"meta\", or begin with \"{OWN}\""),
            known => format!("{} has these keys: {}", table.noun, known.join(", ")),
        };
        (ProblemCode::UnknownKey, format!("unknown key {word}"), near.unwrap_or_else(other))
    };
    reader.report.add(code, path.key(key), at, message, Some(suggestion));
}
