//! The OpenAPI 3.1 document of the API. A test compares it with the table of routes, and others check answers against
//! its schemas.

use serde_json::{Map, Value, json};

use super::operation::{
    Operation, alias, control, data, fields, get, in_header, in_path, in_query, name, pool, repair, tasks, wait,
};
use super::schemas::schemas;
use super::shapes::{reference, text, time, uuid};
use super::{
    cache_schemas, definition_schemas, retry_schemas, schedule_operations, schedule_schemas, search_schemas,
    sub_job_schemas,
};
use crate::operations::TaskQuery;

/// The document.
pub(super) fn openapi() -> Value {
    let mut paths = Map::new();
    for operation in operations().into_iter().chain(schedule_operations::operations()) {
        let (path, method) = (operation.path, operation.method);
        paths.entry(path).or_insert_with(|| json!({}))[method] = operation.describe();
    }
    let mut schemas = schemas();
    retry_schemas::add_to(&mut schemas);
    sub_job_schemas::add_to(&mut schemas);
    cache_schemas::add_to(&mut schemas);
    search_schemas::add_to(&mut schemas);
    definition_schemas::add_to(&mut schemas);
    schedule_schemas::add_to(&mut schemas);
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Hub",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Submit jobs, follow and cancel them, and post results of asynchronous tasks. \
                Every error is answered with an Error."
        },
        // Whether a token is needed is the dispatcher's setting.
        "security": [{"token": []}, {}],
        "paths": paths,
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": schemas
        }
    })
}

fn operations() -> Vec<Operation> {
    let job = || in_path("job");
    vec![
        Operation {
            parameters: vec![
                in_query("status", "Only jobs with this status. May be repeated.", reference("JobStatus")),
                in_query("name", "Only jobs with exactly this name.", text()),
                in_query("since", "Only jobs submitted at this time or later.", time()),
                in_query("until", "Only jobs submitted before this time.", time()),
                in_query(
                    "filter",
                    "Only jobs that match this filter, such as status:failed label.team=data started>-24h.",
                    text(),
                ),
                in_query(
                    "sub_jobs",
                    "Also jobs that tasks of other jobs run.",
                    json!({"type": "boolean", "default": false}),
                ),
                in_query(
                    "limit",
                    "Maximum number of jobs.",
                    json!({"type": "integer", "minimum": 1, "maximum": 1000, "default": 100}),
                ),
                in_query("after", "The \"next\" of the previous page.", text()),
            ],
            refusals: &["400"],
            ..get("/api/v1/jobs", "listJobs", "A page of jobs, newest first.", reference("JobPage"))
        },
        Operation {
            method: "post",
            parameters: vec![
                in_query(
                    "id",
                    "The id for the job. Submitting the same job under the same id again has no effect.",
                    uuid(),
                ),
                in_header("Idempotency-Key", "An alternative to the parameter id.", uuid()),
                wait(),
            ],
            body: Some("Submission"),
            answer: ("201", reference("Submitted")),
            refusals: &["400", "408", "409", "413", "422"],
            ..get(
                "/api/v1/jobs",
                "submitJob",
                "Submits a job. It is answered when the job is stored; with `wait` when the job has ended, with its record.",
                Value::Null,
            )
        },
        Operation {
            parameters: vec![job(), wait(), fields(), data(), tasks()],
            refusals: &["400", "404"],
            ..get(
                "/api/v1/jobs/{id}",
                "getJob",
                "The status record of a job, streamed in parts. Keys that are not selected are absent.",
                reference("JobRecord"),
            )
        },
        Operation {
            parameters: vec![job(), wait()],
            refusals: &["400", "404"],
            ..get(
                "/api/v1/jobs/{id}/summary",
                "getSummary",
                "The summary of a job, as in listings.",
                reference("JobSummary"),
            )
        },
        Operation {
            parameters: vec![
                job(),
                in_query("after", "The \"next\" of the previous page.", json!({"type": "integer", "minimum": 0})),
                in_query(
                    "limit",
                    "Maximum number of tasks; a page has fewer if they are large.",
                    json!({"type": "integer", "minimum": 1, "maximum": TaskQuery::MAX_PAGE, "default": TaskQuery::DEFAULT_PAGE}),
                ),
                in_query("of", "The name of a task with for_each: the page shows its items.", text()),
                fields(),
                data(),
            ],
            refusals: &["400", "404"],
            ..get(
                "/api/v1/jobs/{id}/tasks",
                "listTasks",
                "A page of the records of a job's tasks, or of the items of one.",
                reference("TaskPage"),
            )
        },
        Operation {
            parameters: vec![
                job(),
                in_query("task", "Only the task with this name, or the item with a name such as parse[3].", text()),
            ],
            refusals: &["400", "404"],
            ..get(
                "/api/v1/jobs/{id}/explain",
                "explainJob",
                "What a job and its tasks wait for: the gate that holds each task, since when, and what it waits for. \
                    Of a job or a task that has ended, why it ended as it did.",
                reference("Explanation"),
            )
        },
        Operation {
            parameters: vec![job()],
            refusals: &["400", "404"],
            ..get(
                "/api/v1/jobs/{id}/document",
                "getDocumentOfJob",
                "The text of a job as it was submitted, byte for byte.",
                reference("Submission"),
            )
        },
        Operation {
            method: "delete",
            parameters: vec![job()],
            refusals: &["400", "404", "409"],
            ..get("/api/v1/jobs/{id}", "removeJob", "Removes a job that has ended.", reference("Id"))
        },
        control(
            "/api/v1/jobs/{id}/cancel",
            "cancelJob",
            "Cancels a job: waiting tasks are cancelled, and running tasks are stopped on their workers.",
            ("Cancel", "Cancelled"),
        ),
        control(
            "/api/v1/jobs/{id}/pause",
            "pauseJob",
            "Pauses a job: none of its tasks is issued, and those that are out go on.",
            ("Pause", "Id"),
        ),
        control("/api/v1/jobs/{id}/resume", "resumeJob", "Resumes a job. Its durations go on.", ("Pause", "Id")),
        control(
            "/api/v1/jobs/{id}/priority",
            "setPriority",
            "Changes the priority of a job: of its tasks without a priority of their own that were not handed out yet.",
            ("Priority", "JobPriority"),
        ),
        pool("/api/v1/pools/{name}/pause", "pausePool", "Pauses a pool: none of its tasks is issued."),
        pool("/api/v1/pools/{name}/resume", "resumePool", "Resumes a pool."),
        Operation {
            method: "post",
            parameters: vec![job()],
            body: Some("Retry"),
            answer: ("201", reference("Submitted")),
            refusals: &["400", "404", "408", "409", "413"],
            ..get(
                "/api/v1/jobs/{id}/retry",
                "retryJob",
                "Retries a job that has ended, as a new job. Tasks that have succeeded are kept.",
                Value::Null,
            )
        },
        Operation {
            method: "post",
            parameters: vec![job()],
            body: Some("Signal"),
            answer: ("200", reference("SignalReceipt")),
            refusals: &["400", "404", "408", "409", "413", "429"],
            ..get(
                "/api/v1/jobs/{id}/signal",
                "signalJob",
                "Sends a signal to a job. It is kept until a task waits for it.",
                Value::Null,
            )
        },
        Operation {
            method: "post",
            parameters: vec![in_path("task")],
            body: Some("Answer"),
            refusals: &["400", "404", "408", "409", "413"],
            ..get(
                "/api/v1/tasks/{id}/approve",
                "approveTask",
                "Answers the question of a task that waits for an approval. The first answer counts.",
                reference("Id"),
            )
        },
        repair(
            "/api/v1/tasks/{id}/retry",
            "retryTask",
            "Starts the next attempt of a task that waits for it, or that is held, now.",
        ),
        repair(
            "/api/v1/tasks/{id}/skip",
            "skipTask",
            "Ends a task that waits, without running it: SKIPPED, or SUCCESS with the given data.",
        ),
        repair(
            "/api/v1/tasks/{id}/fail",
            "failTask",
            "Fails a task that waits for its next attempt or for an operator.",
        ),
        Operation {
            method: "post",
            parameters: vec![in_path("task")],
            body: Some("Result"),
            refusals: &["400", "404", "408", "409", "413"],
            ..get(
                "/api/v1/tasks/{id}/result",
                "postResult",
                "Ends a task with a result from outside: a launched asynchronous task or any running task.",
                reference("Id"),
            )
        },
        Operation {
            parameters: vec![
                in_query(
                    "limit",
                    "Maximum number of definitions.",
                    json!({"type": "integer", "minimum": 1, "maximum": 1000, "default": 100}),
                ),
                in_query("after", "The \"next\" of the previous page.", text()),
            ],
            refusals: &["400"],
            ..get(
                "/api/v1/definitions",
                "listDefinitions",
                "A page of the definitions, by name.",
                reference("DefinitionPage"),
            )
        },
        Operation {
            parameters: vec![name(
                "The definition: etl for its newest version, etl@7 for the seventh, etl@prod for the one with this alias.",
            )],
            refusals: &["400", "404"],
            ..get(
                "/api/v1/definitions/{name}",
                "getDefinition",
                "One version of a definition, with its job.",
                reference("Definition"),
            )
        },
        Operation {
            method: "put",
            parameters: vec![
                name("The name of the definition."),
                in_query("alias", "An alias that stands for this version from now on. May be repeated.", text()),
                in_query("by", "The person or program that makes the version.", text()),
                in_query(
                    "dry_run",
                    "Changes nothing: the answer says what would be changed.",
                    json!({"type": "boolean", "default": false}),
                ),
            ],
            body: Some("Job"),
            answer: ("201", reference("Defined")),
            refusals: &["400", "408", "413", "422"],
            ..get(
                "/api/v1/definitions/{name}",
                "putDefinition",
                "Makes a version of a definition. If the newest version has the same text already, the answer is 200, and none is made.",
                Value::Null,
            )
        },
        Operation {
            method: "put",
            parameters: vec![name("The name of the definition."), alias()],
            body: Some("AliasVersion"),
            refusals: &["400", "404", "408", "413"],
            ..get(
                "/api/v1/definitions/{name}/aliases/{alias}",
                "putAlias",
                "Lets an alias of a definition stand for this version.",
                reference("Alias"),
            )
        },
        Operation {
            method: "delete",
            parameters: vec![name("The name of the definition."), alias()],
            refusals: &["400", "404"],
            ..get(
                "/api/v1/definitions/{name}/aliases/{alias}",
                "removeAlias",
                "Removes an alias of a definition.",
                reference("Alias"),
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
                "Streams changes of jobs and tasks as server-sent events (job, task; reset if some were missed).",
                text(),
            )
        },
        get(
            "/api/v1/workers",
            "listWorkers",
            "The live workers.",
            json!({"type": "array", "items": reference("Worker")}),
        ),
        get("/api/v1/health", "getHealth", "The health of the dispatcher.", reference("Health")),
        get("/api/v1/health/live", "isAlive", "Whether the process answers. Needs no token.", text()),
        get(
            "/api/v1/health/ready",
            "isReady",
            "Whether the dispatcher can work. 503 with the same body if the broker or the store is not available.",
            reference("Health"),
        ),
        get("/api/v1/openapi.json", "getDocument", "This document. Needs no token.", json!({"type": "object"})),
    ]
}
