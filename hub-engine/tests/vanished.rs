//! Tasks that the broker loses are run nevertheless.

use std::sync::Arc;
use std::time::Duration;

use hub_engine::dispatcher::{Dispatcher, DispatcherSettings};
use hub_engine::operations::Submission;
use hub_engine::runner::{FunctionRunner, Outcome};
use hub_engine::store::MemoryStore;
use hub_engine::worker::{Worker, WorkerSettings};
use hub_transport::memory::MemoryBroker;
use serde_json::Value;

/// Timeout of all waits, which is reached only if something hangs.
const DEADLINE: Duration = Duration::from_secs(120);
/// Short, so that a loss is noticed soon.
const LEASE: Duration = Duration::from_millis(200);
const JOB: &str = r#"{"name": "j", "tasks": [{"name": "a", "task_name": "echo", "args": [1]},
    {"name": "b", "task_name": "echo", "args": ["_a.data"]}], "output": "_b.data"}"#;

/// Submits a job, loses messages with `lose` before there is a worker, and starts a worker.
async fn survives(lose: impl AsyncFnOnce(&MemoryBroker)) {
    let broker = MemoryBroker::new();
    let store = Arc::new(MemoryStore::new());
    let settings = DispatcherSettings { lease: LEASE, ..DispatcherSettings::new("hub") };
    let dispatcher = Dispatcher::start(broker.transport(), store, settings).await.unwrap();
    dispatcher.ready().await;
    let hub = dispatcher.hub();
    let id = hub.submit(Submission { text: JOB.into(), id: None }).await.unwrap();
    tokio::time::timeout(DEADLINE, async {
        while broker.depths()["hub.tasks.default"] == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("the task is published");
    lose(&broker).await;
    let runner = FunctionRunner::new().with("echo", |request| Outcome::Success { data: request.args.clone() });
    let settings = WorkerSettings { heartbeat: LEASE / 4, ..WorkerSettings::new("hub", 1) };
    let worker = Worker::start(broker.transport(), Arc::new(runner), settings);
    let record = hub.job(id, Some(DEADLINE)).await.unwrap();
    let record: Value = serde_json::from_str(record.get()).unwrap();
    assert_eq!((&record["status"], &record["output"]), (&"SUCCESS".into(), &serde_json::json!([[1]])), "{record:#}");
    assert!(record["tasks"][0]["issue"].as_u64() >= Some(2), "{record:#}");
    worker.stop(Duration::from_secs(1)).await;
    dispatcher.stop(Duration::from_secs(1)).await;
    assert_eq!(broker.depths().values().sum::<usize>(), 0, "{:?}", broker.depths());
}

#[tokio::test]
async fn a_deleted_queue_is_filled_again() {
    survives(async |broker| broker.delete_queue("hub.tasks.default")).await;
}

#[tokio::test]
async fn a_purged_queue_is_filled_again() {
    survives(async |broker| {
        let session = broker.transport().connect().await.unwrap();
        let options = hub_transport::SubscribeOptions { prefetch: 10, exclusive: false };
        let mut purge = session.subscribe("hub.tasks.default", options).await.unwrap();
        let delivery = purge.deliveries.recv().await.unwrap();
        purge.settler.settle(delivery.tag, hub_transport::Settlement::Ack, false).await.unwrap();
    })
    .await;
}
