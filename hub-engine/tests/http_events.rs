//! The stream of events, from a real dispatcher over HTTP.

mod http_support;

use std::sync::Arc;
use std::time::Duration;

use http_support::{DEADLINE, Served, answer, client};
use hub_engine::dispatcher::{Dispatcher, DispatcherSettings};
use hub_engine::http::{HttpLimits, HttpSettings};
use hub_engine::operations::Submission;
use hub_engine::runner::{FunctionRunner, Outcome};
use hub_engine::store::MemoryStore;
use hub_engine::worker::{Worker, WorkerSettings};
use hub_transport::memory::MemoryBroker;
use serde_json::{Value, json};

/// An event as it was received.
#[derive(Debug, PartialEq)]
struct Received {
    id: u64,
    kind: String,
    data: Value,
}

struct Stream {
    answer: reqwest::Response,
    text: String,
}

impl Stream {
    async fn open(served: &Served, path: &str, after: Option<u64>) -> Self {
        let mut request = client().get(served.url(path));
        if let Some(after) = after {
            request = request.header("last-event-id", after);
        }
        let mut answer = request.send().await.unwrap();
        assert_eq!(
            (answer.status().as_u16(), answer.headers()["content-type"].to_str().ok()),
            (200, Some("text/event-stream"))
        );
        // Either the comment at the beginning of every stream, or events that are available.
        let first = tokio::time::timeout(DEADLINE, answer.chunk()).await.expect("the stream begins").unwrap().unwrap();
        Self { answer, text: String::from_utf8(first.to_vec()).unwrap() }
    }

    /// The next event. `None`: the stream has ended.
    async fn next(&mut self) -> Option<Received> {
        loop {
            while let Some((part, rest)) = self.text.split_once("\n\n") {
                let (part, rest) = (part.to_owned(), rest.to_owned());
                self.text = rest;
                if !part.starts_with(':') {
                    return Some(read(&part));
                }
            }
            let chunk = tokio::time::timeout(DEADLINE, self.answer.chunk()).await.expect("no more events").unwrap()?;
            self.text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }

    /// The events up to the end of a job, as short texts.
    async fn until_end_of(&mut self, job: &str) -> Vec<(u64, String)> {
        let mut seen = Vec::new();
        loop {
            let Received { id, kind, data } = self.next().await.expect("the stream goes on");
            let status = data["status"].as_str().unwrap_or_default();
            seen.push((id, format!("{kind} {} {status}", data["name"].as_str().unwrap_or_default())));
            if kind == "job" && data["id"] == job && status == "SUCCESS" {
                return seen;
            }
        }
    }
}

fn read(part: &str) -> Received {
    let field = |name: &str| {
        let line = part.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        line.unwrap_or_else(|| panic!("no {name} in {part:?}"))
    };
    let data = serde_json::from_str(field("data")).unwrap();
    Received { id: field("id").parse().unwrap(), kind: field("event").to_owned(), data }
}

struct Whole {
    dispatcher: Dispatcher,
    worker: Worker,
    served: Served,
}

impl Whole {
    async fn start() -> Self {
        Self::start_with(HttpLimits::default()).await
    }

    async fn start_with(limits: HttpLimits) -> Self {
        let broker = MemoryBroker::new();
        let settings = DispatcherSettings::new("hub");
        let dispatcher = Dispatcher::start(broker.transport(), Arc::new(MemoryStore::new()), settings).await.unwrap();
        let runner =
            FunctionRunner::new().with("one", |_| Outcome::Success { data: hub_core::Json::from_checked("1") });
        let worker = Worker::start(broker.transport(), Arc::new(runner), WorkerSettings::new("hub", 2));
        dispatcher.ready().await;
        worker.ready().await;
        let served = Served::start(dispatcher.hub(), HttpSettings { limits, ..HttpSettings::default() }).await;
        Self { dispatcher, worker, served }
    }

    async fn submit(&self, name: &str) -> String {
        let text = json!({"name": name, "tasks": [{"name": "one"}]}).to_string();
        self.dispatcher.hub().submit(Submission { text: text.into(), id: None }).await.unwrap().to_string()
    }

    async fn stop(self) {
        self.served.stop().await;
        self.worker.stop(Duration::from_secs(5)).await;
        self.dispatcher.stop(Duration::from_secs(5)).await;
    }
}

#[tokio::test]
async fn a_watcher_sees_changes_and_can_continue_after_an_event() {
    let whole = Whole::start().await;
    let mut stream = Stream::open(&whole.served, "/api/v1/events", None).await;
    let first = whole.submit("first").await;
    let seen = stream.until_end_of(&first).await;
    let texts: Vec<&str> = seen.iter().map(|(_, text)| text.as_str()).collect();
    assert_eq!(
        (texts.first(), texts.contains(&"task one SUCCESS"), texts.last()),
        (Some(&"job first PENDING"), true, Some(&"job first SUCCESS"))
    );
    assert!(seen.is_sorted_by(|(one, _), (other, _)| one < other), "{seen:?}");

    drop(stream);
    let mut again = Stream::open(&whole.served, "/api/v1/events", Some(seen[0].0)).await;
    assert_eq!(again.until_end_of(&first).await, seen[1..], "it goes on where it was");
    let mut restarted = Stream::open(&whole.served, "/api/v1/events", Some(7)).await;
    let reset = restarted.next().await.unwrap();
    assert_eq!((reset.kind.as_str(), reset.id), ("reset", seen[seen.len() - 1].0));

    whole.served.shutdown.cancel();
    assert_eq!(again.next().await, None, "the stream ends with the server");
    whole.stop().await;
}

#[tokio::test]
async fn a_watcher_of_one_job_sees_no_others() {
    let whole = Whole::start().await;
    let id = "00000000-0000-4000-8000-000000000001";
    let mut stream = Stream::open(&whole.served, &format!("/api/v1/events?job={id}"), None).await;
    whole.submit("other").await;
    let text = json!({"name": "mine", "tasks": [{"name": "one"}]}).to_string();
    let submission = Submission { text: text.into(), id: Some(id.parse().unwrap()) };
    whole.dispatcher.hub().submit(submission).await.unwrap();
    let seen = stream.until_end_of(id).await;
    assert!(seen.iter().all(|(_, text)| text.starts_with("job mine") || text.starts_with("task one")), "{seen:?}");
    assert_eq!(seen.iter().filter(|(_, text)| text == "task one SUCCESS").count(), 1, "{seen:?}");
    drop(stream);
    for (path, after) in [("/api/v1/events?jobs=1", "1"), ("/api/v1/events?job=x", "1"), ("/api/v1/events", "x")] {
        let request = client().get(whole.served.url(path)).header("last-event-id", after);
        assert_eq!(answer(request).await.0, 400, "{path} {after}");
    }
    whole.stop().await;
}

#[tokio::test]
async fn a_stream_beyond_the_limit_is_refused_until_another_one_has_ended() {
    let whole = Whole::start_with(HttpLimits { event_streams: 2, ..HttpLimits::default() }).await;
    let _one = Stream::open(&whole.served, "/api/v1/events", None).await;
    let other = Stream::open(&whole.served, "/api/v1/events", None).await;
    let ask = async || client().get(whole.served.url("/api/v1/events")).send().await.unwrap();
    let refused = ask().await;
    assert_eq!((refused.status().as_u16(), &refused.headers()["retry-after"]), (503, &"2".parse().unwrap()));
    assert!(refused.text().await.unwrap().contains("2 event streams"));
    drop(other);
    let accepted = async { while ask().await.status() != 200 {} };
    tokio::time::timeout(DEADLINE, accepted).await.expect("an ended stream keeps its place");
    whole.stop().await;
}

#[tokio::test]
async fn a_stream_that_makes_room_for_another_connection_ends_properly() {
    let whole =
        Whole::start_with(HttpLimits { connections: 1, connections_per_peer: 1, reserve: 1, ..HttpLimits::default() })
            .await;
    let stream = Stream::open(&whole.served, "/api/v1/events", None).await;
    let (status, _) = answer(client().get(whole.served.url("/api/v1/workers"))).await;
    assert_eq!(status, 200);
    // An answer without its last chunk would be an error.
    let last = tokio::time::timeout(DEADLINE, stream.answer.text()).await.expect("the stream stays").unwrap();
    let fields: Vec<&str> = last.trim_end().rsplit("\n\n").next().unwrap().lines().collect();
    let [comment, "retry: 2000", id] = fields[..] else { panic!("{last:?}") };
    assert!(comment.starts_with(':'), "{last:?}");
    let seen = id.strip_prefix("id: ").unwrap().parse().unwrap();

    let id = whole.submit("meanwhile").await;
    let mut again = Stream::open(&whole.served, "/api/v1/events", Some(seen)).await;
    assert_eq!(again.until_end_of(&id).await[0].1, "job meanwhile PENDING", "nothing is missed");
    whole.stop().await;
}
