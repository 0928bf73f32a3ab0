//! Asks a dispatcher over its HTTP API.

use std::time::Duration;

use async_trait::async_trait;
use hub_core::JobId;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Method, RequestBuilder, StatusCode};
use url::Url;
use uuid::Uuid;

use super::follow::{STEP, carry_out};
use crate::operations::{
    Answer, Hub, JobFilter, Request, RequestError, RequestErrorKind, Submission, Submitted, TaskQuery, View,
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

    /// The HTTP request that a request is.
    fn build(&self, request: &Request) -> Result<RequestBuilder, RequestError> {
        let (get, post) = (|path: &str| self.request(Method::GET, path), |path: &str| self.request(Method::POST, path));
        let built = match request {
            Request::Job { id, view, .. } => get(&format!("jobs/{id}"))?.query(&view_query(view)),
            Request::Summary { id, .. } => get(&format!("jobs/{id}/summary"))?,
            Request::Tasks { id, query } => get(&format!("jobs/{id}/tasks"))?.query(&task_query(query)),
            Request::Jobs { filter } => get("jobs")?.query(&filter_query(filter)),
            Request::Cancel { id } => post(&format!("jobs/{id}/cancel"))?,
            Request::Remove { id } => self.request(Method::DELETE, &format!("jobs/{id}"))?,
            Request::Result { result } => post(&format!("tasks/{}/result", result.id))?.json(result),
            Request::Workers => get("workers")?,
            Request::Health => get("health")?,
        };
        Ok(built)
    }

    /// Asks once.
    async fn ask(&self, request: Request) -> Result<Answer, RequestError> {
        self.exchange(self.build(&request)?, request.wait(), |text| Answer::read(&request, text)).await
    }

    /// Sends a request whose answer may be held back for `wait`, and reads the answer.
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
            let message = format!("the answer of {} is unclear: {error}", self.base);
            RequestError::new(RequestErrorKind::Internal, message)
        })
    }

    /// Sends, and returns the text of the answer, which must begin within `begins`. A long answer takes its time, but goes
    /// on all the while.
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

fn task_query(query: &TaskQuery) -> Vec<(&'static str, String)> {
    let mut pairs = view_query(&query.view);
    pairs.extend(query.after.map(|after| ("after", after.to_string())));
    pairs.extend(query.limit.map(|limit| ("limit", limit.to_string())));
    pairs
}

fn filter_query(filter: &JobFilter) -> Vec<(&'static str, String)> {
    let mut query: Vec<(&str, String)> = Vec::new();
    query.extend(filter.status.iter().map(|status| ("status", status.to_string())));
    query.extend(filter.name.clone().map(|name| ("name", name)));
    query.extend(filter.since.map(|since| ("since", since.to_string())));
    query.extend(filter.until.map(|until| ("until", until.to_string())));
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
        self.exchange(request, wait.map(|wait| wait.min(STEP)), |text| serde_json::from_str(text)).await
    }
}
