//! A dispatcher that was stopped for longer than a lease reads the waiting messages before leases expire.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hub_core::{IssueId, Now, Steady, Timestamp};
use hub_engine::clock;
use hub_engine::dispatcher::{Dispatcher, DispatcherSettings};
use hub_engine::operations::{Hub, Submission};
use hub_engine::store::MemoryStore;
use hub_engine::wire::{self, FromWorker, Heartbeat, Names, Started, TaskMessage};
use hub_transport::memory::MemoryBroker;
use hub_transport::{Message, Publisher, Settlement, SubscribeOptions};

const LEASE: Duration = Duration::from_secs(30);

fn heartbeat(names: &Names, held: Vec<IssueId>) -> Message {
    let heartbeat = Heartbeat {
        v: wire::VERSION,
        worker: "w".into(),
        host: "here".into(),
        pid: 1,
        pools: vec!["default".into()],
        slots: 1,
        shortage: None,
        running: 1,
        held,
        present: Vec::new(),
        progress: Vec::new(),
        tasks: [("long".into(), None)].into(),
        contents: [].into(),
        defaults: [].into(),
        broken: [].into(),
        allow: hub_core::TaskKinds::default(),
        leaving: false,
    };
    Message::new(names.events(), names.heartbeat_key("w"), wire::encode(&heartbeat)).transient()
}

async fn publish(publisher: &dyn Publisher, message: Message) {
    drop(publisher.publish(message).await.unwrap().await);
}

/// Waits until all tasks of this process are idle.
async fn settle() {
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
}

async fn status(hub: &dyn Hub, id: hub_core::JobId) -> (String, u64) {
    let record = hub.job(id, None).await.unwrap();
    let record: serde_json::Value = serde_json::from_str(record.get()).unwrap();
    let task = &record["tasks"][0];
    (
        task["status"].as_str().unwrap_or_default().to_owned(),
        task["issue"].as_u64().or(task["attempt"].as_u64()).unwrap_or_default(),
    )
}

#[tokio::test]
async fn heartbeats_that_wait_are_read_before_a_lease_expires() {
    let millis = Arc::new(AtomicU64::new(1_000_000));
    let source = Arc::clone(&millis);
    let _clock = clock::simulate(move || {
        let now = source.load(Ordering::SeqCst);
        Now { wall: Timestamp::from_millis(now), steady: Steady::from_millis(now) }
    });
    let broker = MemoryBroker::new();
    let settings = DispatcherSettings { lease: LEASE, ..DispatcherSettings::new("hub") };
    let dispatcher = Dispatcher::start(broker.transport(), Arc::new(MemoryStore::new()), settings).await.unwrap();
    dispatcher.ready().await;
    let (hub, names) = (dispatcher.hub(), Names::new("hub"));
    let session = broker.transport().connect().await.unwrap();
    let options = SubscribeOptions { prefetch: 1, exclusive: false };
    let mut tasks = session.subscribe(&names.pool_queue("default"), options).await.unwrap();
    let publisher = session.publisher(16).await.unwrap();
    let text = r#"{"name": "j", "tasks": [{"name": "long"}]}"#;
    let id = hub.submit(Submission { text: text.into(), id: None }).await.unwrap();
    let delivery = tasks.deliveries.recv().await.unwrap();
    let task = TaskMessage::decode(&delivery.message.body).unwrap();
    let held = vec![task.issue];
    let running = vec![(task.issue, Duration::ZERO).into()];
    let started = FromWorker::Started(Started { v: wire::VERSION, worker: "w".into(), tasks: running });
    publish(&*publisher, Message::new(names.hub(), names.result_key(task.issue.task), wire::encode(&started))).await;
    tasks.settler.settle(delivery.tag, Settlement::Ack, false).await.unwrap();
    settle().await;
    assert_eq!(status(&*hub, id).await, ("RUNNING".to_owned(), 1));

    for _ in 0..5 {
        // At the same moment for the dispatcher, the lease is due and a heartbeat is waiting.
        millis.fetch_add(3 * 30_000, Ordering::SeqCst);
        publish(&*publisher, heartbeat(&names, held.clone())).await;
        settle().await;
        assert_eq!(status(&*hub, id).await, ("RUNNING".to_owned(), 1), "its worker lives");
    }

    // The lease of a silent worker still expires.
    millis.fetch_add(30_001, Ordering::SeqCst);
    publish(&*publisher, Message::new(names.events(), names.heartbeat_key("x"), "wakes the dispatcher")).await;
    let again = tokio::time::timeout(Duration::from_secs(60), tasks.deliveries.recv()).await.unwrap().unwrap();
    assert_eq!(TaskMessage::decode(&again.message.body).unwrap().issue.number, 2);
    hub.cancel(id).await.unwrap();
    dispatcher.stop(Duration::from_secs(1)).await;
}
