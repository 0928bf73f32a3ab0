//! From bytes to a text that is known to be JSON. Knows nothing of jobs.
//!
//! What is JSON is decided by `serde_json`, as everywhere else in Hub. Size and nesting are looked at before
//! it sees the text.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use super::Limits;
use super::habits::{encoding_advice, language};
use super::path::Path;
use super::position::Positions;
use super::problem::{Problem, ProblemCode, Problems};
use super::value::Value;
use crate::json::first_deeper;

/// The text that `bytes` are.
pub(super) fn text(bytes: &[u8]) -> Result<&str, Problems> {
    std::str::from_utf8(bytes).map_err(|error| {
        let at = error.valid_up_to();
        let before = std::str::from_utf8(&bytes[..at]).unwrap_or_default();
        let message = format!("the job is not UTF-8 text: byte {at} (counted from 0) is not part of a character");
        problem(ProblemCode::NotUtf8, before, at, message, Some(encoding_advice(bytes).to_owned()))
    })
}

/// The value that `text` is.
pub(super) fn value<'a>(text: &'a str, limits: &Limits) -> Result<Value<'a>, Problems> {
    check_size(text, limits)?;
    match serde_json::from_str(text) {
        Ok(Understood) => Ok(Value::of_job(text)),
        Err(error) => Err(not_json(text, &error)),
    }
}

fn check_size(text: &str, limits: &Limits) -> Result<(), Problems> {
    let refuse = |at, message| Err(problem(ProblemCode::LimitExceeded, text, at, message, None));
    if text.len() > limits.max_bytes {
        return refuse(0, format!("the job has {} bytes, the limit max_bytes is {}", text.len(), limits.max_bytes));
    }
    let deepest = limits.max_depth.min(Limits::DEEPEST);
    match first_deeper(text, deepest) {
        Some(at) => refuse(at, format!("values are nested deeper here than the limit max_depth, {deepest}")),
        None => Ok(()),
    }
}

fn not_json(text: &str, error: &serde_json::Error) -> Problems {
    if text.trim().is_empty() {
        return problem(ProblemCode::NotJson, text, 0, "there is no job: the text is empty".to_owned(), None);
    }
    let at = offset(text, error.line(), error.column());
    let said = error.to_string();
    let what = said.rsplit_once(" at line ").map_or(said.as_str(), |(what, _)| what);
    let habit = || text[at..].chars().next().and_then(|found| habit(found, what));
    let suggestion = language(text).or_else(habit).map(str::to_owned);
    problem(ProblemCode::NotJson, text, at, format!("the job is not JSON: {what}"), suggestion)
}

/// The byte offset of a place as `serde_json` tells it: lines from 1, columns in bytes from 1, or 0 before
/// the first byte of a line.
fn offset(text: &str, line: usize, column: usize) -> usize {
    let breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
    let start = std::iter::once(0).chain(breaks).nth(line.saturating_sub(1)).unwrap_or_default();
    let mut at = (start + column.saturating_sub(1)).min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// What people write who think of another language, by the character where JSON ends for them.
fn habit(found: char, what: &str) -> Option<&'static str> {
    match found {
        _ if what.starts_with("trailing comma") => Some("leave out the comma before it"),
        _ if what.starts_with("trailing characters") => {
            Some("a submission is one job: submit each of several jobs by itself")
        }
        _ if what.starts_with("EOF") => Some("the text is cut off: a closing bracket or quotation mark is missing"),
        '\u{feff}' => Some("save the text without a byte order mark"),
        '\'' => Some("strings stand in double quotes"),
        '/' | '#' => Some("JSON has no comments"),
        '\u{201c}' | '\u{201d}' | '\u{201e}' | '\u{2018}' | '\u{2019}' => {
            Some("strings stand in straight double quotes (U+0022), not in typographic ones")
        }
        'N' | 'I' | 'T' | 'F' => Some("JSON knows true, false and null; it has no NaN and no Infinity"),
        _ => None,
    }
}

fn problem(code: ProblemCode, text: &str, at: usize, message: String, suggestion: Option<String>) -> Problems {
    let (line, column) = Positions::new(text).of(at);
    let path = Path::Root.to_string();
    Problem { code, path, line: Some(line), column: Some(column), message, suggestion }.into()
}

/// Any value that can be understood, forgotten at once. Unlike serde's `IgnoredAny` it has `serde_json`
/// decode every string and number: halves of surrogate pairs and numbers beyond a float are refused here,
/// where their place is known, not by some reader later.
struct Understood;

impl<'de> Deserialize<'de> for Understood {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for Understood {
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
    fn places_of_errors_are_of_characters() {
        let problems = value("{\n  \"ß\": 'x'}", &Limits::default()).unwrap_err();
        let problem = problems.into_iter().next().unwrap();
        assert_eq!((problem.line, problem.column), (Some(2), Some(8)));
        assert_eq!(problem.suggestion.as_deref(), Some("strings stand in double quotes"));
    }
}
