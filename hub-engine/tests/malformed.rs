//! Malformed messages: dispatcher and worker continue to serve, and every requested answer is sent.

use std::sync::Arc;
use std::time::Duration;

use hub_engine::dispatcher::{Dispatcher, DispatcherSettings};
use hub_engine::operations::{Hub, Submission};
use hub_engine::runner::{FunctionRunner, Outcome};
use hub_engine::store::MemoryStore;
use hub_engine::worker::{Worker, WorkerSettings};
use hub_transport::memory::MemoryBroker;
use hub_transport::{Message, Publisher, Session, Settlement, Subscription};
use serde_json::Value;

/// Timeout of all waits, which is reached only if something hangs.
const DEADLINE: Duration = Duration::from_secs(60);

const JOBS: &[&[u8]] = &[
    b"",
    b" ",
    b"null",
    b"true",
    b"42",
    b"\"job\"",
    b"[]",
    b"{}",
    b"{",
    b"}{",
    b"{\"name\": \"j\", \"tasks\": [",
    b"{\"name\": \"j\"}",
    b"{\"tasks\": [{\"name\": \"a\"}]}",
    b"{\"name\": 1, \"tasks\": [{\"name\": \"a\"}]}",
    b"{\"name\": \"\", \"tasks\": [{\"name\": \"a\"}]}",
    b"{\"name\": \"j\", \"tasks\": []}",
    b"{\"name\": \"j\", \"tasks\": {}}",
    b"{\"name\": \"j\", \"tasks\": [1]}",
    b"{\"name\": \"j\", \"tasks\": [{}]}",
    b"{\"name\": \"j\", \"tasks\": [{\"name\": null}]}",
    b"{\"name\": \"j\", \"tasks\": [{\"name\": \"\"}]}",
    b"{\"name\": \"j\", \"tasks\": [{\"name\": \"a.b\"}]}",
    b"{\"name\": \"j\", \"tasks\": [{\"name\": \"../a\"}]}",
    b"{\"name\": \"j\", \"tasks\": [{\"name\": \"a\", \"task_name\": \"/etc/passwd\"}]}",
    b"{\"name\": \"j\", \"tasks\": [{\"name\": \"a\"}, {\"name\": \"a\"}]}",
    b"{\"name\": \"j\", \"tasks\": [{\"name\": \"a\", \"depends\": [\"b\"]}]}",
    b"{\"name\": \"j\", \"tasks\": [{\"name\": \"a\", \"depends\": [\"a\"]}]}",
    b"{\"name\": \"j\", \"tasks\": [{\"name\": \"a\", \"depends\": \"b\"}]}",
    b"{\"name\": \"j\", \"tasks\": [{\"name\": \"a\", \"depends\": [1]}]}",
    b"{\"name\": \"j\", \"tasks\": [{\"name\": \"a\", \"depends\": [\"b\"]}, {\"name\": \"b\", \"depends\": [\"a\"]}]}",
    b"{\"name\": \"j\", \"tasks\": [{\"name\": \"a\", \"args\": [\"_foo\"]}]}",
    b"{\"name\": \"j\", \"tasks\": [{\"name\": \"a\", \"args\": [\"_b.data\"]}]}",
    b"{\"name\": \"j\", \"tasks\": [{\"name\": \"a\", \"args\": [\"_a.dta\"]}]}",
    b"{\"name\": \"j\", \"tasks\": [{\"name\": \"a\", \"args\": [\"_a.data\"]}]}",
    b"{\"name\": \"j\", \"tasks\": [{\"name\": \"a\", \"args\": {}}]}",
    b"{\"name\": \"j\", \"tasks\": [{\"name\": \"a\", \"kwargs\": []}]}",
    b"{\"name\": \"j\", \"tasks\": [{\"name\": \"a\", \"pool\": \"a b\"}]}",
    b"{\"name\": \"j\", \"tasks\": [{\"name\": \"a\", \"priority\": 1.5}]}",
    b"{\"name\": \"j\", \"tasks\": [{\"name\": \"a\", \"status\": \"SUCCESS\", \"data\": 1}]}",
    b"{\"name\": \"j\", \"tasks\": [{\"name\": \"a\", \"timeout\": {\"close\": 1}}]}",
    b"{\"name\": \"j\", \"id\": \"x\", \"tasks\": [{\"name\": \"a\"}]}",
    b"{\"name\": \"j\", \"tasks\": [{\"name\": \"a\"}], \"output\": [\"_b.data\"]}",
    b"{\"name\": \"j\", \"name\": \"k\", \"tasks\": [{\"name\": \"a\"}]}",
    b"{\"name\": \"j\xff\", \"tasks\": [{\"name\": \"a\"}]}",
    b"{\"name\": \"\\ud800\", \"tasks\": [{\"name\": \"a\"}]}",
    b"{\"name\": \"j\", \"tasks\": [{\"name\": \"a\"}]} trailing",
    b"\xef\xbb\xbf{}",
    b"\x00\x01\x02",
];

/// A message with the header for several jobs.
const MANY_JOBS: &[&[u8]] = &[
    b"",
    b"\n",
    b"null\n",
    b"{}\n",
    b"{\"name\": \"j\", \"tasks\": [{\"name\": \"a\"}]}",
    b"{\"v\": 1, \"jobs\": [{\"bytes\": 2}]}",
    b"{\"v\": 1, \"jobs\": [{\"bytes\": 3}]}\n{}",
    b"{\"v\": 1, \"jobs\": [{\"bytes\": 1}]}\n{}",
    b"{\"v\": 1, \"jobs\": [{\"bytes\": -1}]}\n{}",
    b"{\"v\": 1, \"jobs\": [{\"bytes\": 18446744073709551615}]}\n{}",
    b"{\"v\": 1, \"jobs\": [{\"id\": \"mine\", \"bytes\": 2}]}\n{}",
    b"{\"v\": 99, \"jobs\": [{\"bytes\": 2}]}\n{}",
    b"{\"v\": 1, \"jobs\": [{\"bytes\": 2}]}\n{}",
];

const REQUESTS: &[&[u8]] = &[
    b"",
    b"null",
    b"[]",
    b"{}",
    b"nonsense",
    b"\xff\xfe",
    b"{\"v\": 1}",
    b"{\"v\": 1, \"type\": 7}",
    b"{\"v\": 1, \"type\": \"explode\"}",
    b"{\"v\": 99, \"type\": \"health\"}",
    b"{\"v\": \"1\", \"type\": \"health\"}",
    b"{\"v\": 1, \"type\": \"job\"}",
    b"{\"v\": 1, \"type\": \"job\", \"id\": 1}",
    b"{\"v\": 1, \"type\": \"job\", \"id\": \"not a uuid\"}",
    b"{\"v\": 1, \"type\": \"job\", \"id\": \"00000000-0000-0000-0000-000000000000\"}",
    b"{\"v\": 1, \"type\": \"cancel\", \"id\": \"00000000-0000-0000-0000-000000000000\"}",
    b"{\"v\": 1, \"type\": \"remove\", \"id\": \"00000000-0000-0000-0000-000000000000\"}",
    b"{\"v\": 1, \"type\": \"jobs\", \"filter\": {\"status\": [\"DONE\"]}}",
    b"{\"v\": 1, \"type\": \"jobs\", \"filter\": {\"after\": \"nowhere\"}}",
    b"{\"v\": 1, \"type\": \"result\"}",
    b"{\"v\": 1, \"type\": \"result\", \"result\": {\"id\": \"00000000-0000-0000-0000-000000000000\", \"status\": \"SUCCESS\"}}",
];

const RESULTS: &[&[u8]] = &[
    b"",
    b"null",
    b"[]",
    b"{}",
    b"{{{{",
    b"\xff",
    b"{\"id\": 1, \"status\": \"SUCCESS\"}",
    b"{\"id\": \"00000000-0000-0000-0000-000000000000\"}",
    b"{\"id\": \"00000000-0000-0000-0000-000000000000\", \"status\": \"RUNNING\"}",
    b"{\"id\": \"00000000-0000-0000-0000-000000000000\", \"status\": \"SUCCESS\", \"name\": \"mine now\"}",
    b"{\"id\": \"00000000-0000-0000-0000-000000000000\", \"status\": \"SUCCESS\", \"data\": 1}",
    b"{\"v\": 2, \"id\": \"00000000-0000-0000-0000-000000000000\", \"status\": \"SUCCESS\"}",
    b"{\"v\": 1, \"type\": \"gossip\"}",
    b"{\"v\": 1, \"type\": \"result\"}",
    b"{\"v\": 1, \"type\": \"started\", \"worker\": \"w\", \"tasks\": {}}",
    b"{\"v\": 1, \"type\": \"returned\", \"id\": null}",
];

/// A Hub, and a client with a publisher and an address for answers.
struct Scene {
    dispatcher: Dispatcher,
    worker: Worker,
    hub: Arc<dyn Hub>,
    _session: Arc<dyn Session>,
    publisher: Arc<dyn Publisher>,
    address: String,
    answers: Subscription,
}

impl Scene {
    async fn start() -> Self {
        let broker = MemoryBroker::new();
        let settings = DispatcherSettings::new("hub");
        let dispatcher = Dispatcher::start(broker.transport(), Arc::new(MemoryStore::new()), settings).await.unwrap();
        let runner = FunctionRunner::new().with("a", |_| Outcome::Success { data: hub_core::Json::null() });
        let worker = Worker::start(broker.transport(), Arc::new(runner), WorkerSettings::new("hub", 1));
        dispatcher.ready().await;
        worker.ready().await;
        let session = broker.transport().connect().await.unwrap();
        let publisher = session.publisher(100).await.unwrap();
        let inbox = session.inbox().await.unwrap();
        let hub = dispatcher.hub();
        Self {
            dispatcher,
            worker,
            hub,
            _session: session,
            publisher,
            address: inbox.address,
            answers: inbox.subscription,
        }
    }

    async fn send(&self, mut message: Message, wants_answer: bool) {
        message.reply_to = wants_answer.then(|| self.address.as_str().into());
        drop(self.publisher.publish(message).await.unwrap().await);
    }

    async fn answer(&mut self) -> Value {
        let delivery =
            tokio::time::timeout(DEADLINE, self.answers.deliveries.recv()).await.expect("an answer").unwrap();
        self.answers.settler.settle(delivery.tag, Settlement::Ack, false).await.unwrap();
        serde_json::from_slice(&delivery.message.body).unwrap()
    }

    /// All bodies are refused with a kind and a message, with and without an address for the answer.
    async fn all_are_refused(&mut self, key: &str, bodies: &[&[u8]]) {
        self.messages_are_refused(bodies.iter().map(|body| Message::new("hub", key, body.to_vec()))).await;
    }

    async fn messages_are_refused(&mut self, messages: impl Iterator<Item = Message>) {
        for message in messages {
            let shown = String::from_utf8_lossy(&message.body).into_owned();
            self.send(message.clone(), false).await;
            self.send(message, true).await;
            let answer = self.answer().await;
            let error = &answer["error"];
            assert!(error["kind"].is_string(), "{shown}: {answer}");
            assert!(error["message"].as_str().is_some_and(|message| message.len() > 10), "{shown}: {answer}");
        }
        self.still_serves().await;
    }

    async fn still_serves(&self) {
        let text = r#"{"name": "good", "tasks": [{"name": "a"}]}"#;
        let id = self.hub.submit(Submission { text: text.into(), id: None }).await.unwrap();
        let record: Value = serde_json::from_str(self.hub.job(id, Some(DEADLINE)).await.unwrap().get()).unwrap();
        assert_eq!(record["status"], "SUCCESS", "{record:#}");
    }

    async fn stop(self) {
        self.worker.stop(DEADLINE).await;
        self.dispatcher.stop(DEADLINE).await;
    }
}

#[tokio::test]
async fn malformed_jobs_requests_and_results_are_answered() {
    assert!(JOBS.len() + REQUESTS.len() + RESULTS.len() >= 60);
    let mut scene = Scene::start().await;
    scene.all_are_refused("jobs", JOBS).await;
    let many = |body: &&[u8]| Message::new("hub", "jobs", body.to_vec()).with_header("jobs", "many");
    scene.messages_are_refused(MANY_JOBS.iter().map(many)).await;
    scene.all_are_refused("requests", REQUESTS).await;
    scene.all_are_refused("results", RESULTS).await;
    scene.stop().await;
}

#[tokio::test]
async fn nesting_and_size_are_bounded() {
    let mut scene = Scene::start().await;
    let deep = "[".repeat(1_000_000);
    let args =
        format!(r#"{{"name": "j", "tasks": [{{"name": "a", "args": {}{}}}]}}"#, "[".repeat(200), "]".repeat(200));
    let large = format!(r#"{{"name": "{}", "tasks": [{{"name": "a"}}]}}"#, "x".repeat(17 * 1024 * 1024));
    scene.all_are_refused("jobs", &[deep.as_bytes(), args.as_bytes(), large.as_bytes()]).await;
    scene.all_are_refused("results", &[deep.as_bytes()]).await;
    scene.all_are_refused("requests", &[deep.as_bytes()]).await;
    scene.stop().await;
}

#[tokio::test]
async fn random_bytes_in_any_queue_are_ignored() {
    let scene = Scene::start().await;
    // A simple generator is sufficient: the bytes must be many and deterministic.
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let places = [
        ("hub", "jobs"),
        ("hub", "results"),
        ("hub", "requests"),
        ("hub.tasks", "default"),
        ("hub.control", ""),
        ("hub.events", "heartbeat.x"),
        ("hub", "nowhere"),
    ];
    for _ in 0..300 {
        let (exchange, key) = places[usize::try_from(random() % places.len() as u64).unwrap()];
        let length = random() % 200;
        let body: Vec<u8> = (0..length).map(|_| u8::try_from(random() % 256).unwrap()).collect();
        let mut message = Message::new(exchange, key, body);
        if random() % 4 == 0 {
            message = message.with_header("jobs", "many");
        }
        scene.send(message, random() % 2 == 0).await;
    }
    scene.still_serves().await;
    scene.stop().await;
}
