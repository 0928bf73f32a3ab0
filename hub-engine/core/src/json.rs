//! JSON text that is carried, not understood.
//!
//! Arguments and results belong to the user. Hub substitutes them into later arguments and echoes
//! them in status records, but never changes them: an integer of a hundred digits, `1.0` beside `1`
//! and the order of keys all survive, because the text itself is what is kept.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

/// One well-formed JSON value as text, cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Json(Arc<str>);

impl Json {
    /// Maximum depth of arrays and objects within each other in a value that enters Hub (a result, a posted result,
    /// arguments once their references are replaced). Readers that recurse, such as Python's, stop near 1,000.
    pub const MAX_DEPTH: usize = 500;

    /// Checks that `text` is exactly one JSON value and keeps it as it stands.
    ///
    /// # Errors
    /// Those of `serde_json`, with line and column.
    pub fn parse(text: &str) -> Result<Self, serde_json::Error> {
        let raw: &RawValue = serde_json::from_str(text)?;
        Ok(Self(raw.get().into()))
    }

    /// Keeps text that the caller has already checked or built from checked parts.
    #[must_use]
    pub fn from_checked(text: impl Into<Arc<str>>) -> Self {
        let text = text.into();
        debug_assert!(serde_json::from_str::<&RawValue>(&text).is_ok(), "not JSON: {text}");
        Self(text)
    }

    /// The value `null`.
    #[must_use]
    pub fn null() -> Self {
        Self("null".into())
    }

    /// A JSON string holding `text`.
    #[must_use]
    pub fn string(text: &str) -> Self {
        Self(serde_json::Value::from(text).to_string().into())
    }

    /// The text.
    #[must_use]
    pub fn get(&self) -> &str {
        &self.0
    }

    /// Whether arrays and objects are nested more than `limit` levels deep. Takes time in proportion to the text and
    /// does not recurse.
    #[must_use]
    pub fn is_deeper_than(&self, limit: usize) -> bool {
        // Each level takes two characters.
        if self.0.len() <= 2 * limit {
            return false;
        }
        let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
        for byte in self.0.bytes() {
            if in_string {
                match byte {
                    _ if escaped => escaped = false,
                    b'\\' => escaped = true,
                    b'"' => in_string = false,
                    _ => {}
                }
                continue;
            }
            match byte {
                b'"' => in_string = true,
                b'[' | b'{' => {
                    depth += 1;
                    if depth > limit {
                        return true;
                    }
                }
                b']' | b'}' => depth -= 1,
                _ => {}
            }
        }
        false
    }

    /// The value as a tree. Numbers beyond 64 bits lose precision here, and only here.
    #[must_use]
    pub fn to_value(&self) -> serde_json::Value {
        serde_json::from_str(&self.0).unwrap_or(serde_json::Value::Null)
    }
}

impl From<&RawValue> for Json {
    fn from(raw: &RawValue) -> Self {
        Self(raw.get().into())
    }
}

impl From<Box<RawValue>> for Json {
    fn from(raw: Box<RawValue>) -> Self {
        let text: Box<str> = raw.into();
        Self(text.into())
    }
}

impl From<serde_json::Value> for Json {
    fn from(value: serde_json::Value) -> Self {
        Self(value.to_string().into())
    }
}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let raw: &RawValue = serde_json::from_str(&self.0).map_err(serde::ser::Error::custom)?;
        raw.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Box::<RawValue>::deserialize(deserializer).map(Self::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_what_a_tree_would_lose() {
        let text = r#"{"b":123456789012345678901234567890,"a":[1.0,1e2,"\ud83d\ude00"]}"#;
        assert_eq!(Json::parse(text).unwrap().get(), text);
        let again: Json = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&again).unwrap(), text);
    }

    #[test]
    fn depth_counts_brackets_outside_of_strings() {
        let nested = |depth: usize| Json::parse(&format!("{}{}", "[".repeat(depth), "]".repeat(depth))).unwrap();
        assert!(!nested(100).is_deeper_than(100));
        assert!(nested(101).is_deeper_than(100));
        let wide = Json::parse(&format!(r#"["{}", "\"[[[[[", {}]"#, "[{".repeat(50), "[],".repeat(50) + "{}")).unwrap();
        assert!(!wide.is_deeper_than(2));
        assert!(wide.is_deeper_than(1));
    }

    #[test]
    fn refuses_what_is_not_one_value() {
        for text in ["", "1 2", "{", "nul", "'a'"] {
            assert!(Json::parse(text).is_err(), "{text:?}");
        }
    }
}
