//! Asks a dispatcher over its HTTP API.

use std::time::Duration;

use async_trait::async_trait;
use hub_core::state::JobSummary;
use hub_core::{JobId, Json};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde::de::DeserializeOwned;
use url::Url;
use uuid::Uuid;

use super::follow::{STEP, deadline, follow, last_answer};
use crate::operations::{
    HealthReport, Hub, JobFilter, JobPage, Record, RequestError, RequestErrorKind, ResultUpdate, Submission, Submitted,
    TaskQuery, View, WorkerInfo,
};

/// Connections that lie idle are given up before the server does so, since a request must not meet its goodbye.
const IDLE: Duration = Duration::from_secs(15);

/// A Hub behind its HTTP API.
#[derive(Debug)]
pub struct HttpHub {
    client: reqwest::Client,
    /// Ends in a slash.
    base: Url,
    timeout: Duration,
}

impl HttpHub {
    /// The dispatcher whose API is at `url` (`http://host:port`, with a path where a proxy put it under one).
    /// The path of the API itself, `/api/v1`, may stand at its end. `timeout` bounds each answer. Proxies of the environment are not used: a dispatcher is near.
    ///
    /// # Errors
    /// `InvalidRequest` where the URL is none, or the token cannot stand in a header.
    pub fn new(url: &str, token: Option<String>, timeout: Duration) -> Result<Self, RequestError> {
        let mut base = Url::parse(url).map_err(|error| invalid(format!("{url:?} is no URL: {error}")))?;
        if base.scheme() != "http" || base.host_str().is_none() || base.query().is_some() || base.fragment().is_some() {
            return Err(invalid(format!("{url:?} must have the form http://host:port")));
        }
        // The address of the API itself, as the dispatcher's log has it, means the same.
        let path = base.path().trim_end_matches('/');
        let path = path.strip_suffix("/api/v1").or_else(|| path.strip_suffix("/api")).unwrap_or(path);
        let path = format!("{path}/");
        base.set_path(&path);
        let mut headers = HeaderMap::new();
        if let Some(token) = token {
            let mut value = HeaderValue::from_str(&format!("Bearer {token}"))
                .map_err(|_| invalid("the token has characters that no token has".to_owned()))?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        let client = reqwest::Client::builder()
            .connect_timeout(timeout)
            .default_headers(headers)
            .no_proxy()
            .pool_idle_timeout(IDLE)
            .redirect(reqwest::redirect::Policy::none())
            .build();
        let client = client.map_err(|error| invalid(format!("no HTTP client: {error}")))?;
        Ok(Self { client, base, timeout })
    }

    fn request(&self, method: Method, path: &str) -> Result<RequestBuilder, RequestError> {
        let url = self.base.join("api/v1/").and_then(|root| root.join(path));
        let url = url.map_err(|error| invalid(format!("{path:?} is no path: {error}")))?;
        Ok(self.client.request(method, url))
    }

    /// Asks how a job stands; the answer may be held back for `step`.
    async fn ask_waiting(&self, path: &str, step: Duration) -> Result<JobSummary, RequestError> {
        let request = self.request(Method::GET, path)?.query(&[("wait", step.as_secs_f64().to_string())]);
        self.read(self.send_within(request, self.timeout + step).await?)
    }

    fn submission(&self, submission: &Submission) -> Result<RequestBuilder, RequestError> {
        let id = submission.id.unwrap_or_else(|| JobId::new(Uuid::now_v7()));
        let request = self.request(Method::POST, "jobs")?.query(&[("id", id.to_string())]);
        Ok(request.header(CONTENT_TYPE, "application/json").body(submission.text.to_string()))
    }

    /// Sends, and returns the text of the answer.
    async fn send(&self, request: RequestBuilder) -> Result<String, RequestError> {
        self.send_within(request, self.timeout).await
    }

    /// The same where the answer may begin later. A long answer takes its time, but goes on all the while.
    async fn send_within(&self, request: RequestBuilder, begins: Duration) -> Result<String, RequestError> {
        let answer = tokio::time::timeout(begins, request.send()).await.map_err(|_| self.silent())?;
        let mut answer = answer.map_err(|error| self.failed(error))?;
        let (status, mut body) = (answer.status(), Vec::new());
        loop {
            let chunk = tokio::time::timeout(self.timeout, answer.chunk()).await.map_err(|_| self.silent())?;
            match chunk.map_err(|error| self.failed(error))? {
                Some(chunk) => body.extend_from_slice(&chunk),
                None => break,
            }
        }
        if status.is_success() {
            return String::from_utf8(body).map_err(|_| self.foreign(status));
        }
        Err(serde_json::from_slice(&body).unwrap_or_else(|_| self.foreign(status)))
    }

    async fn ask<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, RequestError> {
        self.read(self.send(request).await?)
    }

    fn read<T: DeserializeOwned>(&self, text: String) -> Result<T, RequestError> {
        serde_json::from_str(&text).map_err(|error| {
            let message = format!("the answer of {} is unclear: {error}", self.base);
            RequestError::new(RequestErrorKind::Internal, message)
        })
    }

    fn silent(&self) -> RequestError {
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
            return self.silent();
        } else {
            let warning = "What was asked may have been done all the same";
            (RequestErrorKind::Unreachable, format!("the connection to {base} broke: {why}. {warning}"))
        };
        RequestError::new(kind, message)
    }

    fn foreign(&self, status: StatusCode) -> RequestError {
        let message =
            format!("{} answered {status}, and not as a Hub does: is another program listening there?", self.base);
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

fn invalid(message: String) -> RequestError {
    RequestError::new(RequestErrorKind::InvalidRequest, message)
}

#[async_trait]
impl Hub for HttpHub {
    async fn submit(&self, submission: Submission) -> Result<JobId, RequestError> {
        self.submit_and_report(submission).await.map(|answer| answer.id)
    }

    async fn submit_and_report(&self, submission: Submission) -> Result<Submitted, RequestError> {
        self.ask(self.submission(&submission)?).await
    }

    async fn submit_and_wait(&self, submission: Submission, wait: Duration) -> Result<Submitted, RequestError> {
        let wait = wait.min(STEP);
        let request = self.submission(&submission)?.query(&[("wait", wait.as_secs_f64().to_string())]);
        self.read(self.send_within(request, self.timeout + wait).await?)
    }

    async fn record(&self, id: JobId, view: View, wait: Option<Duration>) -> Result<Record, RequestError> {
        let ask = || async {
            self.ask::<Json>(self.request(Method::GET, &format!("jobs/{id}"))?.query(&view_query(&view))).await
        };
        let Some(wait) = wait else { return ask().await.map(Record::from) };
        let deadline = deadline(wait) + self.timeout;
        let summary = self.summary(id, Some(wait)).await?;
        last_answer(&summary, deadline, ask).await.map(Record::from)
    }

    async fn summary(&self, id: JobId, wait: Option<Duration>) -> Result<JobSummary, RequestError> {
        let path = &format!("jobs/{id}/summary");
        let Some(wait) = wait else { return self.ask(self.request(Method::GET, path)?).await };
        follow(wait, |step| self.ask_waiting(path, step)).await
    }

    async fn tasks(&self, id: JobId, query: TaskQuery) -> Result<Json, RequestError> {
        let mut pairs = view_query(&query.view);
        pairs.extend(query.after.map(|after| ("after", after.to_string())));
        pairs.extend(query.limit.map(|limit| ("limit", limit.to_string())));
        self.ask(self.request(Method::GET, &format!("jobs/{id}/tasks"))?.query(&pairs)).await
    }

    async fn jobs(&self, filter: JobFilter) -> Result<JobPage, RequestError> {
        let mut query: Vec<(&str, String)> = Vec::new();
        query.extend(filter.status.iter().map(|status| ("status", status.to_string())));
        query.extend(filter.name.map(|name| ("name", name)));
        query.extend(filter.since.map(|since| ("since", since.to_string())));
        query.extend(filter.until.map(|until| ("until", until.to_string())));
        query.extend(filter.limit.map(|limit| ("limit", limit.to_string())));
        query.extend(filter.after.map(|after| ("after", after)));
        self.ask(self.request(Method::GET, "jobs")?.query(&query)).await
    }

    async fn cancel(&self, id: JobId) -> Result<(), RequestError> {
        self.send(self.request(Method::POST, &format!("jobs/{id}/cancel"))?).await.map(drop)
    }

    async fn remove(&self, id: JobId) -> Result<(), RequestError> {
        self.send(self.request(Method::DELETE, &format!("jobs/{id}"))?).await.map(drop)
    }

    async fn post_result(&self, update: ResultUpdate) -> Result<(), RequestError> {
        let request = self.request(Method::POST, &format!("tasks/{}/result", update.id))?;
        self.send(request.json(&update)).await.map(drop)
    }

    async fn workers(&self) -> Result<Vec<WorkerInfo>, RequestError> {
        self.ask(self.request(Method::GET, "workers")?).await
    }

    async fn health(&self) -> Result<HealthReport, RequestError> {
        self.ask(self.request(Method::GET, "health")?).await
    }
}
