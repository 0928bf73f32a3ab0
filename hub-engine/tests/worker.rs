//! The worker before a queue that the test writes: what it does with deliveries.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use hub_core::{Attempt, JobId, Json};
use hub_engine::runner::{Catalogue, Outcome, Runner, TaskReport, TaskRequest};
use hub_engine::wire::{self, Names, TaskMessage};
use hub_engine::worker::{Worker, WorkerSettings};
use hub_transport::memory::MemoryBroker;
use hub_transport::{Message, Outcome as Published};
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;

/// Runs every task as soon as the test lets it.
struct Gated {
    gate: Semaphore,
    began: AtomicU32,
    catalogue: watch::Sender<Arc<Catalogue>>,
}

#[async_trait]
impl Runner for Gated {
    async fn run(&self, request: TaskRequest, _stop: CancellationToken) -> TaskReport {
        self.began.fetch_add(1, Ordering::SeqCst);
        self.gate.acquire().await.unwrap().forget();
        TaskReport::silent(Outcome::Success { data: request.args })
    }

    fn catalogue(&self) -> watch::Receiver<Arc<Catalogue>> {
        self.catalogue.subscribe()
    }

    async fn shutdown(&self, _grace: Duration) {}
}

/// Lets everything that can happen without the test's help happen: time is paused, and moves on only
/// when every task of the runtime waits.
async fn settle() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

#[tokio::test(start_paused = true)]
async fn a_task_published_twice_runs_once_and_leaves_nothing_on_the_broker() {
    let (broker, names) = (MemoryBroker::new(), Names::new("hub"));
    let session = broker.transport().connect().await.unwrap();
    session.declare(&names.shared_topology()).await.unwrap();
    let runner = Arc::new(Gated {
        gate: Semaphore::new(0),
        began: AtomicU32::new(0),
        catalogue: watch::channel(Arc::default()).0,
    });
    let worker = Worker::start(broker.transport(), runner.clone(), WorkerSettings::new("hub", 1));
    worker.ready().await;

    let publisher = session.publisher(16).await.unwrap();
    let job: JobId = "0190b4c2-7b1a-7000-8000-000000000000".parse().unwrap();
    let task = |index: u32| TaskMessage {
        v: wire::VERSION,
        id: job.task(index),
        parent_id: job,
        name: "t".into(),
        task_name: "t".into(),
        pool: "default".into(),
        args: Json::null(),
        kwargs: Json::null(),
        attempt: Attempt { attempt: 1, incarnation: 1 },
    };
    // The first runs, the second waits for the slot; then each comes again while it does, and after that.
    for _ in 0..3 {
        for index in 0..2 {
            let message = Message::new(names.tasks(), "default", wire::encode(&task(index)));
            let receipt = publisher.publish(message).await.unwrap();
            assert!(matches!(receipt.await, Published::Confirmed));
        }
        settle().await;
    }
    runner.gate.add_permits(2);
    settle().await;
    assert_eq!(broker.depths()[&names.pool_queue("default")], 0, "a delivery was never settled");
    assert_eq!(runner.began.load(Ordering::SeqCst), 2);
    worker.stop(Duration::from_secs(1)).await;
}
