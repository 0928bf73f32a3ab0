//! The description of an object of the format, independent of how it is read.

use serde_json::Value;

/// An object of the format.
pub(super) trait Outline: Sync {
    /// The name of its definition in the schema.
    fn title(&self) -> &'static str;

    /// Whether a key is part of the object, or is planned to be.
    fn has(&self, key: &str) -> bool;

    /// Advice for an author who has put a key of this object into another one.
    fn place(&self) -> &'static str;

    /// The JSON Schema of the object. Its references begin with `#/$defs/`.
    fn schema(&self) -> Value;
}
