//! The JSON Schemas of the API.

use hub_core::{JobStatus, TaskKind, TaskStatus, job};
use serde_json::{Value, json};

use super::explanation_schemas;
use super::shapes::{PLACE, priority, reference, text, time, uuid, words};

/// All schemas by name.
pub(super) fn schemas() -> Value {
    let mut schemas = shapes_of_answers();
    for shapes in [shapes_of_control(), shapes_of_waits(), explanation_schemas::schemas()] {
        if let (Some(all), Value::Object(shapes)) = (schemas.as_object_mut(), shapes) {
            all.extend(shapes);
        }
    }
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
                    "description": "The reasons why tasks will wait, such as a task module that no worker has, and texts that look like \
                        references and are none. Absent if there are none."
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
            "properties": {
                "kind": text(),
                "type": {"type": "string", "description": "The name of the exception's class."},
                "bases": {"type": "array", "items": text(), "description": "The base classes of the exception."},
                "retry": {"description": "What the task said of another attempt: \"never\", \"again\", {\"after_ms\": …} or {\"not_before_ms\": …}."},
                "traceback": text(),
                "which": {
                    "description": "The time limit that was exceeded, if the kind is TIMED_OUT.",
                    "type": "string",
                    "enum": ["start_to_close", "schedule_to_start", "schedule_to_close", "heartbeat"]
                },
                "cause": {
                    "type": "object",
                    "description": "The failure of the attempt before, if the kind is TIMED_OUT and an attempt had failed.",
                    "required": ["kind", "msg"],
                    "properties": {"kind": text(), "type": text(), "msg": text()}
                }
            }
        },
        "ItemCounts": {
            "type": "object",
            "description": "How many items a task has, and how those have ended that have.",
            "required": ["total", "success", "failed", "skipped", "cancelled"],
            "properties": {
                "total": {"type": "integer"},
                "success": {"type": "integer"},
                "failed": {"type": "integer"},
                "skipped": {"type": "integer"},
                "cancelled": {"type": "integer"},
                "data_bytes": {
                    "type": "integer",
                    "description": "The size of the list of results, if it is larger than a value may be."
                }
            }
        },
        "Attempt": {
            "type": "object",
            "required": ["number", "ended_at", "msg"],
            "properties": {
                "number": {"type": "integer", "minimum": 1},
                "started_at": time(),
                "ended_at": time(),
                "worker": text(),
                "msg": text(),
                "error": reference("TaskError"),
                "log": {"type": "string", "description": "The last 16 KiB of the output."}
            }
        },
        "Repair": {
            "type": "object",
            "description": "The circumstances of a repair. The body may be empty.",
            "properties": {
                "data": {"description": "For skip: the data of the task, which then ends as SUCCESS."},
                "by": {"type": "string", "description": "The person or program that asks for it."},
                "reason": text()
            },
            "additionalProperties": false
        },
        "RepairRecord": {
            "type": "object",
            "required": ["action", "at"],
            "properties": {
                "action": words(&["retry", "skip", "fail"]),
                "at": time(),
                "by": text(),
                "reason": text()
            }
        },
        "Result": {
            "type": "object",
            "description": "The result of a task.",
            "required": ["status"],
            "properties": {
                "id": {"type": "string", "format": "uuid", "description": "The id of the task, as in the path."},
                "status": words(&["SUCCESS", "FAILED"]),
                "data": {"description": "The data of the task: any value."},
                "msg": {"type": "string", "description": "The error message."},
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
                "tasks": {"type": "integer", "description": "Number of tasks."},
                "tasks_ended": {"type": "integer", "description": "Number of tasks that have ended."},
                "submitted_at": time(),
                "ended_at": {"type": ["string", "null"], "format": "date-time", "description": "null until the job has ended."},
                "msg": {"type": "string", "description": "The error message."}
            }
        },
        "JobPage": {
            "type": "object",
            "required": ["jobs"],
            "properties": {
                "jobs": {"type": "array", "items": reference("JobSummary")},
                "next": {"type": "string", "description": "The parameter after of the next page. Absent on the last page."}
            }
        },
        "TaskPage": {
            "type": "object",
            "required": ["tasks"],
            "properties": {
                "tasks": {"type": "array", "items": reference("TaskRecord")},
                "next": {"type": "integer", "description": "The parameter after of the next page. Absent on the last page."}
            }
        },
        "Worker": worker(),
        "Health": health(),
        "Error": {
            "type": "object",
            "required": ["kind", "message"],
            "properties": {
                "kind": words(&[
                    "invalid_job", "invalid_request", "not_found", "conflict", "not_ended", "too_large", "too_many", "unauthorized",
                    "unreachable", "timed_out", "unavailable", "internal"
                ]),
                "message": {"type": "string", "description": "What happened, and what to do next."},
                "problems": {"type": "array", "items": reference("Problem")}
            }
        },
        "Problem": {
            "type": "object",
            "description": "A problem of a job.",
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

/// What cancels, pauses and resumes jobs and pools.
fn shapes_of_control() -> Value {
    json!({
        "Cancel": {
            "type": "object",
            "description": "How a job is cancelled. The body may be empty.",
            "properties": {
                "now": {"type": "boolean", "description": "Running tasks are killed without a grace period."},
                "handlers": {"type": "boolean", "description": "The handlers of the job are stopped too, or do not run."},
                "by": {"type": "string", "description": "The person or program that asks for it."},
                "reason": text()
            },
            "additionalProperties": false
        },
        "Cancelled": {
            "type": "object",
            "required": ["id", "status"],
            "properties": {
                "id": uuid(),
                "status": reference("JobStatus")
            }
        },
        "Pause": {
            "type": "object",
            "description": "The circumstances of a pause. The body may be empty.",
            "properties": {
                "by": {"type": "string", "description": "The person or program that asks for it."},
                "reason": text()
            },
            "additionalProperties": false
        },
        "Priority": {
            "type": "object",
            "required": ["priority"],
            "properties": {
                "priority": priority(),
                "by": {"type": "string", "description": "The person or program that asks for it."},
                "reason": text()
            },
            "additionalProperties": false
        },
        "JobPriority": {
            "type": "object",
            "required": ["id", "priority"],
            "properties": {"id": uuid(), "priority": priority()}
        },
        "PauseRecord": {
            "type": "object",
            "required": ["at"],
            "properties": {"at": time(), "by": text(), "reason": text()}
        }
    })
}

/// What ends waits.
fn shapes_of_waits() -> Value {
    json!({
        "Signal": {
            "type": "object",
            "required": ["name"],
            "properties": {
                "id": {"type": "string", "format": "uuid", "description": "The id of the job, as in the path."},
                "name": {"type": "string", "description": "The name of the signal, as in the job."},
                "data": {"description": "The data, up to 64 KiB; default null."},
                "key": {"type": "string", "description": "A further signal with this name and this key has no effect."},
                "broadcast": {"type": "boolean", "description": "All tasks that wait now receive it. It is not kept."},
                "by": {"type": "string", "description": "The person or program that sends it."}
            },
            "additionalProperties": false
        },
        "SignalReceipt": {
            "type": "object",
            "required": ["id", "outcome"],
            "properties": {"id": uuid(), "outcome": words(&["delivered", "kept", "repeated", "dropped"])}
        },
        "ReceivedSignal": {
            "type": "object",
            "required": ["name", "at"],
            "properties": {
                "name": text(),
                "at": time(),
                "by": text(),
                "data": {"description": "Absent if it is part of the data of the task."}
            }
        },
        "Answer": {
            "type": "object",
            "description": "The answer to the question of an approval. The body may be empty.",
            "properties": {
                "id": {"type": "string", "format": "uuid", "description": "The id of the task, as in the path."},
                "choice": {"type": "string", "default": "approve"},
                "input": {"description": "A value of the person, up to 64 KiB; default null."},
                "by": {"type": "string", "description": "The person who answers."}
            },
            "additionalProperties": false
        },
        "ApprovalAnswer": {
            "type": "object",
            "required": ["choice", "by", "at", "input"],
            "properties": {
                "choice": text(),
                "by": {"type": ["string", "null"]},
                "at": time(),
                "input": {}
            }
        }
    })
}

fn job_record() -> Value {
    json!({
        "type": "object",
        "description": "Keys that begin with \"x-\" are contained as they were submitted.",
        "required": ["id", "name", "task_name", "status", "tasks", "output", "submitted_at"],
        "properties": {
            "id": uuid(),
            "name": text(),
            "task_name": {"const": "", "description": "Always empty, for compatibility."},
            "status": reference("JobStatus"),
            "output": {"description": "null until the job has succeeded."},
            "msg": {"type": "string", "description": "The error message: the number of failed tasks, and the first one."},
            "submitted_at": time(),
            "started_at": time(),
            "ended_at": time(),
            "cancel": {
                "type": "object",
                "description": "The cancellation of the job.",
                "required": ["at"],
                "properties": {"at": time(), "now": {"type": "boolean"}, "handlers": {"type": "boolean"}, "by": text(), "reason": text()}
            },
            "phase": {"enum": ["on_failure", "finally"], "description": "The list of handlers that runs."},
            "verdict": {"description": "How the tasks ended: SUCCESS, FAILED or CANCELLED. A job has it as soon as handlers of it have begun."},
            "handler_deadline": {"description": "As it was submitted."},
            "pauses": {
                "type": "object",
                "description": "Why the job is paused, by cause: \"self\" is a request to pause this job, \"parent\" the pause of the job that it is a part of.",
                "additionalProperties": reference("PauseRecord")
            },
            "start_at": {"description": "As it was submitted."},
            "starts_at": {"type": "string", "format": "date-time", "description": "The start of the job."},
            "deadline": {"description": "As it was submitted."},
            "deadline_at": {"type": "string", "format": "date-time", "description": "The deadline. A pause shifts a duration."},
            "key": {"type": "string", "description": "As it was submitted."},
            "priority": {"type": "integer", "description": "As it was submitted, or as it was changed."},
            "priority_change": {
                "type": "object",
                "description": "The newest change of the priority.",
                "required": ["priority", "at"],
                "properties": {"priority": priority(), "at": time(), "by": text(), "reason": text()}
            },
            "retry": {"description": "The retry policy as it was submitted."},
            "timeout": {"description": "The time limits as they were submitted."},
            "signals": {
                "type": "array",
                "items": reference("ReceivedSignal"),
                "description": "Signals that are kept until a task waits for them."
            },
            "meta": {"type": "object", "description": "As it was submitted."},
            "tasks": {"type": "array", "items": reference("TaskRecord")}
        }
    })
}

fn task_record() -> Value {
    let mut record = task_state();
    for (key, about) in [
        ("trigger_rule", "The trigger rule as it was submitted."),
        ("when", "The condition as it was submitted."),
        ("delay", "The delay as it was submitted."),
        ("retry", "The retry policy as it was submitted for this task."),
        ("timeout", "The time limits as they were submitted for this task."),
        ("for_each", "What it iterates over, and how, as it was submitted."),
        ("recover", "The recovery as it was submitted."),
        ("wait", "What it waits for, as it was submitted."),
    ] {
        record["properties"][key] = json!({"description": about});
    }
    for (key, schema) in keys_without_module() {
        record["properties"][key] = schema;
    }
    record
}

/// The record of a task without the options that it repeats.
fn task_state() -> Value {
    json!({
        "type": "object",
        "required": ["id", "parent_id", "name", "task_name", "status", "args"],
        "properties": {
            "id": uuid(),
            "parent_id": {"type": "string", "format": "uuid", "description": "The job's id."},
            "name": text(),
            "handler": {"enum": ["on_failure", "finally"], "description": "The list of handlers that the task belongs to."},
            "task_name": {
                "type": "string",
                "description": "The task module that runs the task; command, shell or http for a task without a module; empty for a wait."
            },
            "status": reference("TaskStatus"),
            "args": {"type": "array", "description": "References are replaced after the task was handed out."},
            "kwargs": {"type": "object", "description": "References are replaced after the task was handed out."},
            "depends": {"type": "array", "items": text()},
            "data": {"description": "The return value of the task. Absent if it failed and was not recovered."},
            "recovered": {"const": true, "description": "The task failed, and its fallback is its data."},
            "msg": {"type": "string", "description": "The error message."},
            "error": reference("TaskError"),
            "log": {"type": "string", "description": "The output that the task printed. Long output is truncated."},
            "waiting_reason": {"type": "string", "description": "The reason why the task waits."},
            "attempt": {"type": "integer", "minimum": 1, "description": "The number of the attempt."},
            "issue": {
                "type": "integer",
                "minimum": 1,
                "description": "How often the task was handed out, if that differs from the attempt."
            },
            "attempts": {"type": "array", "items": reference("Attempt"), "description": "The newest failed attempts."},
            "repairs": {"type": "array", "items": reference("RepairRecord"), "description": "What operators have done."},
            "retry_at": {"type": "string", "format": "date-time", "description": "The start of the next attempt."},
            "held_until": {"type": "string", "format": "date-time", "description": "The end of the wait for an operator."},
            "delayed_until": {"type": "string", "format": "date-time", "description": "The end of the delay."},
            "progress": {"description": "What the task has reported of its progress, in this attempt or an earlier one."},
            "waits_until": {"type": "string", "format": "date-time", "description": "The end of a wait."},
            "signals": {"type": "array", "items": reference("ReceivedSignal"), "description": "What a wait has received."},
            "answer": reference("ApprovalAnswer"),
            "worker": text(),
            "submitted_at": time(),
            "started_at": time(),
            "ended_at": time(),
            "pool": {"type": "string", "description": "Absent for the pool \"default\"."},
            "priority": {"type": "integer", "description": "As it was submitted for this task."},
            "items": reference("ItemCounts"),
            "meta": {"type": "object", "description": "As it was submitted."}
        }
    })
}

/// What the record of a task without a module has.
fn keys_without_module() -> [(&'static str, Value); 6] {
    let filled = "References are replaced after the task was handed out.";
    let submitted = json!({"type": "string", "description": "As it was submitted."});
    [
        ("command", json!({"type": "array", "description": filled})),
        ("shell", submitted.clone()),
        ("http", json!({"type": "object", "description": filled})),
        ("env", json!({"type": "object", "description": filled})),
        ("cwd", submitted.clone()),
        ("output", submitted),
    ]
}

fn worker() -> Value {
    json!({
        "type": "object",
        "required": ["id", "host", "pid", "pools", "slots", "running", "tasks", "broken", "allow", "last_seen"],
        "properties": {
            "id": text(),
            "host": text(),
            "pid": {"type": "integer"},
            "pools": {"type": "array", "items": text()},
            "slots": {"type": "integer", "description": "Maximum number of tasks that it runs at the same time."},
            "running": {"type": "integer", "description": "Number of tasks that it runs now."},
            "tasks": {"type": "array", "items": text(), "description": "The task modules it has."},
            "broken": {
                "type": "object",
                "description": "The task modules it could not load, with the reason.",
                "additionalProperties": text()
            },
            "allow": {"type": "array", "items": words(&TaskKind::ALL.map(TaskKind::as_str)), "description": "The kinds of tasks that it allows."},
            "shortage": {
                "type": "string",
                "description": "The resource that its machine lacks. While it is set, the worker takes no tasks."
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
            "incarnation": {"type": "integer", "description": "The number of the dispatcher's start."},
            "live_jobs": {"type": "integer", "description": "Jobs that have not ended."},
            "live_bytes": {"type": "integer", "description": "Their approximate memory in bytes."},
            "workers": {"type": "integer"},
            "tasks_in_flight": {"type": "integer", "description": "Tasks on the broker or running."},
            "tasks_ready": {"type": "integer", "description": "Ready tasks that wait for a slot or a worker."},
            "paused_pools": {
                "type": "array",
                "description": "The paused pools. Absent if there are none.",
                "items": {
                    "type": "object",
                    "required": ["name", "at"],
                    "properties": {"name": text(), "at": time(), "by": text(), "reason": text()}
                }
            }
        }
    })
}
