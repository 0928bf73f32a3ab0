//! Measurements of code within one process. Each runs in a separate process, so that its memory and processor time can be
//! measured. The benchmark starts itself for this and reads the output.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hub_core::action::Action;
use hub_core::job::{DEFAULT_POOL, Job, Limits};
use hub_core::machine::{Machine, Outcome, Published, Settings, TaskResult, WorkerReport};
use hub_core::{JobId, Json, Now, TaskKinds};
use hub_engine::dispatcher::{Dispatcher, DispatcherSettings};
use hub_engine::runner::{self, FunctionRunner};
use hub_engine::store::MemoryStore;
use hub_engine::worker::{Worker, WorkerSettings};
use hub_transport::memory::MemoryBroker;
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use uuid::Uuid;

use super::deployment::run_job;
use super::jobs::Shape;
use super::processes::{Scope, Usage, usage};

/// Minimum number of tasks. Small jobs are repeated, so that the measured time is much longer than a clock tick.
const ENOUGH: usize = 200_000;
/// Jobs with fewer tasks are trials and are not repeated.
const TRIAL: usize = 1000;
/// The slots of the worker.
const SLOTS: u32 = 2;

/// The measured part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Part {
    /// Text to checked job
    Parse,
    /// The state machine, from the submit to the end, with all its actions
    Core,
    /// Dispatcher, worker, memory transport and memory store, with a function that does nothing
    Hub,
}

/// The result of a measurement.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Inside {
    /// Number of tasks in all repetitions.
    pub(super) tasks: usize,
    /// The duration, in seconds.
    pub(super) seconds: f64,
    /// Processor time, in seconds.
    pub(super) cpu: f64,
    /// Peak memory, in bytes.
    pub(super) peak: f64,
}

impl Part {
    pub(super) const ALL: [Self; 3] = [Self::Parse, Self::Core, Self::Hub];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Parse => "parse",
            Self::Core => "core",
            Self::Hub => "hub",
        }
    }

    pub(super) const fn about(self) -> &'static str {
        match self {
            Self::Parse => "parse",
            Self::Core => "state machine",
            Self::Hub => "whole Hub in memory",
        }
    }
}

impl Inside {
    /// The usage of the process.
    pub(super) const fn used(&self) -> Usage {
        Usage { cpu: self.cpu, peak: self.peak }
    }
}

/// Runs a measurement in a separate process.
pub(super) fn spawn(part: Part, shape: Shape, tasks: usize) -> Inside {
    let own = std::env::current_exe().expect("a program has a path");
    let output = Command::new(own)
        .args(["inside", part.name(), shape.name(), &tasks.to_string()])
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .expect("the program runs");
    assert!(output.status.success(), "{} of a {} job of {tasks} tasks failed", part.name(), shape.name());
    let read: Value = serde_json::from_slice(&output.stdout).expect("it prints JSON");
    let number = |key: &str| read[key].as_f64().expect("it prints numbers");
    let tasks = usize::try_from(read["tasks"].as_u64().expect("it prints numbers")).expect("it fits");
    Inside { tasks, seconds: number("seconds"), cpu: number("cpu"), peak: number("peak") }
}

/// Runs a measurement in this process and prints the result.
pub(super) fn print(part: Part, shape: Shape, tasks: usize) {
    let text = shape.job(tasks);
    let times = if tasks < TRIAL { 1 } else { (ENOUGH / tasks).max(1) };
    let run: Box<dyn Fn(String) -> Duration> = match part {
        Part::Parse => timed(|text| drop(parse(&text))),
        Part::Core => timed(core(&text)),
        Part::Hub => hub(),
    };
    let texts: Vec<String> = vec![text; times];
    let before = usage(std::process::id(), Scope::Own).cpu;
    let seconds = texts.into_iter().map(run).sum::<Duration>().as_secs_f64();
    let after = usage(std::process::id(), Scope::Own);
    let report = json!({"tasks": tasks * times, "seconds": seconds, "cpu": after.cpu - before, "peak": after.peak});
    println!("{report}");
}

fn timed(run: impl Fn(String) + 'static) -> Box<dyn Fn(String) -> Duration> {
    Box::new(move |text| {
        let begun = Instant::now();
        run(text);
        begun.elapsed()
    })
}

/// Limits that accept all jobs.
fn limits() -> Limits {
    Limits { max_bytes: usize::MAX, max_tasks: usize::MAX, ..Limits::default() }
}

fn parse(text: &str) -> Job {
    Job::parse(text, &limits()).unwrap_or_else(|problems| panic!("{problems}"))
}

/// The state machine alone, with a parsed job. Its actions are discarded.
fn core(text: &str) -> impl Fn(String) + use<> {
    let job = Arc::new(parse(text));
    move |_| {
        let (now, id) = (Now::default(), JobId::new(Uuid::now_v7()));
        let mut machine = Machine::new(Settings::default());
        machine.handle_link(true, now);
        machine.handle_heartbeat(report(), now);
        machine.submit(id, Arc::clone(&job), now).expect("the id is new");
        let (one, worker): (Json, Arc<str>) = (json!(1).into(), "w".into());
        let mut actions = Vec::new();
        while machine.is_live(id) {
            machine.poll_actions(now, &mut actions);
            for action in actions.drain(..) {
                let Action::Publish(assignment) = action else { continue };
                machine.handle_published(assignment.issue, Published::Confirmed, now);
                let result = TaskResult {
                    progress: None,
                    content: None,
                    defaults: None,
                    issue: assignment.issue,
                    outcome: Outcome::Success { data: one.clone() },
                    log: None,
                    worker: Arc::clone(&worker),
                    took: Duration::ZERO,
                };
                machine.handle_result(result, now);
            }
        }
    }
}

/// The heartbeat of a worker with the task module of the jobs.
fn report() -> WorkerReport {
    WorkerReport {
        id: "w".into(),
        host: "h".into(),
        pid: 1,
        pools: vec![DEFAULT_POOL.into()],
        slots: SLOTS,
        running: 0,
        tasks: [("add".into(), None)].into(),
        contents: [].into(),
        defaults: [].into(),
        broken: [].into(),
        allow: TaskKinds::default(),
        shortage: None,
        held: Vec::new(),
        present: Vec::new(),
        progress: Vec::new(),
    }
}

/// A complete Hub in this process, without real tasks.
fn hub() -> Box<dyn Fn(String) -> Duration> {
    let runtime = Runtime::new().expect("threads can be started");
    let (dispatcher, worker) = runtime.block_on(async {
        let broker = MemoryBroker::new();
        let settings = DispatcherSettings { limits: limits(), ..DispatcherSettings::new("hub") };
        let dispatcher = Dispatcher::start(broker.transport(), Arc::new(MemoryStore::new()), settings).await;
        let dispatcher = dispatcher.expect("a store in memory starts");
        let one: Json = json!(1).into();
        let runner = FunctionRunner::new().with("add", move |_| runner::Outcome::Success { data: one.clone() });
        let worker = Worker::start(broker.transport(), Arc::new(runner), WorkerSettings::new("hub", SLOTS));
        dispatcher.ready().await;
        worker.ready().await;
        (dispatcher, worker)
    });
    let hub = dispatcher.hub();
    Box::new(move |text| {
        let _serving = (&dispatcher, &worker);
        run_job(&runtime, &*hub, text)
    })
}
