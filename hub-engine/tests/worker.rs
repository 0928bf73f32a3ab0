//! How the worker handles deliveries, with a queue that the test fills.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use hub_core::state::ErrorKind;
use hub_core::{Issue, JobId, Json};
use hub_engine::runner::{Catalogue, Outcome, Runner, TaskReport, TaskRequest};
use hub_engine::wire::{self, FromWorker, Names, ResultMessage, ResultStatus, TaskEnded, TaskMessage};
use hub_engine::worker::{Worker, WorkerSettings};
use hub_transport::memory::MemoryBroker;
use hub_transport::{Message, Outcome as Published, Session, SubscribeOptions};
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;

/// Runs each task when the test allows it. A task whose arguments are a number returns a text of that length, one whose
/// arguments are a text panics with it.
struct Gated {
    gate: Semaphore,
    began: AtomicU32,
    catalogue: watch::Sender<Arc<Catalogue>>,
}

impl Gated {
    fn new() -> Arc<Self> {
        let catalogue = watch::channel(Arc::default()).0;
        Arc::new(Self { gate: Semaphore::new(0), began: AtomicU32::new(0), catalogue })
    }
}

#[async_trait]
impl Runner for Gated {
    async fn run(&self, request: TaskRequest, _stop: CancellationToken) -> TaskReport {
        self.began.fetch_add(1, Ordering::SeqCst);
        self.gate.acquire().await.unwrap().forget();
        if let Some(last_words) = request.args.to_value()[0].as_str() {
            panic!("{last_words}");
        }
        let length = request.args.get().trim_matches(['[', ']']).parse::<usize>();
        let data = length.map_or(request.args, |length| Json::string(&"x".repeat(length)));
        TaskReport::silent(Outcome::Success { data })
    }

    fn catalogue(&self) -> watch::Receiver<Arc<Catalogue>> {
        self.catalogue.subscribe()
    }

    async fn shutdown(&self, _grace: Duration) {}
}

/// Waits until all tasks of the runtime are idle: time is paused, and advances only then.
async fn settle() {
    tokio::time::sleep(Duration::from_millis(100)).await;
}

/// A worker and a broker.
struct Scene {
    broker: MemoryBroker,
    names: Names,
    session: Arc<dyn Session>,
    runner: Arc<Gated>,
    worker: Worker,
}

impl Scene {
    async fn new(broker: MemoryBroker, slots: u32) -> Self {
        let names = Names::new("hub");
        let session = broker.transport().connect().await.unwrap();
        session.declare(&names.shared_topology()).await.unwrap();
        let runner = Gated::new();
        let worker = Worker::start(broker.transport(), runner.clone(), WorkerSettings::new("hub", slots));
        worker.ready().await;
        Self { broker, names, session, runner, worker }
    }

    async fn publish(&self, task: TaskMessage) {
        let publisher = self.session.publisher(16).await.unwrap();
        let message = Message::new(self.names.tasks(), "default", wire::encode(&task));
        let receipt = publisher.publish(message).await.unwrap();
        assert!(matches!(receipt.await, Published::Confirmed));
    }

    /// Ends this number of tasks.
    async fn let_end(&self, tasks: usize) {
        self.runner.gate.add_permits(tasks);
        settle().await;
    }

    fn unsettled(&self) -> usize {
        self.broker.depths()[&self.names.pool_queue("default")]
    }

    /// The results that the worker has reported, by message.
    async fn told(&self) -> Vec<Vec<TaskEnded>> {
        let options = SubscribeOptions { prefetch: 100, exclusive: false };
        let mut queue = self.session.subscribe(&self.names.results_queue(), options).await.unwrap();
        settle().await;
        let mut told = Vec::new();
        while let Ok(delivery) = queue.deliveries.try_recv() {
            match ResultMessage::decode(&delivery.message.body).unwrap() {
                ResultMessage::FromWorker(FromWorker::Results(results)) => told.push(results.results),
                other => panic!("{other:?} is not a result"),
            }
        }
        told
    }
}

/// A task with one argument.
fn task(index: u32, argument: &str) -> TaskMessage {
    let job: JobId = "0190b4c2-7b1a-7000-8000-000000000000".parse().unwrap();
    TaskMessage {
        attempt: 1,
        v: wire::VERSION,
        issue: Issue { number: 1, incarnation: 1 }.of(job.task(index)),
        parent_id: job,
        name: "t".into(),
        task_name: "t".into(),
        pool: "default".into(),
        args: Json::from_checked(format!("[{argument}]")),
        kwargs: Json::from_checked("{}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_task_published_twice_runs_once_and_leaves_nothing_on_the_broker() {
    let scene = Scene::new(MemoryBroker::new(), 1).await;
    // The first task runs and the second waits for the slot. Each is delivered again during that and afterwards.
    for _ in 0..3 {
        for index in 0..2 {
            scene.publish(task(index, "null")).await;
        }
        settle().await;
    }
    scene.let_end(2).await;
    assert_eq!(scene.unsettled(), 0, "a delivery was never settled");
    assert_eq!(scene.runner.began.load(Ordering::SeqCst), 2);
    scene.worker.stop(Duration::from_secs(1)).await;
}

#[tokio::test(start_paused = true)]
async fn tasks_that_end_together_are_reported_in_one_message() {
    let scene = Scene::new(MemoryBroker::new(), 6).await;
    for index in 0..6 {
        scene.publish(task(index, "3")).await;
    }
    settle().await;
    scene.let_end(1).await;
    scene.let_end(5).await;
    let told = scene.told().await;
    assert_eq!(told.iter().map(Vec::len).collect::<Vec<_>>(), [1, 5]);
    let mut ended: Vec<_> = told.into_iter().flatten().map(|ended| (ended.id, ended.data)).collect();
    ended.sort_by_key(|(id, _)| *id);
    let data = Some(Json::string("xxx"));
    assert_eq!(ended, (0..6).map(|index| (task(index, "3").issue.task, data.clone())).collect::<Vec<_>>());
    assert_eq!(scene.unsettled(), 0, "a delivery was never settled");
    scene.worker.stop(Duration::from_secs(1)).await;
}

#[tokio::test(start_paused = true)]
async fn a_result_that_the_broker_rejects_does_not_affect_others() {
    let scene = Scene::new(MemoryBroker::new().with_max_message_bytes(1000), 4).await;
    for (index, length) in [(0, "300"), (1, "300"), (2, "2000"), (3, "300")] {
        scene.publish(task(index, length)).await;
    }
    settle().await;
    scene.let_end(4).await;
    let told = scene.told().await;
    assert!(told.iter().all(|message| message.len() == 1), "together they are too large: {told:?}");
    let mut ended: Vec<_> = told.into_iter().flatten().map(|ended| (ended.id, ended.status, ended.error)).collect();
    ended.sort_by_key(|(id, ..)| *id);
    let statuses: Vec<_> = ended.iter().map(|(_, status, _)| *status).collect();
    use ResultStatus::{Failed, Success};
    assert_eq!(statuses, [Success, Success, Failed, Success]);
    assert_eq!(ended[2].2.as_ref().unwrap().kind, ErrorKind::ResultTooLarge);
    assert_eq!(scene.unsettled(), 0, "a delivery was never settled");
    scene.worker.stop(Duration::from_secs(1)).await;
}

#[tokio::test(start_paused = true)]
async fn a_panic_fails_only_its_own_task() {
    let scene = Scene::new(MemoryBroker::new(), 3).await;
    for (index, args) in [(0, "1"), (1, "\"no paper left\""), (2, "1")] {
        scene.publish(task(index, args)).await;
    }
    settle().await;
    scene.let_end(3).await;
    let mut ended: Vec<_> = scene.told().await.into_iter().flatten().collect();
    ended.sort_by_key(|ended| ended.id);
    let statuses: Vec<_> = ended.iter().map(|ended| ended.status).collect();
    assert_eq!(statuses, [ResultStatus::Success, ResultStatus::Failed, ResultStatus::Success]);
    assert_eq!(ended[1].msg.as_deref(), Some("the task panicked: no paper left"));
    assert_eq!(ended[1].error.as_ref().unwrap().kind, ErrorKind::TaskFailed);
    scene.worker.stop(Duration::from_secs(1)).await;
}

#[tokio::test(start_paused = true)]
async fn a_draining_worker_acknowledges_tasks_that_end() {
    let scene = Scene::new(MemoryBroker::new(), 2).await;
    for index in 0..2 {
        scene.publish(task(index, "3")).await;
    }
    settle().await;
    let (broker, queue) = (scene.broker.clone(), scene.names.pool_queue("default"));
    let stopping = tokio::spawn(scene.worker.stop(Duration::from_secs(60)));
    scene.runner.gate.add_permits(1);
    settle().await;
    assert_eq!(broker.depths()[&queue], 1, "the other one runs on");
    scene.runner.gate.add_permits(1);
    stopping.await.unwrap();
    assert_eq!(broker.depths()[&queue], 0);
}

#[tokio::test(start_paused = true)]
async fn ended_tasks_are_reported_even_without_grace() {
    let mut scene = Scene::new(MemoryBroker::new(), 2).await;
    for index in 0..2 {
        scene.publish(task(index, "3")).await;
    }
    settle().await;
    let other = Worker::start(scene.broker.transport(), Gated::new(), WorkerSettings::new("other", 1));
    let worker = std::mem::replace(&mut scene.worker, other);
    scene.runner.gate.add_permits(2);
    worker.stop(Duration::ZERO).await;
    let told = scene.told().await;
    assert_eq!(told.into_iter().flatten().count(), 2);
}
