//! The shapes of the API's JSON, for its description.

use hub_core::{JobStatus, TaskStatus, job};
use serde_json::{Value, json};

/// Where the shapes are in the description.
const PLACE: &str = "#/components/schemas/";

/// Every shape by name.
pub(super) fn schemas() -> Value {
    let mut schemas = shapes_of_answers();
    for (name, shape) in job::definitions(PLACE) {
        schemas[name] = shape;
    }
    schemas
}

fn shapes_of_answers() -> Value {
    json!({
        "Id": {"type": "object", "required": ["id"], "properties": {"id": uuid()}},
        "Submitted": {
            "type": "object",
            "required": ["id"],
            "properties": {
                "id": uuid(),
                "record": reference("JobRecord"),
                "warnings": {
                    "type": "array",
                    "items": text(),
                    "description": "What will keep the job waiting, such as a task module that no worker has; absent where \
                        there is nothing to say."
                }
            }
        },
        "JobStatus": words(&JobStatus::ALL.map(JobStatus::as_str)),
        "TaskStatus": words(&TaskStatus::ALL.map(TaskStatus::as_str)),
        "JobRecord": job_record(),
        "TaskRecord": task_record(),
        "TaskError": {
            "type": "object",
            "required": ["kind"],
            "properties": {"kind": text(), "type": text(), "traceback": text()}
        },
        "Result": {
            "type": "object",
            "description": "How a task ended.",
            "required": ["status"],
            "properties": {
                "id": {"type": "string", "format": "uuid", "description": "The task's id, once more."},
                "status": words(&["SUCCESS", "FAILED"]),
                "data": {"description": "What the task yields: any value."},
                "msg": {"type": "string", "description": "Why it failed."},
                "v": {"type": "integer", "description": "The version of this format: 1."}
            },
            "additionalProperties": false
        },
        "JobSummary": {
            "type": "object",
            "required": ["id", "name", "status", "tasks", "tasks_ended", "submitted_at", "ended_at"],
            "properties": {
                "id": uuid(),
                "name": text(),
                "status": reference("JobStatus"),
                "tasks": {"type": "integer", "description": "How many it has."},
                "tasks_ended": {"type": "integer", "description": "How many of them have ended."},
                "submitted_at": time(),
                "ended_at": {"type": ["string", "null"], "format": "date-time", "description": "Null until then."},
                "msg": {"type": "string", "description": "Why it failed."},
                "first_failure": {
                    "type": "object",
                    "description": "The first of its tasks that failed.",
                    "required": ["task", "msg"],
                    "properties": {"task": text(), "msg": {"type": "string", "description": "One line, cut where it is long."}}
                }
            }
        },
        "JobPage": {
            "type": "object",
            "required": ["jobs"],
            "properties": {
                "jobs": {"type": "array", "items": reference("JobSummary")},
                "next": {"type": "string", "description": "Where the next page begins; absent on the last one."}
            }
        },
        "TaskPage": {
            "type": "object",
            "required": ["tasks"],
            "properties": {
                "tasks": {"type": "array", "items": reference("TaskRecord")},
                "next": {"type": "integer", "description": "Where the next page begins; absent on the last one."}
            }
        },
        "Worker": worker(),
        "Health": health(),
        "Error": {
            "type": "object",
            "required": ["kind", "message"],
            "properties": {
                "kind": words(&[
                    "invalid_job", "invalid_request", "not_found", "conflict", "too_large", "unauthorized",
                    "unreachable", "timed_out", "unavailable", "internal"
                ]),
                "message": {"type": "string", "description": "What happened, and what to do next."},
                "problems": {"type": "array", "items": reference("Problem")}
            }
        },
        "Problem": {
            "type": "object",
            "description": "One thing that is wrong with a job.",
            "required": ["code", "path", "message"],
            "properties": {
                "code": text(),
                "path": {"type": "string", "description": "A JSON path: $.tasks[1].depends[0]"},
                "line": {"type": "integer", "minimum": 1},
                "column": {"type": "integer", "minimum": 1, "description": "In characters."},
                "message": text(),
                "suggestion": text()
            }
        }
    })
}

fn job_record() -> Value {
    json!({
        "type": "object",
        "description": "Keys that begin with \"x-\" are here, too, as they were submitted.",
        "required": ["id", "name", "task_name", "status", "tasks", "output", "submitted_at"],
        "properties": {
            "id": uuid(),
            "name": text(),
            "task_name": {"const": "", "description": "Always empty: for readers of old records."},
            "status": reference("JobStatus"),
            "output": {"description": "null until the job has succeeded."},
            "msg": {"type": "string", "description": "Why it failed: how many of its tasks, and which first."},
            "submitted_at": time(),
            "started_at": time(),
            "ended_at": time(),
            "key": {"type": "string", "description": "As it was submitted."},
            "priority": {"type": "integer", "description": "As it was submitted."},
            "meta": {"type": "object", "description": "As it was submitted."},
            "tasks": {"type": "array", "items": reference("TaskRecord")}
        }
    })
}

fn task_record() -> Value {
    json!({
        "type": "object",
        "required": ["id", "parent_id", "name", "task_name", "status", "args"],
        "properties": {
            "id": uuid(),
            "parent_id": {"type": "string", "format": "uuid", "description": "The job's id."},
            "name": text(),
            "task_name": {"type": "string", "description": "The task module that runs it."},
            "status": reference("TaskStatus"),
            "args": {"type": "array", "description": "With the references filled in, once the task was handed out."},
            "kwargs": {"type": "object", "description": "Likewise."},
            "depends": {"type": "array", "items": text()},
            "data": {"description": "What the task returned; absent where it failed."},
            "msg": {"type": "string", "description": "Why it failed, for people."},
            "error": reference("TaskError"),
            "log": {"type": "string", "description": "What it printed: the end of it, where that was long."},
            "waiting_reason": {"type": "string", "description": "Why it waits though it could run."},
            "attempt": {"type": "integer", "minimum": 1},
            "worker": text(),
            "submitted_at": time(),
            "started_at": time(),
            "ended_at": time(),
            "pool": {"type": "string", "description": "Absent for the pool \"default\"."},
            "priority": {"type": "integer", "description": "As it was submitted for this task."},
            "meta": {"type": "object", "description": "As it was submitted."}
        }
    })
}

fn worker() -> Value {
    json!({
        "type": "object",
        "required": ["id", "host", "pid", "pools", "slots", "running", "tasks", "broken", "last_seen"],
        "properties": {
            "id": text(),
            "host": text(),
            "pid": {"type": "integer"},
            "pools": {"type": "array", "items": text()},
            "slots": {"type": "integer", "description": "How many tasks it runs at a time."},
            "running": {"type": "integer", "description": "How many it runs now."},
            "tasks": {"type": "array", "items": text(), "description": "The task modules it has."},
            "broken": {
                "type": "object",
                "description": "The task modules it could not load, with the reason.",
                "additionalProperties": text()
            },
            "shortage": {
                "type": "string",
                "description": "What its machine is short of, so that it takes no tasks for now."
            },
            "last_seen": time()
        }
    })
}

fn health() -> Value {
    json!({
        "type": "object",
        "required": [
            "broker", "store", "version", "incarnation", "live_jobs", "live_bytes", "workers", "tasks_in_flight", "tasks_ready"
        ],
        "properties": {
            "broker": words(&["up", "blocked", "down"]),
            "store": words(&["up", "failing"]),
            "version": text(),
            "incarnation": {"type": "integer", "description": "Which start of the dispatcher this is."},
            "live_jobs": {"type": "integer", "description": "Jobs that have not ended."},
            "live_bytes": {"type": "integer", "description": "The memory that they take, about."},
            "workers": {"type": "integer"},
            "tasks_in_flight": {"type": "integer", "description": "With the broker, or running."},
            "tasks_ready": {"type": "integer", "description": "Could run, and wait for room or a worker."}
        }
    })
}

/// Points at a shape.
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

fn words(words: &[&str]) -> Value {
    json!({"type": "string", "enum": words})
}
