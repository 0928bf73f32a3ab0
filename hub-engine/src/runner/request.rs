//! HTTP requests as tasks: the value is the answer. The connection is used for one request; redirects are not followed,
//! and no proxy is used.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use axum::body::{Body, Bytes};
use futures_util::StreamExt as _;
use hub_core::Json;
use hub_core::state::{ErrorKind, RetryAdvice, TaskError};
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER, USER_AGENT};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use url::{Host, Url};

use super::order::HttpOrder;
use super::settings::RunnerSettings;
use super::{NoOutcome, Outcome, RunControl, TaskReport};
use crate::clock::wall;

/// Maximum time to connect to a server, with TLS.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Maximum time without a byte from the server. A task with a shorter limit has `timeout`.
const SILENCE_TIMEOUT: Duration = Duration::from_secs(300);
/// Maximum number of characters of an answer in the message of a failure.
const MAXIMUM_EXCERPT: usize = 500;
/// Maximum wait that a server can ask for.
const MAXIMUM_RETRY_AFTER: Duration = Duration::from_secs(24 * 60 * 60);
/// Answers below 500 after which the same request may succeed.
const TEMPORARY: [StatusCode; 3] = [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_EARLY, StatusCode::TOO_MANY_REQUESTS];
/// The type of errors without an answer, which retry policies can name.
const CONNECTION_ERROR: &str = "ConnectionError";

/// An answer of a server.
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

/// Sends a request as a task.
pub(super) async fn run(order: HttpOrder, settings: &RunnerSettings, control: &RunControl) -> TaskReport {
    let since = Instant::now();
    tokio::select! {
        outcome = send(order, settings.result_limit_bytes) => {
            TaskReport::silent(outcome.unwrap_or_else(|failure| failure))
        }
        interruption = control.interrupted(since) => interruption.apply(TaskReport::without(NoOutcome::Cancelled)),
    }
}

async fn send(order: HttpOrder, limit: usize) -> Result<Outcome, Outcome> {
    let authority = authority(&order.url);
    let lost = |why: String| no_answer(&format!("the request to {authority} was not answered: {why}"));
    let connecting = tokio::time::timeout(CONNECT_TIMEOUT, connect(&order.url)).await;
    let stream = connecting
        .unwrap_or_else(|_| Err(format!("it took longer than {} s", CONNECT_TIMEOUT.as_secs())))
        .map_err(|why| no_answer(&format!("no connection to {authority}: {why}")))?;
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|error| lost(innermost(&error)))?;
    // It ends with the request, at the latest when its task is dropped.
    let _connection = AbortOnDrop(tokio::spawn(async move { drop(connection.await) }));
    let request = request(order, &authority).map_err(|why| Outcome::failed(ErrorKind::BadArguments, why))?;
    let silence = || lost(format!("the server sent nothing for {} s", SILENCE_TIMEOUT.as_secs()));
    let response = tokio::time::timeout(SILENCE_TIMEOUT, sender.send_request(request)).await.map_err(|_| silence())?;
    let response = response.map_err(|error| lost(innermost(&error)))?;
    let (head, incoming) = response.into_parts();
    let (mut chunks, mut body) = (Body::new(incoming).into_data_stream(), Vec::new());
    while let Some(chunk) = tokio::time::timeout(SILENCE_TIMEOUT, chunks.next()).await.map_err(|_| silence())? {
        let chunk: Bytes = chunk.map_err(|error| lost(innermost(&error)))?;
        if body.len() + chunk.len() > limit {
            let msg = format!("the answer of {authority} has more than {limit} bytes, which is the limit");
            return Err(Outcome::failed(ErrorKind::ResultTooLarge, msg));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(outcome(&Answer { status: head.status, headers: head.headers, body }, &authority, limit))
}

/// A stream to a server, with or without TLS.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

async fn connect(url: &Url) -> Result<Box<dyn Stream>, String> {
    let host = url.host().ok_or("the URL has no host")?;
    let port = url.port_or_known_default().unwrap_or(80);
    let name = match host {
        Host::Ipv6(address) => address.to_string(),
        other => other.to_string(),
    };
    let stream = TcpStream::connect((&*name, port)).await.map_err(|error| error.to_string())?;
    let _ = stream.set_nodelay(true);
    if url.scheme() == "http" {
        return Ok(Box::new(stream));
    }
    let server = ServerName::try_from(name).map_err(|error| error.to_string())?;
    let connector = TlsConnector::from(tls()?);
    Ok(Box::new(connector.connect(server, stream).await.map_err(|error| error.to_string())?))
}

/// The configuration of TLS, with the certificate authorities of the system. They are read once.
fn tls() -> Result<Arc<ClientConfig>, String> {
    static CONFIG: LazyLock<Result<Arc<ClientConfig>, String>> = LazyLock::new(|| {
        let mut authorities = RootCertStore::empty();
        authorities.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?;
        Ok(Arc::new(config.with_root_certificates(authorities).with_no_client_auth()))
    });
    CONFIG.clone()
}

fn request(order: HttpOrder, authority: &str) -> Result<Request<Body>, String> {
    let HttpOrder { method, url, headers, body } = order;
    let target = url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()));
    let mut request =
        Request::builder().method(method).uri(target).body(Body::from(body)).map_err(|error| error.to_string())?;
    let own = [(HOST, authority), (USER_AGENT, concat!("hub/", env!("CARGO_PKG_VERSION"))), (ACCEPT, "*/*")];
    for (name, value) in own {
        let value = HeaderValue::from_str(value).map_err(|error| error.to_string())?;
        request.headers_mut().insert(name, value);
    }
    request.headers_mut().extend(headers);
    Ok(request)
}

/// The host and the port of a URL, without the usual port.
fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

fn outcome(answer: &Answer, authority: &str, limit: usize) -> Outcome {
    if answer.status.is_client_error() || answer.status.is_server_error() {
        return refused(answer, authority);
    }
    let body = match body(answer) {
        Ok(body) => body,
        Err(why) => return Outcome::failed(ErrorKind::BadResult, why),
    };
    let headers = serde_json::Value::from(headers(&answer.headers));
    let data = format!(r#"{{"status": {}, "headers": {headers}, "body": {}}}"#, answer.status.as_u16(), body.get());
    if data.len() > limit {
        let msg = format!("the answer of {authority} has {} bytes as JSON, the limit is {limit}", data.len());
        return Outcome::failed(ErrorKind::ResultTooLarge, msg);
    }
    Outcome::Success { data: Json::from_checked(data) }
}

/// The headers of an answer. The values of a header that occurs several times are joined by commas.
fn headers(headers: &HeaderMap) -> serde_json::Map<String, serde_json::Value> {
    let joined = |name: &HeaderName| {
        let values = headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()));
        values.collect::<Vec<_>>().join(", ")
    };
    headers.keys().map(|name| (name.to_string(), joined(name).into())).collect()
}

/// The body of an answer: a JSON value if the server says so, otherwise a text.
fn body(answer: &Answer) -> Result<Json, String> {
    let kind = answer.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let text = std::str::from_utf8(&answer.body).map_err(|_| {
        format!(
            "the body of the answer is not UTF-8 text (content-type {kind:?}): have a command download it to a file"
        )
    })?;
    let essence = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if essence != "application/json" && !essence.ends_with("+json") {
        return Ok(Json::string(text));
    }
    if text.trim().is_empty() {
        return Ok(Json::null());
    }
    Json::parse(text).map_err(|error| {
        format!(
            "the body of the answer is not JSON, although its content-type is {kind:?} ({error}); it begins {:?}",
            excerpt(text)
        )
    })
}

/// The failure of a request that the server refused.
fn refused(answer: &Answer, authority: &str) -> Outcome {
    let status = answer.status;
    let is_temporary = status.is_server_error() || TEMPORARY.contains(&status);
    let kind = if is_temporary { ErrorKind::TaskFailed } else { ErrorKind::RequestRefused };
    let said = String::from_utf8_lossy(&answer.body);
    let said = if said.trim().is_empty() { String::new() } else { format!(": {}", excerpt(said.trim())) };
    let msg = format!("HTTP {} from {authority}{said}", status.to_string().trim_end_matches(" <unknown status code>"));
    let error = TaskError {
        type_name: Some(format!("HTTP {}", status.as_u16()).into()),
        bases: vec![format!("HTTP {}xx", status.as_u16() / 100).into()],
        retry: is_temporary.then(|| retry_after(&answer.headers)).flatten(),
        ..TaskError::new(kind)
    };
    Outcome::Failed { msg: msg.into(), error: Some(error.into()) }
}

/// The wait that the server asks for: a number of seconds, or a time.
fn retry_after(headers: &HeaderMap) -> Option<RetryAdvice> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = match text.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let until = httpdate::parse_http_date(text).ok()?.duration_since(std::time::UNIX_EPOCH).ok()?;
            until.saturating_sub(Duration::from_millis(wall().as_millis()))
        }
    };
    u64::try_from(wait.min(MAXIMUM_RETRY_AFTER).as_millis()).ok().map(RetryAdvice::NotBeforeMs)
}

/// The failure of a request without an answer.
fn no_answer(why: &str) -> Outcome {
    let error = TaskError { type_name: Some(CONNECTION_ERROR.into()), ..TaskError::new(ErrorKind::TaskFailed) };
    Outcome::Failed { msg: why.into(), error: Some(error.into()) }
}

/// The message of the error that caused this one.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

fn excerpt(text: &str) -> &str {
    text.char_indices().nth(MAXIMUM_EXCERPT).map_or(text, |(end, _)| &text[..end])
}

/// A task of the async runtime that ends when this is dropped.
struct AbortOnDrop(tokio::task::JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, headers: &[(&'static str, &str)], body: &str) -> Answer {
        let headers = headers.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()));
        Answer { status: StatusCode::from_u16(status).unwrap(), headers: headers.collect(), body: body.into() }
    }

    fn failure(answer: &Answer) -> (TaskError, String) {
        match outcome(answer, "h:8080", 1000) {
            Outcome::Failed { msg, error: Some(error) } => (TaskError::clone(&error), msg.to_string()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_json_body_is_inserted_unchanged() {
        let json = answer(200, &[("content-type", "application/problem+json; charset=utf-8")], "{\"a\": 1.50}");
        let Outcome::Success { data } = outcome(&json, "h", 1000) else { panic!("it is JSON") };
        assert_eq!(
            data.get(),
            r#"{"status": 200, "headers": {"content-type":"application/problem+json; charset=utf-8"}, "body": {"a": 1.50}}"#
        );
        let plain = answer(302, &[("location", "/there")], "moved\n");
        let Outcome::Success { data } = outcome(&plain, "h", 1000) else { panic!("it is a text") };
        assert_eq!(data.to_value()["body"], "moved\n");
        let empty = answer(204, &[("content-type", "application/json")], "");
        let Outcome::Success { data } = outcome(&empty, "h", 1000) else { panic!("it is empty") };
        assert!(data.to_value()["body"].is_null());
        let (error, msg) = failure(&answer(200, &[("content-type", "application/json")], "<html>"));
        assert!(error.kind == ErrorKind::BadResult && msg.contains("<html>"), "{msg}");
        assert_eq!(failure(&answer(200, &[], &"x".repeat(1000))).0.kind, ErrorKind::ResultTooLarge);
    }

    #[test]
    fn some_refusals_are_temporary() {
        for (status, kind) in [
            (400, ErrorKind::RequestRefused),
            (404, ErrorKind::RequestRefused),
            (408, ErrorKind::TaskFailed),
            (425, ErrorKind::TaskFailed),
            (429, ErrorKind::TaskFailed),
            (500, ErrorKind::TaskFailed),
            (599, ErrorKind::TaskFailed),
        ] {
            let (error, msg) = failure(&answer(status, &[], "why\n"));
            assert_eq!(error.kind, kind, "{status}");
            assert!(error.is_called(&format!("HTTP {status}")) && error.is_called(&format!("HTTP {}xx", status / 100)));
            assert!(msg.starts_with(&format!("HTTP {status}")) && msg.ends_with("from h:8080: why"), "{msg}");
        }
    }

    #[test]
    fn the_server_may_say_when_to_try_again() {
        let advice = |status: u16, text: &str| failure(&answer(status, &[("retry-after", text)], "")).0.retry;
        assert_eq!(advice(429, "7"), Some(RetryAdvice::NotBeforeMs(7_000)));
        assert_eq!(advice(503, "99999999999"), Some(RetryAdvice::NotBeforeMs(86_400_000)));
        assert_eq!(advice(503, "Wed, 21 Oct 2015 07:28:00 GMT"), Some(RetryAdvice::NotBeforeMs(0)));
        assert_eq!((advice(503, "soon"), advice(404, "7")), (None, None));
    }
}
