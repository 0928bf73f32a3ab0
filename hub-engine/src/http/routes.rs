//! The table of routes. A test compares it with the document.

use std::sync::LazyLock;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{MatchedPath, RawQuery, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::middleware;
use axum::routing::{MethodRouter, delete, get, post, put};
use hub_core::details::RepairAction;
use hub_core::{JobId, TaskId};
use serde::Deserialize;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::answer::{Refused, Reply, created, ok, with_status};
use super::api::Api;
use super::query::{PathId, Query, parse, read_id};
use super::{body, control, definitions, document, events, guard, retries, schedules, waits};
use crate::operations::{
    JobFilter, Request, RequestError, RequestErrorKind, ResultUpdate, Submission, TaskQuery, TaskRepair, UpdateStatus,
    View,
};

/// Maximum time that an answer is delayed until the end of a job.
const MAXIMUM_WAIT: Duration = Duration::from_secs(60);
/// A header that is equivalent to the parameter `id`.
const IDEMPOTENCY_KEY: &str = "Idempotency-Key";

/// A route and its handler.
pub(super) struct Route {
    pub(super) path: &'static str,
    pub(super) method: &'static str,
    /// Whether it can be used without a token.
    open: bool,
    handler: MethodRouter<Api>,
}

/// All routes.
pub(super) fn table() -> Vec<Route> {
    let open = |path, method, handler| Route { path, method, open: true, handler };
    let route = |path, method, handler| Route { path, method, open: false, handler };
    vec![
        route("/api/v1/jobs", "get", get(list_jobs)),
        route("/api/v1/jobs", "post", post(submit)),
        route("/api/v1/jobs/{id}", "get", get(get_job)),
        route("/api/v1/jobs/{id}/summary", "get", get(get_summary)),
        route("/api/v1/jobs/{id}/tasks", "get", get(list_tasks)),
        route("/api/v1/jobs/{id}/explain", "get", get(explain_job)),
        route("/api/v1/jobs/{id}/document", "get", get(get_document)),
        route("/api/v1/jobs/{id}", "delete", delete(remove_job)),
        route("/api/v1/jobs/{id}/cancel", "post", post(control::cancel_job)),
        route("/api/v1/jobs/{id}/pause", "post", post(control::pause_job)),
        route("/api/v1/jobs/{id}/resume", "post", post(control::resume_job)),
        route("/api/v1/jobs/{id}/priority", "post", post(control::set_priority)),
        route("/api/v1/pools/{name}/pause", "post", post(control::pause_pool)),
        route("/api/v1/pools/{name}/resume", "post", post(control::resume_pool)),
        route("/api/v1/jobs/{id}/retry", "post", post(retries::retry_job)),
        route("/api/v1/jobs/{id}/signal", "post", post(waits::signal_job)),
        route("/api/v1/tasks/{id}/approve", "post", post(waits::approve_task)),
        route("/api/v1/tasks/{id}/result", "post", post(post_result)),
        route("/api/v1/tasks/{id}/retry", "post", post(retry_task)),
        route("/api/v1/tasks/{id}/skip", "post", post(skip_task)),
        route("/api/v1/tasks/{id}/fail", "post", post(fail_task)),
        route("/api/v1/definitions", "get", get(definitions::list)),
        route("/api/v1/definitions/{name}", "get", get(definitions::get)),
        route("/api/v1/definitions/{name}", "put", put(definitions::put)),
        route("/api/v1/definitions/{name}/aliases/{alias}", "put", put(definitions::set_alias)),
        route("/api/v1/definitions/{name}/aliases/{alias}", "delete", delete(definitions::remove_alias)),
        route("/api/v1/schedules", "get", get(schedules::list)),
        route("/api/v1/schedules/{name}", "get", get(schedules::get)),
        route("/api/v1/schedules/{name}", "put", put(schedules::put)),
        route("/api/v1/schedules/{name}", "delete", delete(schedules::remove)),
        route("/api/v1/schedules/{name}/pause", "post", post(schedules::pause)),
        route("/api/v1/schedules/{name}/resume", "post", post(schedules::resume)),
        route("/api/v1/schedules/{name}/trigger", "post", post(schedules::trigger)),
        route("/api/v1/events", "get", get(events::watch)),
        route("/api/v1/workers", "get", get(workers)),
        route("/api/v1/health", "get", get(health)),
        open("/api/v1/health/live", "get", get(live)),
        route("/api/v1/health/ready", "get", get(ready)),
        open("/api/v1/openapi.json", "get", get(openapi)),
    ]
}

/// The routes as a service.
pub(super) fn router(api: Api) -> Router {
    let (open, guarded): (Vec<Route>, Vec<Route>) = table().into_iter().partition(|route| route.open);
    let gather = |routes: Vec<Route>| {
        routes.into_iter().fold(Router::new(), |router, route| router.route(route.path, route.handler))
    };
    gather(guarded)
        .route_layer(middleware::from_fn_with_state(api.clone(), guard::check))
        .merge(gather(open))
        .fallback(unknown_route)
        .method_not_allowed_fallback(wrong_method)
        .with_state(api)
}

async fn unknown_route(uri: Uri) -> Reply {
    let message = format!("there is no resource at {}: see /api/v1/openapi.json", uri.path());
    Err(Refused::new(StatusCode::NOT_FOUND, RequestErrorKind::NotFound, message))
}

/// The answer for a path without this method. (The router adds the header `Allow`.)
async fn wrong_method(method: Method, path: MatchedPath) -> Reply {
    let known: Vec<String> = table()
        .iter()
        .filter(|route| route.path == path.as_str())
        .map(|route| route.method.to_ascii_uppercase())
        .collect();
    let message = format!("{} does not support {method}; supported methods: {}", path.as_str(), known.join(", "));
    Err(Refused::new(StatusCode::METHOD_NOT_ALLOWED, RequestErrorKind::InvalidRequest, message))
}

async fn submit(State(api): State<Api>, RawQuery(query): RawQuery, headers: HeaderMap, body: Body) -> Reply {
    let query = Query::read(query.as_deref(), &["id", "wait"])?;
    let (asked, wait) = (query.one::<JobId>("id")?, read_wait(&query)?);
    let id = match (asked, idempotency_key(&headers)?) {
        (Some(asked), Some(key)) if asked != key => {
            return Err(Refused::bad("id and Idempotency-Key differ: both set the id of the job, so use only one"));
        }
        (asked, key) => asked.or(key),
    };
    // The text stays in memory until the answer.
    let (bytes, _place) = api.bodies.read(body, api.settings.max_body_bytes).await?.take();
    let text = body::job_text(bytes)?;
    let submission = Submission { text: text.into(), id };
    let submit = async |submission| api.hub.submit_and_report(submission).await;
    let submitted = match wait {
        None => submit(submission).await,
        Some(wait) => {
            // With an id it can be submitted again as the same job.
            let id = id.unwrap_or_else(|| JobId::new(Uuid::now_v7()));
            let submission = Submission { id: Some(id), ..submission };
            let mut waiting = api.hub.submit_and_wait(submission.clone(), wait);
            tokio::select! {
                submitted = &mut waiting => submitted,
                () = api.shutdown.cancelled() => match submit(submission).await {
                    // The dispatcher is stopping, too, and answers waiting requests.
                    Err(error) if error.kind == RequestErrorKind::Unavailable => waiting.await,
                    submitted => submitted,
                },
            }
        }
    }?;
    Ok(created(&submitted, &format!("/api/v1/jobs/{}", submitted.id)))
}

/// The maximum time that the answer may be delayed.
fn read_wait(query: &Query) -> Result<Option<Duration>, Refused> {
    let seconds: Option<f64> = query.one("wait")?;
    let wait = seconds.map(Duration::try_from_secs_f64).transpose();
    let wait = wait.map_err(|error| Refused::bad(format!("wait must be a number of seconds: {error}")))?;
    Ok(wait.map(|wait| wait.min(MAXIMUM_WAIT)))
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<JobId>, Refused> {
    let Some(value) = headers.get(IDEMPOTENCY_KEY) else { return Ok(None) };
    // The draft of the header requires quotes, but most programs omit them.
    let text = value.to_str().unwrap_or_default().trim_matches('"');
    parse(IDEMPOTENCY_KEY, text).map(Some)
}

async fn list_jobs(State(api): State<Api>, RawQuery(query): RawQuery) -> Reply {
    let query =
        Query::read(query.as_deref(), &["status", "name", "since", "until", "filter", "sub_jobs", "limit", "after"])?;
    let filter = JobFilter {
        status: query.all("status")?,
        name: query.one("name")?,
        since: query.one("since")?,
        until: query.one("until")?,
        filter: query.one("filter")?,
        sub_jobs: query.one("sub_jobs")?.unwrap_or(false),
        limit: query.one("limit")?,
        after: query.one("after")?,
    };
    api.ask(Request::Jobs { filter }).await
}

async fn get_job(State(api): State<Api>, id: PathId, RawQuery(query): RawQuery) -> Reply {
    let id: JobId = read_id("a job's id", id)?;
    let query = Query::read(query.as_deref(), &["wait", "fields", "data", "tasks"])?;
    let (wait, view) = (read_wait(&query)?, read_view(&query)?);
    api.ask(Request::Job { id, wait, view }).await
}

async fn get_summary(State(api): State<Api>, id: PathId, RawQuery(query): RawQuery) -> Reply {
    let id: JobId = read_id("a job's id", id)?;
    let wait = read_wait(&Query::read(query.as_deref(), &["wait"])?)?;
    api.ask(Request::Summary { id, wait }).await
}

async fn list_tasks(State(api): State<Api>, id: PathId, RawQuery(query): RawQuery) -> Reply {
    let id: JobId = read_id("a job's id", id)?;
    let query = Query::read(query.as_deref(), &["after", "limit", "of", "fields", "data"])?;
    let query = TaskQuery {
        after: query.one("after")?,
        limit: query.one("limit")?,
        of: query.one("of")?,
        view: read_view(&query)?,
    };
    api.ask(Request::Tasks { id, query }).await
}

async fn explain_job(State(api): State<Api>, id: PathId, RawQuery(query): RawQuery) -> Reply {
    let id: JobId = read_id("a job's id", id)?;
    let task = Query::read(query.as_deref(), &["task"])?.one("task")?;
    api.ask(Request::Explain { id, task }).await
}

async fn get_document(State(api): State<Api>, id: PathId) -> Reply {
    let id: JobId = read_id("a job's id", id)?;
    api.ask(Request::Document { id, after: None }).await
}

/// The selected parts of records.
fn read_view(query: &Query) -> Result<View, Refused> {
    let no = |name| query.one::<bool>(name).map(|shown| shown == Some(false));
    let view = View { fields: None, no_data: no("data")?, no_tasks: no("tasks")? };
    let fields: Option<String> = query.one("fields")?;
    Ok(match fields {
        Some(fields) => view.with_fields(&fields),
        None => view,
    })
}

async fn remove_job(State(api): State<Api>, id: PathId) -> Reply {
    let id: JobId = read_id("a job's id", id)?;
    api.ask(Request::Remove { id }).await
}

/// A posted result. The path already contains the task.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PostedResult {
    id: Option<TaskId>,
    status: UpdateStatus,
    data: Option<hub_core::Json>,
    msg: Option<String>,
    v: Option<u32>,
}

async fn post_result(State(api): State<Api>, id: PathId, body: Body) -> Reply {
    let id: TaskId = read_id("a task's id", id)?;
    let held = api.bodies.read(body, api.settings.max_body_bytes).await?;
    let PostedResult { id: named, status, data, msg, v } = crate::wire::object::from_slice(&held.bytes)
        .map_err(|error| Refused::bad(format!("the body is not a result: {error}")))?;
    if let Some(named) = named.filter(|named| *named != id) {
        return Err(Refused::bad(format!("the body is about task {named}, the path about task {id}")));
    }
    if let Some(v) = v.filter(|v| *v > crate::wire::VERSION) {
        return Err(Refused::bad(format!("this Hub supports results up to version {}, not {v}", crate::wire::VERSION)));
    }
    api.ask(Request::Result { result: ResultUpdate { id, status, data, msg, v } }).await
}

/// The optional body of a repair. The path already contains the task and the action.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RepairBody {
    data: Option<hub_core::Json>,
    by: Option<String>,
    reason: Option<String>,
}

async fn retry_task(State(api): State<Api>, id: PathId, body: Body) -> Reply {
    repair(&api, id, body, RepairAction::Retry).await
}

async fn skip_task(State(api): State<Api>, id: PathId, body: Body) -> Reply {
    repair(&api, id, body, RepairAction::Skip).await
}

async fn fail_task(State(api): State<Api>, id: PathId, body: Body) -> Reply {
    repair(&api, id, body, RepairAction::Fail).await
}

async fn repair(api: &Api, id: PathId, body: Body, action: RepairAction) -> Reply {
    let id: TaskId = read_id("a task's id", id)?;
    let RepairBody { data, by, reason } = api.optional_body(body, "a repair").await?;
    if data.is_some() && action != RepairAction::Skip {
        return Err(Refused::bad("only skip takes data".to_owned()));
    }
    api.ask(Request::Repair { repair: TaskRepair { id, action, data, by, reason } }).await
}

async fn workers(State(api): State<Api>) -> Reply {
    api.ask(Request::Workers).await
}

async fn health(State(api): State<Api>) -> Reply {
    api.ask(Request::Health).await
}

async fn live() -> Reply {
    Ok(ok(&"alive"))
}

/// Whether the dispatcher can work: 503 if the broker or the store is not available.
async fn ready(State(api): State<Api>) -> Reply {
    let report = api.hub.health().await?;
    let status = if report.is_ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    Ok(with_status(status, &report))
}

async fn openapi() -> Reply {
    // Written once, because requests without a token must be cheap.
    static DOCUMENT: LazyLock<Result<Box<RawValue>, serde_json::Error>> =
        LazyLock::new(|| serde_json::value::to_raw_value(&document::openapi()));
    match &*DOCUMENT {
        Ok(document) => Ok(ok(document)),
        Err(error) => Err(RequestError::new(RequestErrorKind::Internal, error.to_string()).into()),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_document_has_exactly_the_routes() {
        let table = table();
        let routes: BTreeSet<(&str, &str)> = table.iter().map(|route| (route.path, route.method)).collect();
        let document = document::openapi();
        let paths = document["paths"].as_object().unwrap();
        let documented = paths.iter().flat_map(|(path, methods)| {
            methods.as_object().unwrap().keys().map(|method| (path.as_str(), method.as_str()))
        });
        assert_eq!(documented.collect::<BTreeSet<_>>(), routes);
    }
}
