//! The schemas of explanations.

use hub_core::TaskStatus;
use serde_json::{Map, Value, json};

use super::shapes::{reference, text, time, uuid, words};

/// The schemas by name.
pub(super) fn schemas() -> Value {
    let statuses = TaskStatus::ALL.map(|status| (status.as_str().to_owned(), json!({"type": "integer"})));
    json!({
        "Explanation": {
            "type": "object",
            "description": "What a job and its tasks wait for, or why they ended as they did.",
            "required": ["id", "name", "status", "text", "reasons", "counts", "tasks", "more"],
            "properties": {
                "id": uuid(),
                "name": text(),
                "status": reference("JobStatus"),
                "text": {"type": "string", "description": "A sentence on the job as a whole."},
                "reasons": {
                    "type": "array",
                    "items": reference("Reason"),
                    "description": "What holds the job as a whole, or how it ended."
                },
                "commands": commands(),
                "counts": {
                    "type": "object",
                    "description": "The number of tasks by status, without items.",
                    "properties": statuses.into_iter().collect::<Map<_, _>>()
                },
                "tasks": {
                    "type": "array",
                    "items": reference("TaskGroup"),
                    "description": "The task that was asked about. Otherwise the tasks that have not ended, or, of a job that has \
                        ended, those that did not succeed. Tasks with the same reason are together; there are at most 100 groups."
                },
                "more": {"type": "integer", "description": "The number of such tasks that are not listed."}
            }
        },
        "TaskGroup": {
            "type": "object",
            "description": "Tasks that wait for the same. Times, text and commands are those of the first one.",
            "required": ["count", "names", "status", "text", "gate", "reason"],
            "properties": {
                "count": {"type": "integer", "minimum": 1},
                "names": {"type": "array", "items": text(), "description": "The first 20 names."},
                "status": reference("TaskStatus"),
                "text": {"type": "string", "description": "A sentence on what it waits for, or how it ended."},
                "gate": {
                    "type": ["string", "null"],
                    "description": "The gate that holds it. null if it runs or has ended."
                },
                "since": {"type": "string", "format": "date-time", "description": "Since when it is there, if known."},
                "reason": reference("Reason"),
                "gates": {
                    "type": "array",
                    "description": "All gates in their order. Absent if the task has ended.",
                    "items": {
                        "type": "object",
                        "required": ["gate", "state"],
                        "properties": {"gate": gate(), "state": words(&["absent", "passed", "holds", "not_reached"])}
                    }
                },
                "limits": {
                    "type": "array",
                    "description": "The time limits that have not passed. Absent if there are none.",
                    "items": {
                        "type": "object",
                        "required": ["timeout", "ms"],
                        "properties": {"timeout": text(), "ms": {"type": "integer"}, "until": time()}
                    }
                },
                "commands": commands()
            }
        },
        "Reason": {
            "type": "object",
            "description": "The reason as data. Its further keys depend on its kind.",
            "required": ["kind"],
            "properties": reason_keys()
        }
    })
}

fn commands() -> Value {
    json!({"type": "array", "items": text(), "description": "Commands that let it go on. Absent if there are none."})
}

fn gate() -> Value {
    words(&[
        "trigger_rule",
        "start",
        "when",
        "delay",
        "for_each",
        "wait",
        "sub_job",
        "retry",
        "cache",
        "pool",
        "broker",
    ])
}

fn reason_keys() -> Map<String, Value> {
    let (number, open) = (|| json!({"type": "integer"}), listed(&task_now()));
    let kinds = [
        "upstream",
        "handler",
        "job_start",
        "job_paused",
        "stopping",
        "cancelling",
        "time",
        "signal",
        "approval",
        "launched",
        "sub_job",
        "delay",
        "retry",
        "held",
        "parallel",
        "items",
        "equal_task",
        "pool_paused",
        "no_worker",
        "no_module",
        "kind_not_allowed",
        "no_room",
        "message_removed",
        "on_broker",
        "running",
        "in_progress",
        "ended",
    ];
    let mut keys = json!({
        "kind": words(&kinds),
        "rule": {"type": "string", "description": "The trigger rule."},
        "open": open,
        "counts": {"type": "object", "description": "Their number by status."},
        "job": uuid(),
        "name": {"type": "string", "description": "The name of the signal."},
        "question": text(),
        "choices": listed(&text()),
        "error": {
            "type": "object",
            "description": "The newest failure.",
            "required": ["msg"],
            "properties": {"kind": text(), "type": text(), "msg": text()}
        },
        "allow": {"type": "string", "description": "The word for the key allow of a worker."},
        "modules": listed(&text()),
        "root": {
            "type": "object",
            "description": "The task because of which it did not run.",
            "required": ["task", "status"],
            "properties": {"task": text(), "status": reference("TaskStatus"), "msg": text()}
        },
        "through": listed(&text()),
        "confirmed": {"type": "boolean", "description": "Whether the broker has confirmed it."},
        "now": {"type": "boolean", "description": "Whether running tasks are killed without a grace period."},
        "handlers": {"type": "boolean", "description": "Whether the handlers are stopped too."}
    });
    let texts = ["by", "reason", "msg", "task", "pool", "module", "nearest", "worker", "list"].map(|key| (key, text()));
    let times = ["at", "until"].map(|key| (key, time()));
    let numbers = [
        "ended",
        "count",
        "came",
        "failures",
        "parallel",
        "active",
        "waiting",
        "total",
        "success",
        "failed",
        "skipped",
        "cancelled",
        "data_bytes",
        "on_broker",
        "workers",
        "slots",
    ];
    for (key, schema) in texts.into_iter().chain(times).chain(numbers.map(|key| (key, number()))) {
        keys[key] = schema;
    }
    match keys {
        Value::Object(keys) => keys,
        _ => Map::new(),
    }
}

/// The first of some, and the number of the others.
fn listed(of: &Value) -> Value {
    json!({
        "type": "object",
        "description": "The first 20, and the number of the others.",
        "required": ["first", "more"],
        "properties": {"first": {"type": "array", "items": of}, "more": {"type": "integer"}}
    })
}

fn task_now() -> Value {
    json!({
        "type": "object",
        "required": ["name", "status"],
        "properties": {"name": text(), "status": reference("TaskStatus")}
    })
}
