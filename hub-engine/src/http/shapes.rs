//! The small schemas of which those of the API consist.

use serde_json::{Value, json};

/// The path of the schemas in the document.
pub(super) const PLACE: &str = "#/components/schemas/";

/// A reference to a schema.
pub(super) fn reference(name: &str) -> Value {
    json!({"$ref": format!("{PLACE}{name}")})
}

/// Any text.
pub(super) fn text() -> Value {
    json!({"type": "string"})
}

/// An id.
pub(super) fn uuid() -> Value {
    json!({"type": "string", "format": "uuid"})
}

/// A point in time.
pub(super) fn time() -> Value {
    json!({"type": "string", "format": "date-time"})
}

/// One of these words.
pub(super) fn words(words: &[&str]) -> Value {
    json!({"type": "string", "enum": words})
}

/// A priority.
pub(super) fn priority() -> Value {
    json!({"type": "integer", "minimum": -1000, "maximum": 1000})
}
