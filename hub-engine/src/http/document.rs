//! The API's own description, in OpenAPI 3.1. A test holds it to the table of the routes, and others hold
//! answers to its schemas.

use serde_json::{Map, Value, json};

use super::schemas::{reference, schemas, text, time, uuid};
use crate::operations::TaskQuery;

/// The document.
pub(super) fn openapi() -> Value {
    let mut paths = Map::new();
    for operation in operations() {
        let (path, method) = (operation.path, operation.method);
        paths.entry(path).or_insert_with(|| json!({}))[method] = operation.describe();
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Hub",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Submit jobs, follow them, stop them, and post results of asynchronous tasks. \
                Whatever goes wrong is answered with an Error."
        },
        // Whether a token is needed is the dispatcher's setting.
        "security": [{"token": []}, {}],
        "paths": paths,
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": schemas()
        }
    })
}

/// One thing that can be asked.
struct Operation {
    path: &'static str,
    method: &'static str,
    id: &'static str,
    summary: &'static str,
    parameters: Vec<Value>,
    body: Option<&'static str>,
    /// The status of success, and the schema of its answer.
    answer: (&'static str, Value),
    /// The statuses of refusals that are this operation's own.
    refusals: &'static [&'static str],
}

fn operations() -> Vec<Operation> {
    let job = || in_path("job");
    vec![
        Operation {
            parameters: vec![
                in_query("status", "Only jobs of this status; may stand several times.", reference("JobStatus")),
                in_query("name", "Only jobs of exactly this name.", text()),
                in_query("since", "Only jobs submitted at this time or later.", time()),
                in_query("until", "Only jobs submitted before this time.", time()),
                in_query(
                    "limit",
                    "Maximum number of jobs.",
                    json!({"type": "integer", "minimum": 1, "maximum": 1000, "default": 100}),
                ),
                in_query("after", "Go on where the page before ended: its \"next\".", text()),
            ],
            refusals: &["400"],
            ..get("/api/v1/jobs", "listJobs", "Lists jobs, newest first, a page at a time.", reference("JobPage"))
        },
        Operation {
            method: "post",
            parameters: vec![
                in_query("id", "The id it shall have. The same job under the same id again changes nothing.", uuid()),
                in_header("Idempotency-Key", "Another way to give the id.", uuid()),
                wait(),
            ],
            body: Some("Job"),
            answer: ("201", reference("Submitted")),
            refusals: &["400", "408", "409", "413", "422"],
            ..get(
                "/api/v1/jobs",
                "submitJob",
                "Submits a job. It is answered when the job is safe; with `wait` when it has ended, with its record.",
                Value::Null,
            )
        },
        Operation {
            parameters: vec![job(), wait(), fields(), data(), tasks()],
            refusals: &["400", "404"],
            ..get(
                "/api/v1/jobs/{id}",
                "getJob",
                "The status record of a job, in parts as they are read. Keys that are not asked for are absent.",
                reference("JobRecord"),
            )
        },
        Operation {
            parameters: vec![job(), wait()],
            refusals: &["400", "404"],
            ..get(
                "/api/v1/jobs/{id}/summary",
                "getSummary",
                "A short summary of the job: its line in a listing.",
                reference("JobSummary"),
            )
        },
        Operation {
            parameters: vec![
                job(),
                in_query(
                    "after",
                    "Go on where the page before ended: its \"next\".",
                    json!({"type": "integer", "minimum": 0}),
                ),
                in_query(
                    "limit",
                    "Maximum number of tasks; a page has fewer if they are large.",
                    json!({"type": "integer", "minimum": 1, "maximum": TaskQuery::LARGEST_PAGE, "default": TaskQuery::DEFAULT_PAGE}),
                ),
                fields(),
                data(),
            ],
            refusals: &["400", "404"],
            ..get(
                "/api/v1/jobs/{id}/tasks",
                "listTasks",
                "The records of a job's tasks, a page at a time.",
                reference("TaskPage"),
            )
        },
        Operation {
            method: "delete",
            parameters: vec![job()],
            refusals: &["400", "404", "409"],
            ..get("/api/v1/jobs/{id}", "removeJob", "Forgets a job that has ended.", reference("Id"))
        },
        Operation {
            method: "post",
            parameters: vec![job()],
            refusals: &["400", "404", "409"],
            ..get(
                "/api/v1/jobs/{id}/cancel",
                "cancelJob",
                "Stops a job: what waits is cancelled, what runs is stopped on its worker.",
                reference("Id"),
            )
        },
        Operation {
            method: "post",
            parameters: vec![in_path("task")],
            body: Some("Result"),
            refusals: &["400", "404", "408", "409", "413"],
            ..get(
                "/api/v1/tasks/{id}/result",
                "postResult",
                "Ends a task from outside: an asynchronous one that was launched, or any that runs.",
                reference("Id"),
            )
        },
        Operation {
            parameters: vec![
                in_query("job", "Only events of this job.", uuid()),
                in_header(
                    "Last-Event-ID",
                    "Go on after the event with this number.",
                    json!({"type": "integer", "minimum": 0}),
                ),
            ],
            refusals: &["400", "404", "503"],
            ..get(
                "/api/v1/events",
                "watchEvents",
                "Streams changes of jobs and tasks as server-sent events (job, task; reset where some were missed).",
                text(),
            )
        },
        get(
            "/api/v1/workers",
            "listWorkers",
            "The live workers.",
            json!({"type": "array", "items": reference("Worker")}),
        ),
        get("/api/v1/health", "getHealth", "How the dispatcher is.", reference("Health")),
        get("/api/v1/health/live", "isAlive", "Whether the process answers. Needs no token.", text()),
        get(
            "/api/v1/health/ready",
            "isReady",
            "Whether work would be done. Without a broker, or with a store that takes nothing, 503 with the same body.",
            reference("Health"),
        ),
        get("/api/v1/openapi.json", "getDocument", "This document. Needs no token.", json!({"type": "object"})),
    ]
}

/// An operation that only reads and cannot be asked wrongly.
fn get(path: &'static str, id: &'static str, summary: &'static str, answer: Value) -> Operation {
    Operation {
        path,
        method: "get",
        id,
        summary,
        parameters: Vec::new(),
        body: None,
        answer: ("200", answer),
        refusals: &[],
    }
}

impl Operation {
    fn describe(self) -> Value {
        let (status, answer) = self.answer;
        let mut responses = Map::new();
        let answered = match self.id {
            "watchEvents" => {
                json!({"description": "The stream.", "content": {"text/event-stream": {"schema": answer}}})
            }
            _ => response("Done.", &answer),
        };
        responses.insert(status.to_owned(), answered);
        for status in self.refusals {
            responses.insert((*status).to_owned(), response(meaning(status), &reference("Error")));
        }
        if self.id == "isReady" {
            responses.insert("503".to_owned(), response("Not at present.", &answer));
        }
        let other = "401 without the token, 403 for pages of other sites, 500 for a fault of Hub's own, \
            503 (with Retry-After) and 504 where the dispatcher cannot answer at present.";
        responses.insert("default".to_owned(), response(other, &reference("Error")));
        let mut operation = json!({
            "operationId": self.id,
            "summary": self.summary,
            "parameters": self.parameters,
            "responses": responses
        });
        if let Some(schema) = self.body {
            operation["requestBody"] = json!({"required": true, "content": content(&reference(schema))});
        }
        operation
    }
}

fn meaning(status: &str) -> &'static str {
    match status {
        "404" => "There is no such job or task.",
        "408" => "The body did not arrive in time.",
        "409" => "Its state does not allow this, or the id or key is taken.",
        "413" => "Larger than a limit.",
        "503" => "The maximum number of streams is open: try again (Retry-After).",
        "422" => "The job breaks the format: see \"problems\".",
        _ => "The request is wrong.",
    }
}

fn response(description: &str, schema: &Value) -> Value {
    json!({"description": description, "content": content(schema)})
}

fn content(schema: &Value) -> Value {
    json!({"application/json": {"schema": schema}})
}

fn in_path(of: &str) -> Value {
    json!({"name": "id", "in": "path", "required": true, "description": format!("The id of a {of}."), "schema": uuid()})
}

fn wait() -> Value {
    let description = "Answer when the job has ended or after this number of seconds, at most 60.";
    in_query("wait", description, json!({"type": "number", "minimum": 0}))
}

fn fields() -> Value {
    let description = "Only these keys, of the job and of its tasks, with commas between them; tasks only where \"tasks\" is among them.";
    in_query("fields", description, text())
}

fn data() -> Value {
    let description = "false: without values of users and tasks (args, kwargs, data, output, error, log, meta, x-…).";
    in_query("data", description, json!({"type": "boolean", "default": true}))
}

fn tasks() -> Value {
    in_query("tasks", "false: without tasks.", json!({"type": "boolean", "default": true}))
}

fn in_query(name: &str, description: &str, schema: Value) -> Value {
    json!({"name": name, "in": "query", "description": description, "schema": schema})
}

fn in_header(name: &str, description: &str, schema: Value) -> Value {
    json!({"name": name, "in": "header", "description": description, "schema": schema})
}
