//! The number of tasks that are handed out again after a `kill -9`: at most those that were published and not
//! committed, which is bounded for any duration of a commit.

mod store_support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hub_core::JobId;
use hub_engine::dispatcher::{Dispatcher, DispatcherSettings};
use hub_engine::runner::{FunctionRunner, Outcome};
use hub_engine::wire::Names;
use hub_engine::worker::{Worker, WorkerSettings};
use hub_transport::Message;
use hub_transport::memory::MemoryBroker;
use store_support::Hooked;
use tokio::sync::Semaphore;

/// Timeout of all waits, which is reached only if something hangs.
const DEADLINE: Duration = Duration::from_secs(120);
/// As `docs/operations.md` says.
const BOUND: usize = 4096;
const TASKS: usize = BOUND + 1000;

#[tokio::test]
async fn a_slow_disk_leaves_at_most_the_documented_number_uncommitted() {
    let broker = MemoryBroker::new();
    // The disk blocks until the gate is opened.
    let gate = Arc::new(Semaphore::new(0));
    let before_commit = Arc::clone(&gate);
    let store = Hooked::new(move |_| {
        let gate = Arc::clone(&before_commit);
        Box::pin(async move {
            drop(gate.acquire().await.unwrap());
            Ok(())
        })
    });
    let dispatcher = Dispatcher::start(broker.transport(), Arc::new(store), DispatcherSettings::new("hub"));
    let dispatcher = dispatcher.await.unwrap();
    dispatcher.ready().await;
    let runs = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&runs);
    let runner = FunctionRunner::new().with("count", move |_| {
        counter.fetch_add(1, Ordering::SeqCst);
        Outcome::Success { data: hub_core::Json::null() }
    });
    let worker = Worker::start(broker.transport(), Arc::new(runner), WorkerSettings::new("hub", 4));
    let names = Names::new("hub");
    let tasks: Vec<String> = (0..TASKS).map(|at| format!(r#"{{"name":"t{at}","task_name":"count"}}"#)).collect();
    let text = format!(r#"{{"name":"j","tasks":[{}]}}"#, tasks.join(","));
    let session = broker.transport().connect().await.unwrap();
    let publisher = session.publisher(1).await.unwrap();
    // Over the broker, which keeps the job until it is committed, so its tasks are published before.
    let message = Message::new(names.hub(), names.jobs_key(), text).with_message_id("the job");
    drop(publisher.publish(message).await.unwrap().await);
    tokio::time::timeout(DEADLINE, async {
        while runs.load(Ordering::SeqCst) < BOUND {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap_or_else(|_| panic!("{} tasks were run", runs.load(Ordering::SeqCst)));
    for _ in 0..10_000 {
        tokio::task::yield_now().await;
    }
    assert_eq!(runs.load(Ordering::SeqCst), BOUND, "a dispatcher that dies now has as many repeated, and not more");
    gate.add_permits(1);
    let id = JobId::of_text("the job").unwrap();
    let hub = dispatcher.hub();
    let record = tokio::time::timeout(DEADLINE, async {
        loop {
            match hub.job(id, Some(DEADLINE)).await {
                Ok(record) => break record,
                Err(_) => tokio::task::yield_now().await,
            }
        }
    });
    let record: serde_json::Value = serde_json::from_str(record.await.unwrap().get()).unwrap();
    assert_eq!((&record["status"], runs.load(Ordering::SeqCst)), (&"SUCCESS".into(), TASKS));
    worker.stop(Duration::from_secs(1)).await;
    dispatcher.stop(Duration::from_secs(1)).await;
}
