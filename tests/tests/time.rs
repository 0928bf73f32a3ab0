//! Tests of clock changes, stalls and broker policies with the real programs on a real RabbitMQ: each task runs once, and no
//! lease is lost.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use hub_tests::{Broker, BrokerTrial, Daemon, Programs, eventually, trials_on};
use serde_json::{Value, json};

/// The path of the library of Debian's package `libfaketime`, which changes the wall clock of programs.
const LIBRARIES: [&str; 2] =
    ["/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1", "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1"];

fn main() -> ExitCode {
    let mut tests = Vec::new();
    for client in ["lapin", "amqprs"] {
        let clock = BrokerTrial::new(format!("clock_steps_repeat_nothing_with_{client}"), move |broker: &Broker| {
            clock_steps(broker, client, library().expect("install the package libfaketime"));
        });
        // With `HUB_REQUIRE_BROKER`, which the gate sets, a missing library is a failure.
        let can_run = library().is_some() || std::env::var_os("HUB_REQUIRE_BROKER").is_some();
        tests.push(if can_run { clock } else { clock.on_demand() });
        let expired = r#"{"message-ttl": 200}"#;
        tests.push(BrokerTrial::new(format!("expired_tasks_are_run_all_the_same_with_{client}"), move |broker| {
            removed_by(broker, client, "ttl", expired, "expired");
        }));
        let refused = r#"{"max-length": 5}"#;
        tests.push(BrokerTrial::new(format!("a_full_queue_fails_no_task_with_{client}"), move |broker| {
            removed_by(broker, client, "length", refused, "refused");
        }));
    }
    let stopped = BrokerTrial::new("a_stopped_dispatcher_reads_what_waits_before_leases_expire", stopped_dispatcher);
    tests.push(stopped.on_demand());
    trials_on(Broker::start, tests)
}

fn library() -> Option<&'static Path> {
    LIBRARIES.iter().map(Path::new).find(|path| path.exists())
}

/// Tasks that record their runs. The long one ends when the file `end` exists.
const MODULES: [(&str, &str); 2] = [
    (
        "long.py",
        "import os, select\n\ndef long(runs, end):\n    with open(runs, 'a') as file:\n        file.write('long\\n')\n    \
         while not os.path.exists(end):\n        select.select([], [], [], 0.05)\n    return 'done'\n",
    ),
    (
        "short.py",
        "import select\n\ndef short(runs, name):\n    with open(runs, 'a') as file:\n        file.write(name + '\\n')\n    \
         select.select([], [], [], 0.1)\n    return name\n",
    ),
];

/// A dispatcher and a worker whose tasks record their runs.
struct Stage {
    programs: Programs,
    dispatcher: Daemon,
    worker: Daemon,
    runs: PathBuf,
    end: PathBuf,
}

impl Stage {
    fn set(programs: Programs) -> Self {
        programs.write_modules(&MODULES);
        let (runs, end) = (programs.directory().join("runs"), programs.directory().join("end"));
        std::fs::write(&runs, "").expect("a file can be written");
        let dispatcher = programs.start("hub-dispatcher", &[]);
        dispatcher.wait_for("listening for jobs and results");
        let worker = programs.start("hub-worker", &["--slots", "2", "--tasks-dir", "tasks"]);
        worker.wait_for("waiting for tasks");
        Self { programs, dispatcher, worker, runs, end }
    }

    /// Submits a long task and waits until it is held by a lease.
    fn begin_long_task(&self) -> String {
        let job = json!({"name": "long", "tasks": [{"name": "long", "args": [self.runs, self.end]}]});
        let id = self.programs.submit(&job.to_string());
        eventually("the long task is under a lease", || {
            let record = self.programs.record(&id);
            if record["tasks"][0]["status"] == "RUNNING" { Ok(()) } else { Err(record) }
        });
        id
    }

    fn run_short_tasks(&self, count: usize, tag: &str) -> Value {
        let task = |at: usize| {
            let name = format!("{tag}-{at}");
            json!({"name": name, "task_name": "short", "args": [self.runs, name]})
        };
        let tasks: Vec<Value> = (0..count).map(task).collect();
        let id = self.programs.submit(&json!({"name": tag, "tasks": tasks}).to_string());
        let record = self.programs.ended(&id);
        assert_eq!(record["status"], "SUCCESS", "{record:#}");
        record
    }

    /// The time of the last heartbeat of the only worker.
    fn last_seen(&self) -> String {
        let output = self.programs.run("hub-client", &["workers", "-q", "-o", "json"]);
        let workers: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        workers[0]["last_seen"].to_string()
    }

    /// Checks that the long task ends in its first run.
    fn end_long_task(&self, id: &str) {
        std::fs::write(&self.end, "").expect("a file can be written");
        let record = self.programs.ended(id);
        let task = &record["tasks"][0];
        assert_eq!((&record["status"], &task["issue"]), (&json!("SUCCESS"), &json!(null)), "{record:#}");
        assert!(!self.dispatcher.log().contains("given up"), "{}", self.dispatcher.log_end());
    }

    /// Checks that each task ran once.
    fn nothing_was_repeated(&self) {
        let runs = std::fs::read_to_string(&self.runs).expect("runs are noted");
        let mut seen: Vec<&str> = runs.lines().collect();
        let count = seen.len();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), count, "tasks were repeated: {runs}");
    }

    fn close(self, broker: &Broker) {
        broker.wait_until_queues_are_empty(self.programs.prefix());
        self.worker.stop();
        self.dispatcher.stop();
    }
}

fn clock_steps(broker: &Broker, client: &str, library: &Path) {
    let clock = tempfile::tempdir().expect("a directory can be made");
    let offset = clock.path().join("offset");
    let set = |to: &str| {
        // Atomically, since a program may read it at any time.
        let new = clock.path().join("new");
        std::fs::write(&new, to).and_then(|()| std::fs::rename(&new, &offset)).expect("the clock can be set");
    };
    set("+0");
    let programs = Programs::new(&broker.address(), client, &format!("clock-{client}"))
        .with("LD_PRELOAD", &library.to_string_lossy())
        .with("FAKETIME_TIMESTAMP_FILE", &offset.to_string_lossy())
        .with("FAKETIME_NO_CACHE", "1")
        // Only the wall clock is changed, not the monotonic clock and the times of files.
        .with("FAKETIME_DONT_FAKE_MONOTONIC", "1")
        .with("DONT_FAKE_MONOTONIC", "1")
        .with("NO_FAKE_STAT", "1");
    let stage = Stage::set(programs);
    let id = stage.begin_long_task();
    let submitted_at = |record: &Value| record["submitted_at"].as_str().unwrap_or_default().to_owned();
    let mut times = vec![submitted_at(&stage.run_short_tasks(10, "before"))];
    for (step, to) in ["+7200", "-7200", "+0"].into_iter().enumerate() {
        set(to);
        times.push(submitted_at(&stage.run_short_tasks(10, &format!("step-{step}"))));
        // Heartbeats are as frequent as echoes, so every lease has been checked.
        let before = stage.last_seen();
        eventually("a heartbeat is heard", || {
            let now = stage.last_seen();
            if now == before { Err(now) } else { Ok(()) }
        });
    }
    // The clock of the programs was set, and records contain its times.
    assert!(times[1] > times[0] && times[2] < times[0] && times[3] > times[0] && times[3] < times[1], "{times:?}");
    stage.end_long_task(&id);
    stage.nothing_was_repeated();
    stage.close(broker);
}

fn removed_by(broker: &Broker, client: &str, policy: &str, definition: &str, reason: &str) {
    let prefix = format!("{policy}-{client}");
    let pattern = format!("^{prefix}\\.tasks\\.");
    broker.control(&["set_policy", &prefix, &pattern, definition, "--apply-to", "queues"]);
    let stage = Stage::set(Programs::new(&broker.address(), client, &prefix));
    let record = stage.run_short_tasks(80, "short");
    let again = |task: &&Value| task["issue"].as_u64() > Some(1);
    let repeated = record["tasks"].as_array().into_iter().flatten().filter(again).count();
    assert!(repeated > 0, "the policy has removed nothing, so this proves nothing");
    stage.nothing_was_repeated();
    let log = stage.dispatcher.log();
    assert_eq!(log.matches("a policy of the broker keeps tasks out of their queue").count(), 1, "said once: {log}");
    assert!(log.contains(&format!("reason=\"{reason}\"")), "{reason} is not in {log}");
    broker.control(&["clear_policy", &prefix]);
    stage.close(broker);
}

/// A task that takes as long as a lease, 30 s.
fn stopped_dispatcher(broker: &Broker) {
    let stage = Stage::set(Programs::new(&broker.address(), "lapin", "stopped"));
    let id = stage.begin_long_task();
    let signal = |name: &str| {
        let sent = Command::new("kill").args([name, &stage.dispatcher.pid().to_string()]).status();
        assert!(sent.is_ok_and(|status| status.success()), "the dispatcher cannot be sent {name}");
    };
    signal("-STOP");
    // The interval of heartbeats is 5 s, and a lease lasts 30 s.
    eventually("seven heartbeats wait", || {
        let listed = broker.control(&["list_queues", "--no-table-headers", "name", "messages"]);
        let waiting = listed.lines().find(|line| line.starts_with("stopped.heartbeats.")).unwrap_or_default();
        let count = waiting.rsplit('\t').next().and_then(|count| count.parse::<u32>().ok());
        if count >= Some(7) { Ok(()) } else { Err(listed) }
    });
    signal("-CONT");
    stage.run_short_tasks(10, "after");
    stage.end_long_task(&id);
    stage.nothing_was_repeated();
    stage.close(broker);
}
