//! JSON text that is passed on unchanged.
//!
//! Arguments and results belong to the user. Hub inserts them into later arguments and into status records, but never
//! changes them. Long integers, the difference between `1.0` and `1` and the order of keys are preserved, because Hub
//! stores the text.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

/// Maximum length of a number without an exponent that is certainly in the range of a double.
const SAFE_DIGITS: usize = 308;

/// One well-formed JSON value as text, cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Json(Arc<str>);

impl Json {
    /// Maximum nesting depth of a value that enters Hub (a result, a posted result, arguments after their references
    /// are replaced). Recursive parsers, such as Python's, fail near 1,000.
    pub const MAX_DEPTH: usize = 500;

    /// Checks that `text` is exactly one JSON value, and stores it unchanged.
    ///
    /// # Errors
    /// The errors of `serde_json`, with line and column.
    pub fn parse(text: &str) -> Result<Self, serde_json::Error> {
        let raw: &RawValue = serde_json::from_str(text)?;
        Ok(Self(raw.get().into()))
    }

    /// Stores text that the caller has checked or built from checked parts.
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

    /// A JSON string with the content `text`.
    #[must_use]
    pub fn string(text: &str) -> Self {
        Self(serde_json::Value::from(text).to_string().into())
    }

    /// The text.
    #[must_use]
    pub fn get(&self) -> &str {
        &self.0
    }

    /// Whether arrays and objects are nested more than `limit` levels deep. The time is proportional to the size of the
    /// text, and there is no recursion.
    #[must_use]
    pub fn is_deeper_than(&self, limit: usize) -> bool {
        // Each level takes two characters.
        if self.0.len() <= 2 * limit {
            return false;
        }
        first_deeper(&self.0, limit).is_some()
    }

    /// Why some JSON parsers may refuse this value. The time is proportional to the size of the text, and there is no
    /// recursion.
    #[must_use]
    pub fn unreadable(&self) -> Option<Unreadable> {
        let (text, bytes) = (&*self.0, self.0.as_bytes());
        let mut at = 0;
        while let Some(byte) = bytes.get(at) {
            let start = at;
            match byte {
                b'"' => {
                    at = end_of_string(bytes, start);
                    let written = &text[start..at];
                    if written.contains("\\u") && serde_json::from_str::<String>(written).is_err() {
                        return Some(Unreadable::Surrogate { at: start });
                    }
                }
                b'-' | b'0'..=b'9' => {
                    at = end_of_word(bytes, start);
                    let written = &text[start..at];
                    let may_be_large = written.len() > SAFE_DIGITS || written.contains(['e', 'E']);
                    if may_be_large && !written.parse::<f64>().is_ok_and(f64::is_finite) {
                        return Some(Unreadable::Number { at: start });
                    }
                }
                _ => at += 1,
            }
        }
        None
    }

    /// The same value with some of its strings (keys included) and numbers replaced. `replace` returns the text of another JSON
    /// value, a string for a key. The time is proportional to the size of the text, and there is no recursion.
    #[must_use]
    pub fn map_scalars(&self, mut replace: impl FnMut(&str) -> Option<String>) -> Self {
        let (bytes, mut text, mut copied, mut at) = (self.0.as_bytes(), String::new(), 0, 0);
        while let Some(byte) = bytes.get(at) {
            let start = at;
            at = match byte {
                b'"' => end_of_string(bytes, start),
                b'-' | b'0'..=b'9' => end_of_word(bytes, start),
                _ => {
                    at += 1;
                    continue;
                }
            };
            if let Some(other) = replace(&self.0[start..at]) {
                text.push_str(&self.0[copied..start]);
                text.push_str(&other);
                copied = at;
            }
        }
        text.push_str(&self.0[copied..]);
        Self::from_checked(text)
    }

    /// The value as a tree. Numbers beyond 64 bits lose precision in this conversion.
    #[must_use]
    pub fn to_value(&self) -> serde_json::Value {
        serde_json::from_str(&self.0).unwrap_or(serde_json::Value::Null)
    }
}

/// Grammatically valid JSON that parsers do not agree on: some refuse it, others read a different value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// A string with a lone surrogate, such as `"\ud800"`.
    #[error("a string with a lone surrogate, which is not a character (at byte {at})")]
    Surrogate {
        /// The byte offset of the string.
        at: usize,
    },
    /// A number beyond the range of a double, such as `1e400`.
    #[error("a number beyond the range of double precision, about 1.8e308 (at byte {at})")]
    Number {
        /// The byte offset of the number.
        at: usize,
    },
}

/// The first byte offset where arrays and objects are nested more than `limit` levels deep. The text need not be JSON.
pub(crate) fn first_deeper(text: &str, limit: usize) -> Option<usize> {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    text.bytes().position(|byte| {
        if in_string {
            (in_string, escaped) = (escaped || byte != b'"', !escaped && byte == b'\\');
            return false;
        }
        match byte {
            b'"' => in_string = true,
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth > limit
    })
}

/// The end of the string that begins at `start`, in a text that is JSON.
pub(crate) fn end_of_string(text: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    text.len()
}

/// The end of the number, boolean or `null` that begins at `start`, in a text that is JSON.
pub(crate) fn end_of_word(text: &[u8], start: usize) -> usize {
    let word = text[start..].iter();
    start + word.take_while(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(byte)).count()
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
    fn preserves_numbers_key_order_and_escapes() {
        let text = r#"{"b":123456789012345678901234567890,"a":[1.0,1e2,"\ud83d\ude00"]}"#;
        assert_eq!(Json::parse(text).unwrap().get(), text);
        let again: Json = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&again).unwrap(), text);
    }

    #[test]
    fn brackets_in_strings_do_not_nest() {
        assert_eq!(first_deeper(r#"["[[\"[[", "]\\", []]"#, 2), None);
        assert_eq!(first_deeper(r#"["\\", [[]]]"#, 2), Some(8));
        assert_eq!(first_deeper("]]]][", 0), Some(4));
    }

    #[test]
    fn finds_values_that_parsers_may_refuse() {
        let large = "1".repeat(310);
        let readable = [
            r#"{"a\\ud800": ["\ud83d\ude00", "\\ud800", 1e308, -1.7e308, 1e-400, true, null, "1e400"]}"#.to_owned(),
            "9".repeat(308),
            format!("[{}1{}]", "[".repeat(400), "]".repeat(400)),
        ];
        for text in readable {
            assert_eq!(Json::parse(&text).unwrap().unreadable(), None, "{text}");
        }
        for (text, at) in [("1e400", 0), ("[0, -1E999]", 4), (&*large, 0), (r#"{"1": 2e309}"#, 6)] {
            assert_eq!(Json::parse(text).unwrap().unreadable(), Some(Unreadable::Number { at }), "{text}");
        }
        for (text, at) in [(r#""\ud800""#, 0), (r#"[1, "a\udfffb"]"#, 4), (r#"{"\ud800\u0041": 1}"#, 1)] {
            assert_eq!(Json::parse(text).unwrap().unreadable(), Some(Unreadable::Surrogate { at }), "{text}");
        }
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
    fn refuses_text_that_is_not_one_value() {
        for text in ["", "1 2", "{", "nul", "'a'"] {
            assert!(Json::parse(text).is_err(), "{text:?}");
        }
    }
}
