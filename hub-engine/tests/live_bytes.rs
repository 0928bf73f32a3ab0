//! A dispatcher whose unfinished jobs have reached the memory limit accepts no further ones: submissions over the
//! broker wait there, and direct submissions are refused. Results are accepted and release memory.

use std::sync::Arc;
use std::time::Duration;

use hub_engine::client::AmqpHub;
use hub_engine::dispatcher::{Dispatcher, DispatcherSettings};
use hub_engine::operations::{Hub, RequestErrorKind, ResultUpdate, Submission, UpdateStatus};
use hub_engine::runner::{FunctionRunner, Outcome};
use hub_engine::store::MemoryStore;
use hub_engine::worker::{Worker, WorkerSettings};
use hub_transport::memory::MemoryBroker;

/// Timeout of all waits, which is reached only if something hangs.
const DEADLINE: Duration = Duration::from_secs(60);
const JOBS_QUEUE: &str = "hub.jobs.0";

fn job() -> Submission {
    Submission { text: r#"{"name": "j", "tasks": [{"name": "a"}]}"#.into(), id: None }
}

#[tokio::test]
async fn submissions_beyond_the_limit_wait_in_the_broker() {
    let broker = MemoryBroker::new();
    // One job exceeds the limit.
    let settings = DispatcherSettings { max_live_bytes: 100, ..DispatcherSettings::new("hub") };
    let dispatcher = Dispatcher::start(broker.transport(), Arc::new(MemoryStore::new()), settings).await.unwrap();
    let runner = FunctionRunner::new().with("a", |_| Outcome::Launched { data: hub_core::Json::null() });
    let worker = Worker::start(broker.transport(), Arc::new(runner), WorkerSettings::new("hub", 1));
    dispatcher.ready().await;
    worker.ready().await;
    let hub = dispatcher.hub();
    let first = hub.submit(job()).await.unwrap();
    assert!(hub.health().await.unwrap().live_bytes > 100);
    assert_eq!(hub.submit(job()).await.unwrap_err().kind, RequestErrorKind::Unavailable);

    let client = Arc::new(AmqpHub::connect(broker.transport(), "hub", DEADLINE).await.unwrap());
    let submitting = tokio::spawn({
        let client = Arc::clone(&client);
        async move { client.submit(job()).await }
    });
    let session = broker.transport().connect().await.unwrap();
    let waits = async {
        while session.ready(JOBS_QUEUE).await.unwrap() != 1 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(DEADLINE, waits).await.expect("the submission waits in its queue");
    assert_eq!(hub.health().await.unwrap().live_jobs, 1);

    // The result is accepted nevertheless.
    let update = ResultUpdate { id: first.task(0), status: UpdateStatus::Success, data: None, msg: None, v: None };
    let posted = async {
        while hub.post_result(update.clone()).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(DEADLINE, posted).await.expect("the task runs");
    let second = submitting.await.unwrap().expect("the submission is taken in");
    assert!(hub.job(second, None).await.is_ok());
    client.close().await;
    worker.stop(DEADLINE).await;
    dispatcher.stop(DEADLINE).await;
}
