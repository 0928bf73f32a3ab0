//! Tasks that are queued in a Python process behind a running one: what happens when that one takes long, is stopped,
//! or ends the process.

use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hub_core::{JobId, Json};
use hub_engine::runner::{
    ModuleRunner, NoOutcome, Outcome, RunControl, Runner, RunnerSettings, TaskReport, TaskRequest,
};
use tokio::task::JoinHandle;

/// Timeout of all waits, which is reached only if something hangs.
const DEADLINE: Duration = Duration::from_secs(120);
const MODULES: [(&str, &str); 1] = [(
    "act.py",
    "import os, time\nfrom hub.lib.api import task\n\n@task\ndef act(how, path=None):\n    \
     with open('ran', 'a') as ran:\n        ran.write(how + '\\n')\n    \
     if how == 'wait':\n        while not os.path.exists(path):\n            time.sleep(0.001)\n    \
     if how == 'die':\n        while not os.path.exists(path):\n            time.sleep(0.001)\n        os._exit(3)\n    \
     return how\n",
)];

struct Bench {
    directory: tempfile::TempDir,
    runner: Arc<ModuleRunner>,
    tasks: std::sync::atomic::AtomicU32,
}

impl Bench {
    /// A runner with one slot that knows `act` as fast.
    async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in MODULES {
            let text = text.replace("'ran'", &format!("{:?}", directory.path().join("ran")));
            std::fs::write(directory.path().join(name), text).unwrap();
        }
        let settings = RunnerSettings { slots: 1, ..RunnerSettings::new(directory.path()) };
        let runner = Arc::new(ModuleRunner::start(settings).await.unwrap());
        let bench = Self { directory, runner, tasks: 0.into() };
        assert!(!bench.runner.can_queue_ahead("act"), "the module is unknown");
        // The first run imports the module and is slow.
        while !bench.runner.can_queue_ahead("act") {
            assert_eq!(bench.begin("quick", &RunControl::default()).await.unwrap().outcome, success("quick"));
        }
        std::fs::remove_file(bench.path("ran")).unwrap();
        bench
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.directory.path().join(name)
    }

    fn begin(&self, how: &str, stop: &RunControl) -> JoinHandle<TaskReport> {
        let job: JobId = "0190b4c2-7b1a-7000-8000-000000000000".parse().unwrap();
        let number = self.tasks.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let args = format!("[{how:?}, {:?}]", self.path("go"));
        let request = TaskRequest {
            id: job.task(number),
            parent_id: job,
            name: how.into(),
            task_name: "act".into(),
            args: Json::parse(&args).unwrap(),
            kwargs: Json::from_checked("{}"),
            run: None,
            secrets: None,
            attempt: 1,
            issue: 1,
            worker: "w".into(),
            last_progress: None,
            wants_content: false,
        };
        let (runner, stop) = (Arc::clone(&self.runner), stop.clone());
        tokio::spawn(async move { runner.run(request, stop).await })
    }

    /// Starts a task and waits until it runs.
    async fn run_first(&self, how: &str, stop: &RunControl) -> JoinHandle<TaskReport> {
        let running = self.begin(how, stop);
        until("the task runs", || async { self.ran().contains(how) }).await;
        running
    }

    fn ran(&self) -> String {
        std::fs::read_to_string(self.path("ran")).unwrap_or_default()
    }
}

fn success(how: &str) -> Result<Outcome, NoOutcome> {
    Ok(Outcome::Success { data: Json::string(how) })
}

async fn until<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    let waiting = async {
        while !holds().await {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(DEADLINE, waiting).await.unwrap_or_else(|_| panic!("waited for too long: {what}"));
}

fn open(path: &Path) {
    std::fs::write(path, "").unwrap();
}

#[tokio::test]
async fn tasks_behind_a_slow_one_are_withdrawn() {
    let (bench, go_on) = (Bench::start().await, RunControl::default());
    let first = bench.run_first("wait", &go_on).await;
    let behind = [bench.begin("behind", &go_on), bench.begin("behind", &go_on)];
    for task in behind {
        assert_eq!(task.await.unwrap().outcome, Err(NoOutcome::NotBegun));
    }
    open(&bench.path("go"));
    assert_eq!(first.await.unwrap().outcome, success("wait"));
    assert_eq!(bench.ran(), "wait\n", "what came back has not run");
    assert_eq!(bench.begin("quick", &go_on).await.unwrap().outcome, success("quick"));
}

#[tokio::test]
async fn stopping_a_task_does_not_stop_queued_ones() {
    let (bench, go_on, stop) = (Bench::start().await, RunControl::default(), RunControl::default());
    let first = bench.run_first("wait", &stop).await;
    let behind = bench.begin("behind", &go_on);
    stop.stop(None);
    assert_eq!(behind.await.unwrap().outcome, Err(NoOutcome::NotBegun));
    assert_eq!(first.await.unwrap().outcome, Err(NoOutcome::Cancelled));
    assert_eq!(bench.begin("quick", &go_on).await.unwrap().outcome, success("quick"));
    assert_eq!(bench.ran(), "wait\nquick\n");
}

#[tokio::test]
async fn a_queued_task_can_be_stopped_alone() {
    let (bench, go_on, stop) = (Bench::start().await, RunControl::default(), RunControl::default());
    let first = bench.run_first("wait", &go_on).await;
    let behind = bench.begin("behind", &stop);
    stop.stop(None);
    assert_eq!(behind.await.unwrap().outcome, Err(NoOutcome::Cancelled));
    open(&bench.path("go"));
    assert_eq!(first.await.unwrap().outcome, success("wait"));
    assert_eq!(bench.ran(), "wait\n");
}

#[tokio::test]
async fn a_process_that_dies_fails_only_its_running_task() {
    let (bench, go_on) = (Bench::start().await, RunControl::default());
    let first = bench.run_first("die", &go_on).await;
    let behind = bench.begin("behind", &go_on);
    open(&bench.path("go"));
    match first.await.unwrap().outcome {
        Ok(Outcome::Failed { msg, .. }) => assert!(msg.contains("exited with code 3"), "{msg}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(behind.await.unwrap().outcome, Err(NoOutcome::NotBegun));
    assert_eq!(bench.begin("quick", &go_on).await.unwrap().outcome, success("quick"));
    assert_eq!(bench.ran(), "die\nquick\n");
}

#[tokio::test]
async fn many_fast_tasks_run_in_order_in_one_process() {
    let (bench, go_on) = (Bench::start().await, RunControl::default());
    let names: Vec<String> = (0..20).map(|at| format!("task{at:02}")).collect();
    // On one thread, tasks start in the order in which they were spawned.
    let running: Vec<_> = names.iter().map(|name| bench.begin(name, &go_on)).collect();
    let mut ran = String::new();
    for (name, task) in names.iter().zip(running) {
        match task.await.unwrap().outcome {
            // The machine was busy.
            Err(NoOutcome::NotBegun) => {}
            outcome => {
                assert_eq!(outcome, success(name));
                ran += &format!("{name}\n");
            }
        }
    }
    assert_eq!(bench.ran(), ran, "each ran once, in order, and those that came back did not");
    assert!(ran.contains("task00"));
    bench.runner.shutdown(Duration::from_secs(10)).await;
}
