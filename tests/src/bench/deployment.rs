//! A Hub under measurement: dispatcher, worker and client on the benchmark's broker.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use hub_core::{JobStatus, Json};
use hub_engine::client::AmqpHub;
use hub_engine::operations::{Hub, Submission};
use hub_engine::wire::Names;
use serde::Deserialize;
use tokio::runtime::Runtime;

use super::bound::delete_queues;
use super::cost::{ProcessGroup, Role, between};
use super::jobs;
use super::processes::Scope;
use super::round::Round;
use super::run::Bench;
use super::settle::settle;
use crate::{Client, Daemon, Programs, root};

/// Maximum time for a response, and for the end of a job. No measurement reaches it.
pub(super) const TIMEOUT: Duration = Duration::from_secs(1800);
/// The slots of the worker.
pub(super) const SLOTS: &str = "2";
/// A function whose cost grows with its argument, for tasks that compute.
pub(super) const FIBONACCI: &str =
    "def fibonacci(n):\n    return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)\n";
/// Number of warm-up tasks, which start the Python processes.
const WARM_UP: usize = 64;

/// A dispatcher, a worker (unless tasks are to wait), and a client.
pub(super) struct Deployment<'a> {
    pub(super) bench: &'a Bench,
    pub(super) hub: Arc<dyn Hub>,
    pub(super) programs: Programs,
    pub(super) dispatcher: Daemon,
    pub(super) worker: Option<Daemon>,
}

impl<'a> Deployment<'a> {
    /// A Hub that has run its first tasks.
    pub(super) fn start(bench: &'a Bench, client: Client) -> Self {
        let mut deployment = Self::without_worker(bench, client, &[]);
        write_modules(&deployment.programs);
        let worker = deployment.programs.start("hub-worker", &["--slots", SLOTS, "--tasks-dir", "tasks"]);
        worker.wait_for("waiting for tasks");
        deployment.worker = Some(worker);
        deployment.run_job(jobs::flat(WARM_UP));
        deployment
    }

    /// A Hub without a worker, whose tasks wait.
    pub(super) fn without_worker(bench: &'a Bench, client: Client, arguments: &[&str]) -> Self {
        static DEPLOYMENTS: AtomicUsize = AtomicUsize::new(1);
        let prefix = format!("bench{}", DEPLOYMENTS.fetch_add(1, Ordering::Relaxed));
        let address = bench.broker().address();
        let programs = Programs::new(&address, client.name(), &prefix).quietly();
        let dispatcher = programs.start("hub-dispatcher", arguments);
        dispatcher.wait_for("listening for jobs and results");
        let connected = bench.runtime.block_on(AmqpHub::connect(client.transport(&address), &prefix, TIMEOUT));
        let hub: Arc<dyn Hub> = Arc::new(connected.expect("the client connects"));
        Self { bench, hub, programs, dispatcher, worker: None }
    }

    /// Runs a job. Returns the time from the submission to the arrival of its record.
    pub(super) fn run_job(&self, text: String) -> Duration {
        run_job(&self.bench.runtime, &*self.hub, text)
    }

    /// Measures the cost of `act`, which runs this number of tasks. Waits for an idle Hub before and after it.
    pub(super) fn measured<T>(
        &self,
        workload: &str,
        tasks: usize,
        round: &mut Round,
        act: impl FnOnce(&Self) -> T,
    ) -> T {
        self.settle(0);
        let before = self.processes().used();
        let outcome = act(self);
        self.settle(0);
        round.cost(workload, tasks, between(&before, &self.processes().used()));
        outcome
    }

    /// Waits until the Hub is idle, with `live` waiting jobs.
    pub(super) fn settle(&self, live: u64) {
        settle(self.bench, &*self.hub, &self.processes(), live);
    }

    /// The measured processes. This process is the client.
    pub(super) fn processes(&self) -> ProcessGroup {
        let processes = ProcessGroup::default()
            .with(Role::Client, std::process::id(), Scope::Own)
            .with(Role::Dispatcher, self.dispatcher.pid(), Scope::Own)
            .with(Role::Broker, self.bench.broker_pid(), Scope::Tree);
        match &self.worker {
            Some(worker) => {
                processes.with(Role::Worker, worker.pid(), Scope::Own).with(Role::Python, worker.pid(), Scope::Below)
            }
            None => processes,
        }
    }

    /// Ends all processes and checks that the queues are empty.
    pub(super) fn end(self) {
        self.settle(0);
        self.bench.broker().wait_until_queues_are_empty(self.programs.prefix());
        self.abandon();
    }

    /// Ends all processes, including waiting jobs.
    pub(super) fn abandon(self) {
        let Self { bench, hub, programs, dispatcher, worker } = self;
        if let Some(worker) = worker {
            worker.stop();
        }
        dispatcher.stop();
        bench.runtime.block_on(async { drop(hub) });
        let names = Names::new(programs.prefix());
        let pool = names.pool_queue(hub_core::job::DEFAULT_POOL);
        let own =
            [names.jobs_queue(), names.results_queue(), names.requests_queue(), pool, names.unrouted(), names.dead()];
        bench.runtime.block_on(delete_queues(&bench.broker().address(), &own)).expect("queues can be deleted");
    }
}

/// Writes the task modules of the workloads.
fn write_modules(programs: &Programs) {
    let modules = modules();
    let texts: Vec<(&str, &str)> = modules.iter().map(|(name, text)| (*name, text.as_str())).collect();
    programs.write_modules(&texts);
}

/// The task modules of the workloads: file name and text.
pub(super) fn modules() -> Vec<(&'static str, String)> {
    let example = |name: &'static str| {
        let text = std::fs::read_to_string(root().join("etc/tasks").join(name)).expect("the example is there");
        (name, text)
    };
    vec![example("add.py"), example("multiply.py"), ("fibonacci.py", FIBONACCI.to_owned())]
}

/// Runs a job. Returns the time from the submission to the arrival of its record.
pub(super) fn run_job(runtime: &Runtime, hub: &dyn Hub, text: String) -> Duration {
    let text: Arc<str> = text.into();
    let (took, record) = runtime.block_on(async {
        let begun = Instant::now();
        let record = submit_and_wait(hub, text).await;
        (begun.elapsed(), record)
    });
    check(&record);
    took
}

/// Submits a job and waits for its end, as `hub-client submit --wait`.
pub(super) async fn submit_and_wait(hub: &dyn Hub, text: Arc<str>) -> Json {
    let submitted = hub.submit_and_wait(Submission { text, id: None }, TIMEOUT).await.expect("the job is taken");
    match submitted.record {
        Some(record) => record,
        None => hub.job(submitted.id, Some(TIMEOUT)).await.expect("the job's record comes"),
    }
}

/// Checks the status of a job. It reads only the beginning of the record, which may be large.
pub(super) fn check(record: &Json) {
    #[derive(Deserialize)]
    struct Head {
        id: String,
        status: JobStatus,
        msg: Option<String>,
    }
    let head: Head = serde_json::from_str(record.get()).expect("a record is JSON");
    assert_eq!(head.status, JobStatus::Success, "{} {:?}", head.id, head.msg);
}
