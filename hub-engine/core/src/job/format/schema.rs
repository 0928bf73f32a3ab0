//! The job format as a JSON Schema.

use serde_json::{Map, Value, json};

use super::objects::OBJECTS;
use super::shapes;
use super::start::START;
use crate::job::outline::Outline;

/// The path of the definitions in the schema.
const DEFINITIONS: &str = "#/$defs/";

/// The JSON Schema (2020-12) of a job, or of the start of a definition. [`crate::job::Job::parse`] refuses every job that the schema refuses, and also
/// what a schema cannot express: unknown and duplicate names of tasks, cycles, duplicate keys.
#[must_use]
pub fn schema() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A job for Hub",
        "if": { "required": ["definition"] },
        "then": { "$ref": format!("{DEFINITIONS}{}", START.title()) },
        "else": { "$ref": format!("{DEFINITIONS}{}", OBJECTS[0].title()) },
        "$defs": definitions(DEFINITIONS)
    })
}

/// The definitions of the schema by name. Their references begin with `place`.
#[must_use]
pub fn definitions(place: &str) -> Map<String, Value> {
    let objects = OBJECTS.iter().map(|object| (object.title(), object.schema()));
    let all = objects.chain([
        ("Template", shapes::template_definition()),
        ("TemplateWithSecrets", shapes::secrets_definition()),
        ("Condition", shapes::condition_definition()),
    ]);
    all.map(|(title, mut schema)| {
        move_references(&mut schema, place);
        (title.to_owned(), schema)
    })
    .collect()
}

fn move_references(schema: &mut Value, place: &str) {
    match schema {
        Value::Object(object) => {
            for (key, value) in object {
                match value {
                    Value::String(target) if key == "$ref" => *target = target.replace(DEFINITIONS, place),
                    value => move_references(value, place),
                }
            }
        }
        Value::Array(list) => list.iter_mut().for_each(|value| move_references(value, place)),
        _ => {}
    }
}
