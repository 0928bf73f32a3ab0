//! JSON Schemas of values in schedules.

use serde_json::{Value, json};

use super::shapes::{definition_reference, text};
use crate::job::schedule_rules::{CatchUp, MAXIMUM_FAILURES, Overlap};

/// The job of a schedule.
pub(super) fn scheduled_job() -> Value {
    json!({ "anyOf": [{ "$ref": "#/$defs/Job" }, definition_reference()] })
}

/// The cron expressions of a schedule. What they may contain is checked by the parser.
pub(super) fn cron() -> Value {
    json!({ "anyOf": [text(), { "type": "array", "items": text(), "minItems": 1 }, { "type": "null" }] })
}

/// What a schedule does at a time at which a job of it has not ended.
pub(super) fn overlap() -> Value {
    words(&Overlap::ALL.map(Overlap::as_str))
}

/// What a schedule does with missed times.
pub(super) fn catch_up() -> Value {
    words(&CatchUp::ALL.map(CatchUp::as_str))
}

/// A number of failed jobs.
pub(super) fn failures() -> Value {
    json!({ "type": "integer", "minimum": 0, "maximum": MAXIMUM_FAILURES, "default": 0 })
}

/// One of these words, by default the first one.
fn words(words: &[&str]) -> Value {
    let all: Vec<Value> = words.iter().map(|word| Value::from(*word)).chain([Value::Null]).collect();
    json!({ "type": "string", "enum": all, "default": words[0] })
}
