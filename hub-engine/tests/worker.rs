//! How the worker handles deliveries, with a queue that the test fills.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use hub_core::job::Timeout;
use hub_core::state::ErrorKind;
use hub_core::{Issue, JobId, Json};
use hub_engine::runner::{Catalogue, NoOutcome, Outcome, RunControl, Runner, TaskReport, TaskRequest};
use hub_engine::wire::{
    self, Control, ControlMessage, FromWorker, Heartbeat, LimitsMs, Names, ResultMessage, ResultStatus, ReturnReason,
    TaskEnded, TaskMessage,
};
use hub_engine::worker::{Worker, WorkerSettings};
use hub_transport::memory::MemoryBroker;
use hub_transport::topology::{Queue, QueueKind};
use hub_transport::{Message, Outcome as Published, Session, SubscribeOptions, Topology};
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;

/// Runs each task when the test allows it. A task whose arguments are a number returns a text of that length, one whose
/// arguments are a text panics with it. Each reports its arguments as its progress.
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
    async fn run(&self, request: TaskRequest, control: RunControl) -> TaskReport {
        self.began.fetch_add(1, Ordering::SeqCst);
        control.report_progress(request.args.clone()).unwrap();
        tokio::select! {
            permit = self.gate.acquire() => permit.unwrap().forget(),
            interruption = control.interrupted(Instant::now()) => {
                return interruption.apply(TaskReport::without(NoOutcome::Cancelled));
            }
        }
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

    /// Tells the worker to stop these tasks.
    async fn stop(&self, tasks: &[u32]) {
        let tasks = tasks.iter().map(|index| task(*index, "null").issue).collect();
        let control = Control::Stop { tasks, grace_ms: 1000 };
        let body = wire::encode(&ControlMessage { v: wire::VERSION, control });
        let publisher = self.session.publisher(16).await.unwrap();
        drop(publisher.publish(Message::new(self.names.control(), "", body)).await.unwrap().await);
        settle().await;
    }

    /// The results that the worker has reported, by message.
    async fn told(&self) -> Vec<Vec<TaskEnded>> {
        let reports = self.reports().await.into_iter();
        let results = reports.map(|report| match report {
            FromWorker::Results(results) => results.results,
            other => panic!("{other:?} is not a result"),
        });
        results.collect()
    }

    /// The reports of the worker.
    async fn reports(&self) -> Vec<FromWorker> {
        let options = SubscribeOptions { prefetch: 100, exclusive: false };
        let mut queue = self.session.subscribe(&self.names.results_queue(), options).await.unwrap();
        settle().await;
        let mut told = Vec::new();
        while let Ok(delivery) = queue.deliveries.try_recv() {
            match ResultMessage::decode(&delivery.message.body).unwrap() {
                ResultMessage::FromWorker(report) => told.push(report),
                other @ ResultMessage::Posted(_) => panic!("{other:?} is not a report"),
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
        timeout: None,
        last_progress: None,
        v: wire::VERSION,
        issue: Issue { number: 1, incarnation: 1 }.of(job.task(index)),
        parent_id: job,
        name: "t".into(),
        task_name: "t".into(),
        pool: "default".into(),
        args: Json::from_checked(format!("[{argument}]")),
        kwargs: Json::from_checked("{}"),
        run: None,
        secrets: None,
        wants_content: false,
        awaits_defaults: false,
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

#[tokio::test(start_paused = true)]
async fn a_stopped_task_is_returned_when_it_has_ended_and_one_that_waits_at_once() {
    let scene = Scene::new(MemoryBroker::new(), 1).await;
    // The first one runs, the second waits, and the third arrives later.
    for index in 0..2 {
        scene.publish(task(index, "null")).await;
    }
    settle().await;
    scene.stop(&[1, 2]).await;
    scene.publish(task(2, "null")).await;
    settle().await;
    scene.stop(&[0]).await;
    let reports = scene.reports().await.into_iter();
    let returned: Vec<_> = reports
        .map(|report| match report {
            FromWorker::Returned(returned) => (returned.issue, returned.reason),
            other => panic!("{other:?}"),
        })
        .collect();
    let stopped = |index| (task(index, "null").issue, ReturnReason::Stopped);
    assert_eq!(returned, [stopped(1), stopped(2), stopped(0)]);
    assert_eq!(scene.unsettled(), 0, "a delivery was never settled");
    assert_eq!(scene.runner.began.load(Ordering::SeqCst), 1);
    scene.worker.stop(Duration::from_secs(1)).await;
}

#[tokio::test(start_paused = true)]
async fn limits_and_progress_are_passed_on() {
    let scene = Scene::new(MemoryBroker::new(), 1).await;
    let options = SubscribeOptions { prefetch: 100, exclusive: false };
    let queue = scene.names.heartbeats_queue("d");
    let topology = Topology::default().queue(Queue::new(&queue, QueueKind::Exclusive)).bind(
        &scene.names.events(),
        &queue,
        "heartbeat.*",
    );
    scene.session.declare(&topology).await.unwrap();
    let mut heartbeats = scene.session.subscribe(&queue, options).await.unwrap();
    let timeout = LimitsMs { start_to_close_ms: Some(3_000), heartbeat_ms: None, grace_ms: 0 };
    scene.publish(TaskMessage { timeout: Some(timeout), ..task(0, "[7]") }).await;
    tokio::time::sleep(Duration::from_millis(2_900)).await;
    let mut seen = Vec::new();
    while let Ok(delivery) = heartbeats.deliveries.try_recv() {
        seen.extend(Heartbeat::decode(&delivery.message.body).unwrap().progress);
    }
    let seen: Vec<_> = seen.iter().map(|progress| (progress.issue(), progress.value.get())).collect();
    assert_eq!(seen, [(task(0, "").issue, "[[7]]")], "only what has changed");
    settle().await;
    let reports = scene.reports().await;
    let results = reports.into_iter().filter_map(|report| match report {
        FromWorker::Results(results) => Some(results.results),
        _ => None,
    });
    let ended: Vec<_> = results.flatten().collect();
    assert_eq!(ended.len(), 1);
    let (error, progress) = (ended[0].error.as_ref().unwrap(), ended[0].progress.as_ref());
    assert_eq!((error.kind, error.which), (ErrorKind::TimedOut, Some(Timeout::StartToClose)));
    assert_eq!(progress.map(Json::get), Some("[[7]]"), "with the result");
    scene.worker.stop(Duration::from_secs(1)).await;
}
