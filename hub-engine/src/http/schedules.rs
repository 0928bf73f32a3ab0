//! The routes of schedules.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use hub_core::JobId;
use serde::Deserialize;

use super::answer::{Refused, Reply, created, with_status};
use super::api::Api;
use super::body;
use super::query::{PathId, Query, read_id};
use crate::operations::{
    Answer, NamePage, Request, ScheduleAnswer, ScheduleChange, ScheduleDraft, ScheduleOrder, ScheduleRequest,
    ScheduleTrigger,
};
use crate::wire::object;

/// The body of a pause or a resume. The path already contains the schedule.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct OrderBody {
    by: Option<String>,
    reason: Option<String>,
}

pub(super) async fn list(State(api): State<Api>, RawQuery(query): RawQuery) -> Reply {
    let query = Query::read(query.as_deref(), &["limit", "after"])?;
    let filter = NamePage { limit: query.one("limit")?, after: query.one("after")? };
    ask(&api, ScheduleRequest::List(filter)).await
}

pub(super) async fn get(State(api): State<Api>, name: PathId) -> Reply {
    let name = name_of(name)?;
    ask(&api, ScheduleRequest::Get { name }).await
}

pub(super) async fn put(State(api): State<Api>, name: PathId, RawQuery(query): RawQuery, body: Body) -> Reply {
    let name = name_of(name)?;
    let query = Query::read(query.as_deref(), &["by", "dry_run"])?;
    let (by, dry_run) = (query.one("by")?, query.one("dry_run")?.unwrap_or(false));
    let (bytes, _place) = api.bodies.read(body, api.settings.max_body_bytes).await?.take();
    let text = body::job_text(bytes)?.into();
    let draft = ScheduleDraft { name: Arc::clone(&name), text, by, dry_run };
    match api.hub.schedules(ScheduleRequest::Set(draft)).await? {
        ScheduleAnswer::Set(set) if set.change == ScheduleChange::Created && !dry_run => {
            Ok(created(&set, &format!("/api/v1/schedules/{name}")))
        }
        ScheduleAnswer::Set(set) => Ok(with_status(StatusCode::OK, &set)),
        _ => Err(Answer::unexpected().into()),
    }
}

pub(super) async fn remove(State(api): State<Api>, name: PathId) -> Reply {
    let name = name_of(name)?;
    ask(&api, ScheduleRequest::Remove { name }).await
}

pub(super) async fn pause(State(api): State<Api>, name: PathId, body: Body) -> Reply {
    let order = order(&api, name, body).await?;
    ask(&api, ScheduleRequest::Pause(order)).await
}

pub(super) async fn resume(State(api): State<Api>, name: PathId, body: Body) -> Reply {
    let order = order(&api, name, body).await?;
    ask(&api, ScheduleRequest::Resume(order)).await
}

pub(super) async fn trigger(State(api): State<Api>, name: PathId, RawQuery(query): RawQuery, body: Body) -> Reply {
    let name = name_of(name)?;
    let held = api.bodies.read(body, api.settings.max_body_bytes).await?;
    if !held.bytes.is_empty() {
        return Err(Refused::bad(
            "the request has a body, which would have no effect: the job and its inputs are those of the schedule",
        ));
    }
    let id = Query::read(query.as_deref(), &["id"])?.one::<JobId>("id")?;
    match api.hub.schedules(ScheduleRequest::Trigger(ScheduleTrigger { name, id })).await? {
        ScheduleAnswer::Triggered(submitted) => Ok(created(&submitted, &format!("/api/v1/jobs/{}", submitted.id))),
        _ => Err(Answer::unexpected().into()),
    }
}

async fn ask(api: &Api, schedule: ScheduleRequest) -> Reply {
    api.ask(Request::Schedule { schedule }).await
}

fn name_of(name: PathId) -> Result<Arc<str>, Refused> {
    let name: String = read_id("a schedule", name)?;
    Ok(name.into())
}

async fn order(api: &Api, name: PathId, body: Body) -> Result<ScheduleOrder, Refused> {
    let name = name_of(name)?;
    let held = api.bodies.read(body, api.settings.max_body_bytes).await?;
    let OrderBody { by, reason } = if held.bytes.is_empty() {
        OrderBody::default()
    } else {
        object::from_slice(&held.bytes)
            .map_err(|error| Refused::bad(format!("the body is not such as {{\"reason\": \"…\"}}: {error}")))?
    };
    Ok(ScheduleOrder { name, by, reason })
}
