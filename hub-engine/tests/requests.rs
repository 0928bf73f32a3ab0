//! HTTP requests as tasks, against a server of the test.

mod tasks_support;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use hub_core::state::{ErrorKind, RetryAdvice, TaskError};
use hub_core::{Json, TaskKinds};
use hub_engine::runner::{
    ModuleRunner, NoOutcome, Outcome, RunControl, Runner, RunnerSettings, TaskReport, TaskRequest,
};
use serde_json::{Value, json};
use tasks_support::{DEADLINE, Tasks, request};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// Answers with what was asked, or as the path says.
async fn answer(method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> (StatusCode, HeaderMap, String) {
    let mut answer = HeaderMap::new();
    let shown = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    if let Some(status) = uri.path().strip_prefix("/status/") {
        answer.insert("retry-after", "3".parse().unwrap());
        return (StatusCode::from_bytes(status.as_bytes()).unwrap(), answer, "as asked".to_owned());
    }
    let names = ["host", "user-agent", "accept", "content-type", "content-length", "x-own"];
    let headers: Value =
        names.into_iter().map(|name| (name.to_owned(), json!(shown(name)))).collect::<serde_json::Map<_, _>>().into();
    answer.insert("content-type", "application/json".parse().unwrap());
    answer.append("x-two", "a".parse().unwrap());
    answer.append("x-two", "b".parse().unwrap());
    let asked = json!({"method": method.as_str(), "uri": uri.to_string(), "headers": headers,
        "body": String::from_utf8_lossy(&body)});
    (StatusCode::OK, answer, asked.to_string())
}

struct Scene {
    runner: Arc<ModuleRunner>,
    address: SocketAddr,
    _tasks: Tasks,
}

impl Scene {
    async fn start() -> Self {
        let tasks = Tasks::new();
        let allow = TaskKinds::all();
        let runner = tasks.runner_with(RunnerSettings { allow, result_limit_bytes: 10_000, ..tasks.settings() }).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
        Self { runner, address, _tasks: tasks }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    async fn run(&self, http: Value) -> TaskReport {
        let run = self.runner.run(task(&http), RunControl::default());
        tokio::time::timeout(DEADLINE, run).await.unwrap_or_else(|_| panic!("{http} does not end"))
    }

    async fn failure(&self, http: Value) -> (TaskError, String) {
        match self.run(http.clone()).await.outcome {
            Ok(Outcome::Failed { msg, error: Some(error) }) => (TaskError::clone(&error), msg.to_string()),
            other => panic!("{http}: {other:?}"),
        }
    }
}

fn task(http: &Value) -> TaskRequest {
    TaskRequest { run: Some(Json::from_checked(json!({ "http": http }).to_string())), ..request("http", "[]") }
}

#[tokio::test]
async fn a_request_arrives_and_its_answer_is_the_value() {
    let scene = Scene::start().await;
    let http = json!({"method": "POST", "url": scene.url("/a%20b?c=d"), "headers": {"X-Own": 7}, "body": {"e": [1]}});
    let Ok(Outcome::Success { data }) = scene.run(http).await.outcome else { panic!("it fails") };
    let value = data.to_value();
    assert_eq!((&value["status"], &value["headers"]["x-two"]), (&json!(200), &json!("a, b")));
    let headers = json!({"host": scene.address.to_string(), "user-agent": format!("hub/{}", env!("CARGO_PKG_VERSION")),
        "accept": "*/*", "content-type": "application/json", "content-length": "9", "x-own": "7"});
    let asked = json!({"method": "POST", "uri": "/a%20b?c=d", "headers": headers, "body": "{\"e\":[1]}"});
    assert_eq!(value["body"], asked);
    let Ok(Outcome::Success { data }) = scene.run(json!({"url": scene.url("")})).await.outcome else {
        panic!("it fails")
    };
    let asked = &data.to_value()["body"];
    assert_eq!((&asked["method"], &asked["uri"], &asked["body"]), (&json!("GET"), &json!("/"), &json!("")));
}

#[tokio::test]
async fn refusals_fail_the_task() {
    let scene = Scene::start().await;
    let (error, msg) = scene.failure(json!({"url": scene.url("/status/404")})).await;
    assert_eq!(msg, format!("HTTP 404 Not Found from {}: as asked", scene.address));
    assert_eq!((error.kind, error.retry), (ErrorKind::RequestRefused, None));
    let (error, _) = scene.failure(json!({"url": scene.url("/status/503")})).await;
    assert_eq!((error.kind, error.retry), (ErrorKind::TaskFailed, Some(RetryAdvice::NotBeforeMs(3000))));
    let Ok(Outcome::Success { data }) = scene.run(json!({"url": scene.url("/status/307")})).await.outcome else {
        panic!("a redirect is a value")
    };
    assert_eq!(data.to_value()["status"], 307);
}

#[tokio::test]
async fn requests_without_an_answer_can_be_tried_again() {
    let scene = Scene::start().await;
    let closed = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap()
    };
    let rude = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let rude_address = rude.local_addr().unwrap();
    tokio::spawn(async move {
        for words in ["", "nonsense\r\n\r\n", "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nshort"] {
            let (mut stream, _) = rude.accept().await.unwrap();
            let _ = stream.read(&mut [0; 1024]).await;
            let _ = stream.write_all(words.as_bytes()).await;
        }
    });
    let rude = format!("http://{rude_address}");
    let urls = [format!("http://{closed}"), "http://no-such-host.invalid".to_owned(), rude.clone(), rude.clone(), rude];
    for url in urls.into_iter().chain([format!("https://{}", scene.address)]) {
        let (error, msg) = scene.failure(json!({ "url": url })).await;
        assert!(error.kind == ErrorKind::TaskFailed && error.is_called("ConnectionError"), "{url}: {error:?}");
        assert!(msg.starts_with("no connection to ") || msg.contains(" was not answered: "), "{msg}");
    }
}

#[tokio::test]
async fn a_large_answer_is_cut_off_and_a_stopped_request_ends() {
    let scene = Scene::start().await;
    let body = "x".repeat(20_000);
    let (error, msg) = scene.failure(json!({"method": "POST", "url": scene.url("/"), "body": body})).await;
    assert!(error.kind == ErrorKind::ResultTooLarge && msg.contains("10000 bytes"), "{msg}");
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let stop = RunControl::default();
    let running = tokio::spawn({
        let (runner, stop) = (scene.runner.clone(), stop.clone());
        async move { runner.run(task(&json!({ "url": url })), stop).await }
    });
    let _accepted = silent.accept().await.unwrap();
    stop.stop(None);
    let report = tokio::time::timeout(DEADLINE, running).await.unwrap().unwrap();
    assert_eq!(report.outcome, Err(NoOutcome::Cancelled));
}
