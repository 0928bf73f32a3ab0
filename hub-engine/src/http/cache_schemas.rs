//! The JSON Schemas of kept results in records.

use serde_json::{Value, json};

use super::shapes::uuid;

/// Adds what the records of tasks with a cache contain.
pub(super) fn add_to(schemas: &mut Value) {
    let task = &mut schemas["TaskRecord"]["properties"];
    task["cache"] = json!({"description": "How its results are kept, as it was submitted."});
    task["cached_from"] = json!({
        "type": "object",
        "description": "The task whose kept result this one has taken. It did not run.",
        "required": ["job", "task"],
        "properties": {
            "job": {"type": "string", "format": "uuid", "description": "Its job, which may have been removed since."},
            "task": uuid()
        }
    });
    task["not_cached"] = json!({"type": "string", "description": "Why the result of the task is not kept."});
}
