//! The objects of the format as far as they are known without their readers.

use serde_json::Value;

/// An object of the format.
pub(super) trait Outline: Sync {
    /// Its name among the definitions of the schema.
    fn title(&self) -> &'static str;

    /// Whether a key is part of the object, or is planned to be.
    fn has(&self, key: &str) -> bool;

    /// Where its keys belong, as advice to an author who has put one elsewhere.
    fn place(&self) -> &'static str;

    /// What JSON Schema says of it. References lead to `#/$defs/`.
    fn schema(&self) -> Value;
}
