//! The JSON Schemas of what records contain of sub-jobs.

use serde_json::{Value, json};

use super::shapes::{reference, uuid};

/// Adds what records contain of sub-jobs.
pub(super) fn add_to(schemas: &mut Value) {
    schemas["Parent"] = json!({
        "type": "object",
        "description": "The task that runs the job.",
        "required": ["job", "task", "root", "priority"],
        "properties": {
            "job": {"type": "string", "format": "uuid", "description": "The job of the task."},
            "task": uuid(),
            "root": {"type": "string", "format": "uuid", "description": "The first job of the chain, which is no sub-job."},
            "detached": {"const": true, "description": "The job goes on by itself."},
            "priority": {"type": "integer", "description": "The priority of the task, which the job has if it names none."}
        }
    });
    let job = &mut schemas["JobRecord"]["properties"];
    job["parent"] = reference("Parent");
    job["inputs"] = json!({"type": "object", "description": "The inputs of a sub-job, with references replaced."});
    let task = &mut schemas["TaskRecord"]["properties"];
    task["job"] = json!({"type": "object", "description": "The job that the task runs, as it was submitted."});
    task["inputs"] = json!({"type": "object", "description": "The inputs of this job, as they were submitted."});
    task["detached"] = json!({"const": true, "description": "The task ends when this job begins."});
    task["child"] = json!({
        "type": "string",
        "format": "uuid",
        "description": "The sub-job that the task runs or ran last. It has a record of its own."
    });
}
