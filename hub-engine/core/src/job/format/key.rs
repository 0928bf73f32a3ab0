//! What a table says of an object and of each of its keys.

use serde_json::{Map, Value as Tree, json};

use crate::Json;
use crate::job::outline::Outline;
use crate::job::path::Path;
use crate::job::problem::ProblemCode;
use crate::job::reader::Reader;
use crate::job::value::Value;

/// An object of the format.
pub(super) trait Object: Sized + 'static {
    /// What its keys are read into.
    type Draft<'a>;

    /// Whether it may have keys of the user's.
    const HAS_OWN_KEYS: bool = false;

    /// Where the user's own keys are kept, where it may have some.
    fn extra<'d>(_draft: &'d mut Self::Draft<'_>) -> Option<&'d mut Vec<(String, Json)>> {
        None
    }
}

/// Reads the value of a key into the draft of its object, and notes what is wrong with it. The value is not `null`:
/// that counts as absent.
pub(super) type Read<O> = for<'a> fn(&mut Reader, &mut <O as Object>::Draft<'a>, Value<'a>, Path<'_>);

/// A key of the format.
pub(super) struct Key<O: Object> {
    pub(super) name: &'static str,
    /// The first version of Hub that has it.
    since: &'static str,
    pub(super) read: Read<O>,
    /// What JSON Schema says of its value.
    shape: fn() -> Tree,
    /// What it means, in one sentence or two.
    about: &'static str,
    /// The problem if it is absent, where it is required.
    pub(super) missing: Option<ProblemCode>,
}

/// All keys of an object.
pub(super) struct Table<O: Object> {
    /// Its name among the definitions of the schema.
    pub(super) title: &'static str,
    /// What it is, in one sentence.
    pub(super) about: &'static str,
    /// What it is called in messages.
    pub(super) noun: &'static str,
    /// Where its keys belong, as advice to an author who has put one elsewhere.
    pub(super) place: &'static str,
    /// The keys of the format, those that are frequent first.
    pub(super) keys: &'static [Key<O>],
    /// Keys whose meaning is settled but not built yet. Ignoring them would run a job otherwise than its
    /// author meant.
    pub(super) planned: &'static [&'static str],
    /// Keys that Hub sets in status records.
    pub(super) reserved: &'static [&'static str],
    /// What JSON Schema says beside that, if anything.
    pub(super) beside: Option<fn() -> Tree>,
}

/// How the keys of the user begin.
pub(super) const OWN: &str = "x-";
/// What they are.
const ABOUT_OWN: &str = "Your own data: stored, and shown in the record.";

impl<O: Object> Key<O> {
    /// A key that can be left out.
    pub(super) const fn new(
        name: &'static str,
        since: &'static str,
        read: Read<O>,
        shape: fn() -> Tree,
        about: &'static str,
    ) -> Self {
        Self { name, since, read, shape, about, missing: None }
    }

    /// The same key, required: without it, there is this problem.
    pub(super) const fn required(mut self, missing: ProblemCode) -> Self {
        self.missing = Some(missing);
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
        self.keys.iter().any(|known| known.name == key) || self.planned.contains(&key)
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
            schema["patternProperties"] = json!({ format!("^{OWN}"): { "description": ABOUT_OWN } });
        }
        if !self.planned.is_empty() {
            schema["$comment"] = format!("Planned, and refused so far: {}.", self.planned.join(", ")).into();
        }
        if let Some(beside) = self.beside {
            schema["allOf"] = json!([beside()]);
        }
        schema
    }
}
