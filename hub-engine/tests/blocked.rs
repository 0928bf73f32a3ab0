//! A broker that blocks publishers for a long time: workers cannot send heartbeats, but their leases do not expire.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use hub_core::Json;
use hub_engine::dispatcher::{Dispatcher, DispatcherSettings};
use hub_engine::operations::Submission;
use hub_engine::runner::{
    Catalogue, Language, NoOutcome, Outcome, RunControl, Runner, TaskInfo, TaskReport, TaskRequest,
};
use hub_engine::store::MemoryStore;
use hub_engine::worker::{Worker, WorkerSettings};
use hub_transport::memory::MemoryBroker;
use serde_json::Value;
use tokio::sync::{Semaphore, watch};

const DEADLINE: Duration = Duration::from_secs(3600);

/// Runs a task until the test ends it.
struct Patient {
    gate: Semaphore,
    began: AtomicU32,
    catalogue: watch::Sender<Arc<Catalogue>>,
}

#[async_trait]
impl Runner for Patient {
    async fn run(&self, _: TaskRequest, stop: RunControl) -> TaskReport {
        self.began.fetch_add(1, Ordering::SeqCst);
        tokio::select! {
            permit = self.gate.acquire() => permit.unwrap().forget(),
            () = stop.stopped() => return TaskReport::without(NoOutcome::Cancelled),
        }
        TaskReport::silent(Outcome::Success { data: Json::from_checked("1") })
    }

    fn catalogue(&self) -> watch::Receiver<Arc<Catalogue>> {
        self.catalogue.subscribe()
    }

    async fn shutdown(&self, _: Duration) {}
}

#[tokio::test(start_paused = true)]
async fn a_long_task_is_not_repeated() {
    let broker = MemoryBroker::new();
    let settings = DispatcherSettings::new("hub");
    let lease = settings.lease;
    let dispatcher = Dispatcher::start(broker.transport(), Arc::new(MemoryStore::new()), settings).await.unwrap();
    let task = ("patient".to_owned(), TaskInfo::plain(Language::Native));
    let catalogue = Catalogue { tasks: [task].into(), ..Catalogue::default() };
    let runner = Arc::new(Patient {
        gate: Semaphore::new(0),
        began: AtomicU32::new(0),
        catalogue: watch::channel(Arc::new(catalogue)).0,
    });
    let worker = Worker::start(broker.transport(), runner.clone(), WorkerSettings::new("hub", 1));
    let (hub, text) = (dispatcher.hub(), r#"{"name": "j", "tasks": [{"name": "patient"}]}"#);
    let id = hub.submit(Submission { text: text.into(), id: None }).await.unwrap();
    let record = async |wait| {
        let record = hub.job(id, wait).await.unwrap();
        serde_json::from_str::<Value>(record.get()).unwrap()
    };
    while record(None).await["tasks"][0]["status"] != "RUNNING" {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }

    broker.block("memory");
    tokio::time::sleep(lease * 20).await;
    broker.unblock();
    tokio::time::sleep(lease / 2).await;
    assert_eq!(record(None).await["tasks"][0]["status"], "RUNNING");
    runner.gate.add_permits(1);
    let ended = record(Some(DEADLINE)).await;
    assert_eq!(
        (&ended["status"], &ended["tasks"][0]["issue"]),
        (&"SUCCESS".into(), &serde_json::Value::Null),
        "{ended:#}"
    );
    assert_eq!(runner.began.load(Ordering::SeqCst), 1);
    worker.stop(Duration::from_secs(1)).await;
    dispatcher.stop(Duration::from_secs(1)).await;
}

#[tokio::test(start_paused = true)]
async fn a_worker_lost_in_the_meantime_is_removed_afterwards() {
    let broker = MemoryBroker::new();
    let settings = DispatcherSettings::new("hub");
    let lease = settings.lease;
    let dispatcher = Dispatcher::start(broker.transport(), Arc::new(MemoryStore::new()), settings).await.unwrap();
    dispatcher.ready().await;
    let session = broker.transport().connect().await.unwrap();
    let names = hub_engine::wire::Names::new("hub");
    let options = hub_transport::SubscribeOptions { prefetch: 1, exclusive: false };
    let mut tasks = session.subscribe(&names.pool_queue("default"), options).await.unwrap();
    let (hub, text) = (dispatcher.hub(), r#"{"name": "j", "tasks": [{"name": "patient"}]}"#);
    let id = hub.submit(Submission { text: text.into(), id: None }).await.unwrap();
    let first = tasks.deliveries.recv().await.unwrap();
    let task = hub_engine::wire::TaskMessage::decode(&first.message.body).unwrap();
    let started = hub_engine::wire::FromWorker::Started(hub_engine::wire::Started {
        v: hub_engine::wire::VERSION,
        worker: "w".into(),
        tasks: vec![(task.issue, Duration::ZERO).into()],
    });
    let body = hub_engine::wire::encode(&started);
    let publisher = session.publisher(1).await.unwrap();
    let message = hub_transport::Message::new(names.hub(), names.result_key(task.issue.task), body);
    drop(publisher.publish(message).await.unwrap().await);
    tasks.settler.settle(first.tag, hub_transport::Settlement::Ack, false).await.unwrap();

    broker.block("memory");
    tokio::time::sleep(lease * 20).await;
    broker.unblock();
    let second = tokio::time::timeout(lease * 3, tasks.deliveries.recv()).await.expect("handed out again").unwrap();
    let again = hub_engine::wire::TaskMessage::decode(&second.message.body).unwrap();
    assert_eq!((again.issue.task, again.issue.number), (task.issue.task, 2));
    hub.cancel(id).await.unwrap();
    dispatcher.stop(Duration::from_secs(1)).await;
}
