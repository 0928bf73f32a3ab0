//! Tests without a broker: `hub-client run`, and a dispatcher with a worker in the same process, over HTTP.

use std::process::Output;

use hub_tests::{ASYNCHRONOUS, Programs, UNATTENDED, WAITING, check_example, eventually, root, run_examples};
use serde_json::Value;

fn etc(path: &str) -> String {
    root().join("etc").join(path).to_string_lossy().into_owned()
}

fn record(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

#[test]
fn every_example_job_is_tested() {
    let mut known: Vec<&str> = UNATTENDED.into_iter().chain([ASYNCHRONOUS, WAITING]).collect();
    known.sort_unstable();
    let mut there: Vec<String> = std::fs::read_dir(etc("jobs"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    there.sort();
    assert_eq!(known, there);
}

#[test]
fn the_client_runs_every_example_job() {
    let programs = Programs::alone();
    for name in UNATTENDED {
        let job = etc(&format!("jobs/{name}"));
        let output = programs.run("hub-client", &["run", &job, "--tasks-dir", &etc("tasks")]);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        check_example(name, &record(&output));
    }
}

#[test]
fn one_process_is_a_complete_hub() {
    let (programs, hub) = Programs::in_memory(&[], &["--tasks-dir", &etc("tasks")]);
    run_examples(&programs);
    let health: Value = record(&programs.run("hub-client", &["health"]));
    assert_eq!((&health["broker"], &health["live_jobs"], &health["workers"]), (&"up".into(), &0.into(), &1.into()));
    hub.stop();
}

#[test]
fn a_held_task_is_found_and_repaired() {
    let (programs, hub) = Programs::in_memory(&[], &["--tasks-dir", &etc("tasks")]);
    let held = r#"{"maximum_attempts": 1, "exhausted": "hold"}"#;
    let id = programs.submit(&format!(
        r#"{{"name": "j", "tasks": [{{"name": "flaky", "args": [2], "retry": {held}}}], "output": "_flaky.data"}}"#
    ));
    let wait_until_held = |attempt: u64| {
        eventually("the task is held", || {
            let task = programs.record(&id)["tasks"][0].clone();
            let is_held = task["held_until"].is_string() && task["attempts"][0]["number"] == 1;
            if is_held && task["attempt"] == attempt + 1 { Ok(task) } else { Err(task) }
        })
    };
    for attempt in [1, 2] {
        let task = wait_until_held(attempt);
        assert!(task["waiting_reason"].as_str().unwrap().contains("retry, skip or fail the task"), "{task:#}");
        let task = task["id"].as_str().unwrap().to_owned();
        let output = programs.run("hub-client", &["retry", &task, "--reason", "a test", "--by", "tests"]);
        assert!(output.status.success(), "{output:?}");
    }
    let record = programs.ended(&id);
    assert_eq!(record["output"], "succeeded at attempt 3", "{record:#}");
    let repairs = record["tasks"][0]["repairs"].as_array().unwrap();
    assert!(repairs.len() == 2 && repairs[0]["reason"] == "a test", "{record:#}");
    let late = programs.run("hub-client", &["skip", record["tasks"][0]["id"].as_str().unwrap()]);
    assert_eq!(late.status.code(), Some(5), "what has ended never changes: {late:?}");
    hub.stop();
}

#[test]
fn a_failed_job_ends_with_exit_code_1() {
    let programs = Programs::alone();
    programs.write_modules(&[("fails.py", "def fails():\n    raise ValueError('no such thing')\n")]);
    let job = r#"{"name": "j", "tasks": [{"name": "fails"}]}"#;
    let output = programs.run_reading("hub-client", &["run", "-", "--tasks-dir", "tasks"], job);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert_eq!(record(&output)["tasks"][0]["msg"], "no such thing");
}

#[test]
fn a_job_with_missing_modules_does_not_wait_for_them() {
    let programs = Programs::alone();
    programs
        .write_modules(&[("fails.py", "def fails():\n    raise ValueError('no such thing')\n"), ("broken.py", "(")]);
    let job = r#"{"name": "j", "tasks": [{"name": "fails"}, {"name": "a", "task_name": "fial"}]}"#;
    let output = programs.run_reading("hub-client", &["run", "-", "--tasks-dir", "tasks"], job);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("tasks: fial. ") && said.contains("fial.py"), "{said}");
    assert!(!said.contains("broken"), "the job does not use that module: {said}");
}

/// JSON parsers have a depth limit (serde_json: 128). It must not prevent the client from detecting the end of a job.
#[test]
fn results_may_be_nested_deeper_than_json_parsers_support() {
    let programs = Programs::alone();
    let deep =
        "def deep(levels):\n    value = 1\n    for _ in range(levels):\n        value = [value]\n    return value\n";
    programs.write_modules(&[("deep.py", deep), ("fails.py", "def fails(value):\n    raise ValueError('no')\n")]);
    let job = r#"{"name": "j", "tasks": [{"name": "deep", "args": [300]}MORE], "output": "_deep.data"}"#;
    let nested = format!("{}1{}", "[".repeat(300), "]".repeat(300));
    for (more, code) in [("", 0), (r#", {"name": "fails", "args": ["_deep.data"]}"#, 1)] {
        for format in ["json", "table"] {
            let flags = ["run", "-", "--tasks-dir", "tasks", "--wait-limit", "60", "--output", format];
            let output = programs.run_reading("hub-client", &flags, &job.replace("MORE", more));
            assert_eq!(output.status.code(), Some(code), "{output:?}");
            assert!(String::from_utf8_lossy(&output.stdout).contains(&nested), "a pipe gets all of it: {output:?}");
        }
    }
}

#[test]
fn ten_thousand_independent_tasks() {
    let tasks: Vec<String> =
        (0..10_000).map(|at| format!(r#"{{"name": "t{at}", "task_name": "add", "args": [{at}, 1]}}"#)).collect();
    let job = format!(r#"{{"name": "wide", "tasks": [{}], "output": ["_t0.data", "_t9999.data"]}}"#, tasks.join(","));
    let record = run_large(&job);
    assert_eq!(record["output"], serde_json::json!([1, 10_000]));
    for (at, task) in record["tasks"].as_array().unwrap().iter().enumerate() {
        assert_eq!((&task["status"], &task["data"]), (&"SUCCESS".into(), &(at + 1).into()), "{task}");
    }
}

#[test]
fn a_chain_of_a_thousand_tasks() {
    let first = r#"{"name": "t0", "task_name": "add", "args": [0, 1]}"#.to_owned();
    let rest =
        (1..1000).map(|at| format!(r#"{{"name": "t{at}", "task_name": "add", "args": ["_t{}.data", 1]}}"#, at - 1));
    let tasks: Vec<String> = std::iter::once(first).chain(rest).collect();
    let job = format!(r#"{{"name": "chain", "tasks": [{}], "output": "_t999.data"}}"#, tasks.join(","));
    assert_eq!(run_large(&job)["output"], 1000);
}

fn run_large(job: &str) -> Value {
    let programs = Programs::alone();
    let output = programs.run_reading("hub-client", &["run", "-", "--tasks-dir", &etc("tasks")], job);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    record(&output)
}

#[test]
fn log_lines_have_no_colours_without_a_terminal() {
    let programs = Programs::alone();
    let client = programs.run("hub-client", &["--trace", "--broker", "127.0.0.1:1", "health"]);
    assert!(client.stderr.starts_with(b"WARNING not connected"), "{}", String::from_utf8_lossy(&client.stderr));
    let worker = programs.start("hub-worker", &["--broker", "127.0.0.1:1", "--tasks-dir", "."]);
    worker.wait_for("not connected");
    for text in [String::from_utf8_lossy(&client.stderr).into_owned(), worker.log()] {
        assert!(!text.contains('\u{1b}'), "{text:?}");
    }
}
