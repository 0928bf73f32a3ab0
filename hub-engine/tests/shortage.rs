//! A worker on a machine without resources for a further process.

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
use tokio::sync::watch;

/// Timeout of all waits, which is reached only if something hangs.
const DEADLINE: Duration = Duration::from_secs(600);

/// A runner that fails to start a process a given number of times.
struct Poor {
    left: AtomicU32,
    tried: AtomicU32,
    catalogue: watch::Sender<Arc<Catalogue>>,
}

#[async_trait]
impl Runner for Poor {
    async fn run(&self, _request: TaskRequest, _stop: RunControl) -> TaskReport {
        self.tried.fetch_add(1, Ordering::SeqCst);
        let fails = self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
        if fails {
            TaskReport::without(NoOutcome::Shortage { what: "no descriptors left".to_owned() })
        } else {
            TaskReport::silent(Outcome::Success { data: Json::null() })
        }
    }

    fn catalogue(&self) -> watch::Receiver<Arc<Catalogue>> {
        self.catalogue.subscribe()
    }

    async fn shutdown(&self, _grace: Duration) {}
}

#[tokio::test(start_paused = true)]
async fn its_tasks_are_returned_and_run_later_and_the_shortage_is_reported() {
    let broker = MemoryBroker::new();
    let store = Arc::new(MemoryStore::new());
    let dispatcher = Dispatcher::start(broker.transport(), store, DispatcherSettings::new("hub")).await.unwrap();
    let catalogue =
        Catalogue { tasks: [("t".to_owned(), TaskInfo::plain(Language::Native))].into(), ..Catalogue::default() };
    let catalogue = watch::channel(Arc::new(catalogue)).0;
    let runner = Arc::new(Poor { left: 3.into(), tried: 0.into(), catalogue });
    let worker = Worker::start(broker.transport(), runner.clone(), WorkerSettings::new("hub", 1));
    dispatcher.ready().await;
    worker.ready().await;
    let hub = dispatcher.hub();
    let tasks: Vec<String> = (0..20).map(|at| format!(r#"{{"name": "t{at}", "task_name": "t"}}"#)).collect();
    let text = format!(r#"{{"name": "j", "tasks": [{}]}}"#, tasks.join(","));
    let id = hub.submit(Submission { text: text.into(), id: None }).await.unwrap();
    let mut seen = 0;
    while runner.left.load(Ordering::SeqCst) > 0 || seen == 0 {
        let workers = hub.workers().await.unwrap();
        if let [worker] = &*workers
            && worker.shortage.as_deref() == Some("no descriptors left")
        {
            seen += 1;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let record = tokio::time::timeout(DEADLINE, hub.job(id, Some(DEADLINE))).await.unwrap().unwrap();
    let record: serde_json::Value = serde_json::from_str(record.get()).unwrap();
    assert_eq!(record["status"], "SUCCESS", "{record:#}");
    assert_eq!(runner.tried.load(Ordering::SeqCst), 23, "tasks are not tried while nothing can be started");
    assert!(hub.workers().await.unwrap().iter().all(|worker| worker.shortage.is_none()));
    worker.stop(Duration::from_secs(5)).await;
    dispatcher.stop(Duration::from_secs(5)).await;
    assert!(broker.depths().values().all(|depth| *depth == 0), "{:?}", broker.depths());
}
