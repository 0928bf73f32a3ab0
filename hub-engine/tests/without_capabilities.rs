//! Hub on brokers with fewer capabilities than RabbitMQ: jobs run without each capability, and indispensable ones are
//! reported.

use std::sync::Arc;
use std::time::Duration;

use hub_core::job::DEFAULT_POOL;
use hub_engine::client::AmqpHub;
use hub_engine::dispatcher::{Dispatcher, DispatcherError, DispatcherSettings};
use hub_engine::operations::{Hub, Submission};
use hub_engine::runner::{FunctionRunner, Outcome};
use hub_engine::store::MemoryStore;
use hub_engine::wire::{self, Heartbeat, Names};
use hub_engine::worker::{Worker, WorkerSettings};
use hub_transport::memory::MemoryBroker;
use hub_transport::{Capabilities, Capability, ErrorKind, Message, Settlement, SubscribeOptions};
use serde_json::{Value, json};

/// Timeout of all waits, which is reached only if something hangs.
const DEADLINE: Duration = Duration::from_secs(120);
const GRACE: Duration = Duration::from_secs(5);
/// Maximum size of a message in bytes.
const MAXIMUM_MESSAGE_BYTES: usize = 1_000_000;

fn full() -> Capabilities {
    Capabilities { max_message_bytes: Some(MAXIMUM_MESSAGE_BYTES), ..Capabilities::all() }
}

/// A broker with these capabilities. If Hub cannot declare its topology, the operators have created it.
fn broker(capabilities: Capabilities) -> MemoryBroker {
    let broker = MemoryBroker::with_capabilities(capabilities);
    if !capabilities.declares {
        let names = Names::new("hub");
        broker.provide(&names.dispatcher_topology("any").and(names.pool_topology("gpu")).lasting()).unwrap();
    }
    broker
}

async fn dispatcher(broker: &MemoryBroker) -> Dispatcher {
    dispatcher_with(broker, |_| {}).await
}

async fn dispatcher_with(broker: &MemoryBroker, change: impl FnOnce(&mut DispatcherSettings)) -> Dispatcher {
    let mut settings = DispatcherSettings { only_dispatcher: true, ..DispatcherSettings::new("hub") };
    change(&mut settings);
    let dispatcher = Dispatcher::start(broker.transport(), Arc::new(MemoryStore::new()), settings).await.unwrap();
    tokio::time::timeout(DEADLINE, dispatcher.ready()).await.expect("the dispatcher gets ready");
    dispatcher
}

async fn worker(broker: &MemoryBroker, pool: &str) -> Worker {
    let runner = FunctionRunner::new().with("echo", |request| Outcome::Success { data: request.args.clone() });
    let pools = vec![pool.to_owned()];
    let settings = WorkerSettings { pools, ..WorkerSettings::new("hub", 2) };
    let worker = Worker::start(broker.transport(), Arc::new(runner), settings);
    tokio::time::timeout(DEADLINE, worker.ready()).await.expect("the worker gets ready");
    worker
}

async fn ended(hub: &dyn Hub, job: &Value) -> Value {
    let id = hub.submit(Submission { text: job.to_string().into(), id: None }).await.unwrap();
    let record = tokio::time::timeout(DEADLINE, hub.job(id, Some(DEADLINE))).await.expect("the job ends").unwrap();
    serde_json::from_str(record.get()).unwrap()
}

/// Stops everything when all queues are empty.
async fn stop(broker: &MemoryBroker, dispatcher: Dispatcher, worker: Worker) {
    let empty = async {
        while broker.depths().values().sum::<usize>() > 0 {
            tokio::task::yield_now().await;
        }
    };
    let is_empty = tokio::time::timeout(DEADLINE, empty).await.is_ok();
    assert!(is_empty, "something stays: {:?}", broker.depths());
    worker.stop(GRACE).await;
    dispatcher.stop(GRACE).await;
}

/// Runs jobs with a fan-out and a fan-in through a client, a dispatcher and a worker.
async fn runs_jobs(capabilities: Capabilities) {
    let broker = broker(capabilities);
    let (dispatcher, worker) = (dispatcher(&broker).await, worker(&broker, DEFAULT_POOL).await);
    let client = AmqpHub::connect(broker.transport(), "hub", DEADLINE).await.unwrap();
    for at in 0..3 {
        let mut tasks: Vec<Value> =
            (0..100).map(|task| json!({"name": format!("t{task}"), "task_name": "echo", "args": [task]})).collect();
        let all: Vec<String> = (0..100).map(|task| format!("_t{task}.data.0")).collect();
        tasks.push(json!({"name": "join", "task_name": "echo", "args": [all]}));
        let record = ended(&client, &json!({"name": format!("j{at}"), "tasks": tasks, "output": "_join.data.0"})).await;
        let expected: Vec<u32> = (0..100).collect();
        assert_eq!((&record["status"], &record["output"]), (&json!("SUCCESS"), &json!(expected)), "{record:#}");
    }
    client.close().await;
    stop(&broker, dispatcher, worker).await;
}

#[tokio::test]
async fn jobs_run_without_each_capability() {
    for off in Capability::ALL {
        eprintln!("without {off}");
        runs_jobs(full().without(off)).await;
    }
}

#[tokio::test]
async fn jobs_run_without_any_capability() {
    runs_jobs(Capability::ALL.into_iter().fold(full(), Capabilities::without)).await;
}

#[tokio::test]
async fn a_dispatcher_that_cannot_exclude_another_starts_only_as_the_only_one() {
    let broker = broker(full().without(Capability::Exclusive));
    let store = Arc::new(MemoryStore::new());
    let refused = Dispatcher::start(broker.transport(), store, DispatcherSettings::new("hub")).await.unwrap_err();
    assert!(matches!(refused, DispatcherError::NoLock { .. }), "{refused}");
    assert!(refused.to_string().contains("set `only_dispatcher`"), "{refused}");
    // With the capability, the same settings are sufficient.
    let locking = MemoryBroker::new();
    let store = Arc::new(MemoryStore::new());
    let dispatcher = Dispatcher::start(locking.transport(), store, DispatcherSettings::new("hub")).await.unwrap();
    dispatcher.stop(GRACE).await;
}

/// A task that is delivered too often fails, independently of whether the broker or the worker counts.
#[tokio::test]
async fn a_task_that_is_delivered_too_often_fails() {
    let off = [Capability::DeadLetters, Capability::LimitsDeliveries];
    for capabilities in [full(), full().without(off[0]), full().without(off[1]), full().without(off[0]).without(off[1])]
    {
        let broker = broker(capabilities);
        let dispatcher = dispatcher(&broker).await;
        let hub = dispatcher.hub();
        let job = json!({"name": "j", "tasks": [{"name": "deadly", "task_name": "echo"}]});
        let id = hub.submit(Submission { text: job.to_string().into(), id: None }).await.unwrap();
        // Workers that die with the task, one after another.
        let session = broker.transport().connect().await.unwrap();
        let options = SubscribeOptions { prefetch: 1, exclusive: false };
        let mut deaths = session.subscribe("hub.tasks.default", options).await.unwrap();
        for _ in 0..21 {
            let delivery = tokio::time::timeout(DEADLINE, deaths.deliveries.recv()).await.unwrap().unwrap();
            deaths.settler.settle(delivery.tag, Settlement::Requeue, false).await.unwrap();
        }
        deaths.settler.cancel().await.unwrap();
        session.close(GRACE).await.unwrap();
        let worker = worker(&broker, DEFAULT_POOL).await;
        let record = tokio::time::timeout(DEADLINE, hub.job(id, Some(DEADLINE))).await.expect("the job ends").unwrap();
        let record: Value = serde_json::from_str(record.get()).unwrap();
        assert_eq!(record["tasks"][0]["error"]["kind"], "WORKER_LOST", "{capabilities:?}: {record:#}");
        stop(&broker, dispatcher, worker).await;
    }
}

#[tokio::test]
async fn a_message_that_is_not_a_task_is_removed() {
    for capabilities in [full(), full().without(Capability::DeadLetters)] {
        let broker = broker(capabilities);
        let (dispatcher, worker) = (dispatcher(&broker).await, worker(&broker, DEFAULT_POOL).await);
        let session = broker.transport().connect().await.unwrap();
        let publisher = session.publisher(1).await.unwrap();
        drop(publisher.publish(Message::new("hub.tasks", DEFAULT_POOL, "no task")).await.unwrap().await);
        let record = ended(&*dispatcher.hub(), &json!({"name": "j", "tasks": [{"name": "echo"}]})).await;
        assert_eq!(record["status"], "SUCCESS", "{record:#}");
        stop(&broker, dispatcher, worker).await;
    }
}

/// The heartbeat of a worker that serves a pool and has not declared the queue of it.
fn heartbeat_without_queue(names: &Names, pool: &str) -> Message {
    let heartbeat = Heartbeat {
        v: wire::VERSION,
        worker: "w".into(),
        host: "here".into(),
        pid: 1,
        pools: vec![pool.into()],
        slots: 1,
        running: 0,
        held: Vec::new(),
        present: Vec::new(),
        progress: Vec::new(),
        tasks: [("echo".into(), None)].into(),
        contents: [].into(),
        defaults: [].into(),
        broken: [].into(),
        allow: hub_core::TaskKinds::default(),
        shortage: None,
        leaving: false,
    };
    Message::new(names.events(), names.heartbeat_key("w"), wire::encode(&heartbeat)).transient()
}

/// The task comes back to the dispatcher, and is issued again when its pool has a queue.
#[tokio::test]
async fn a_task_whose_pool_has_no_queue_waits_for_a_worker() {
    for capabilities in [full(), full().without(Capability::AlternateExchanges)] {
        let (broker, names) = (broker(capabilities), Names::new("hub"));
        // Without an expired lease a lost message is not noticed: only a message that comes back puts the task back.
        let dispatcher = dispatcher_with(&broker, |settings| settings.lease = 10 * DEADLINE).await;
        let hub = dispatcher.hub();
        // The dispatcher issues no task to a pool without a worker.
        let session = broker.transport().connect().await.unwrap();
        let publisher = session.publisher(1).await.unwrap();
        drop(publisher.publish(heartbeat_without_queue(&names, "gpu")).await.unwrap().await);
        let job = json!({"name": "j", "tasks": [{"name": "echo", "pool": "gpu"}]});
        let id = hub.submit(Submission { text: job.to_string().into(), id: None }).await.unwrap();
        let came_back = async {
            loop {
                let record: Value = serde_json::from_str(hub.job(id, None).await.unwrap().get()).unwrap();
                if record["tasks"][0]["attempt"] == 1 && record["tasks"][0]["status"] == "PENDING" {
                    return;
                }
                tokio::task::yield_now().await;
            }
        };
        let came_back = tokio::time::timeout(DEADLINE, came_back).await;
        assert!(came_back.is_ok(), "{capabilities:?}: {}", hub.job(id, None).await.unwrap().get());
        session.close(GRACE).await.unwrap();
        let worker = worker(&broker, "gpu").await;
        let record = tokio::time::timeout(DEADLINE, hub.job(id, Some(DEADLINE))).await.expect("the job ends").unwrap();
        let record: Value = serde_json::from_str(record.get()).unwrap();
        let ended = (&record["status"], &record["tasks"][0]["issue"]);
        assert_eq!(ended, (&json!("SUCCESS"), &json!(2)), "{capabilities:?}: {record:#}");
        stop(&broker, dispatcher, worker).await;
    }
}

#[tokio::test]
async fn a_queue_that_the_operators_have_not_created_is_reported() {
    let broker = MemoryBroker::with_capabilities(full().without(Capability::Declares));
    let error = AmqpHub::connect(broker.transport(), "hub", DEADLINE).await.expect_err("there is nothing yet");
    assert!(error.to_string().contains("hub.jobs.0"), "{error}");
    let session = broker.transport().connect().await.unwrap();
    let declared = session.declare(&Names::new("hub").shared_topology()).await.unwrap_err();
    assert_eq!(declared.kind(), ErrorKind::Unsupported);
}
