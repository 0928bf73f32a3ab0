//! The routes of signals and approvals.

use axum::body::Body;
use axum::extract::State;
use hub_core::{JobId, Json, TaskId};
use serde::Deserialize;

use super::answer::{Refused, Reply};
use super::api::Api;
use super::query::{PathId, read_id};
use crate::operations::{JobSignal, Request, TaskApproval};

/// A signal. The path already contains the job.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SignalBody {
    id: Option<JobId>,
    name: String,
    data: Option<Json>,
    key: Option<String>,
    #[serde(default)]
    broadcast: bool,
    by: Option<String>,
}

/// The optional body of an answer. The path already contains the task.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ApprovalBody {
    id: Option<TaskId>,
    choice: Option<String>,
    input: Option<Json>,
    by: Option<String>,
}

pub(super) async fn signal_job(State(api): State<Api>, id: PathId, body: Body) -> Reply {
    let id: JobId = read_id("a job's id", id)?;
    let held = api.bodies.read(body, api.settings.max_body_bytes).await?;
    let SignalBody { id: named, name, data, key, broadcast, by } = crate::wire::object::from_slice(&held.bytes)
        .map_err(|error| Refused::bad(format!("the body is not a signal: {error}")))?;
    if let Some(named) = named.filter(|named| *named != id) {
        return Err(Refused::bad(format!("the body is about job {named}, the path about job {id}")));
    }
    api.ask(Request::Signal { signal: JobSignal { id, name, data, key, broadcast, by } }).await
}

pub(super) async fn approve_task(State(api): State<Api>, id: PathId, body: Body) -> Reply {
    let id: TaskId = read_id("a task's id", id)?;
    let held = api.bodies.read(body, api.settings.max_body_bytes).await?;
    let ApprovalBody { id: named, choice, input, by } = if held.bytes.trim_ascii().is_empty() {
        ApprovalBody::default()
    } else {
        crate::wire::object::from_slice(&held.bytes)
            .map_err(|error| Refused::bad(format!("the body is not an answer: {error}")))?
    };
    if let Some(named) = named.filter(|named| *named != id) {
        return Err(Refused::bad(format!("the body is about task {named}, the path about task {id}")));
    }
    let choice = choice.unwrap_or_else(TaskApproval::default_choice);
    api.ask(Request::Approve { approval: TaskApproval { id, choice, input, by } }).await
}
