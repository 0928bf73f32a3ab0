//! Submissions and results for ended jobs: the dispatcher compares them with the stored jobs without keeping those in
//! memory.

use std::sync::Arc;
use std::time::Duration;

use hub_core::{JobId, Json};
use hub_engine::dispatcher::{Dispatcher, DispatcherSettings};
use hub_engine::operations::{JobFilter, RequestErrorKind, ResultUpdate, Submission, UpdateStatus};
use hub_engine::runner::{FunctionRunner, Outcome};
use hub_engine::wire::{JobMessage, Names};
use hub_engine::worker::{Worker, WorkerSettings};
use hub_sqlite::{SqliteSettings, SqliteStore};
use hub_transport::memory::MemoryBroker;
use uuid::Uuid;

const DEADLINE: Duration = Duration::from_secs(120);
const JOB: &str = r#"{"name": "j", "key": "k", "tasks": [{"name": "one"}]}"#;
/// The size of the task's result.
const BYTES: usize = 1024 * 1024;
/// Maximum number of jobs in one message.
const COUNT: u128 = 1024;

/// The peak memory of this process in bytes.
fn peak_memory() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    peak.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
}

fn result() -> Json {
    Json::string(&"x".repeat(BYTES))
}

#[tokio::test]
#[cfg(target_os = "linux")]
async fn one_message_that_names_a_large_job_a_thousand_times_takes_little_memory() {
    let directory = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(SqliteSettings::new(directory.path().join("hub.db"))).unwrap();
    let broker = MemoryBroker::new();
    let dispatcher =
        Dispatcher::start(broker.transport(), Arc::new(store), DispatcherSettings::new("hub")).await.unwrap();
    let runner = FunctionRunner::new().with("one", |_| Outcome::Success { data: result() });
    let worker = Worker::start(broker.transport(), Arc::new(runner), WorkerSettings::new("hub", 1));
    let hub = dispatcher.hub();
    let known = JobId::new(Uuid::from_u128(1 << 64));
    hub.submit(Submission { text: JOB.into(), id: Some(known) }).await.unwrap();
    hub.job(known, Some(DEADLINE)).await.unwrap();

    let names = Names::new("hub");
    let session = broker.transport().connect().await.unwrap();
    let publisher = session.publisher(1).await.unwrap();
    let before = peak_memory();
    // Half of them by id, half by key.
    let job = |at| JobMessage {
        id: Some(if at % 2 == 0 { known } else { JobId::new(Uuid::from_u128((at + 2) << 64)) }),
        text: JOB.into(),
        correlation_id: None,
        wait: None,
    };
    drop(publisher.publish(JobMessage::message((0..COUNT).map(job).collect(), &names, None)).await.unwrap().await);
    let acknowledged = async {
        while broker.depths()["hub.jobs.0"] > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(DEADLINE, acknowledged).await.expect("the message is acknowledged");
    let grown = peak_memory() - before;
    assert!(grown < 200 * BYTES, "it took {} MiB", grown / 1024 / 1024);
    assert_eq!(hub.jobs(JobFilter::default()).await.unwrap().jobs.len(), 1);

    // A late result is compared with the stored one.
    let post = |index, data| {
        hub.post_result(ResultUpdate {
            id: known.task(index),
            status: UpdateStatus::Success,
            data: Some(data),
            msg: None,
            v: None,
        })
    };
    post(0, result()).await.unwrap();
    assert_eq!(post(0, Json::null()).await.unwrap_err().kind, RequestErrorKind::Conflict);
    assert_eq!(post(1, Json::null()).await.unwrap_err().kind, RequestErrorKind::NotFound);
    worker.stop(DEADLINE).await;
    dispatcher.stop(DEADLINE).await;
}
