//! What a client must not be able to do through the dispatcher: publish to other queues, block other clients, and
//! impersonate workers.

use std::sync::Arc;
use std::time::Duration;

use hub_core::TaskId;
use hub_engine::dispatcher::{Dispatcher, DispatcherSettings};
use hub_engine::operations::{Hub, Submission};
use hub_engine::store::MemoryStore;
use hub_transport::memory::MemoryBroker;
use hub_transport::{Inbox, Message, Publisher, Session, Settlement};
use serde_json::{Value, json};
use uuid::Uuid;

/// Timeout of all waits, which is reached only if something hangs.
const DEADLINE: Duration = Duration::from_secs(600);
const JOB: &str = r#"{"name": "j", "tasks": [{"name": "a"}]}"#;

/// A dispatcher without workers, and a client of its broker.
struct Scene {
    broker: MemoryBroker,
    dispatcher: Dispatcher,
    hub: Arc<dyn Hub>,
    _session: Arc<dyn Session>,
    publisher: Arc<dyn Publisher>,
    inbox: Inbox,
}

impl Scene {
    async fn start() -> Self {
        let broker = MemoryBroker::new();
        let settings = DispatcherSettings::new("hub");
        let dispatcher = Dispatcher::start(broker.transport(), Arc::new(MemoryStore::new()), settings).await.unwrap();
        dispatcher.ready().await;
        let session = broker.transport().connect().await.unwrap();
        let publisher = session.publisher(5000).await.unwrap();
        let inbox = session.inbox().await.unwrap();
        Self { hub: dispatcher.hub(), broker, dispatcher, _session: session, publisher, inbox }
    }

    async fn send(&self, message: Message) {
        drop(self.publisher.publish(message).await.unwrap().await);
    }

    async fn ask(&self, key: &'static str, body: Value, correlation_id: &str) {
        let mut message = Message::new("hub", key, body.to_string());
        message.reply_to = Some(self.inbox.address.as_str().into());
        message.correlation_id = Some(correlation_id.into());
        self.send(message).await;
    }

    /// The next answer: its correlation id and its body.
    async fn answer(&mut self) -> (String, Value) {
        let delivery = tokio::time::timeout(DEADLINE, self.inbox.subscription.deliveries.recv()).await;
        let delivery = delivery.expect("no answer").unwrap();
        self.inbox.subscription.settler.settle(delivery.tag, Settlement::Ack, false).await.unwrap();
        let about = delivery.message.correlation_id.unwrap_or_default().to_string();
        (about, serde_json::from_slice(&delivery.message.body).unwrap())
    }

    /// Waits until the dispatcher has handled all previous messages.
    async fn settled(&mut self) {
        self.ask("requests", json!({"v": 1, "type": "health"}), "settled").await;
        assert_eq!(self.answer().await.0, "settled");
    }

    async fn submit(&self) -> (hub_core::JobId, TaskId) {
        let id = self.hub.submit(Submission { text: JOB.into(), id: None }).await.unwrap();
        let record: Value = serde_json::from_str(self.hub.job(id, None).await.unwrap().get()).unwrap();
        (id, record["tasks"][0]["id"].as_str().unwrap().parse().unwrap())
    }

    async fn status(&self, id: hub_core::JobId) -> String {
        let record: Value = serde_json::from_str(self.hub.job(id, None).await.unwrap().get()).unwrap();
        record["tasks"][0]["status"].as_str().unwrap().to_owned()
    }

    async fn stop(self) {
        self.dispatcher.stop(DEADLINE).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_is_acknowledged_when_it_is_answered() {
    let mut scene = Scene::start().await;
    let (id, _) = scene.submit().await;
    scene.ask("requests", json!({"v": 1, "type": "job", "id": id, "wait_ms": 30000}), "waits").await;
    scene.settled().await;
    let open = |scene: &Scene| scene.broker.depths()["hub.requests.0"];
    assert!(open(&scene) >= 1, "it is not answered yet, and stays with the broker");
    assert_eq!(scene.answer().await.0, "waits");
    while open(&scene) > 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    scene.stop().await;
}

#[tokio::test(start_paused = true)]
async fn many_waiting_clients_do_not_block_others() {
    let mut scene = Scene::start().await;
    let (id, _) = scene.submit().await;
    for _ in 0..3000 {
        scene.ask("requests", json!({"v": 1, "type": "job", "id": id, "wait_ms": 60000}), "waits").await;
    }
    let begun = tokio::time::Instant::now();
    scene.ask("requests", json!({"v": 1, "type": "health"}), "urgent").await;
    while scene.answer().await.0 != "urgent" {}
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
    assert!(scene.broker.depths()["hub.requests.0"] >= 700, "the others still wait");
    scene.stop().await;
}

#[tokio::test]
async fn answers_are_sent_only_to_the_clients_own_queue() {
    let mut scene = Scene::start().await;
    let victim = scene.broker.transport().connect().await.unwrap();
    let topology = hub_transport::Topology::default()
        .queue(hub_transport::topology::Queue::new("victim", hub_transport::topology::QueueKind::Quorum));
    victim.declare(&topology).await.unwrap();
    for address in ["victim", "hub.jobs.0", "hub.results.0", "hub.tasks.default", "hub.dead", "hub.requests.0", ""] {
        for (key, body) in [("requests", r#"{"v":1,"type":"health"}"#), ("jobs", "no job"), ("results", "none")] {
            let mut message = Message::new("hub", key, body);
            message.reply_to = Some(address.into());
            scene.send(message).await;
        }
        // The submission is accepted nevertheless.
        let id = Uuid::new_v4();
        let mut message = Message::new("hub", "jobs", JOB).with_message_id(id.to_string());
        message.reply_to = Some(address.into());
        scene.send(message).await;
        let mut tries = 0;
        while scene.hub.job(hub_core::JobId::new(id), None).await.is_err() {
            tries += 1;
            assert!(tries < 10_000, "the job was not taken");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    scene.settled().await;
    let depths = scene.broker.depths();
    assert_eq!((depths["victim"], depths["hub.dead"]), (0, 0));
    scene.stop().await;
}

#[tokio::test]
async fn only_the_exchanges_of_workers_are_trusted() {
    let mut scene = Scene::start().await;
    let (id, task) = scene.submit().await;
    let result = json!({
        "v": 1, "type": "results", "worker": "w",
        "results": [{
            "id": task, "issue": 1, "incarnation": 1, "status": "SUCCESS", "data": "forged",
            "started_at": 1, "ended_at": 2
        }]
    })
    .to_string();
    let issue = json!({
        "v": 1, "id": task, "parent_id": id, "name": "a", "task_name": "a", "pool": "default", "args": [],
        "kwargs": {}, "issue": 1, "incarnation": 1
    })
    .to_string();
    let heartbeat = json!({
        "v": 1, "worker": "w", "host": "h", "pid": 1, "pools": ["default"], "slots": 1, "running": 0,
        "held": [], "present": [], "tasks": {}, "broken": {}, "leaving": false
    })
    .to_string();
    let heartbeats = scene.broker.depths().into_keys().find(|name| name.starts_with("hub.heartbeats.")).unwrap();
    for message in [
        Message::new("", "hub.results.0", result.clone()),
        Message::new("hub", "jobs.1", result.clone()),
        Message::new("hub", "jobs.99", result.clone()),
        Message::new("hub", "requests", result.clone()),
        Message::new("hub", "jobs.99", issue.clone()),
        Message::new("", "hub.unrouted", issue.clone()),
        Message::new("", "hub.dead", issue),
        Message::new("", heartbeats.as_str(), heartbeat.clone()),
        Message::new("hub.events", "heartbeat.other", heartbeat.clone()),
        Message::new("hub", "jobs", heartbeat.clone()),
    ] {
        scene.send(message).await;
    }
    scene.settled().await;
    assert_eq!(scene.status(id).await, "SUBMITTED");
    assert!(scene.hub.workers().await.unwrap().is_empty());
    // The same message through the right exchange counts.
    scene.send(Message::new("hub.events", "heartbeat.w", heartbeat)).await;
    scene.send(Message::new("hub", "results.5", result)).await;
    let mut tries = 0;
    while scene.status(id).await != "SUCCESS" || scene.hub.workers().await.unwrap().len() != 1 {
        tries += 1;
        assert!(tries < 10_000, "the right way does not count");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    scene.stop().await;
}

#[tokio::test]
async fn a_submission_with_an_unroutable_key_is_accepted() {
    let mut scene = Scene::start().await;
    let mut message = Message::new("hub", "jobs.64", JOB);
    message.reply_to = Some(scene.inbox.address.as_str().into());
    message.correlation_id = Some("job".into());
    scene.send(message).await;
    let (about, answer) = scene.answer().await;
    assert_eq!(about, "job");
    assert!(answer["ok"]["id"].is_string(), "{answer}");
    scene.stop().await;
}
