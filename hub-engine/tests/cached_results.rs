//! Kept results in a complete Hub: real modules that change, restarts, and jobs that are removed.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hub_core::TaskKinds;
use hub_engine::dispatcher::{Dispatcher, DispatcherSettings};
use hub_engine::operations::{Hub, Submission};
use hub_engine::runner::{ModuleRunner, RunnerSettings};
use hub_engine::store::{MemoryStore, Store};
use hub_engine::worker::{Worker, WorkerSettings};
use hub_transport::memory::MemoryBroker;
use serde_json::{Value, json};

/// Timeout of all waits, which is reached only if something hangs.
const DEADLINE: Duration = Duration::from_secs(120);

/// A dispatcher and a worker.
struct Whole {
    dispatcher: Dispatcher,
    worker: Worker,
    hub: Arc<dyn Hub>,
}

impl Whole {
    async fn start(tasks_dir: &Path, store: &Arc<dyn Store>) -> Self {
        let broker = MemoryBroker::new();
        let settings = DispatcherSettings::new("hub");
        let dispatcher = Dispatcher::start(broker.transport(), Arc::clone(store), settings).await.unwrap();
        let settings = RunnerSettings { slots: 2, allow: TaskKinds::all(), ..RunnerSettings::new(tasks_dir) };
        let runner = ModuleRunner::start(settings).await.unwrap();
        let worker = Worker::start(broker.transport(), Arc::new(runner), WorkerSettings::new("hub", 2));
        dispatcher.ready().await;
        worker.ready().await;
        let hub = dispatcher.hub();
        Self { dispatcher, worker, hub }
    }

    /// Runs a job of this task. Returns its id, and the record of the task.
    async fn run(&self, task: &Value) -> (hub_core::JobId, Value) {
        let job = json!({"name": "j", "tasks": [task]});
        let id = self.hub.submit(Submission { text: job.to_string().into(), id: None }).await.unwrap();
        let record = self.hub.job(id, Some(DEADLINE)).await.unwrap().to_value();
        assert_eq!(record["status"], "SUCCESS", "{record:#}");
        (id, record["tasks"][0].clone())
    }

    async fn stop(self) {
        self.worker.stop(Duration::from_secs(5)).await;
        self.dispatcher.stop(Duration::from_secs(5)).await;
    }
}

/// The number of lines of a file.
fn lines(path: &Path) -> usize {
    std::fs::read_to_string(path).unwrap_or_default().lines().count()
}

/// A module that notes each of its runs in the file `runs`.
fn write_module(directory: &Path, result: &str) {
    let text = format!(
        "def noted(number):\n    with open({:?}, 'a') as file:\n        file.write('run\\n')\n    return [{result:?}, number]\n",
        directory.join("runs")
    );
    std::fs::write(directory.join("noted.py"), text).unwrap();
}

#[tokio::test]
async fn later_jobs_take_results_until_the_module_changes() {
    let directory = tempfile::tempdir().unwrap();
    let (path, runs) = (directory.path(), directory.path().join("runs"));
    write_module(path, "first");
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let task = json!({"name": "noted", "args": [1], "cache": {"ttl": "1h"}});
    let whole = Whole::start(path, &store).await;
    let (first, ran) = whole.run(&task).await;
    assert_eq!((&ran["data"], ran.get("not_cached")), (&json!(["first", 1]), None), "{ran:#}");
    let (_, taken) = whole.run(&task).await;
    assert_eq!((&taken["data"], &taken["cached_from"]["job"]), (&json!(["first", 1]), &json!(first.to_string())));
    whole.hub.remove(first).await.unwrap();
    whole.stop().await;

    let whole = Whole::start(path, &store).await;
    let (_, taken) = whole.run(&task).await;
    assert_eq!((&taken["data"], &taken["cached_from"]["job"]), (&json!(["first", 1]), &json!(first.to_string())));
    assert_eq!(lines(&runs), 1);
    write_module(path, "second");
    // The worker reports the change a moment later. Soon after it, results are not kept.
    let changed = async {
        loop {
            let (_, task) = whole.run(&task).await;
            if task.get("cached_from").is_some() && task["data"][0] == "second" {
                return;
            }
            let is_first = task["data"][0] == "first";
            assert!(is_first || task.get("cached_from").is_none(), "{task:#}");
        }
    };
    tokio::time::timeout(DEADLINE, changed).await.expect("the new result is not kept");
    write_module(path, "first");
    let back = async { while whole.run(&task).await.1["data"][0] != "first" {} };
    tokio::time::timeout(DEADLINE, back).await.expect("the old result is not taken");
    whole.stop().await;
}

#[tokio::test]
async fn executables_and_commands_share_results() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let program = path.join("program.sh");
    std::fs::write(&program, format!("#!/bin/sh\necho run >> {}\necho 7\n", path.join("programs").display())).unwrap();
    std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let whole = Whole::start(path, &store).await;
    let command = format!("echo run >> {}; echo done", path.join("commands").display());
    for (task, data) in [
        (json!({"name": "program", "cache": {"ttl": "1h"}}), json!(7)),
        (json!({"name": "shell", "shell": command, "env": {"A": "1"}, "cache": {"ttl": "1h"}}), json!("done")),
    ] {
        let mut items = task.clone();
        items["for_each"] = json!(3);
        let (_, record) = whole.run(&items).await;
        assert_eq!(record["data"], json!([data, data, data]));
        assert_eq!(whole.run(&task).await.1["data"], data);
    }
    assert_eq!((lines(&path.join("programs")), lines(&path.join("commands"))), (1, 1));
    whole.stop().await;
}
