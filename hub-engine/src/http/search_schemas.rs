//! The JSON Schemas of what filters look at.

use serde_json::{Value, json};

use super::shapes::text;

/// Adds the first failure of a job in a listing, and the labels of a job in its record.
pub(super) fn add_to(schemas: &mut Value) {
    schemas["JobSummary"]["properties"]["first_failure"] = json!({
        "type": "object",
        "description": "The first task that failed.",
        "required": ["task", "msg"],
        "properties": {
            "task": text(),
            "msg": {"type": "string", "description": "One line. Long messages are truncated."},
            "kind": {"type": "string", "description": "The kind of the error."},
            "type": {"type": "string", "description": "The type of the exception."}
        }
    });
    schemas["JobRecord"]["properties"]["labels"] = json!({
        "type": "object",
        "description": "The labels of the job, also those that it inherits.",
        "additionalProperties": text()
    });
}
