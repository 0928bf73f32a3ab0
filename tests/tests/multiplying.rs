//! Tests of small jobs that would produce large amounts of data. A dispatcher with 4 GiB of address space keeps running, and so
//! does the next one on the same store.

use std::path::Path;

use hub_tests::{Daemon, Programs, eventually};
use serde_json::{Value, json};

const GIB_IN_KIB: u64 = 1024 * 1024;

const MODULES: [(&str, &str); 3] = [
    ("text.py", "def text(size):\n    return 'x' * size\n"),
    ("numbers.py", "def numbers(count):\n    return list(range(count))\n"),
    ("count.py", "def count(*args):\n    return len(args)\n"),
];

/// A dispatcher with task modules and a worker.
fn start(store: &Path) -> (Programs, Daemon) {
    let programs = Programs::alone().within_memory(4 * GIB_IN_KIB).quietly();
    programs.start_in_memory(&MODULES, &["--store", &store.to_string_lossy()])
}

/// Jobs with their expected status and a part of the expected message.
fn jobs() -> Vec<(Value, &'static str, &'static str)> {
    let text = json!({"name": "text", "args": [1024 * 1024]});
    let numbers = json!({"name": "numbers", "args": [1_000_000]});
    let paths: Vec<String> = (0..3000).map(|at| format!("_numbers.data.{}", at * 300)).collect();
    let job = |name: &str, tasks: &[&Value], output: Value| json!({"name": name, "tasks": tasks, "output": output});
    let count = |args: Value| json!({"name": "count", "args": args});
    let repeated = vec!["_text.data"; 1050];
    let each =
        |at: usize| json!({"name": format!("n{at}"), "task_name": "count", "args": [format!("_numbers.data.{at}")]});
    let each: Vec<Value> = std::iter::once(numbers.clone()).chain((0..300).map(each)).collect();
    vec![
        (job("output", &[&text], json!(repeated)), "FAILED", "max_value_bytes is 12582912"),
        (
            job("arguments", &[&text, &count(json!(vec!["_text.data"; 20_000]))], Value::Null),
            "FAILED",
            "max_value_bytes",
        ),
        (job("paths", &[&numbers, &count(json!(paths))], json!("_count.data")), "SUCCESS", "3000"),
        (json!({"name": "items", "tasks": each, "output": "_n299.data"}), "SUCCESS", "1"),
    ]
}

/// 1.5 GB of arguments.
fn wide() -> String {
    let each = |at: usize| json!({"name": format!("n{at}"), "task_name": "count", "args": ["_text.data"]});
    let text = std::iter::once(json!({"name": "text", "args": [1024 * 1024]}));
    json!({"name": "wide", "tasks": text.chain((0..1500).map(each)).collect::<Vec<_>>()}).to_string()
}

fn health(programs: &Programs) -> Value {
    let output = programs.run("hub-client", &["health", "-o", "json", "--timeout", "30"]);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

/// A small job of two tasks.
fn small_job_runs(programs: &Programs) {
    let small = json!({"name": "small", "tasks": [{"name": "count", "args": [1, 2]}], "output": "_count.data"});
    assert_eq!(programs.ended(&programs.submit(&small.to_string()))["output"], 2);
}

/// Waits until these jobs have ended, without requesting their large records.
fn all_ended(programs: &Programs, ids: &[String]) {
    eventually("the jobs end", || {
        let output = programs.run("hub-client", &["list", "-o", "json", "--timeout", "30"]);
        let listed: Value =
            serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
        let jobs = listed["jobs"].as_array().expect("a list");
        let live = |job: &&Value| job["ended_at"].is_null() && ids.iter().any(|id| job["id"] == **id);
        let live: Vec<String> = jobs.iter().filter(live).map(ToString::to_string).collect();
        if live.is_empty() { Ok(()) } else { Err(live) }
    });
}

fn check(programs: &Programs, id: &str, status: &str, words: &str) {
    let record = programs.record(id);
    assert_eq!(record["status"], status, "{id}: {:?}", record["msg"]);
    let says = [&record["msg"], &record["tasks"][1]["msg"], &record["output"]].map(ToString::to_string);
    assert!(says.iter().any(|text| text.contains(words)), "{says:?}");
}

#[test]
fn jobs_with_multiplied_data_neither_crash_nor_block_the_dispatcher() {
    let directory = tempfile::tempdir().unwrap();
    let store = directory.path().join("jobs.db");
    let (programs, mut hub) = start(&store);
    let ids: Vec<String> = jobs().iter().map(|(job, ..)| programs.submit(&job.to_string())).collect();
    small_job_runs(&programs);
    all_ended(&programs, &ids);
    for (id, (_, status, words)) in ids.iter().zip(jobs()) {
        check(&programs, id, status, words);
    }
    let wide = programs.submit(&wide());
    eventually("the arguments are handed out", || {
        let health = health(&programs);
        if health["tasks_ready"].as_u64() > Some(0) { Ok(()) } else { Err(health) }
    });
    small_job_runs(&programs);
    assert!(hub.is_alive());
    // The following lines may be truncated.
    let again: Vec<String> = jobs().iter().map(|(job, ..)| programs.submit(&job.to_string())).collect();
    drop(hub);

    let (programs, mut hub) = start(&store);
    small_job_runs(&programs);
    all_ended(&programs, &again);
    for (id, (_, status, words)) in again.iter().zip(jobs()) {
        check(&programs, id, status, words);
    }
    let cancelled = programs.run("hub-client", &["cancel", &wide, "--wait"]);
    assert!(cancelled.status.success(), "{cancelled:?}");
    assert_eq!(health(&programs)["live_jobs"], 0);
    assert!(hub.is_alive());
    hub.stop();
}
