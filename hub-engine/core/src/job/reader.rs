//! Reads values of the types that they have to be, noting those that are not.

use std::collections::HashSet;

use jsonc_parser::ast::{Object, Value};
use jsonc_parser::common::Ranged;

use super::path::Path;
use super::problem::ProblemCode;
use super::report::{Report, quoted};
use super::vocabulary::{Vocabulary, is_own};
use crate::Json;

/// The text of a job, and what was found wrong with it so far.
pub(super) struct Reader<'a> {
    pub(super) text: &'a str,
    pub(super) report: Report,
}

impl<'a> Reader<'a> {
    pub(super) const fn new(text: &'a str) -> Self {
        Self { text, report: Report::new() }
    }

    /// The object that `value` has to be.
    pub(super) fn object<'v>(&mut self, value: &'v Value<'a>, path: Path<'_>, what: &str) -> Option<&'v Object<'a>> {
        match value {
            Value::Object(object) => Some(object),
            other => {
                self.wrong_type(other, path, what, "an object", None);
                None
            }
        }
    }

    /// The string that `value` has to be.
    pub(super) fn string<'v>(&mut self, value: &'v Value<'a>, path: Path<'_>, what: &str) -> Option<&'v str> {
        match value {
            Value::StringLit(string) => Some(&string.value),
            other => {
                self.wrong_type(other, path, what, "a string", None);
                None
            }
        }
    }

    /// The elements of the list that `value` has to be.
    pub(super) fn list<'v>(&mut self, value: &'v Value<'a>, path: Path<'_>, what: &str) -> Option<&'v [Value<'a>]> {
        match value {
            Value::Array(list) => Some(&list.elements),
            other => {
                let alone = matches!(other, Value::StringLit(_) | Value::NumberLit(_));
                let suggestion = alone.then(|| "put it in brackets: [ ]".to_owned());
                self.wrong_type(other, path, what, "a list", suggestion);
                None
            }
        }
    }

    /// The digits of the whole number that `value` has to be.
    pub(super) fn whole_number<'v>(&mut self, value: &'v Value<'a>, path: Path<'_>, what: &str) -> Option<&'v str> {
        match value {
            Value::NumberLit(number) if !number.value.contains(['.', 'e', 'E']) => Some(number.value),
            Value::NumberLit(number) => {
                let message = format!("{what} must be a whole number, not {}", number.value);
                self.report.add(ProblemCode::WrongType, path, value.start(), message, None);
                None
            }
            other => {
                self.wrong_type(other, path, what, "a whole number", None);
                None
            }
        }
    }

    /// Notes what `rule` finds wrong with a value.
    pub(super) fn obey<T>(
        &mut self,
        rule: Result<T, String>,
        code: ProblemCode,
        path: Path<'_>,
        at: usize,
    ) -> Option<T> {
        rule.map_err(|message| self.report.add(code, path, at, message, None)).ok()
    }

    /// A value's text, as it stands.
    pub(super) fn raw(&self, value: &Value<'_>) -> Json {
        Json::from_checked(&self.text[value.start()..value.end()])
    }

    /// The keys and values of `object` that are of the format or the user's own, in the order of the text;
    /// the others are noted as problems. `null` counts as absent, but under the user's own keys.
    pub(super) fn keys<'v>(
        &mut self,
        object: &'v Object<'a>,
        path: Path<'_>,
        vocabulary: &Vocabulary,
    ) -> Vec<(&'v str, &'v Value<'a>)> {
        let mut found = Vec::with_capacity(object.properties.len());
        let mut seen = HashSet::with_capacity(object.properties.len());
        for property in &object.properties {
            let (key, value) = (property.name.as_str(), &property.value);
            let absent = matches!(value, Value::NullKeyword(_));
            if !seen.insert(key) {
                self.stands_twice(key, path, property.start());
            } else if is_own(key) || vocabulary.known.contains(&key) {
                found.extend((!absent || is_own(key)).then_some((key, value)));
            } else {
                self.foreign_key(key, path, property.start(), vocabulary);
            }
        }
        found
    }

    /// Notes every key of an object of the user's that stands twice.
    pub(super) fn unique_keys(&mut self, object: &Object<'a>, path: Path<'_>) {
        let mut seen = HashSet::with_capacity(object.properties.len());
        for property in &object.properties {
            if !seen.insert(property.name.as_str()) {
                self.stands_twice(property.name.as_str(), path, property.start());
            }
        }
    }

    fn stands_twice(&mut self, key: &str, path: Path<'_>, at: usize) {
        let message = format!("the key {} stands here a second time", quoted(key));
        self.report.add(ProblemCode::DuplicateKey, path.key(key), at, message, None);
    }

    fn foreign_key(&mut self, key: &str, path: Path<'_>, at: usize, vocabulary: &Vocabulary) {
        let word = quoted(key);
        let (code, message, suggestion) = if vocabulary.reserved.contains(&key) {
            let suggestion = "leave it out; data of your own goes into \"meta\"".to_owned();
            (ProblemCode::ReservedKey, format!("{word} is set by Hub"), suggestion)
        } else if vocabulary.planned.contains(&key) {
            (ProblemCode::UnsupportedKey, format!("{word} is not supported yet"), "leave it out".to_owned())
        } else if vocabulary.misplaced.contains(&key) {
            (ProblemCode::UnknownKey, format!("{word} is not a key of this object"), vocabulary.place.to_owned())
        } else {
            let near = self.report.did_you_mean(key, vocabulary.known.iter().copied());
            let own = || "keys of your own go into \"meta\", or begin with \"x-\"".to_owned();
            (ProblemCode::UnknownKey, format!("unknown key {word}"), near.unwrap_or_else(own))
        };
        self.report.add(code, path.key(key), at, message, Some(suggestion));
    }

    fn wrong_type(&mut self, value: &Value<'a>, path: Path<'_>, what: &str, wanted: &str, suggestion: Option<String>) {
        let message = format!("{what} must be {wanted}, not {}", kind(value));
        self.report.add(ProblemCode::WrongType, path, value.start(), message, suggestion);
    }
}

/// What a value is, with its article.
const fn kind(value: &Value<'_>) -> &'static str {
    match value {
        Value::StringLit(_) => "a string",
        Value::NumberLit(_) => "a number",
        Value::BooleanLit(_) => "a truth value",
        Value::Object(_) => "an object",
        Value::Array(_) => "a list",
        Value::NullKeyword(_) => "null",
    }
}
