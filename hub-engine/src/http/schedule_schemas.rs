//! The JSON Schemas of schedules.

use hub_core::schedule::MAXIMUM_SKIPS;
use serde_json::{Value, json};

use super::shapes::{reference, text, time, uuid};
use crate::operations::ScheduleRecord;

/// Adds the schemas of schedules, and what records contain of them.
pub(super) fn add_to(schemas: &mut Value) {
    let pause = reference("PauseRecord");
    let upcoming = json!({
        "type": "array",
        "maxItems": ScheduleRecord::UPCOMING,
        "description": "The next times.",
        "items": {
            "type": "object",
            "required": ["at", "local"],
            "properties": {
                "at": time(),
                "local": {"type": "string", "description": "The same time in the zone of the schedule."}
            }
        }
    });
    let count = |description: &str| json!({"type": "integer", "minimum": 0, "description": description});
    schemas["ScheduleSummary"] = json!({
        "type": "object",
        "description": "A schedule in a list.",
        "required": ["name", "running", "waiting", "started", "skipped", "failures"],
        "properties": {
            "name": text(),
            "definition": {"type": "string", "description": "The definition that it starts: etl@prod. Absent: it contains its job."},
            "next_at": time(),
            "paused": pause,
            "last": {
                "type": "object",
                "description": "The job that was started last, and its time.",
                "required": ["at", "job"],
                "properties": {"at": time(), "job": uuid()}
            },
            "running": count("Jobs that have not ended, and their retries."),
            "waiting": count("Times that wait for the end of earlier jobs."),
            "started": count("All started jobs."),
            "skipped": count("All skipped times."),
            "failures": count("Jobs in a row that have failed, or were refused.")
        }
    });
    schemas["SchedulePage"] = json!({
        "type": "object",
        "required": ["schedules"],
        "properties": {"schedules": {"type": "array", "items": reference("ScheduleSummary")}, "next": text()}
    });
    let mut record = schemas["ScheduleSummary"].clone();
    record["description"] = "A schedule with everything about it.".into();
    record["required"] = json!([
        "name",
        "running",
        "waiting",
        "started",
        "skipped",
        "failures",
        "created_at",
        "changed_at",
        "upcoming",
        "jobs",
        "skips",
        "schedule"
    ]);
    let skip = json!({
        "type": "object",
        "required": ["at", "reason"],
        "properties": {
            "at": time(),
            "reason": {"enum": ["OVERLAP", "SUPERSEDED", "BUFFER_FULL", "MISSED", "WITHDRAWN", "REFUSED", "EXISTS"]},
            "msg": text()
        }
    });
    for (key, shape) in [
        ("created_at", time()),
        ("changed_at", time()),
        ("by", text()),
        ("upcoming", upcoming.clone()),
        (
            "jobs",
            json!({"type": "array", "items": uuid(), "description": "Jobs that have not ended, and their retries."}),
        ),
        (
            "skips",
            json!({"type": "array", "maxItems": MAXIMUM_SKIPS, "items": skip, "description": "The newest skipped times, the last one first."}),
        ),
        ("schedule", reference("Schedule")),
    ] {
        record["properties"][key] = shape;
    }
    schemas["ScheduleRecord"] = record;
    schemas["ScheduleSet"] = json!({
        "type": "object",
        "required": ["name", "change", "upcoming"],
        "properties": {
            "name": text(),
            "change": {"enum": ["created", "changed", "unchanged"]},
            "upcoming": upcoming,
            "warnings": {"type": "array", "items": text()}
        }
    });
    schemas["ScheduleName"] = json!({"type": "object", "required": ["name"], "properties": {"name": text()}});
    schemas["JobRecord"]["properties"]["schedule"] = json!({
        "type": "object",
        "description": "The schedule that started the job, and the time that it was started for.",
        "required": ["name", "uid", "scheduled_at"],
        "properties": {
            "name": text(),
            "uid": uuid(),
            "scheduled_at": time(),
            "triggered": {"type": "boolean", "description": "Whether a client has asked for the job."}
        }
    });
}
