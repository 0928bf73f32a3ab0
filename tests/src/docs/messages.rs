//! Produces the messages that `docs/troubleshooting.md` quotes, each by the cause that the page names.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::process::Output;

use serde_json::json;

use super::output::contains;
use crate::{Broker, Programs, eventually, root};

/// The page.
const PAGE: &str = "docs/troubleshooting.md";
/// The section whose messages need a broker.
const WITH_A_BROKER: &str = "## With a broker";
/// Task modules that fail in different ways, and one that succeeds.
const MODULES: [(&str, &str); 10] = [
    ("add.py", "def add(a, b): return a + b\n"),
    ("order.py", "from hub.lib.api import task\n\n@task(asynchronous=True)\ndef order(): pass\n"),
    ("a_set.py", "def a_set(): return {1}\n"),
    ("lib.py", "import numpyy\n\ndef lib(): pass\n"),
    ("named.py", "def other(): pass\n"),
    ("dies.py", "import os\n\ndef dies(): os.kill(os.getpid(), 9)\n"),
    ("big.py", "def big(): return 'x' * 9_000_000\n"),
    ("deep.py", "import functools\n\ndef deep(): return functools.reduce(lambda value, _: [value], range(600))\n"),
    ("holds.py", "import time\n\ndef holds(): time.sleep(600)\n"),
    ("noexec.sh", "#!/bin/sh\necho 1\n"),
];
/// Executables that fail.
const EXECUTABLES: [(&str, &str); 2] = [("exits.sh", "#!/bin/sh\nexit 3\n"), ("text.sh", "#!/bin/sh\necho hello\n")];

/// The messages that the page quotes, without a broker or with one: the first text in backquotes at the beginning of one of the
/// first two cells of a row that is more than a word, which a kind of failure is.
fn quoted(with_a_broker: bool) -> Vec<String> {
    let text = std::fs::read_to_string(root().join(PAGE)).expect("the page exists");
    let mut is_wanted = !with_a_broker;
    let mut found = Vec::new();
    for line in text.lines() {
        if line.starts_with("## ") {
            is_wanted = (line == WITH_A_BROKER) == with_a_broker;
        }
        if !is_wanted || !line.starts_with("| ") {
            continue;
        }
        let cells = line.split(" | ").map(|cell| cell.trim_start_matches("| "));
        let spans = cells.take(2).filter_map(|cell| cell.strip_prefix('`')?.split_once('`'));
        let mut messages = spans.map(|(span, _)| span).filter(|span| span.contains([' ', '…']));
        found.extend(messages.next().map(str::to_owned));
    }
    assert!(found.len() > 4, "{PAGE} quotes messages");
    found
}

/// Compares the quoted messages with the printed ones.
#[track_caller]
fn compare(quoted: &[String], printed: &str) {
    let missing: Vec<&String> = quoted.iter().filter(|message| !contains(message, printed)).collect();
    assert!(missing.is_empty(), "{PAGE} quotes what no program prints:\n{missing:#?}\nPrinted was:\n{printed}");
}

/// The output of the programs.
struct Printed {
    programs: Programs,
    text: String,
}

impl Printed {
    fn new(programs: Programs) -> Self {
        Self { programs, text: String::new() }
    }

    fn add(&mut self, output: &Output) {
        for part in [&output.stdout, &output.stderr] {
            self.text.push_str(&String::from_utf8_lossy(part));
        }
        self.text.push('\n');
    }

    /// Runs the client.
    fn client(&mut self, arguments: &[&str]) {
        let output = self.programs.run("hub-client", arguments);
        self.add(&output);
    }

    /// Runs the client with a job.
    fn client_reading(&mut self, arguments: &[&str], job: &str) {
        let output = self.programs.run_reading("hub-client", arguments, job);
        self.add(&output);
    }

    /// Runs a program that does not start.
    fn daemon(&mut self, program: &str, arguments: &[&str]) {
        let output = self.programs.run(program, arguments);
        assert!(!output.status.success(), "{program} {arguments:?} should fail");
        self.add(&output);
    }
}

/// Checks the messages that need no broker.
///
/// # Panics
/// If the page quotes a message that no program prints.
pub fn check_without_a_broker() {
    let programs = Programs::alone();
    programs.write_modules(&EXECUTABLES);
    for (name, _) in EXECUTABLES {
        let path = programs.directory().join("tasks").join(name);
        std::fs::set_permissions(path, Permissions::from_mode(0o755)).expect("the mode can be set");
    }
    let (programs, hub) = programs.start_in_memory(&MODULES, &["--allow", "modules"]);
    let mut printed = Printed::new(programs);
    failures(&mut printed);
    waiting(&mut printed);
    standing_still(&mut printed);
    refusals(&mut printed);
    mistakes(&mut printed);
    starts(&mut printed);
    hub.stop();
    compare(&quoted(false), &printed.text);
}

/// Tasks that fail.
fn failures(printed: &mut Printed) {
    let mut tasks: Vec<_> = ["a_set", "lib", "named", "dies", "big", "deep", "noexec", "exits", "text"]
        .map(|module| json!({ "name": module }))
        .into();
    tasks.push(json!({ "name": "few", "task_name": "add", "args": [1] }));
    tasks.push(json!({ "name": "add", "args": [1, 2] }));
    tasks.push(json!({ "name": "path", "task_name": "add", "args": ["_add.data.x", 1] }));
    tasks
        .push(json!({ "name": "late", "task_name": "add", "pool": "empty", "timeout": { "schedule_to_start": "1s" } }));
    tasks.push(json!({ "name": "some", "task_name": "add", "for_each": [1, 2, "x"], "args": ["_.item", 1] }));
    tasks.push(json!({ "name": "a job", "job": { "name": "sub", "tasks": [{ "name": "exits" }] } }));
    tasks.push(json!({ "name": "rejected", "wait": { "approval": {} } }));
    tasks.push(json!({ "name": "unanswered", "wait": { "approval": {}, "timeout": "1s" } }));
    let job = json!({ "name": "failures", "tasks": tasks }).to_string();
    let id = printed.programs.submit(&job);
    eventually("the question is asked", || {
        let output = printed.programs.run("hub-client", &["reject", &format!("{id}.rejected"), "--by", "kim"]);
        if output.status.success() { Ok(()) } else { Err(output) }
    });
    let record = printed.programs.ended(&id);
    for task in record["tasks"].as_array().expect("a record has tasks") {
        printed.text.push_str(&format!("{}\n", task["msg"].as_str().unwrap_or_default()));
    }
    let done = printed.programs.submit(r#"{"name": "done", "tasks": [{"name": "add", "args": [1, 2]}]}"#);
    printed.programs.ended(&done);
    printed.client(&["retry", &done]);
}

/// Tasks that wait.
fn waiting(printed: &mut Printed) {
    let mut tasks = vec![
        json!({ "name": "order" }),
        json!({ "name": "after", "task_name": "add", "args": ["_order.data", 1] }),
        json!({ "name": "elsewhere", "task_name": "add", "args": [1, 2], "pool": "gpu" }),
        json!({ "name": "unknown" }),
        json!({ "name": "cached", "task_name": "order", "priority": 1, "cache": { "ttl": "1h" } }),
        json!({ "name": "cached too", "task_name": "order", "priority": 1, "cache": { "ttl": "1h" } }),
        json!({ "name": "a command", "command": ["true"] }),
        json!({ "name": "a time", "wait": { "until": "1h" } }),
        json!({ "name": "a signal", "wait": { "signal": "arrived" } }),
        json!({ "name": "an approval", "wait": { "approval": { "message": "Order the goods?" } } }),
    ];
    // More tasks than the window of issues on the broker.
    tasks.extend((0..100).map(|at| json!({ "name": format!("holds {at}"), "task_name": "holds" })));
    let job = json!({ "name": "waits", "tasks": tasks }).to_string();
    let id = printed.programs.submit(&job);
    let wanted = [
        "waits for its result",
        "waits for order",
        "serves the pool",
        "has a task module",
        "allows commands",
        "waits for its turn",
        "waits for the result of the task",
        "waits until",
        "waits for the signal",
        "waits for an approval",
    ];
    let reasons = eventually("tasks wait for every reason", || {
        let record = printed.programs.record(&id);
        let tasks = record["tasks"].as_array().expect("a record has tasks");
        let reasons: String = tasks
            .iter()
            .filter_map(|task| task["waiting_reason"].as_str())
            .map(|reason| format!("{reason}\n"))
            .collect();
        if wanted.iter().all(|words| reasons.contains(words)) { Ok(reasons) } else { Err(reasons) }
    });
    printed.text.push_str(&reasons);
    let task = printed.programs.record(&id)["tasks"][1]["id"].as_str().expect("a task has an id").to_owned();
    printed.client(&["status", &task]);
    printed.client(&["result", &task, "--data", "1"]);
    printed.client(&["remove", &id]);
    printed.client(&["retry", &id]);
    printed.client(&["cancel", &id, "--now", "--wait"]);
    printed.client(&["cancel", &id]);
    printed.client(&["result", &task, "--data", "1"]);
}

/// Jobs and pools that are paused, and a job whose time has not come.
fn standing_still(printed: &mut Printed) {
    printed.client(&["pause", "--pool", "gpu"]);
    let task = json!({ "name": "add", "args": [1, 2], "pool": "gpu" });
    let job = |start_at: &str| {
        json!({ "name": "still", "start_at": start_at, "tasks": [task], "finally": [{ "name": "last" }] }).to_string()
    };
    let ids = ["1ms", "1ms", "1h"].map(|start_at| printed.programs.submit(&job(start_at)));
    printed.client(&["pause", &ids[1]]);
    for (id, words) in ids.iter().zip(["the pool", "the job is paused", "the job starts"]) {
        let reasons = eventually("the task waits for this reason", || {
            let record = printed.programs.record(id);
            let reason = record["tasks"][0]["waiting_reason"].as_str().unwrap_or_default().to_owned();
            let of_handler = record["tasks"][1]["waiting_reason"].as_str().unwrap_or_default();
            let is_it = reason.starts_with(words);
            let reasons = format!("{reason}\n{of_handler}\n");
            if is_it { Ok(reasons) } else { Err(reasons) }
        });
        printed.text.push_str(&reasons);
        printed.client(&["cancel", id]);
    }
    printed.client(&["resume", "--pool", "gpu"]);
}

/// Jobs that are refused.
fn refusals(printed: &mut Printed) {
    let job = |tasks: &str| format!(r#"{{"name": "j", "tasks": [{tasks}]}}"#);
    for tasks in [
        r#"{"name": "a", "arg": [1]}"#,
        r#"{"name": "a", "concurrency": 3}"#,
        r#"{"name": "a", "args": ["_x"]}"#,
        r#"{"name": "a", "args": ["_x.data"]}"#,
        r#"{"name": "a", "depends": ["b"]}, {"name": "b", "depends": ["a"]}"#,
        r#"{"name": "a"}, {"name": "a"}"#,
        r#"{"name": "a"},"#,
    ] {
        printed.client_reading(&["validate", "-"], &job(tasks));
    }
    let define = |printed: &mut Printed, name: &str, job: &serde_json::Value| {
        let path = printed.programs.directory().join(format!("{name}.json"));
        std::fs::write(&path, job.to_string()).expect("a job can be written");
        printed.client(&["definitions", "apply", &path.to_string_lossy(), "--name", name]);
    };
    let schema = json!({"properties": {"day": {"type": "integer"}}});
    define(printed, "days", &json!({"name": "j", "input_schema": schema, "tasks": [{"name": "add"}]}));
    printed.client(&["definitions", "start", "days", "--input", "day=monday"]);
    printed.client(&["definitions", "start", "nowhere"]);
    define(printed, "weeks", &json!({"name": "j", "tasks": [{"name": "a", "job": "days"}]}));
    define(printed, "days", &json!({"name": "j", "tasks": [{"name": "a", "job": "weeks"}]}));
    for argument in [1, 2] {
        let text = json!({"name": "j", "key": "k", "tasks": [{"name": "add", "args": [argument, 1]}]}).to_string();
        printed.client_reading(&["submit", "-"], &text);
    }
    let run = ["run", "-", "--tasks-dir", "tasks"];
    printed.client_reading(&run, &job(r#"{"name": "nothing"}"#));
    printed.client_reading(&run, &job(r#"{"name": "add", "pool": "gpu"}"#));
}

/// Mistakes of users of the client.
fn mistakes(printed: &mut Printed) {
    let http = printed.programs.variable("HUB_BROKER").to_owned();
    let place = http.trim_start_matches("http://");
    printed.client(&["-b", "http://127.0.0.1:1", "list"]);
    printed.client(&["-b", "127.0.0.1:1", "--timeout", "5", "list"]);
    printed.client(&["-b", place, "--timeout", "5", "list"]);
    printed.client(&["-b", &format!("https://{place}"), "list"]);
    printed.client(&["status", "00000000-0000-0000-0000-000000000000"]);
    printed.client(&["status", "00000000"]);
    printed.client(&["result", "00000000-0000-0000-0000-000000000000", "--data", "text"]);
    std::fs::write(printed.programs.directory().join("token"), "a-token-that-nobody-guesses-0123456789")
        .expect("a file");
    let token = ["--http-token-file", "token"];
    let (guarded, hub) = Programs::alone()
        .start_in_memory(&[], &["--http-token-file", &printed.programs.directory().join("token").to_string_lossy()]);
    printed.client(&["-b", guarded.variable("HUB_BROKER"), "list"]);
    let with_token = [&["-b", guarded.variable("HUB_BROKER"), "list"][..], &token].concat();
    assert!(printed.programs.run("hub-client", &with_token).status.success());
    hub.stop();
}

/// Programs that do not start, or that report missing dependencies at their start.
fn starts(printed: &mut Printed) {
    let http = printed.programs.variable("HUB_BROKER").trim_start_matches("http://").to_owned();
    // There is no broker at this address.
    let nowhere = ["-b", "127.0.0.1:1"];
    let directory = printed.programs.directory();
    std::fs::write(directory.join("bad.conf"), "[HUB]\nbrokr=localhost\n").expect("a file");
    std::fs::write(directory.join("bare.conf"), "[HUB]\nbroker=localhost\n").expect("a file");
    std::fs::write(directory.join("text.db"), "no database").expect("a file");
    printed.daemon("hub-dispatcher", &["-c", "bad.conf"]);
    printed.daemon("ctrl-hub-dispatcher", &["-c", "bare.conf", "start"]);
    printed.daemon("hub-worker", &nowhere);
    printed.daemon("hub-worker", &[&nowhere[..], &["--tasks-dir", "nothing"]].concat());
    let dispatcher = ["--transport", "memory", "--tasks-dir", "tasks"];
    printed.daemon("hub-dispatcher", &[&dispatcher[..], &["--http", &http]].concat());
    printed.daemon("hub-dispatcher", &[&dispatcher[..], &["--http", "0.0.0.0:0"]].concat());
    printed.daemon("hub-dispatcher", &[&dispatcher[..], &["--http", "none", "--store", "text.db"]].concat());
    let store = ["--http", "none", "--store", "s.db"];
    let first = printed.programs.start_as("first", "hub-dispatcher", &[&nowhere[..], &store].concat());
    first.wait_for("not connected to the broker");
    printed.text.push_str(&first.log());
    printed.daemon("hub-dispatcher", &[&nowhere[..], &store].concat());
    let python = ["--tasks-dir", "tasks", "--python", "nopython"];
    let worker = printed.programs.start("hub-worker", &[&nowhere[..], &python].concat());
    worker.wait_for("cannot be started");
    printed.text.push_str(&worker.log());
}

/// Checks the messages about a broker.
///
/// # Panics
/// If the page quotes a message that no program prints.
pub fn check_with_a_broker(broker: &Broker) {
    let address = broker.address();
    let mut printed = Printed::new(Programs::new(&address, "lapin", "messages"));
    printed.client(&["--timeout", "5", "list"]);
    printed.client(&["--timeout", "5", "-b", &format!("amqp://guest:wrong@{address}"), "list"]);
    printed.client(&["--timeout", "5", "-b", &format!("amqp://guest:guest@{address}/nowhere"), "list"]);
    printed.client(&["--timeout", "5", "-b", &format!("http://{address}"), "list"]);
    let first = printed.programs.start_as("first", "hub-dispatcher", &["--store", "memory"]);
    first.wait_for("listening for jobs and results");
    let second = printed.programs.start_as("second", "hub-dispatcher", &["--store", "memory"]);
    second.wait_for("another dispatcher serves this Hub");
    printed.text.push_str(&second.log());
    compare(&quoted(true), &printed.text);
}
