//! Tests that jobs survive the death of their dispatcher: it is killed, and the next one opens its store.

use std::path::Path;

use hub_tests::{Daemon, Programs, eventually};
use serde_json::{Value, json};

const MODULES: [(&str, &str); 1] =
    [("add.py", "import time\n\ndef add(a, b):\n    time.sleep(0.005)\n    return a + b\n")];

fn start(store: &Path) -> (Programs, Daemon) {
    Programs::in_memory(&MODULES, &["--store", &store.to_string_lossy()])
}

fn list(programs: &Programs, arguments: &[&str]) -> Vec<Value> {
    let output = programs.run("hub-client", &[&["list", "-o", "json"], arguments].concat());
    let listed: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    listed["jobs"].as_array().unwrap_or_else(|| panic!("no list: {listed}")).clone()
}

#[test]
fn jobs_survive_killed_dispatchers() {
    let directory = tempfile::tempdir().unwrap();
    let store = directory.path().join("jobs.db");
    let (programs, mut hub) = start(&store);
    // A chain, so that every job is always partially done.
    let tasks: Vec<Value> = (0..10)
        .map(|at| {
            let before = if at == 0 { json!(0) } else { json!(format!("_t{}.data", at - 1)) };
            json!({"name": format!("t{at}"), "task_name": "add", "args": [before, 1]})
        })
        .collect();
    let job = json!({"name": "chain", "tasks": tasks, "output": "_t9.data"}).to_string();
    let ids: Vec<String> = (0..30).map(|_| programs.submit(&job)).collect();
    let mut programs = programs;
    for least in [3, 12] {
        eventually("some jobs have ended", || {
            let ended = list(&programs, &["--status", "SUCCESS"]).len();
            if ended >= least { Ok(()) } else { Err(ended) }
        });
        drop(hub);
        (programs, hub) = start(&store);
    }
    for id in &ids {
        let record = programs.ended(id);
        assert_eq!((&record["status"], &record["output"]), (&json!("SUCCESS"), &json!(10)), "{record:#}");
    }
    assert_eq!(list(&programs, &[]).len(), ids.len());
    assert_eq!(list(&programs, &["--since", "1h"]).len(), ids.len());
    assert_eq!(list(&programs, &["--until", "1h"]).len(), 0);
    hub.stop();
    for beside in ["jobs.db-wal", "jobs.db-shm"] {
        assert!(!directory.path().join(beside).exists(), "a good stop leaves {beside}");
    }
}

#[test]
fn pauses_survive_killed_dispatchers() {
    let directory = tempfile::tempdir().unwrap();
    let store = directory.path().join("jobs.db");
    let (programs, hub) = start(&store);
    let job = json!({"name": "j", "deadline": "1h", "tasks": [
        {"name": "add", "args": [1, 2], "delay": "1h"},
        {"name": "gpu", "task_name": "add", "args": [1, 2], "pool": "gpu"}]});
    let id = programs.submit(&job.to_string());
    let client = |programs: &Programs, arguments: &[&str]| {
        let output = programs.run("hub-client", arguments);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    client(&programs, &["pause", &id, "--by", "ops", "--reason", "no"]);
    client(&programs, &["pause", "--pool", "gpu"]);
    let before = programs.record(&id);
    drop(hub);

    let (programs, hub) = start(&store);
    let paused = programs.record(&id);
    assert_eq!((&paused["status"], &paused["pauses"]), (&json!("PAUSED"), &before["pauses"]), "{paused:#}");
    assert_eq!(paused["deadline_at"], before["deadline_at"]);
    assert!(client(&programs, &["health"]).contains("gpu"));
    client(&programs, &["resume", "--pool", "gpu"]);
    client(&programs, &["resume", &id]);
    let resumed = programs.record(&id);
    let time = |record: &Value, key: &str| record[key].as_str().unwrap().to_owned();
    assert!(time(&resumed, "deadline_at") > time(&before, "deadline_at"), "{resumed:#}");
    assert!(resumed["pauses"].is_null() && resumed["status"] != "PAUSED", "{resumed:#}");
    client(&programs, &["cancel", &id, "--wait"]);
    assert_eq!(programs.record(&id)["status"], "CANCELLED");
    hub.stop();
}

#[test]
fn two_dispatchers_cannot_share_a_store() {
    let directory = tempfile::tempdir().unwrap();
    let store = directory.path().join("jobs.db");
    let (_programs, hub) = start(&store);
    let second = Programs::alone();
    let arguments =
        ["--transport", "memory", "--tasks-dir", ".", "--http", "none", "--store", &store.to_string_lossy()];
    let refused = second.run("hub-dispatcher", &arguments);
    let text = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(5), "{text}");
    assert!(text.contains("in use by another dispatcher") && text.contains(&hub.pid().to_string()), "{text}");
    hub.stop();
}

#[test]
fn the_history_is_pruned() {
    let directory = tempfile::tempdir().unwrap();
    let store = directory.path().join("jobs.db");
    let arguments = ["--store", &store.to_string_lossy(), "--retain-jobs", "3"];
    let (programs, hub) = Programs::in_memory(&MODULES, &arguments);
    let job = |at: usize| json!({"name": format!("job {at}"), "tasks": [{"name": "add", "args": [at, 1]}]}).to_string();
    // In sequence, so that the oldest job is the one that ended first.
    let ids: Vec<String> = (0..9).map(|at| programs.submit(&job(at))).inspect(|id| drop(programs.ended(id))).collect();
    let names = eventually("the oldest jobs are forgotten", || {
        let names: Vec<Value> = list(&programs, &[]).iter().map(|job| job["name"].clone()).collect();
        if names.len() <= 5 { Ok(names) } else { Err(names) }
    });
    assert_eq!(names[..3], [json!("job 8"), json!("job 7"), json!("job 6")]);
    let gone = programs.run("hub-client", &["status", &ids[0]]);
    assert_eq!(gone.status.code(), Some(3), "{gone:?}");
    hub.stop();
}

#[test]
fn a_dispatcher_with_a_damaged_store_ends_with_advice() {
    let directory = tempfile::tempdir().unwrap();
    let store = directory.path().join("jobs.db");
    let (programs, hub) = start(&store);
    let job = json!({"name": "j", "tasks": [{"name": "add", "args": [1, 1]}]}).to_string();
    programs.ended(&programs.submit(&job));
    hub.stop();
    let mut bytes = std::fs::read(&store).unwrap();
    bytes[4096..].fill(0xa5);
    std::fs::write(&store, &bytes).unwrap();
    let alone = Programs::alone();
    let arguments =
        ["--transport", "memory", "--tasks-dir", ".", "--http", "none", "--store", &store.to_string_lossy()];
    let refused = alone.run("hub-dispatcher", &arguments);
    let text = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(5), "{text}");
    assert!(text.contains("damaged") && text.contains("back-up") && text.contains("jobs.db"), "{text}");
    assert_eq!(std::fs::read(&store).unwrap(), bytes, "it is left alone");
}
