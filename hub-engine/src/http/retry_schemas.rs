//! The JSON Schemas of retries of jobs.

use serde_json::{Value, json};

use super::shapes::{reference, text, uuid};

/// Adds the schemas of retries, and what records contain of them.
pub(super) fn add_to(schemas: &mut Value) {
    schemas["Retry"] = json!({
        "type": "object",
        "description": "What runs again. The body may be empty: the tasks that have not succeeded, and all that depend on them.",
        "properties": {
            "id": {"type": "string", "format": "uuid", "description": "The id of the job that has ended, as in the path."},
            "new_id": {
                "type": "string",
                "format": "uuid",
                "description": "The id for the new job. The same request under the same id again has no effect."
            },
            "from": {
                "description": "\"failure\": the tasks that have not succeeded. A list of names of tasks: these, and those that have not \
                    succeeded. All that depend on them runs again, too. \"start\": all tasks.",
                "default": "failure",
                "oneOf": [
                    {"type": "string", "enum": ["failure", "start"]},
                    {"type": "array", "items": text()}
                ]
            },
            "override": {
                "type": "object",
                "description": "The data of tasks, by name. These tasks end as SUCCESS without having run."
            },
            "cancel": {
                "type": "boolean",
                "default": false,
                "description": "Cancel the job first if it has not ended. If it does not end within 5 seconds, the answer is 409 with the kind not_ended: repeat the request \
                    with the same new_id."
            },
            "by": {"type": "string", "description": "The person or program that asks for it."},
            "reason": text()
        },
        "additionalProperties": false
    });
    schemas["Origin"] = json!({
        "type": "object",
        "description": "The job that this job is a retry of.",
        "required": ["job", "root", "try"],
        "properties": {
            "job": uuid(),
            "root": {"type": "string", "format": "uuid", "description": "The first job, which is no retry."},
            "try": {"type": "integer", "minimum": 2, "description": "The number of jobs from the first to this one."},
            "by": text(),
            "reason": text()
        }
    });
    schemas["JobRecord"]["properties"]["origin"] = reference("Origin");
    let task = &mut schemas["TaskRecord"]["properties"];
    task["kept_from"] = json!({
        "type": "string",
        "format": "uuid",
        "description": "The job in which the task ran. It did not run again in this one, which is a retry."
    });
    task["defaults"] = json!({
        "type": "object",
        "description": "The defaults of the module of the task. Each applies where neither the task nor the job sets it.",
        "properties": {
            "retry": {"type": ["integer", "object"], "description": "As in a job."},
            "timeout": {"type": ["string", "number", "object"], "description": "As in a job."}
        }
    });
    task["overridden"] = json!({
        "const": true,
        "description": "The task did not run: its data came with the request for a retry."
    });
}
