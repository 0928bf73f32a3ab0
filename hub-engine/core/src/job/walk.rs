//! Follows the path of a reference into a value.
//!
//! The value is read as text, one level at a time: nothing is built of it but the place looked for, and
//! what is found is a piece of that same text.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::reference::{Attribute, Reference};

/// A reference that found nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolveError {
    /// The position of the task referred to.
    pub task: u32,
    /// What of it.
    pub attribute: Attribute,
    /// The path, as written.
    pub path: Box<[Box<str>]>,
    /// Which step of the path found nothing.
    pub step: usize,
    /// What was there instead: `an object without it`, `a list of 3`, `a number`.
    pub found: String,
}

impl Reference {
    /// The value at the end of the path.
    pub(super) fn walk<'v>(&self, value: &'v str) -> Result<&'v str, ResolveError> {
        let mut here = value;
        for (step, key) in self.path.iter().enumerate() {
            here = descend(here, key).map_err(|found| ResolveError {
                task: self.task,
                attribute: self.attribute,
                path: self.path.clone(),
                step,
                found,
            })?;
        }
        Ok(here)
    }
}

/// One step into a value; or what is there instead.
fn descend<'v>(value: &'v str, key: &str) -> Result<&'v str, String> {
    let first = value.trim_start().bytes().next();
    let found = match first {
        Some(b'{' | b'[') => Inside { key }.deserialize(&mut serde_json::Deserializer::from_str(value)),
        Some(b'"') => return Err("a string".to_owned()),
        Some(b't' | b'f') => return Err("a truth value".to_owned()),
        Some(b'n') => return Err("null".to_owned()),
        _ => return Err("a number".to_owned()),
    };
    match found {
        Ok(Found::Value(value)) => Ok(value.get()),
        Ok(Found::NotInObject) => Err("an object without it".to_owned()),
        Ok(Found::NotInList(length)) => Err(format!("a list of {length}")),
        Err(error) => Err(format!("unreadable ({error})")),
    }
}

/// The position that a step is in a list: digits, without needless zeros.
fn as_index(key: &str) -> Option<usize> {
    let canonical = key == "0" || (!key.starts_with('0') && key.bytes().all(|byte| byte.is_ascii_digit()));
    canonical.then(|| key.parse().ok()).flatten()
}

/// Looks one level into an object or a list.
struct Inside<'k> {
    key: &'k str,
}

enum Found<'v> {
    Value(&'v RawValue),
    NotInObject,
    NotInList(usize),
}

impl<'v> DeserializeSeed<'v> for Inside<'_> {
    type Value = Found<'v>;

    fn deserialize<D: Deserializer<'v>>(self, deserializer: D) -> Result<Found<'v>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'v> Visitor<'v> for Inside<'_> {
    type Value = Found<'v>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or a list")
    }

    /// Of a key that stands twice the last one counts, as for every other reader of JSON.
    fn visit_map<A: MapAccess<'v>>(self, mut object: A) -> Result<Found<'v>, A::Error> {
        let mut found = Found::NotInObject;
        while let Some(is_it) = object.next_key_seed(Equals { key: self.key })? {
            if is_it {
                found = Found::Value(object.next_value()?);
            } else {
                object.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }

    fn visit_seq<A: SeqAccess<'v>>(self, mut list: A) -> Result<Found<'v>, A::Error> {
        let wanted = as_index(self.key);
        let mut length = 0;
        let mut found = None;
        loop {
            if Some(length) == wanted {
                found = list.next_element()?;
                if found.is_none() {
                    break;
                }
            } else if list.next_element::<IgnoredAny>()?.is_none() {
                break;
            }
            length += 1;
        }
        Ok(found.map_or(Found::NotInList(length), Found::Value))
    }
}

/// Whether a key is the one looked for. Compared as bytes: a result may come with keys that are half of a
/// surrogate pair, which no string of ours can hold, and is not unreadable for that.
struct Equals<'k> {
    key: &'k str,
}

impl<'v> DeserializeSeed<'v> for Equals<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'v>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_bytes(self)
    }
}

impl Visitor<'_> for Equals<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_bytes<E: Error>(self, key: &[u8]) -> Result<bool, E> {
        Ok(key == self.key.as_bytes())
    }
}

impl fmt::Display for ResolveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let walked = &self.path[..self.step];
        write!(f, "nothing at {:?}: .{}", self.path[self.step], self.attribute)?;
        walked.iter().try_for_each(|step| write!(f, ".{step}"))?;
        write!(f, " is {}", self.found)
    }
}

impl std::error::Error for ResolveError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_keys_of_objects_and_positions_of_lists() {
        assert_eq!(descend(r#"{"a": 1, "b" : [ 1.0 ] }"#, "b"), Ok("[ 1.0 ]"));
        assert_eq!(descend(r#"{"0": null}"#, "0"), Ok("null"));
        assert_eq!(descend(r#"{"a": 1, "\u0061": 2}"#, "a"), Ok("2"));
        assert_eq!(descend("[10, 11, 12]", "2"), Ok("12"));
    }

    #[test]
    fn what_is_there_instead_is_named() {
        assert_eq!(descend("{}", "a"), Err("an object without it".to_owned()));
        for step in ["3", "-0", "-1", "+1", "01", "00", "1.5", "a", "99999999999999999999999"] {
            assert_eq!(descend("[1, 2, 3]", step), Err("a list of 3".to_owned()), "{step}");
        }
        for (value, kind) in [("\"x\"", "a string"), ("true", "a truth value"), ("null", "null"), ("-1", "a number")] {
            assert_eq!(descend(value, "0"), Err(kind.to_owned()));
        }
    }

    #[test]
    fn half_a_surrogate_pair_beside_the_key_does_no_harm() {
        assert_eq!(descend(r#"{"\ud800": "\udfff", "a": "\ud800"}"#, "a"), Ok(r#""\ud800""#));
    }
}
