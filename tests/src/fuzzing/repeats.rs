//! Detects duplicate keys in an object. JSON parsers differ in which of the values they keep.

use std::collections::HashSet;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// Whether an object in this JSON text has a duplicate key.
pub(super) fn has_repeated_keys(text: &str) -> bool {
    serde_json::from_str::<Repeats>(text).expect("it is JSON").0
}

struct Repeats(bool);

impl<'de> Deserialize<'de> for Repeats {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Objects)
    }
}

struct Objects;

impl<'de> Visitor<'de> for Objects {
    type Value = Repeats;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_unit<E>(self) -> Result<Repeats, E> {
        Ok(Repeats(false))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Repeats, E> {
        Ok(Repeats(false))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Repeats, E> {
        Ok(Repeats(false))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Repeats, E> {
        Ok(Repeats(false))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Repeats, E> {
        Ok(Repeats(false))
    }

    fn visit_str<E>(self, _: &str) -> Result<Repeats, E> {
        Ok(Repeats(false))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Repeats, A::Error> {
        let mut found = false;
        while let Some(Repeats(inside)) = items.next_element()? {
            found |= inside;
        }
        Ok(Repeats(found))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Repeats, A::Error> {
        let (mut keys, mut found) = (HashSet::new(), false);
        while let Some(key) = entries.next_key::<String>()? {
            let Repeats(inside) = entries.next_value()?;
            found |= inside || !keys.insert(key);
        }
        Ok(Repeats(found))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_keys_are_found_at_any_depth() {
        for text in [r#"{"a": 1, "b": {"a": 2}}"#, r#"[{"a": null}, {"a": [1.5, -1, true, "x"]}]"#, "0"] {
            assert!(!has_repeated_keys(text), "{text}");
        }
        for text in [r#"{"a": 1, "\u0061": 1}"#, r#"[[{"x": {"a": 1, "b": 2, "a": 1}}]]"#] {
            assert!(has_repeated_keys(text), "{text}");
        }
    }
}
