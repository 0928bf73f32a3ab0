//! The JSON Schemas of definitions.

use serde_json::{Value, json};

use super::shapes::{reference, text, time};

/// Adds the schemas of definitions, and what records contain of them.
pub(super) fn add_to(schemas: &mut Value) {
    let version = || json!({"type": "integer", "minimum": 1, "description": "The number of the version."});
    let by = || json!({"type": "string", "description": "The person or program that made the version."});
    schemas["Version"] = json!({
        "type": "object",
        "description": "One version of a definition.",
        "required": ["version", "created_at"],
        "properties": {
            "version": version(),
            "created_at": time(),
            "by": by(),
            "aliases": {"type": "array", "items": text()}
        }
    });
    schemas["Definition"] = json!({
        "type": "object",
        "description": "One version of a definition, with its job.",
        "required": ["name", "version", "created_at", "versions", "job"],
        "properties": {
            "name": text(),
            "version": version(),
            "created_at": time(),
            "by": by(),
            "aliases": {"type": "array", "items": text()},
            "versions": {"type": "array", "description": "Newest first, at most 1,000.", "items": reference("Version")},
            "job": reference("Job")
        }
    });
    schemas["DefinitionPage"] = json!({
        "type": "object",
        "required": ["definitions"],
        "properties": {
            "definitions": {"type": "array", "items": {
                "type": "object",
                "description": "A definition: its newest version, and the versions of its aliases.",
                "required": ["name", "version", "created_at"],
                "properties": {
                    "name": text(),
                    "version": version(),
                    "created_at": time(),
                    "by": by(),
                    "aliases": {"type": "object", "additionalProperties": {"type": "integer"}}
                }
            }},
            "next": {"type": "string", "description": "The parameter \"after\" of the next page."}
        }
    });
    schemas["Defined"] = json!({
        "type": "object",
        "required": ["name", "version", "created"],
        "properties": {
            "name": text(),
            "version": version(),
            "created": {"type": "boolean", "description": "Whether the version is new. Otherwise the newest one has this text already."},
            "moved_aliases": {
                "type": "object",
                "description": "The version that each moved alias stood for before, or null.",
                "additionalProperties": {"type": ["integer", "null"]}
            },
            "warnings": {"type": "array", "items": text()}
        }
    });
    schemas["AliasVersion"] = json!({
        "type": "object",
        "required": ["version"],
        "properties": {"version": version()},
        "additionalProperties": false
    });
    schemas["Alias"] = json!({
        "type": "object",
        "required": ["name", "alias"],
        "properties": {"name": text(), "alias": text(), "version": version()}
    });
    let job = &mut schemas["JobRecord"]["properties"];
    job["definition"] =
        json!({"type": "string", "description": "The version of the definition that the job was started from: etl@7."});
    job["inputs"]["description"] = "The inputs of the job, with the defaults of its schema.".into();
    schemas["TaskRecord"]["properties"]["job"] = json!({
        "type": ["object", "string"],
        "description": "The job that the task runs, as it was submitted, or the version of a definition: etl@7."
    });
    schemas["Submission"] = json!({"anyOf": [reference("Job"), reference("Start")]});
}
