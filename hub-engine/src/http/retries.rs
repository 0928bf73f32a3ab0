//! The route of retries of jobs.

use std::collections::BTreeMap;

use axum::body::Body;
use axum::extract::State;
use hub_core::{JobId, Json, RetryFrom};
use serde::Deserialize;

use super::answer::{Refused, Reply, created};
use super::api::Api;
use super::query::{PathId, read_id};
use crate::operations::JobRetry;

/// The optional body of a retry. The path already contains the job.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RetryBody {
    id: Option<JobId>,
    new_id: Option<JobId>,
    from: RetryFrom,
    #[serde(rename = "override")]
    overrides: BTreeMap<String, Json>,
    cancel: bool,
    by: Option<String>,
    reason: Option<String>,
}

pub(super) async fn retry_job(State(api): State<Api>, id: PathId, body: Body) -> Reply {
    let id: JobId = read_id("a job's id", id)?;
    let RetryBody { id: named, new_id, from, overrides, cancel, by, reason } =
        api.optional_body(body, "a retry").await?;
    if let Some(named) = named.filter(|named| *named != id) {
        return Err(Refused::bad(format!("the body is about job {named}, the path about job {id}")));
    }
    let submitted = api.hub.retry(JobRetry { id, new_id, from, overrides, cancel, by, reason }).await?;
    Ok(created(&submitted, &format!("/api/v1/jobs/{}", submitted.id)))
}
