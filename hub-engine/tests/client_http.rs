//! The client over HTTP, with the real server and a Hub that records its calls.

mod http_support;

use std::sync::Arc;
use std::time::Duration;

use http_support::{FakeHub, Served, health, some_id, summary, worker};
use hub_core::{JobStatus, Json, Timestamp};
use hub_engine::client::HttpHub;
use hub_engine::http::HttpSettings;
use hub_engine::operations::{
    BrokerHealth, Hub, JobCancel, JobFilter, JobPage, Pausable, PauseRequest, PriorityRequest, RequestErrorKind,
    ResultUpdate, Submission, TaskQuery, UpdateStatus, View,
};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// Timeout of all waits, which is reached only if something hangs.
const TIMEOUT: Duration = Duration::from_secs(60);

fn reach(url: &str) -> HttpHub {
    HttpHub::new(url, None, TIMEOUT).unwrap()
}

#[tokio::test]
async fn every_operation_reaches_the_hub() {
    let fake = Arc::new(FakeHub::default());
    let served = Served::start(fake.clone(), HttpSettings::default()).await;
    let hub = reach(&served.url(""));
    let id = some_id();
    let text = "{\"name\": \"\u{e9}\", \"n\": 123456789012345678901234567890}";

    assert_eq!(hub.submit(Submission { text: text.into(), id: Some(id) }).await.unwrap(), id);
    assert_eq!(fake.take_calls(), [format!("submit {id} {text}")]);

    *fake.record.lock().unwrap() = Some(json!({"status": "SUCCESS"}).into());
    let submission = Submission { text: text.into(), id: Some(id) };
    let submitted = hub.submit_and_wait(submission, Duration::from_millis(250)).await.unwrap();
    assert_eq!((submitted.id, submitted.record), (id, fake.record.lock().unwrap().clone()));
    assert_eq!(fake.take_calls(), [format!("submit {id} {text} and wait 250ms")]);

    // Without an id the client generates one, so that a submission can be repeated.
    let made = hub.submit(Submission { text: "[]".into(), id: None }).await.unwrap();
    assert_eq!(fake.take_calls(), [format!("submit {made} []")]);

    let record = Json::parse(r#"{"status": "RUNNING", "n": 1.00}"#).unwrap();
    *fake.record.lock().unwrap() = Some(record.clone());
    assert_eq!(hub.job(id, None).await.unwrap(), record);
    assert_eq!(hub.job(id, Some(Duration::from_millis(250))).await.unwrap(), record);
    let calls = fake.take_calls();
    let [first, waiting, last] = &calls[..] else { panic!("{calls:?}") };
    let whole = format!("job {id} None");
    assert_eq!((first, last), (&whole, &whole), "the record is asked for once");
    assert!(waiting.starts_with(&format!("summary {id} Some(")), "{waiting}");

    let filter = JobFilter {
        status: vec![JobStatus::Failed, JobStatus::Cancelled],
        name: Some("a & b".to_owned()),
        since: Some(Timestamp::from_millis(1_795_471_303_120)),
        until: Some(Timestamp::from_millis(1_795_471_303_121)),
        filter: Some("name:\"a & b\" -label.größe=1% started>-1h".parse().unwrap()),
        sub_jobs: true,
        limit: Some(3),
        after: Some("17".to_owned()),
    };
    let page = hub.jobs(filter.clone()).await.unwrap();
    assert_eq!(page, JobPage { jobs: vec![summary()], next: Some("7".to_owned()) });
    assert_eq!(fake.take_calls(), [format!("jobs {}", serde_json::to_string(&filter).unwrap())]);

    let view = View { no_data: true, ..View::whole().with_fields("id,tasks") };
    hub.record(id, view.clone(), None).await.unwrap();
    let shown = serde_json::to_string(&view).unwrap();
    assert_eq!(hub.summary(id, None).await.unwrap(), summary());
    let query = TaskQuery { after: Some(4), limit: Some(2), of: Some("größe & x".to_owned()), view };
    assert_eq!(hub.tasks(id, query).await.unwrap().to_value(), json!({"tasks": [], "next": 7}));
    let tasks = format!("tasks {id} Some(4) Some(2) {:?} {shown}", Some("größe & x"));
    let calls = [format!("job {id} None {shown}"), format!("summary {id} None"), tasks];
    assert_eq!(fake.take_calls(), calls);

    let explained = hub.explain(id, Some("a b&c".to_owned())).await.unwrap();
    assert_eq!(explained.to_value(), http_support::explanation());
    assert_eq!(fake.take_calls(), [format!("explain {id} Some(\"a b&c\")")]);
    assert_eq!(hub.document(id).await.unwrap().text(), http_support::DOCUMENT);
    assert_eq!(fake.take_calls(), [format!("document {id} None")]);
    hub.cancel(id).await.unwrap();
    let (by, reason) = (Some("ops".to_owned()), Some("no".to_owned()));
    let cancel = JobCancel { id, now: true, handlers: true, by: by.clone(), reason: reason.clone() };
    assert_eq!(hub.cancel_with(cancel).await, Ok(JobStatus::Cancelling));
    let pause = PauseRequest { of: Pausable::Job(id), by, reason };
    hub.pause(pause.clone()).await.unwrap();
    hub.resume(PauseRequest { of: Pausable::Pool("a.b".to_owned()), ..pause }).await.unwrap();
    let odd = hub.pause(PauseRequest::new(Pausable::Pool("a/b".to_owned()))).await.unwrap_err();
    assert_eq!(odd.kind, RequestErrorKind::InvalidRequest);
    hub.set_priority(PriorityRequest { by: Some("ops".to_owned()), ..PriorityRequest::new(id, 5) }).await.unwrap();
    hub.remove(id).await.unwrap();
    let calls = [
        format!(r#"cancel {{"id":"{id}"}}"#),
        format!(r#"cancel {{"id":"{id}","now":true,"handlers":true,"by":"ops","reason":"no"}}"#),
        format!(r#"pause {{"id":"{id}","by":"ops","reason":"no"}}"#),
        r#"resume {"pool":"a.b","by":"ops","reason":"no"}"#.to_owned(),
        format!(r#"priority {{"id":"{id}","priority":5,"by":"ops"}}"#),
        format!("remove {id}"),
    ];
    assert_eq!(fake.take_calls(), calls);

    let update = ResultUpdate {
        id: id.task(0),
        status: UpdateStatus::Failed,
        data: Some(json!([1]).into()),
        msg: Some("no".to_owned()),
        v: Some(1),
    };
    hub.post_result(update.clone()).await.unwrap();
    assert_eq!(fake.take_calls(), [format!("result {}", serde_json::to_string(&update).unwrap())]);

    assert_eq!(hub.workers().await.unwrap(), [worker()]);
    assert_eq!(hub.health().await.unwrap(), health(BrokerHealth::Up));
    drop(hub);
    served.stop().await;
}

#[tokio::test]
async fn refusals_are_complete() {
    let fake = Arc::new(FakeHub::default());
    let served = Served::start(fake.clone(), HttpSettings::default()).await;
    let hub = reach(&served.url("/"));
    let problem = json!({"code": "no_tasks", "path": "$", "message": "none"});
    let refusal = json!({"kind": "invalid_job", "message": "bad", "problems": [problem]});
    *fake.refusal.lock().unwrap() = Some(serde_json::from_value(refusal).unwrap());
    let error = hub.submit(Submission { text: "{}".into(), id: None }).await.unwrap_err();
    assert_eq!(Some(error), *fake.refusal.lock().unwrap());
    fake.refuse(RequestErrorKind::Conflict);
    assert_eq!(hub.remove(some_id()).await.unwrap_err().kind, RequestErrorKind::Conflict);
    drop(hub);
    served.stop().await;
}

#[tokio::test]
async fn the_token_is_sent_only_to_the_server() {
    let settings = HttpSettings { token: Some("correct-horse".to_owned()), ..HttpSettings::default() };
    let served = Served::start(Arc::new(FakeHub::default()), settings).await;
    let with = |token: &str| HttpHub::new(&served.url(""), Some(token.to_owned()), TIMEOUT).unwrap();
    with("correct-horse").workers().await.unwrap();
    assert_eq!(with("wrong").workers().await.unwrap_err().kind, RequestErrorKind::Unauthorized);
    assert_eq!(reach(&served.url("")).workers().await.unwrap_err().kind, RequestErrorKind::Unauthorized);
    assert!(!format!("{:?}", with("correct-horse")).contains("horse"));
    served.stop().await;
}

#[tokio::test]
async fn invalid_addresses_are_refused() {
    for url in ["", "localhost", "https://localhost", "amqp://localhost", "http://", "http://h/?a=1", "http://h/#a"] {
        let error = HttpHub::new(url, None, TIMEOUT).unwrap_err();
        assert_eq!(error.kind, RequestErrorKind::InvalidRequest, "{url}");
        assert!(error.message.contains(&format!("{url:?}")), "{error}");
    }
    let error = HttpHub::new("http://localhost", Some("a\nb".to_owned()), TIMEOUT).unwrap_err();
    assert!(!error.message.contains("a\nb"), "{error}");
}

#[tokio::test]
async fn an_unreachable_server_is_reported_with_its_address() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error = reach(&format!("http://{address}")).job(some_id(), Some(TIMEOUT)).await.unwrap_err();
    assert_eq!(error.kind, RequestErrorKind::Unreachable);
    assert!(error.message.contains(&address.to_string()) && error.message.contains("hub-dispatcher"), "{error}");
    assert!(error.message.contains("refused"), "{error}");
}

/// A server that answers one request with `answer`, and returns the request.
async fn answer_once(answer: &'static str) -> (String, tokio::task::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let served = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            request.push(stream.read_u8().await.unwrap());
        }
        stream.write_all(answer.as_bytes()).await.unwrap();
        String::from_utf8(request).unwrap()
    });
    (url, served)
}

#[tokio::test]
async fn another_program_at_the_address_is_recognised() {
    let cases = [
        ("HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\nno", RequestErrorKind::Unreachable, "404"),
        (
            "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n",
            RequestErrorKind::Unreachable,
            "302",
        ),
        ("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello", RequestErrorKind::Internal, "cannot be read"),
        ("SSH-2.0-OpenSSH_9.9\r\n", RequestErrorKind::Unreachable, "was lost"),
        ("", RequestErrorKind::Unreachable, "may have been executed"),
    ];
    for (answer, kind, words) in cases {
        let (url, served) = answer_once(answer).await;
        let error = reach(&url).health().await.unwrap_err();
        assert_eq!(error.kind, kind, "{answer:?}: {error}");
        assert!(error.message.contains(words) && error.message.contains(&url), "{answer:?}: {error}");
        served.await.unwrap();
    }
}

#[tokio::test]
async fn a_path_before_the_api_is_kept() {
    let (url, served) = answer_once("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n[]").await;
    assert_eq!(reach(&format!("{url}/hubs/one")).workers().await.unwrap(), []);
    assert!(served.await.unwrap().starts_with("GET /hubs/one/api/v1/workers HTTP/1.1\r\n"));
}

#[tokio::test]
async fn a_server_without_an_answer_is_a_timeout() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let hub = HttpHub::new(&url, None, Duration::from_millis(100)).unwrap();
    let error = hub.health().await.unwrap_err();
    assert_eq!(error.kind, RequestErrorKind::TimedOut);
    assert!(error.message.contains("within 0.1 s"), "{error}");
}
