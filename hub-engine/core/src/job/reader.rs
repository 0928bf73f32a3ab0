//! Reads values of the types that they have to be, noting those that are not.

use std::borrow::Cow;
use std::collections::HashSet;

use super::path::Path;
use super::problem::ProblemCode;
use super::report::{Report, quoted};
use super::value::{Kind, Value};
use super::vocabulary::{Vocabulary, is_own};

/// A key of an object and its value.
pub(super) struct Property<'a> {
    pub(super) key: Cow<'a, str>,
    key_at: usize,
    /// Whether the key stood in the object before.
    again: bool,
    pub(super) value: Value<'a>,
}

/// Expected number of properties of an object.
const USUAL: usize = 4;
/// Up to this number of keys, comparing them with each other is faster than hashing them.
const FEW: usize = 16;

/// What was found wrong with a job so far.
pub(super) struct Reader {
    pub(super) report: Report,
}

impl Reader {
    pub(super) const fn new() -> Self {
        Self { report: Report::new() }
    }

    /// The object that `value` has to be.
    pub(super) fn object<'a>(&mut self, value: Value<'a>, path: Path<'_>, what: &str) -> Option<Value<'a>> {
        self.of_kind(Kind::Object, value, path, what)
    }

    /// The list that `value` has to be.
    pub(super) fn list<'a>(&mut self, value: Value<'a>, path: Path<'_>, what: &str) -> Option<Value<'a>> {
        self.of_kind(Kind::List, value, path, what)
    }

    /// The string that `value` has to be.
    pub(super) fn string<'a>(&mut self, value: Value<'a>, path: Path<'_>, what: &str) -> Option<Cow<'a, str>> {
        self.of_kind(Kind::String, value, path, what).map(Value::meant)
    }

    /// The digits of the whole number that `value` has to be.
    pub(super) fn whole_number<'a>(&mut self, value: Value<'a>, path: Path<'_>, what: &str) -> Option<&'a str> {
        let digits = self.of_kind(Kind::Number, value, path, what)?.text;
        if digits.contains(['.', 'e', 'E']) {
            let message = format!("{what} must be a whole number, not {digits}");
            self.report.add(ProblemCode::WrongType, path, value.at, message, None);
            return None;
        }
        Some(digits)
    }

    fn of_kind<'a>(&mut self, wanted: Kind, value: Value<'a>, path: Path<'_>, what: &str) -> Option<Value<'a>> {
        let kind = value.kind();
        if kind == wanted {
            return Some(value);
        }
        let alone = matches!(kind, Kind::String | Kind::Number);
        let suggestion = (wanted == Kind::List && alone).then(|| "put it in brackets: [ ]".to_owned());
        let whole = if wanted == Kind::Number { "a whole number" } else { name(wanted) };
        let message = format!("{what} must be {whole}, not {}", name(kind));
        self.report.add(ProblemCode::WrongType, path, value.at, message, suggestion);
        None
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

    /// The properties of `object` whose keys are of the format or the user's own, in the order of the text;
    /// the others are noted as problems. `null` counts as absent, but under the user's own keys.
    pub(super) fn keys<'a>(&mut self, object: Value<'a>, path: Path<'_>, vocabulary: &Vocabulary) -> Vec<Property<'a>> {
        let mut properties = properties(object);
        properties.retain(|property| self.counts(property, path, vocabulary));
        properties
    }

    /// Whether a property says something. Where its key is wrong, that is noted.
    fn counts(&mut self, property: &Property<'_>, path: Path<'_>, vocabulary: &Vocabulary) -> bool {
        let key = &*property.key;
        if property.again {
            self.stands_twice(property, path);
            false
        } else if is_own(key) {
            true
        } else if vocabulary.known.contains(&key) {
            property.value.kind() != Kind::Null
        } else {
            self.foreign_key(property, path, vocabulary);
            false
        }
    }

    /// Notes every key of an object of the user's that stands twice.
    pub(super) fn unique_keys(&mut self, object: Value<'_>, path: Path<'_>) {
        for property in properties(object).iter().filter(|property| property.again) {
            self.stands_twice(property, path);
        }
    }

    fn stands_twice(&mut self, property: &Property<'_>, path: Path<'_>) {
        let key = &*property.key;
        let message = format!("the key {} stands here a second time", quoted(key));
        self.report.add(ProblemCode::DuplicateKey, path.key(key), property.key_at, message, None);
    }

    fn foreign_key(&mut self, property: &Property<'_>, path: Path<'_>, vocabulary: &Vocabulary) {
        let key = &*property.key;
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
        self.report.add(code, path.key(key), property.key_at, message, Some(suggestion));
    }
}

/// What a value is, with its article.
const fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::String => "a string",
        Kind::Number => "a number",
        Kind::Truth => "a truth value",
        Kind::Object => "an object",
        Kind::List => "a list",
        Kind::Null => "null",
    }
}

/// The properties of `object`. Takes time in proportion to its text, however many they are.
fn properties(object: Value<'_>) -> Vec<Property<'_>> {
    let mut properties: Vec<Property<'_>> = Vec::with_capacity(USUAL);
    let mut seen = HashSet::new();
    for (key, value) in object.properties() {
        let (key, key_at) = (key.meant(), key.at);
        if properties.len() == FEW {
            seen.extend(properties.iter().map(|earlier| earlier.key.clone()));
        }
        let again = if properties.len() < FEW {
            properties.iter().any(|earlier| earlier.key == key)
        } else {
            !seen.insert(key.clone())
        };
        properties.push(Property { key, key_at, again, value });
    }
    properties
}
