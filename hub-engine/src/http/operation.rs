//! The description of one operation of the API.

use serde_json::{Map, Value, json};

use super::shapes::{reference, text, uuid};

/// An operation of the API.
pub(super) struct Operation {
    pub(super) path: &'static str,
    pub(super) method: &'static str,
    pub(super) id: &'static str,
    pub(super) summary: &'static str,
    pub(super) parameters: Vec<Value>,
    pub(super) body: Option<&'static str>,
    /// The status of success, and the schema of its answer.
    pub(super) answer: (&'static str, Value),
    /// The status codes of refusals that are specific to this operation.
    pub(super) refusals: &'static [&'static str],
}

/// The control of a job, with the schemas of the body and the answer.
pub(super) fn control(
    path: &'static str,
    id: &'static str,
    summary: &'static str,
    (body, answer): (&'static str, &'static str),
) -> Operation {
    Operation {
        method: "post",
        parameters: vec![in_path("job")],
        body: Some(body),
        refusals: &["400", "404", "408", "409", "413"],
        ..get(path, id, summary, reference(answer))
    }
}

/// The name in a path.
pub(super) fn name(description: &str) -> Value {
    json!({"name": "name", "in": "path", "required": true, "description": description, "schema": text()})
}

/// The alias in a path.
pub(super) fn alias() -> Value {
    json!({"name": "alias", "in": "path", "required": true, "description": "The alias.", "schema": text()})
}

/// The control of a pool.
pub(super) fn pool(path: &'static str, id: &'static str, summary: &'static str) -> Operation {
    let answer = json!({"type": "object", "required": ["pool"], "properties": {"pool": text()}});
    Operation {
        method: "post",
        parameters: vec![name("The name of the pool.")],
        body: Some("Pause"),
        refusals: &["400", "408", "413"],
        ..get(path, id, summary, answer)
    }
}

/// A repair of a task.
pub(super) fn repair(path: &'static str, id: &'static str, summary: &'static str) -> Operation {
    Operation {
        method: "post",
        parameters: vec![in_path("task")],
        body: Some("Repair"),
        refusals: &["400", "404", "408", "409", "413"],
        ..get(path, id, summary, reference("Id"))
    }
}

/// A GET operation without parameters.
pub(super) fn get(path: &'static str, id: &'static str, summary: &'static str, answer: Value) -> Operation {
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
    pub(super) fn describe(self) -> Value {
        let (status, answer) = self.answer;
        let mut responses = Map::new();
        let answered = match self.id {
            "watchEvents" => {
                json!({"description": "The stream.", "content": {"text/event-stream": {"schema": answer}}})
            }
            _ => response("Done.", &answer),
        };
        if matches!(self.id, "putDefinition" | "putSchedule") {
            responses.insert("200".to_owned(), answered.clone());
        }
        responses.insert(status.to_owned(), answered);
        for status in self.refusals {
            responses.insert((*status).to_owned(), response(meaning(status), &reference("Error")));
        }
        if self.id == "isReady" {
            responses.insert("503".to_owned(), response("Not ready.", &answer));
        }
        let other = "401 without the token, 403 for pages of other sites, 500 for an internal error, \
            503 (with Retry-After) and 504 if the dispatcher cannot answer now.";
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
        "404" => "There is no such job, task, definition or schedule.",
        "408" => "The body did not arrive in time.",
        "409" => "The state of the job or task does not allow the request, or the id or key is taken.",
        "413" => "A limit is exceeded.",
        "429" => "The job keeps too many signals, or there are too many schedules.",
        "422" => "The job is invalid, or its inputs do not match its schema: see \"problems\".",
        "503" => "The maximum number of streams is open: try again (Retry-After).",
        _ => "The request is invalid.",
    }
}

fn response(description: &str, schema: &Value) -> Value {
    json!({"description": description, "content": content(schema)})
}

fn content(schema: &Value) -> Value {
    json!({"application/json": {"schema": schema}})
}

pub(super) fn in_path(of: &str) -> Value {
    json!({"name": "id", "in": "path", "required": true, "description": format!("The id of a {of}."), "schema": uuid()})
}

pub(super) fn wait() -> Value {
    let description = "Answer when the job has ended or after this number of seconds, at most 60.";
    in_query("wait", description, json!({"type": "number", "minimum": 0}))
}

pub(super) fn fields() -> Value {
    let description = "A comma-separated list of keys of the job and of its tasks to show. Tasks are shown only if it contains \"tasks\".";
    in_query("fields", description, text())
}

pub(super) fn data() -> Value {
    let description =
        "false: omits values of users and tasks (args, kwargs, data, output, error, log, progress, meta, x-…).";
    in_query("data", description, json!({"type": "boolean", "default": true}))
}

pub(super) fn tasks() -> Value {
    in_query("tasks", "false: omits tasks.", json!({"type": "boolean", "default": true}))
}

pub(super) fn in_query(name: &str, description: &str, schema: Value) -> Value {
    json!({"name": name, "in": "query", "description": description, "schema": schema})
}

pub(super) fn in_header(name: &str, description: &str, schema: Value) -> Value {
    json!({"name": name, "in": "header", "description": description, "schema": schema})
}
