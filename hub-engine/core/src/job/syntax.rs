//! Checks that bytes are JSON text within the limits. This file does not know the job format.
//!
//! `serde_json` decides what JSON is, as everywhere else in Hub. Size and nesting are checked first.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use super::Limits;
use super::other_formats::{encoding_advice, language};
use super::path::Path;
use super::position::Positions;
use super::problem::{Problem, ProblemCode, Problems};
use super::value::Value;
use crate::json::first_deeper;

/// Converts bytes to text.
pub(super) fn text(bytes: &[u8]) -> Result<&str, Problems> {
    std::str::from_utf8(bytes).map_err(|error| {
        let at = error.valid_up_to();
        let before = std::str::from_utf8(&bytes[..at]).unwrap_or_default();
        let message = format!("the job is not UTF-8 text: byte {at} (counted from 0) is not part of a character");
        problem(ProblemCode::NotUtf8, before, at, message, Some(encoding_advice(bytes).to_owned()))
    })
}

/// Checks that a text is one JSON value, and returns it.
pub(super) fn value<'a>(text: &'a str, limits: &Limits) -> Result<Value<'a>, Problems> {
    value_of("job", text, limits)
}

/// The same for a text that is to be a `what`.
pub(super) fn value_of<'a>(what: &str, text: &'a str, limits: &Limits) -> Result<Value<'a>, Problems> {
    check_size(what, text, limits)?;
    match serde_json::from_str(text) {
        Ok(ValidJson) => Ok(Value::of_job(text)),
        Err(error) => Err(not_json(what, text, &error)),
    }
}

fn check_size(what: &str, text: &str, limits: &Limits) -> Result<(), Problems> {
    let refuse = |at, message| Err(problem(ProblemCode::LimitExceeded, text, at, message, None));
    if text.len() > limits.max_bytes {
        return refuse(0, format!("the {what} has {} bytes, the limit max_bytes is {}", text.len(), limits.max_bytes));
    }
    let deepest = limits.max_depth.min(Limits::MAX_DEPTH);
    match first_deeper(text, deepest) {
        Some(at) => refuse(at, format!("the nesting exceeds the limit max_depth, which is {deepest}")),
        None => Ok(()),
    }
}

fn not_json(what: &str, text: &str, error: &serde_json::Error) -> Problems {
    if text.trim().is_empty() {
        return problem(ProblemCode::NotJson, text, 0, format!("the {what} is empty"), None);
    }
    let at = offset(text, error.line(), error.column());
    let said = error.to_string();
    let why = said.rsplit_once(" at line ").map_or(said.as_str(), |(why, _)| why);
    let mistake = || text[at..].chars().next().and_then(|found| common_mistake(found, why));
    let suggestion = language(text).or_else(mistake).map(str::to_owned);
    problem(ProblemCode::NotJson, text, at, format!("the {what} is not JSON: {why}"), suggestion)
}

/// Converts a place reported by `serde_json` to a byte offset. Lines begin with 1, columns count bytes and begin with
/// 1; column 0 is before the first byte of a line.
fn offset(text: &str, line: usize, column: usize) -> usize {
    let breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
    let start = std::iter::once(0).chain(breaks).nth(line.saturating_sub(1)).unwrap_or_default();
    let mut at = (start + column.saturating_sub(1)).min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// The suggestion for a common mistake, by the character where the text stops being JSON.
fn common_mistake(found: char, what: &str) -> Option<&'static str> {
    match found {
        _ if what.starts_with("trailing comma") => Some("remove the comma before it"),
        _ if what.starts_with("trailing characters") => {
            Some("a submission contains one job: submit each job separately")
        }
        _ if what.starts_with("EOF") => Some("the text is cut off: a closing bracket or quotation mark is missing"),
        '\u{feff}' => Some("save the text without a byte order mark"),
        '\'' => Some("write strings in double quotes"),
        '/' | '#' => Some("JSON has no comments"),
        '\u{201c}' | '\u{201d}' | '\u{201e}' | '\u{2018}' | '\u{2019}' => {
            Some("write strings in straight double quotes (U+0022), not in typographic ones")
        }
        'N' | 'I' | 'T' | 'F' => Some("JSON has true, false and null, but neither NaN nor Infinity"),
        _ => None,
    }
}

fn problem(code: ProblemCode, text: &str, at: usize, message: String, suggestion: Option<String>) -> Problems {
    let (line, column) = Positions::new(text).of(at);
    let path = Path::Root.to_string();
    Problem { code, path, line: Some(line), column: Some(column), message, suggestion }.into()
}

/// Checks a JSON value without keeping it. Unlike serde's `IgnoredAny`, it makes `serde_json` decode every string and
/// number. So lone surrogates and numbers outside the range of a float are refused here, where their place is known.
struct ValidJson;

impl<'de> Deserialize<'de> for ValidJson {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for ValidJson {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self, A::Error> {
        while list.next_element::<Self>()?.is_some() {}
        Ok(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Self, A::Error> {
        while object.next_entry::<Self, Self>()?.is_some() {}
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_of_errors_count_characters() {
        let problems = value("{\n  \"ß\": 'x'}", &Limits::default()).unwrap_err();
        let problem = problems.into_iter().next().unwrap();
        assert_eq!((problem.line, problem.column), (Some(2), Some(8)));
        assert_eq!(problem.suggestion.as_deref(), Some("write strings in double quotes"));
    }
}
