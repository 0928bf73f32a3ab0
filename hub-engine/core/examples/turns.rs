//! Measures how long the largest jobs (16 MiB) occupy the dispatcher's loop, for each call of the machine.
//!
//! ```text
//! cargo run --release -p hub-core --example turns
//! ```

#![allow(clippy::print_stdout, reason = "a tool for developers")]

use std::fmt::Write as _;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hub_core::action::{Action, Assignment};
use hub_core::job::{Job, Limits};
use hub_core::machine::{Cancel, Machine, Outcome, Settings, TaskResult, WorkerReport};
use hub_core::state::{JobSnapshot, JobState, TaskState};
use hub_core::{JobId, JobStatus, Json, Now, Steady, TaskStatus, Timestamp};

const BYTES: usize = 16 * 1024 * 1024 - 4096;
const NOW: Now = Now { wall: Timestamp::from_millis(1_000_000), steady: Steady::from_millis(1_000_000) };

/// A machine and the longest call of each kind so far.
struct Bench {
    machine: Machine,
    case: &'static str,
    calls: Vec<(&'static str, Duration, usize)>,
}

fn main() {
    flat();
    parked();
    fan("fan out, first succeeds", r#","depends":["a"]"#, Some("1"));
    fan("fan out, first fails", r#","depends":["a"]"#, None);
    fan("fan out, a path is missing", r#","args":["_a.data.x"]"#, Some("1"));
    fan("parts of a list", r#","args":["_a.data.0"]"#, Some("[1]"));
    chain();
    references("whole values", "_a.data", "1");
    references("ids", "_a.id", "1");
    references("errors", "_a.error", "1");
    let list = format!("[{}1]", "1,".repeat(3_500_000));
    paths("3,000 paths into 7 MB", 3_000, &list);
    paths("800,000 paths into 7 MB", 800_000, &list);
    let deep = format!("{}1{}", "[".repeat(110), "]".repeat(110));
    let deep = format!("[{}1]", format!("{deep},").repeat(30_000));
    paths("3,000 paths into 7 MB, deep", 3_000, &deep);
    large_arguments();
}

impl Bench {
    fn new(case: &'static str) -> Self {
        let mut machine = Machine::new(Settings::default());
        machine.handle_link(true, NOW);
        Self { machine, case, calls: Vec::new() }
    }

    fn time<T>(&mut self, call: &'static str, act: impl FnOnce(&mut Machine) -> T) -> T {
        let start = Instant::now();
        let result = act(&mut self.machine);
        let took = start.elapsed();
        match self.calls.iter_mut().find(|(name, ..)| *name == call) {
            Some((_, longest, times)) => (*longest, *times) = ((*longest).max(took), *times + 1),
            None => self.calls.push((call, took, 1)),
        }
        result
    }

    fn submit(&mut self, text: &str) -> JobId {
        assert!(text.len() <= 16 * 1024 * 1024, "{} bytes", text.len());
        let start = Instant::now();
        let job = Arc::new(Job::parse(text, &Limits::default()).unwrap_or_else(|problems| panic!("{problems}")));
        println!(
            "{:32} {:24} {:9.1?} ({} tasks, off the loop)",
            self.case,
            "parse",
            start.elapsed(),
            job.tasks().len()
        );
        let id = JobId::new(uuid::Uuid::from_u128(1 << 64));
        self.time("submit", |machine| machine.submit(id, job, NOW)).unwrap();
        id
    }

    /// Executes all pending actions and returns the tasks that are handed out.
    fn poll(&mut self) -> Vec<Assignment> {
        let mut assignments = Vec::new();
        loop {
            let mut actions = Vec::new();
            self.time("poll", |machine| machine.poll_actions(NOW, &mut actions));
            if actions.is_empty() && !self.machine.wants_turn() {
                return assignments;
            }
            assignments.extend(actions.into_iter().filter_map(|action| match action {
                Action::Publish(assignment) => Some(*assignment),
                _ => None,
            }));
            // The dispatcher drops large jobs on another thread.
            drop(black_box(self.machine.poll_ended()));
        }
    }

    fn end(&mut self, call: &'static str, assignment: &Assignment, data: Option<&str>) {
        let outcome = match data {
            Some(data) => Outcome::Success { data: Json::parse(data).unwrap() },
            None => Outcome::Failed { msg: "no".into(), error: None },
        };
        let result = TaskResult {
            progress: None,
            content: None,
            defaults: None,
            issue: assignment.issue,
            outcome,
            log: None,
            worker: "w".into(),
            took: Duration::ZERO,
        };
        self.time(call, |machine| machine.handle_result(result, NOW));
    }

    fn worker(&mut self, module: &str) {
        let report = WorkerReport {
            progress: Vec::new(),
            contents: [].into(),
            defaults: [].into(),
            id: "w".into(),
            host: "h".into(),
            pid: 1,
            pools: vec!["default".into()],
            slots: 8,
            shortage: None,
            running: 0,
            tasks: [(module.into(), None)].into(),
            broken: std::collections::BTreeMap::new(),
            allow: hub_core::TaskKinds::default(),
            held: Vec::new(),
            present: Vec::new(),
        };
        self.time("heartbeat", |machine| machine.handle_heartbeat(report, NOW));
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        for (call, longest, times) in &self.calls {
            println!("{:32} {call:24} {longest:9.1?} (longest of {times})", self.case);
        }
    }
}

/// A first task `a`, and as many tasks with these keys as fit.
fn tasks(first: &str, more: &str) -> String {
    let mut text = format!(r#"{{"name":"j","tasks":[{first}"#);
    let mut number = 0;
    while text.len() < BYTES && number < 999_999 {
        let _ = write!(text, r#",{{"name":"{}"{more}}}"#, name(number));
        number += 1;
    }
    text + "]}"
}

fn name(number: usize) -> String {
    let digit = |place: u32| {
        char::from(b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"[number / 62_usize.pow(place) % 62])
    };
    [3, 2, 1, 0].map(digit).iter().collect::<String>()
}

fn flat() {
    let mut bench = Bench::new("flat");
    let id = bench.submit(&tasks(r#"{"name":"a"}"#, ""));
    bench.poll();
    let snapshot = bench.time("view for a status", |machine| machine.view(id)).unwrap().into_snapshot();
    restore("restore, all pending", snapshot.clone(), |_| ());
    restore("restore, all succeeded", snapshot, |state| {
        state.status = TaskStatus::Success;
        state.data = Some(Json::null());
    });
    bench.time("cancel", |machine| machine.cancel(id, Cancel::default(), NOW)).unwrap();
    bench.poll();
}

fn restore(case: &'static str, mut snapshot: JobSnapshot, change: impl Fn(&mut TaskState)) {
    snapshot.tasks.iter_mut().map(Arc::make_mut).for_each(change);
    snapshot.state = JobState { status: JobStatus::Running, ..snapshot.state };
    let mut bench = Bench::new(case);
    bench.time("restore", |machine| machine.restore(snapshot, NOW));
    bench.poll();
}

fn parked() {
    let mut bench = Bench::new("parked");
    bench.worker("other");
    let id = bench.submit(&tasks(r#"{"name":"a"}"#, ""));
    bench.poll();
    bench.worker("a");
    bench.poll();
    bench.time("cancel", |machine| machine.cancel(id, Cancel::default(), NOW)).unwrap();
    bench.poll();
}

fn fan(case: &'static str, more: &str, data: Option<&str>) {
    let mut bench = Bench::new(case);
    bench.submit(&tasks(r#"{"name":"a"}"#, more));
    let first = bench.poll().remove(0);
    bench.end("result", &first, data);
    bench.poll();
}

fn chain() {
    let mut bench = Bench::new("chain, first fails");
    let mut text = r#"{"name":"j","tasks":[{"name":"a"},{"name":"0000","depends":["a"]}"#.to_owned();
    let mut number = 1;
    while text.len() < BYTES {
        let _ = write!(text, r#",{{"name":"{}","depends":["{}"]}}"#, name(number), name(number - 1));
        number += 1;
    }
    bench.submit(&(text + "]}"));
    let first = bench.poll().remove(0);
    bench.end("result", &first, None);
    bench.poll();
}

/// As many references as fit in the arguments of one task, and again in the output.
fn references(case: &'static str, reference: &str, data: &str) {
    let mut bench = Bench::new(case);
    let count = BYTES / 2 / (reference.len() + 3);
    let list = vec![format!("\"{reference}\""); count].join(",");
    let text = format!(
        r#"{{"name":"j","tasks":[{{"name":"a"}},{{"name":"b","depends":["a"],"args":[{list}]}}],"output":[{list}]}}"#
    );
    bench.submit(&text);
    let first = bench.poll().remove(0);
    bench.end("result", &first, Some(data));
    for next in bench.poll() {
        bench.end("result of the last", &next, Some("1"));
    }
    bench.poll();
}

fn paths(case: &'static str, count: usize, data: &str) {
    let mut bench = Bench::new(case);
    let list: Vec<String> = (0..count).map(|at| format!("\"_a.data.{}\"", at * 7 % 30_000)).collect();
    let text = format!(r#"{{"name":"j","tasks":[{{"name":"a"}},{{"name":"b","args":[{}]}}]}}"#, list.join(","));
    bench.submit(&text);
    let first = bench.poll().remove(0);
    bench.end("result", &first, Some(data));
    bench.poll();
}

/// Many tasks that each take a complete large value.
fn large_arguments() {
    let mut bench = Bench::new("1,500 tasks x 8 MB");
    let tasks: Vec<String> = (0..1500).map(|at| format!(r#"{{"name":"t{at}","args":["_a.data"]}}"#)).collect();
    bench.submit(&format!(r#"{{"name":"j","tasks":[{{"name":"a"}},{}]}}"#, tasks.join(",")));
    let first = bench.poll().remove(0);
    bench.end("result", &first, Some(&format!("\"{}\"", "x".repeat(8_000_000))));
    bench.poll();
}
