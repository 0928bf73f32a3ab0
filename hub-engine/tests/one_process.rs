//! A complete Hub in this process: the memory backend, a dispatcher, a worker and real Python processes.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hub_engine::dispatcher::{Dispatcher, DispatcherSettings};
use hub_engine::operations::{Hub, RequestErrorKind, ResultUpdate, Submission, UpdateStatus};
use hub_engine::runner::{ModuleRunner, RunnerSettings};
use hub_engine::store::MemoryStore;
use hub_engine::worker::{Worker, WorkerSettings};
use hub_transport::memory::MemoryBroker;
use serde_json::{Value, json};

/// Timeout of all waits, which is reached only if something hangs.
const DEADLINE: Duration = Duration::from_secs(120);

struct Whole {
    broker: MemoryBroker,
    dispatcher: Dispatcher,
    worker: Worker,
    hub: Arc<dyn Hub>,
}

impl Whole {
    async fn start(tasks_dir: &Path) -> Self {
        let broker = MemoryBroker::new();
        let store = Arc::new(MemoryStore::new());
        let dispatcher = Dispatcher::start(broker.transport(), store, DispatcherSettings::new("hub")).await.unwrap();
        let runner = ModuleRunner::start(RunnerSettings { slots: 2, ..RunnerSettings::new(tasks_dir) }).await.unwrap();
        let worker = Worker::start(broker.transport(), Arc::new(runner), WorkerSettings::new("hub", 2));
        dispatcher.ready().await;
        worker.ready().await;
        let hub = dispatcher.hub();
        Self { broker, dispatcher, worker, hub }
    }

    async fn run(&self, job: &Value) -> Value {
        self.run_text(&job.to_string()).await
    }

    async fn run_text(&self, text: &str) -> Value {
        let id = self.hub.submit(Submission { text: text.into(), id: None }).await.unwrap();
        let record = self.hub.job(id, Some(DEADLINE)).await.unwrap();
        serde_json::from_str(record.get()).unwrap()
    }

    /// Stops everything and checks that all queues are empty.
    async fn stop(self) {
        self.worker.stop(Duration::from_secs(5)).await;
        self.dispatcher.stop(Duration::from_secs(5)).await;
        for (queue, depth) in self.broker.depths() {
            assert_eq!(depth, 0, "{queue} is not empty");
        }
    }
}

fn etc() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../etc"))
}

fn modules(files: &[(&str, &str)]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(directory.path().join(name), text).unwrap();
    }
    directory
}

#[tokio::test]
async fn runs_the_manuals_job() {
    let whole = Whole::start(&etc().join("tasks")).await;
    let text = std::fs::read_to_string(etc().join("jobs/sum_product.json")).unwrap();
    let record = whole.run_text(&text).await;
    assert_eq!(record["status"], "SUCCESS", "{record:#}");
    assert_eq!(record["output"], json!([6]));
    whole.stop().await;
}

#[tokio::test]
async fn failures_have_a_reason_and_the_worker_survives() {
    let tasks = modules(&[
        ("boom.py", "from hub.lib.api import task\n@task\ndef boom(n):\n    print('about to')\n    return 1 / n\n"),
        ("die.py", "import os\ndef die():\n    os._exit(7)\n"),
        ("one.py", "def one():\n    return 1\n"),
    ]);
    let whole = Whole::start(tasks.path()).await;
    let record = whole
        .run(&json!({"name": "j", "tasks": [
            {"name": "boom", "args": [0]}, {"name": "after", "task_name": "one", "depends": ["boom"]},
            {"name": "die"}, {"name": "wrong", "task_name": "one", "args": [1, 2]}, {"name": "one"}]}))
        .await;
    let task = |index: usize| &record["tasks"][index];
    assert_eq!(record["status"], "FAILED");
    assert_eq!(task(0)["msg"], "division by zero");
    assert_eq!(task(0)["error"]["type"], "ZeroDivisionError");
    assert_eq!(task(0)["log"], "about to\n");
    assert!(task(0)["error"]["traceback"].as_str().unwrap().contains("boom.py\", line 5"), "{record:#}");
    assert_eq!(task(0).get("data"), None);
    assert_eq!(task(1)["status"], "UPSTREAM_FAILED");
    assert_eq!(task(2)["error"]["kind"], "CHILD_DIED");
    assert!(task(2)["msg"].as_str().unwrap().contains("code 7"));
    assert_eq!(task(3)["error"]["kind"], "BAD_ARGUMENTS");
    assert_eq!(task(4)["data"], 1);
    whole.stop().await;
}

#[tokio::test]
async fn an_asynchronous_task_waits_for_its_result_from_outside() {
    let launch = "from hub.lib.api import task\n@task(async=True)\ndef launch():\n    return launch.state.id\n";
    let tasks = modules(&[("launch.py", launch), ("twice.py", "def twice(x):\n    return 2 * x\n")]);
    let whole = Whole::start(tasks.path()).await;
    let job = json!({"name": "j", "output": "_twice.data",
        "tasks": [{"name": "launch"}, {"name": "twice", "args": ["_launch.data"]}]});
    let id = whole.hub.submit(Submission { text: job.to_string().into(), id: None }).await.unwrap();
    let task = id.task(0);
    let post = |data: i32| ResultUpdate {
        id: task,
        status: UpdateStatus::Success,
        data: Some(json!(data).into()),
        msg: None,
        v: None,
    };
    loop {
        let record: Value = serde_json::from_str(whole.hub.job(id, None).await.unwrap().get()).unwrap();
        if record["tasks"][0]["status"] == "RUNNING" {
            assert_eq!(record["tasks"][0]["data"], task.to_string());
            break;
        }
        tokio::task::yield_now().await;
    }
    whole.hub.post_result(post(21)).await.unwrap();
    let record: Value = serde_json::from_str(whole.hub.job(id, Some(DEADLINE)).await.unwrap().get()).unwrap();
    assert_eq!(record["output"], 42);
    whole.hub.post_result(post(21)).await.unwrap();
    assert_eq!(whole.hub.post_result(post(22)).await.unwrap_err().kind, RequestErrorKind::Conflict);
    whole.stop().await;
}

#[tokio::test]
async fn cancelling_stops_the_running_task() {
    let tasks = modules(&[("forever.py", "import time\ndef forever():\n    time.sleep(3600)\n")]);
    let whole = Whole::start(tasks.path()).await;
    let job = json!({"name": "j", "tasks": [{"name": "forever"}]});
    let id = whole.hub.submit(Submission { text: job.to_string().into(), id: None }).await.unwrap();
    whole.hub.cancel(id).await.unwrap();
    let record: Value = serde_json::from_str(whole.hub.job(id, Some(DEADLINE)).await.unwrap().get()).unwrap();
    assert_eq!(record["status"], "CANCELLED");
    assert_eq!(whole.hub.cancel(id).await.unwrap_err().kind, RequestErrorKind::Conflict);
    whole.hub.remove(id).await.unwrap();
    assert_eq!(whole.hub.job(id, None).await.unwrap_err().kind, RequestErrorKind::NotFound);
    whole.stop().await;
}

#[tokio::test]
async fn runs_ten_thousand_tasks_and_a_chain_of_a_thousand() {
    let whole = Whole::start(&etc().join("tasks")).await;
    let flat: Vec<Value> =
        (0..10_000).map(|at| json!({"name": format!("t{at}"), "task_name": "add", "args": [at, 1]})).collect();
    let record = whole.run(&json!({"name": "flat", "tasks": flat, "output": "_t9999.data"})).await;
    assert_eq!((&record["status"], &record["output"]), (&json!("SUCCESS"), &json!(10_000)));
    let chain: Vec<Value> = (0..1000)
        .map(|at| match at {
            0 => json!({"name": "t0", "task_name": "add", "args": [0, 1]}),
            _ => json!({"name": format!("t{at}"), "task_name": "add", "args": [format!("_t{}.data", at - 1), 1]}),
        })
        .collect();
    let record = whole.run(&json!({"name": "chain", "tasks": chain, "output": "_t999.data"})).await;
    assert_eq!(record["output"], 1000);
    whole.stop().await;
}

#[tokio::test]
async fn jobs_survive_a_broker_that_comes_and_goes() {
    let whole = Whole::start(&etc().join("tasks")).await;
    let text = std::fs::read_to_string(etc().join("jobs/sum_product.json")).unwrap();
    let mut ids = Vec::new();
    for at in 0..200 {
        ids.push(whole.hub.submit(Submission { text: text.as_str().into(), id: None }).await.unwrap());
        if at % 40 == 20 {
            whole.broker.restart();
        }
    }
    for id in ids {
        let record: Value = serde_json::from_str(whole.hub.job(id, Some(DEADLINE)).await.unwrap().get()).unwrap();
        assert_eq!((&record["status"], &record["output"]), (&json!("SUCCESS"), &json!([6])), "{record:#}");
    }
    whole.stop().await;
}
