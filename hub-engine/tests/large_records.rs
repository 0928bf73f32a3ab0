//! Records that exceed the size of a message or the memory for answers.

mod http_support;

use std::sync::Arc;
use std::time::Duration;

use http_support::{DEADLINE, Served, answer, client};
use hub_core::{JobId, Json};
use hub_engine::client::{AmqpHub, HttpHub};
use hub_engine::dispatcher::{Dispatcher, DispatcherSettings};
use hub_engine::http::HttpSettings;
use hub_engine::operations::{Hub, RequestErrorKind, ResultUpdate, Submission, TaskQuery, UpdateStatus, View};
use hub_engine::store::{MemoryStore, Store};
use hub_engine::wire::{Names, TaskMessage};
use hub_sqlite::{SqliteSettings, SqliteStore};
use hub_transport::SubscribeOptions;
use hub_transport::memory::MemoryBroker;
use serde_json::{Value, json};

/// The maximum message size of the broker.
const LIMIT: usize = 64 * 1024;

struct Running {
    broker: MemoryBroker,
    dispatcher: Dispatcher,
}

async fn start(store: Arc<dyn Store>, answer_bytes: usize) -> Running {
    let broker = MemoryBroker::new().with_max_message_bytes(LIMIT);
    let settings = DispatcherSettings { answer_bytes, ..DispatcherSettings::new("hub") };
    let dispatcher = Dispatcher::start(broker.transport(), store, settings).await.unwrap();
    tokio::time::timeout(DEADLINE, dispatcher.ready()).await.expect("the dispatcher is not ready");
    Running { broker, dispatcher }
}

/// Runs a job of `tasks` independent tasks with results of `bytes` each.
async fn run(served: &Running, hub: &dyn Hub, tasks: u32, bytes: usize) -> JobId {
    let list: Vec<Value> = (0..tasks).map(|at| json!({"name": format!("t{at}"), "task_name": "x"})).collect();
    run_job(served, hub, &json!({"name": "large", "tasks": list}), tasks, bytes).await
}

/// Submits a job, and posts a result of `bytes` for each of its tasks once it is handed out.
async fn run_job(served: &Running, hub: &dyn Hub, job: &Value, tasks: u32, bytes: usize) -> JobId {
    let id = hub.submit(Submission { text: job.to_string().into(), id: None }).await.unwrap();
    let session = served.broker.transport().connect().await.unwrap();
    let options = SubscribeOptions { prefetch: 1000, exclusive: false };
    let mut handed_out = session.subscribe(&Names::new("hub").pool_queue("default"), options).await.unwrap();
    for _ in 0..tasks {
        let task = tokio::time::timeout(DEADLINE, handed_out.deliveries.recv()).await.unwrap().unwrap();
        let task = TaskMessage::decode(&task.message.body).unwrap().issue.task;
        let update = ResultUpdate {
            id: task,
            status: UpdateStatus::Success,
            data: Some(Json::string(&"x".repeat(bytes))),
            msg: None,
            v: None,
        };
        served.dispatcher.hub().post_result(update).await.unwrap();
    }
    id
}

fn check(record: &Json, tasks: usize, bytes: usize) {
    let record = record.to_value();
    assert_eq!((&record["status"], &record["name"]), (&json!("SUCCESS"), &json!("large")));
    let shown = record["tasks"].as_array().unwrap();
    assert_eq!(shown.len(), tasks);
    for (at, task) in shown.iter().enumerate() {
        assert_eq!(task["name"], format!("t{at}"));
        assert_eq!(task["data"].as_str().unwrap().len(), bytes);
    }
}

#[tokio::test]
async fn over_the_broker_a_large_record_is_sent_in_pages_and_every_request_is_answered() {
    let directory = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(SqliteSettings::new(directory.path().join("hub.db"))).unwrap();
    let served = start(Arc::new(store), 1 << 30).await;
    let hub = AmqpHub::connect(served.broker.transport(), "hub", DEADLINE).await.unwrap();
    let id = run(&served, &hub, 30, 20_000).await;

    check(&hub.job(id, Some(DEADLINE)).await.unwrap(), 30, 20_000);
    check(&hub.job(id, None).await.unwrap(), 30, 20_000);
    let summary = hub.summary(id, Some(DEADLINE)).await.unwrap();
    assert_eq!((summary.tasks, summary.tasks_ended, summary.status.is_terminal()), (30, 30, true));
    let without = hub.record(id, View::without_data(), Some(DEADLINE)).await.unwrap().into_json().await.unwrap();
    assert_eq!(without.to_value()["tasks"][29]["status"], "SUCCESS");
    assert_eq!(without.to_value()["tasks"][29].get("data"), None);

    // The same job again: the answer does not contain its record.
    let text = served.dispatcher.hub().job(id, None).await.unwrap().to_value();
    let list: Vec<Value> = (0..30).map(|at| json!({"name": format!("t{at}"), "task_name": "x"})).collect();
    let same = json!({"name": text["name"], "tasks": list}).to_string();
    let submitted = hub.submit_and_wait(Submission { text: same.into(), id: Some(id) }, DEADLINE).await.unwrap();
    assert_eq!((submitted.id, submitted.record), (id, None));

    let page = hub.tasks(id, TaskQuery { after: Some(28), ..TaskQuery::default() }).await.unwrap().to_value();
    assert_eq!((page["tasks"].as_array().unwrap().len(), page.get("next")), (2, None));
    for limit in [0, 10_001] {
        let refused = hub.tasks(id, TaskQuery { limit: Some(limit), ..TaskQuery::default() }).await.unwrap_err();
        assert_eq!(refused.kind, RequestErrorKind::InvalidRequest);
    }
    for fields in ["nmae", ""] {
        let view = View::whole().with_fields(fields);
        let refused = hub.record(id, view.clone(), None).await.unwrap_err();
        let of_tasks = hub.tasks(id, TaskQuery { view, ..TaskQuery::default() }).await.unwrap_err();
        for refused in [refused, of_tasks] {
            assert_eq!(refused.kind, RequestErrorKind::InvalidRequest);
            assert!(
                refused.message.contains("known fields: answer, args, attempt, attempts, cache, cached_from, cancel"),
                "{refused}"
            );
        }
    }
    hub.close().await;
    served.dispatcher.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn a_task_that_exceeds_a_message_is_an_error_with_advice() {
    let served = start(Arc::new(MemoryStore::new()), 1 << 30).await;
    let hub = AmqpHub::connect(served.broker.transport(), "hub", DEADLINE).await.unwrap();
    // Each result fits into a message, but not together with arguments that refer to another.
    let text = json!({"name": "large", "tasks": [
        {"name": "t0", "task_name": "x"}, {"name": "t1", "task_name": "x", "args": ["_t0.data"]}]});
    let id = run_job(&served, &hub, &text, 2, 45_000).await;
    let refused = hub.job(id, Some(DEADLINE)).await.unwrap_err();
    assert_eq!(refused.kind, RequestErrorKind::TooLarge);
    let message = &refused.message;
    assert!(
        ["--no-data", "HTTP", &format!("at most {}", LIMIT - 256)].iter().all(|part| message.contains(part)),
        "{message}"
    );
    assert!(hub.record(id, View::without_data(), None).await.is_ok());
    // This connection has no limit.
    check(&served.dispatcher.hub().job(id, None).await.unwrap(), 2, 45_000);
    let http = Served::start(served.dispatcher.hub(), HttpSettings::default()).await;
    let over_http = HttpHub::new(&http.url(""), None, DEADLINE).unwrap();
    check(&over_http.job(id, Some(DEADLINE)).await.unwrap(), 2, 45_000);
    drop(over_http);
    http.stop().await;
    hub.close().await;
    served.dispatcher.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn http_supports_views_and_pages_and_streams_large_records() {
    let served = start(Arc::new(MemoryStore::new()), 1 << 30).await;
    let id = run(&served, &*served.dispatcher.hub(), 100, 20_000).await;
    let http = Served::start(served.dispatcher.hub(), HttpSettings::default()).await;
    let get = |path: String| answer(client().get(http.url(&format!("/api/v1/jobs/{id}{path}"))));
    let whole = client().get(http.url(&format!("/api/v1/jobs/{id}"))).send().await.unwrap();
    assert_eq!((whole.content_length(), whole.status().as_u16()), (None, 200), "it is written as it is read");
    check(&Json::parse(&whole.text().await.unwrap()).unwrap(), 100, 20_000);

    assert_eq!(get("?fields=status,name".into()).await, (200, json!({"status": "SUCCESS", "name": "large"})));
    let (_, without) = get("?data=false".into()).await;
    assert_eq!((&without["tasks"][7]["status"], without["tasks"][7].get("data")), (&json!("SUCCESS"), None));
    assert_eq!(get("?tasks=false".into()).await.1.get("tasks"), None);
    let (_, page) = get("/tasks?limit=3&after=5&fields=name".into()).await;
    assert_eq!(page, json!({"tasks": [{"name": "t5"}, {"name": "t6"}, {"name": "t7"}], "next": 8}));
    let (_, summary) = get("/summary?wait=1".into()).await;
    assert_eq!((&summary["tasks_ended"], &summary["status"]), (&json!(100), &json!("SUCCESS")));
    for (path, said) in [("?fields=nope", "nope"), ("?data=perhaps", "data"), ("/tasks?limit=0", "1 to 10000")] {
        let (status, refused) = get(path.into()).await;
        assert!(status == 400 && refused["message"].as_str().unwrap().contains(said), "{path}: {status} {refused}");
    }
    http.stop().await;
    served.dispatcher.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn answers_beyond_the_memory_limit_wait_or_are_refused() {
    let served = start(Arc::new(MemoryStore::new()), 3 << 20).await;
    let id = run(&served, &*served.dispatcher.hub(), 40, 45_000).await;
    let http = Served::start(served.dispatcher.hub(), HttpSettings::default()).await;
    // An answer that is not read keeps its memory.
    let slow = served.dispatcher.hub().record(id, View::whole(), None).await.unwrap();
    let refused = client().get(http.url(&format!("/api/v1/jobs/{id}"))).send().await.unwrap();
    assert_eq!((refused.status().as_u16(), &refused.headers()["retry-after"]), (503, &"2".parse().unwrap()));
    // A small answer fits into the remaining memory.
    let small = client().get(http.url(&format!("/api/v1/jobs/{id}?data=false"))).send().await.unwrap();
    assert_eq!(small.status().as_u16(), 200);
    drop(slow);
    let now = client().get(http.url(&format!("/api/v1/jobs/{id}"))).send().await.unwrap();
    check(&Json::parse(&now.text().await.unwrap()).unwrap(), 40, 45_000);
    http.stop().await;
    served.dispatcher.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn over_the_broker_a_large_document_is_sent_in_pieces() {
    let directory = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(SqliteSettings::new(directory.path().join("hub.db"))).unwrap();
    let served = start(Arc::new(store), 1 << 30).await;
    let hub = AmqpHub::connect(served.broker.transport(), "hub", DEADLINE).await.unwrap();
    let (space, text) = ("\r\n\t".repeat(LIMIT / 3), "ä😀\\\"".repeat(LIMIT / 4));
    let job =
        format!("{space}{{\"name\": \"large\", \"meta\": {{\"t\": \"{text}\"}}, \"tasks\": [{{\"name\": \"x\"}}]}}\n");
    let submission = Submission { text: job.as_str().into(), id: None };
    let id = served.dispatcher.hub().submit(submission).await.unwrap();
    assert!(hub.document(id).await.unwrap().text() == job, "the text of the live job is another one");
    hub.cancel(id).await.unwrap();
    hub.summary(id, Some(DEADLINE)).await.unwrap();
    assert!(hub.document(id).await.unwrap().text() == job, "the text of the ended job is another one");
    served.dispatcher.stop(Duration::from_secs(5)).await;
}
