//! A client over the HTTP API.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hub_core::JobId;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde::Serialize;
use url::Url;
use uuid::Uuid;

use super::follow::{MAXIMUM_STEP, carry_out};
use crate::operations::{
    AliasChange, Answer, DefinitionDraft, Hub, JobFilter, Pausable, Request, RequestError, RequestErrorKind,
    ScheduleDraft, ScheduleOrder, ScheduleRequest, ScheduleTrigger, Submission, Submitted, TaskQuery, TaskRepair, View,
};

/// Maximum idle time of a connection. It is shorter than the server's, so that a request does not meet a closing
/// connection.
const IDLE_TIMEOUT: Duration = Duration::from_secs(15);

/// A Hub behind its HTTP API.
#[derive(Debug)]
pub struct HttpHub {
    client: reqwest::Client,
    /// Ends in a slash.
    base: Url,
    timeout: Duration,
}

impl HttpHub {
    /// Creates a client for the dispatcher at `url` (`http://host:port`, with the path of a reverse proxy, if any). The
    /// path of the API, `/api/v1`, may be appended. `timeout` limits each answer. Proxies from the environment are not
    /// used, because a dispatcher is usually near.
    ///
    /// # Errors
    /// `InvalidRequest` if the URL is invalid, or the token has characters that a header cannot have.
    pub fn new(url: &str, token: Option<String>, timeout: Duration) -> Result<Self, RequestError> {
        let mut base = Url::parse(url).map_err(|error| invalid(format!("{url:?} is not a URL: {error}")))?;
        if base.scheme() != "http" || base.host_str().is_none() || base.query().is_some() || base.fragment().is_some() {
            return Err(invalid(format!("{url:?} must have the form http://host:port")));
        }
        // The address of the API, as in the dispatcher's log, is accepted, too.
        let path = base.path().trim_end_matches('/');
        let path = path.strip_suffix("/api/v1").or_else(|| path.strip_suffix("/api")).unwrap_or(path);
        let path = format!("{path}/");
        base.set_path(&path);
        let mut headers = HeaderMap::new();
        if let Some(token) = token {
            let mut value = HeaderValue::from_str(&format!("Bearer {token}"))
                .map_err(|_| invalid("the token has invalid characters".to_owned()))?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        let client = reqwest::Client::builder()
            .connect_timeout(timeout)
            .default_headers(headers)
            .no_proxy()
            .pool_idle_timeout(IDLE_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .build();
        let client = client.map_err(|error| invalid(format!("failed to create the HTTP client: {error}")))?;
        Ok(Self { client, base, timeout })
    }

    fn request(&self, method: Method, path: &str) -> Result<RequestBuilder, RequestError> {
        let url = self.base.join("api/v1/").and_then(|root| root.join(path));
        let url = url.map_err(|error| invalid(format!("{path:?} is not a path: {error}")))?;
        Ok(self.client.request(method, url))
    }

    /// A request about a definition, or about an alias of it.
    fn definition(&self, method: Method, name: &str, alias: Option<&str>) -> Result<RequestBuilder, RequestError> {
        let mut url = self.base.join("api/v1/definitions").map_err(|error| invalid(error.to_string()))?;
        if let Ok(mut steps) = url.path_segments_mut() {
            steps.push(name);
            if let Some(alias) = alias {
                steps.extend(["aliases", alias]);
            }
        }
        Ok(self.client.request(method, url))
    }

    /// A request about schedules.
    fn schedule(&self, request: &ScheduleRequest) -> Result<RequestBuilder, RequestError> {
        let about = |method: Method, name: &str, control: Option<&str>| {
            let mut url = self.base.join("api/v1/schedules").map_err(|error| invalid(error.to_string()))?;
            if let Ok(mut steps) = url.path_segments_mut() {
                steps.push(name).extend(control);
            }
            Ok::<_, RequestError>(self.client.request(method, url))
        };
        let order = |order: &ScheduleOrder, control| {
            let body = serde_json::json!({"by": order.by, "reason": order.reason});
            Ok::<_, RequestError>(about(Method::POST, &order.name, Some(control))?.json(&body))
        };
        Ok(match request {
            ScheduleRequest::Set(ScheduleDraft { name, text, by, dry_run }) => {
                let mut query: Vec<(&str, &str)> = Vec::new();
                query.extend(by.as_deref().map(|by| ("by", by)));
                query.extend(dry_run.then_some(("dry_run", "true")));
                let put = about(Method::PUT, name, None)?.query(&query);
                put.header(CONTENT_TYPE, "application/json").body(text.to_string())
            }
            ScheduleRequest::List(filter) => self.request(Method::GET, "schedules")?.query(filter),
            ScheduleRequest::Get { name } => about(Method::GET, name, None)?,
            ScheduleRequest::Remove { name } => about(Method::DELETE, name, None)?,
            ScheduleRequest::Pause(pause) => order(pause, "pause")?,
            ScheduleRequest::Resume(resume) => order(resume, "resume")?,
            ScheduleRequest::Trigger(ScheduleTrigger { name, id }) => {
                let query: Vec<(&str, String)> = id.iter().map(|id| ("id", id.to_string())).collect();
                about(Method::POST, name, Some("trigger"))?.query(&query)
            }
        })
    }

    /// Converts a request to an HTTP request.
    fn build(&self, request: &Request) -> Result<RequestBuilder, RequestError> {
        let (get, post) = (|path: &str| self.request(Method::GET, path), |path: &str| self.request(Method::POST, path));
        let built = match request {
            Request::Job { id, view, .. } => get(&format!("jobs/{id}"))?.query(&view_query(view)),
            Request::Summary { id, .. } => get(&format!("jobs/{id}/summary"))?,
            Request::Tasks { id, query } => get(&format!("jobs/{id}/tasks"))?.query(&task_query(query)),
            Request::Jobs { filter } => get("jobs")?.query(&filter_query(filter)),
            Request::Explain { id, task } => {
                get(&format!("jobs/{id}/explain"))?.query(&task.iter().map(|task| ("task", task)).collect::<Vec<_>>())
            }
            Request::Document { id, .. } => get(&format!("jobs/{id}/document"))?,
            Request::Cancel { cancel } => post(&format!("jobs/{}/cancel", cancel.id))?.json(&body_of(cancel)?),
            Request::Pause { of } => post(&format!("{}/pause", place_of(&of.of)?))?.json(&body_of(of)?),
            Request::Resume { of } => post(&format!("{}/resume", place_of(&of.of)?))?.json(&body_of(of)?),
            Request::Priority { of } => post(&format!("jobs/{}/priority", of.id))?.json(&body_of(of)?),
            Request::Remove { id } => self.request(Method::DELETE, &format!("jobs/{id}"))?,
            Request::Result { result } => post(&format!("tasks/{}/result", result.id))?.json(result),
            Request::Repair { repair } => {
                post(&format!("tasks/{}/{}", repair.id, repair.action.as_str()))?.json(&repair_body(repair))
            }
            Request::Retry { retry } => post(&format!("jobs/{}/retry", retry.id))?.json(retry),
            Request::Signal { signal } => post(&format!("jobs/{}/signal", signal.id))?.json(signal),
            Request::Approve { approval } => post(&format!("tasks/{}/approve", approval.id))?.json(approval),
            Request::Define { definition } => self
                .definition(Method::PUT, &definition.name, None)?
                .query(&draft_query(definition))
                .header(CONTENT_TYPE, "application/json")
                .body(definition.text.to_string()),
            Request::Alias { change: AliasChange { name, alias, version: Some(version) } } => {
                let put = self.definition(Method::PUT, name, Some(alias))?;
                put.json(&serde_json::json!({"version": version}))
            }
            Request::Alias { change: AliasChange { name, alias, version: None } } => {
                self.definition(Method::DELETE, name, Some(alias))?
            }
            Request::Definitions { filter } => get("definitions")?.query(filter),
            Request::Definition { reference } => self.definition(Method::GET, &reference.to_string(), None)?,
            Request::Schedule { schedule } => self.schedule(schedule)?,
            Request::Workers => get("workers")?,
            Request::Health => get("health")?,
        };
        Ok(built)
    }

    /// Sends one request.
    async fn ask(&self, request: Request) -> Result<Answer, RequestError> {
        let read = |text: &str| match request {
            // The answer is the text itself.
            Request::Document { .. } => Ok(Answer::Document(Arc::<str>::from(text).into())),
            _ => Answer::read(&request, text),
        };
        self.exchange(self.build(&request)?, request.wait(), read).await
    }

    /// Sends a request whose answer may be delayed by `wait`, and reads the answer.
    async fn exchange<T>(
        &self,
        request: RequestBuilder,
        wait: Option<Duration>,
        read: impl FnOnce(&str) -> serde_json::Result<T>,
    ) -> Result<T, RequestError> {
        let request = match wait {
            Some(wait) => request.query(&[("wait", wait.as_secs_f64().to_string())]),
            None => request,
        };
        let text = self.send_within(request, self.timeout + wait.unwrap_or_default()).await?;
        read(&text).map_err(|error| {
            let message = format!("the answer of {} cannot be read: {error}", self.base);
            RequestError::new(RequestErrorKind::Internal, message)
        })
    }

    /// Sends a request and returns the text of the answer, which must begin within `begins`. The total time is not
    /// limited, but each part must arrive within the timeout.
    async fn send_within(&self, request: RequestBuilder, begins: Duration) -> Result<String, RequestError> {
        let answer = tokio::time::timeout(begins, request.send()).await.map_err(|_| self.timed_out())?;
        let mut answer = answer.map_err(|error| self.failed(error))?;
        let (status, mut body) = (answer.status(), Vec::new());
        loop {
            let chunk = tokio::time::timeout(self.timeout, answer.chunk()).await.map_err(|_| self.timed_out())?;
            match chunk.map_err(|error| self.failed(error))? {
                Some(chunk) => body.extend_from_slice(&chunk),
                None => break,
            }
        }
        if status.is_success() {
            return String::from_utf8(body).map_err(|_| self.not_a_hub(status));
        }
        Err(serde_json::from_slice(&body).unwrap_or_else(|_| self.not_a_hub(status)))
    }

    fn timed_out(&self) -> RequestError {
        let message = format!("the dispatcher at {} did not answer within {} s", self.base, self.timeout.as_secs_f32());
        RequestError::new(RequestErrorKind::TimedOut, message)
    }

    fn failed(&self, error: reqwest::Error) -> RequestError {
        let base = &self.base;
        let mut why = error.to_string();
        let mut source = std::error::Error::source(&error);
        while let Some(inner) = source {
            why = inner.to_string();
            source = inner.source();
        }
        let (kind, message) = if error.is_connect() {
            let advice = "Is hub-dispatcher running with --http there?";
            (RequestErrorKind::Unreachable, format!("no dispatcher answers at {base}: {why}. {advice}"))
        } else if error.is_timeout() {
            return self.timed_out();
        } else {
            let warning = "The request may have been executed nevertheless";
            (RequestErrorKind::Unreachable, format!("the connection to {base} was lost: {why}. {warning}"))
        };
        RequestError::new(kind, message)
    }

    fn not_a_hub(&self, status: StatusCode) -> RequestError {
        let message =
            format!("{} answered {status}, but not like a Hub: is another program listening there?", self.base);
        RequestError::new(RequestErrorKind::Unreachable, message)
    }
}

fn view_query(view: &View) -> Vec<(&'static str, String)> {
    let mut query: Vec<(&str, String)> = Vec::new();
    query.extend(view.fields.as_ref().map(|fields| ("fields", fields.join(","))));
    query.extend(view.no_data.then(|| ("data", "false".to_owned())));
    query.extend(view.no_tasks.then(|| ("tasks", "false".to_owned())));
    query
}

fn task_query(query: &TaskQuery) -> Vec<(&'static str, String)> {
    let mut pairs = view_query(&query.view);
    pairs.extend(query.after.map(|after| ("after", after.to_string())));
    pairs.extend(query.limit.map(|limit| ("limit", limit.to_string())));
    pairs.extend(query.of.clone().map(|of| ("of", of)));
    pairs
}

fn draft_query(draft: &DefinitionDraft) -> Vec<(&'static str, String)> {
    let mut query: Vec<(&str, String)> = Vec::new();
    query.extend(draft.aliases.iter().map(|alias| ("alias", alias.to_string())));
    query.extend(draft.by.clone().map(|by| ("by", by)));
    query.extend(draft.dry_run.then(|| ("dry_run", "true".to_owned())));
    query
}

fn filter_query(filter: &JobFilter) -> Vec<(&'static str, String)> {
    let mut query: Vec<(&str, String)> = Vec::new();
    query.extend(filter.status.iter().map(|status| ("status", status.to_string())));
    query.extend(filter.name.clone().map(|name| ("name", name)));
    query.extend(filter.since.map(|since| ("since", since.to_string())));
    query.extend(filter.until.map(|until| ("until", until.to_string())));
    query.extend(filter.filter.clone().map(|text| ("filter", text.into())));
    query.extend(filter.sub_jobs.then(|| ("sub_jobs", "true".to_owned())));
    query.extend(filter.limit.map(|limit| ("limit", limit.to_string())));
    query.extend(filter.after.clone().map(|after| ("after", after)));
    query
}

fn invalid(message: String) -> RequestError {
    RequestError::new(RequestErrorKind::InvalidRequest, message)
}

#[async_trait]
impl Hub for HttpHub {
    async fn call(&self, request: Request) -> Result<Answer, RequestError> {
        carry_out(request, self.timeout, |request| self.ask(request)).await
    }

    async fn submit_with(&self, submission: Submission, wait: Option<Duration>) -> Result<Submitted, RequestError> {
        let Submission { text, id } = submission;
        let id = id.unwrap_or_else(|| JobId::new(Uuid::now_v7()));
        let request = self.request(Method::POST, "jobs")?.query(&[("id", id.to_string())]);
        let request = request.header(CONTENT_TYPE, "application/json").body(text.to_string());
        self.exchange(request, wait.map(|wait| wait.min(MAXIMUM_STEP)), |text| serde_json::from_str(text)).await
    }
}

/// The path of a job or a pool.
fn place_of(of: &Pausable) -> Result<String, RequestError> {
    of.check()?;
    Ok(match of {
        Pausable::Job(id) => format!("jobs/{id}"),
        Pausable::Pool(name) => format!("pools/{name}"),
    })
}

/// The body of a request about a job or a pool: what the path does not contain.
fn body_of<T: Serialize>(request: &T) -> Result<serde_json::Value, RequestError> {
    let mut body = serde_json::to_value(request).map_err(|error| invalid(error.to_string()))?;
    if let Some(body) = body.as_object_mut() {
        body.retain(|key, _| !matches!(key.as_str(), "id" | "pool"));
    }
    Ok(body)
}

/// The body of a repair: what the path does not contain.
fn repair_body(TaskRepair { data, by, reason, .. }: &TaskRepair) -> serde_json::Value {
    let data = data.as_ref().map(hub_core::Json::to_value);
    let all = [("data", data), ("by", by.clone().map(Into::into)), ("reason", reason.clone().map(Into::into))];
    all.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect::<serde_json::Map<_, _>>().into()
}
