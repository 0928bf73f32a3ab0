//! Tables that describe an object and its keys.

use serde_json::{Map, Value as Tree, json};

use crate::Json;
use crate::job::outline::Outline;
use crate::job::path::Path;
use crate::job::problem::ProblemCode;
use crate::job::reader::Reader;
use crate::job::value::Value;

/// An object of the format.
pub(super) trait Object: Sized + 'static {
    /// The draft that its keys are read into.
    type Draft<'a>;

    /// Whether the object may contain the user's own keys.
    const HAS_OWN_KEYS: bool = false;

    /// The list of the user's own keys, if the object may contain some.
    fn extra<'d>(_draft: &'d mut Self::Draft<'_>) -> Option<&'d mut Vec<(String, Json)>> {
        None
    }
}

/// Reads the value of a key into the draft of its object, and reports problems. The value is never `null`: a key with
/// `null` counts as absent.
pub(super) type Read<O> = for<'a> fn(&mut Reader, &mut <O as Object>::Draft<'a>, Value<'a>, Path<'_>);

/// A key of the format.
pub(super) struct Key<O: Object> {
    pub(super) name: &'static str,
    /// The first version of Hub that supports the key.
    since: &'static str,
    pub(super) read: Read<O>,
    /// The JSON Schema of the value.
    shape: fn() -> Tree,
    /// The documentation, one or two sentences.
    about: &'static str,
    /// For a required key, the problem that its absence is.
    pub(super) missing: Option<ProblemCode>,
    /// Whether records repeat the value as it was submitted.
    pub(super) is_repeated: bool,
}

/// All keys of an object.
pub(super) struct Table<O: Object> {
    /// The name of its definition in the schema.
    pub(super) title: &'static str,
    /// The documentation, one sentence.
    pub(super) about: &'static str,
    /// The name of the object in messages.
    pub(super) noun: &'static str,
    /// Advice for an author who has put a key of this object into another one.
    pub(super) place: &'static str,
    /// The keys of the format, frequent ones first.
    pub(super) keys: &'static [Key<O>],
    /// Keys that are planned. They are refused, because a job would not run as its author intends without them.
    pub(super) planned: &'static [&'static str],
    /// Keys that Hub sets in status records.
    pub(super) reserved: &'static [&'static str],
    /// An additional JSON Schema, if any.
    pub(super) beside: Option<fn() -> Tree>,
}

/// The prefix of the user's own keys.
pub(super) const USER_KEY_PREFIX: &str = "x-";
/// The documentation of the user's own keys.
const ABOUT_USER_KEYS: &str = "Your own data: stored, and shown in the record.";

impl<O: Object> Key<O> {
    /// Creates an optional key.
    pub(super) const fn new(
        name: &'static str,
        since: &'static str,
        read: Read<O>,
        shape: fn() -> Tree,
        about: &'static str,
    ) -> Self {
        Self { name, since, read, shape, about, missing: None, is_repeated: false }
    }

    /// Makes the key required. Its absence is the given problem.
    pub(super) const fn required(mut self, missing: ProblemCode) -> Self {
        self.missing = Some(missing);
        self
    }

    /// The same key, whose value records repeat as it was submitted.
    pub(super) const fn repeated(mut self) -> Self {
        self.is_repeated = true;
        self
    }

    fn schema(&self) -> Tree {
        let mut schema = (self.shape)();
        schema["description"] = self.about.into();
        schema["$comment"] = format!("Since {}.", self.since).into();
        if self.missing.is_none()
            && let Some(Tree::String(kind)) = schema.get("type")
        {
            schema["type"] = json!([kind, "null"]);
        }
        schema
    }
}

impl<O: Object> Outline for Table<O> {
    fn title(&self) -> &'static str {
        self.title
    }

    fn has(&self, key: &str) -> bool {
        // A planned key of an inner object is too rarely what is meant elsewhere.
        let is_planned = O::HAS_OWN_KEYS && self.planned.contains(&key);
        is_planned || self.keys.iter().any(|known| known.name == key)
    }

    fn place(&self) -> &'static str {
        self.place
    }

    fn schema(&self) -> Tree {
        let properties: Map<String, Tree> = self.keys.iter().map(|key| (key.name.to_owned(), key.schema())).collect();
        let required = self.keys.iter().filter(|key| key.missing.is_some()).map(|key| key.name);
        let mut schema = json!({
            "type": "object",
            "description": self.about,
            "required": required.collect::<Vec<_>>(),
            "properties": properties,
            "additionalProperties": false
        });
        if O::HAS_OWN_KEYS {
            schema["patternProperties"] = json!({ format!("^{USER_KEY_PREFIX}"): { "description": ABOUT_USER_KEYS } });
        }
        if !self.planned.is_empty() {
            schema["$comment"] = format!("Planned keys, refused in this version: {}.", self.planned.join(", ")).into();
        }
        if let Some(beside) = self.beside {
            schema["allOf"] = json!([beside()]);
        }
        schema
    }
}
