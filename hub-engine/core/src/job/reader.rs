//! Reads values of the expected types and reports other types as problems.

use std::borrow::Cow;
use std::collections::HashSet;

use super::interner::Interner;
use super::outline::Outline;
use super::path::Path;
use super::problem::ProblemCode;
use super::quoted::quoted;
use super::report::Report;
use super::value::{Kind, Value};
use crate::definition::Library;

/// Maximum number of keys that are compared with each other. Beyond it, hashing is faster.
const FEW: usize = 16;

/// The problems found so far, and what the readers of values need.
pub(super) struct Reader {
    pub(super) report: Report,
    /// Texts that tasks share.
    pub(super) interner: Interner,
    /// Maximum number of tasks.
    pub(super) max_tasks: usize,
    /// The objects of the format.
    pub(super) objects: &'static [&'static dyn Outline],
    /// Number of jobs in which the job is nested in this text.
    pub(super) level: u32,
    /// Whether the job has inputs.
    pub(super) has_inputs: bool,
    /// The definitions that it may refer to.
    pub(super) library: Library,
}

/// The keys of an object, to find duplicates. The time is proportional to the size of the keys.
#[derive(Default)]
pub(super) struct Seen<'a> {
    few: Vec<Cow<'a, str>>,
    all: HashSet<Cow<'a, str>>,
}

impl Reader {
    pub(super) fn new(max_tasks: usize, objects: &'static [&'static dyn Outline], library: Library) -> Self {
        let (report, interner) = (Report::new(), Interner::default());
        Self { report, interner, max_tasks, objects, level: 0, has_inputs: false, library }
    }

    /// A reader for a job inside of this one. [`Reader::leave`] ends it.
    pub(super) fn enter(&mut self) -> Self {
        Self {
            report: self.report.enter(),
            interner: std::mem::take(&mut self.interner),
            level: self.level + 1,
            has_inputs: true,
            library: self.library.clone(),
            ..*self
        }
    }

    /// Takes over the problems of a job inside of this one, which is at `path` and at this byte offset.
    pub(super) fn leave(&mut self, inner: Self, path: Path<'_>, at: usize) {
        self.interner = inner.interner;
        self.report.leave(inner.report, path, at);
    }

    /// Returns `value` if it is an object.
    pub(super) fn object<'a>(&mut self, value: Value<'a>, path: Path<'_>, what: &str) -> Option<Value<'a>> {
        self.of_kind(Kind::Object, value, path, what)
    }

    /// Returns `value` if it is a list.
    pub(super) fn list<'a>(&mut self, value: Value<'a>, path: Path<'_>, what: &str) -> Option<Value<'a>> {
        self.of_kind(Kind::List, value, path, what)
    }

    /// Returns `value` if it is a string.
    pub(super) fn string<'a>(&mut self, value: Value<'a>, path: Path<'_>, what: &str) -> Option<Cow<'a, str>> {
        self.of_kind(Kind::String, value, path, what).map(Value::decoded)
    }

    /// Returns the digits of `value` if it is a whole number.
    pub(super) fn whole_number<'a>(&mut self, value: Value<'a>, path: Path<'_>, what: &str) -> Option<&'a str> {
        let digits = self.of_kind(Kind::Number, value, path, what)?.text;
        if digits.contains(['.', 'e', 'E']) {
            let message = format!("{what} must be a whole number, not {digits}");
            self.report.add(ProblemCode::WrongType, path, value.at, message, None);
            return None;
        }
        Some(digits)
    }

    /// The boolean that `value` has to be.
    pub(super) fn boolean(&mut self, value: Value<'_>, path: Path<'_>, what: &str) -> Option<bool> {
        self.of_kind(Kind::Boolean, value, path, what).map(|value| value.text == "true")
    }

    /// The number that `value` has to be.
    pub(super) fn number(&mut self, value: Value<'_>, path: Path<'_>, what: &str) -> Option<f64> {
        let kind = value.kind();
        if kind == Kind::Number {
            return Some(value.text.parse().unwrap_or(f64::INFINITY));
        }
        let message = format!("{what} must be a number, not {}", kind.name());
        self.report.add(ProblemCode::WrongType, path, value.at, message, None);
        None
    }

    fn of_kind<'a>(&mut self, wanted: Kind, value: Value<'a>, path: Path<'_>, what: &str) -> Option<Value<'a>> {
        let kind = value.kind();
        if kind == wanted {
            return Some(value);
        }
        let alone = matches!(kind, Kind::String | Kind::Number);
        let suggestion = (wanted == Kind::List && alone).then(|| "put it in brackets: [ ]".to_owned());
        let whole = if wanted == Kind::Number { "a whole number" } else { wanted.name() };
        let message = format!("{what} must be {whole}, not {}", kind.name());
        self.report.add(ProblemCode::WrongType, path, value.at, message, suggestion);
        None
    }

    /// Returns `value` if it is an object. `short` is what may stand in place of the object, and is read elsewhere.
    pub(super) fn object_or<'a>(
        &mut self,
        short: &str,
        value: Value<'a>,
        path: Path<'_>,
        what: &str,
    ) -> Option<Value<'a>> {
        let kind = value.kind();
        if kind == Kind::Object {
            return Some(value);
        }
        let message = format!("{what} must be {short} or an object, not {}", kind.name());
        self.report.add(ProblemCode::WrongType, path, value.at, message, None);
        None
    }

    /// Reports a value that breaks a rule.
    pub(super) fn check_rule<T>(
        &mut self,
        rule: Result<T, String>,
        code: ProblemCode,
        path: Path<'_>,
        at: usize,
    ) -> Option<T> {
        rule.map_err(|message| self.report.add(code, path, at, message, None)).ok()
    }

    /// Reports every duplicate key of an object in the user's own data.
    pub(super) fn unique_keys(&mut self, object: Value<'_>, path: Path<'_>) {
        let mut seen = Seen::default();
        for (key, _) in object.properties() {
            let name = key.decoded();
            if !seen.is_new(name.clone()) {
                self.report_duplicate_key(&name, key.at, path);
            }
        }
    }

    /// Reports a duplicate key at a byte offset in the object at `path`.
    pub(super) fn report_duplicate_key(&mut self, key: &str, at: usize, path: Path<'_>) {
        let message = format!("duplicate key {}", quoted(key));
        self.report.add(ProblemCode::DuplicateKey, path.key(key), at, message, None);
    }
}

impl<'a> Seen<'a> {
    /// Adds a key. Returns whether it is new.
    pub(super) fn is_new(&mut self, key: Cow<'a, str>) -> bool {
        if self.few.len() == FEW {
            if self.all.is_empty() {
                self.all.extend(self.few.iter().cloned());
            }
            return self.all.insert(key);
        }
        let is_new = !self.few.contains(&key);
        if is_new {
            self.few.push(key);
        }
        is_new
    }
}
