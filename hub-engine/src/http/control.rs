//! The routes that control jobs and pools: cancel, pause, resume, whose bodies may be empty, and priority.

use axum::body::Body;
use axum::extract::State;
use serde::Deserialize;

use super::answer::{Refused, Reply};
use super::api::Api;
use super::query::{PathId, read_id};
use crate::operations::{JobCancel, Pausable, PauseRequest, PriorityRequest, Request};
use crate::wire::object;

/// The body of a cancel. The path already contains the job.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct CancelBody {
    now: bool,
    handlers: bool,
    by: Option<String>,
    reason: Option<String>,
}

/// The body of a pause or a resume. The path already contains the job or the pool.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct PauseBody {
    by: Option<String>,
    reason: Option<String>,
}

/// The body of a change of the priority. The path already contains the job.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PriorityBody {
    priority: i64,
    by: Option<String>,
    reason: Option<String>,
}

pub(super) async fn cancel_job(State(api): State<Api>, id: PathId, body: Body) -> Reply {
    let id = read_id("a job's id", id)?;
    let CancelBody { now, handlers, by, reason } = api.optional_body(body, "a cancel").await?;
    api.ask(Request::Cancel { cancel: JobCancel { id, now, handlers, by, reason } }).await
}

pub(super) async fn pause_job(State(api): State<Api>, id: PathId, body: Body) -> Reply {
    let of = read_pause(&api, job(id)?, body).await?;
    api.ask(Request::Pause { of }).await
}

pub(super) async fn resume_job(State(api): State<Api>, id: PathId, body: Body) -> Reply {
    let of = read_pause(&api, job(id)?, body).await?;
    api.ask(Request::Resume { of }).await
}

pub(super) async fn pause_pool(State(api): State<Api>, name: PathId, body: Body) -> Reply {
    let of = read_pause(&api, pool(name)?, body).await?;
    api.ask(Request::Pause { of }).await
}

pub(super) async fn resume_pool(State(api): State<Api>, name: PathId, body: Body) -> Reply {
    let of = read_pause(&api, pool(name)?, body).await?;
    api.ask(Request::Resume { of }).await
}

pub(super) async fn set_priority(State(api): State<Api>, id: PathId, body: Body) -> Reply {
    let id = read_id("a job's id", id)?;
    let held = api.bodies.read(body, api.settings.max_body_bytes).await?;
    let PriorityBody { priority, by, reason } = object::from_slice(&held.bytes)
        .map_err(|error| Refused::bad(format!("the body is not a change of the priority: {error}")))?;
    api.ask(Request::Priority { of: PriorityRequest { id, priority, by, reason } }).await
}

fn job(id: PathId) -> Result<Pausable, Refused> {
    Ok(Pausable::Job(read_id("a job's id", id)?))
}

fn pool(name: PathId) -> Result<Pausable, Refused> {
    Ok(Pausable::Pool(read_id("a pool's name", name)?))
}

async fn read_pause(api: &Api, of: Pausable, body: Body) -> Result<PauseRequest, Refused> {
    let PauseBody { by, reason } = api.optional_body(body, "a pause").await?;
    Ok(PauseRequest { of, by, reason })
}
