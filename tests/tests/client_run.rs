//! Tests of `hub-client run` with an asynchronous task and with a time limit.

use std::process::Stdio;

use hub_tests::{Programs, eventually};
use serde_json::{Value, json};

const ORDER: &str = "from hub.lib.api import task\n\n@task(asynchronous=True)\ndef order(what):\n    return None\n";
const JOB: &str = r#"{"name": "j", "tasks": [{"name": "order", "args": [1]}], "output": "_order.data"}"#;

fn programs() -> Programs {
    let programs = Programs::alone();
    programs.write_modules(&[("order.py", ORDER)]);
    std::fs::write(programs.directory().join("job"), JOB).unwrap();
    programs
}

#[test]
fn a_task_that_waits_for_its_result_is_reported_with_the_command_that_posts_it() {
    let programs = programs();
    let said = programs.directory().join("said");
    let running = programs
        .command("hub-client")
        .args(["run", "job", "--tasks-dir", "tasks", "-o", "json"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(std::fs::File::create(&said).unwrap())
        .spawn()
        .unwrap();
    let command = eventually("it says how to post the result", || {
        let said = std::fs::read_to_string(&said).unwrap();
        let command = said.lines().find_map(|line| line.trim().strip_prefix("hub-client ")).map(str::to_owned);
        command.filter(|_| said.ends_with('\n')).ok_or(said)
    });
    let command = command.split(" --data").next().unwrap();
    let arguments: Vec<&str> = command.split(' ').chain(["--data", r#"{"ordered": 3}"#]).collect();
    let posted = programs.run("hub-client", &arguments);
    assert!(posted.status.success(), "{posted:?}");
    let output = running.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let record: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(record["output"], json!({"ordered": 3}));
}

#[test]
fn a_job_beyond_the_wait_limit_is_cancelled_with_a_separate_exit_code() {
    let programs = programs();
    let flags = ["run", "job", "--tasks-dir", "tasks", "--wait-limit", "0.3", "-o", "json"];
    let output = programs.run("hub-client", &flags);
    assert_eq!(output.status.code(), Some(6), "{output:?}");
    assert_eq!(serde_json::from_slice::<Value>(&output.stdout).unwrap()["status"], "CANCELLED");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("0.3 s (--wait-limit) and was cancelled"), "{said}");
}

#[test]
fn a_job_with_an_unserved_pool_is_refused_at_once() {
    let programs = Programs::alone();
    programs.write_modules(&[("echo.py", "def echo(): return 1\n")]);
    let job = r#"{"name": "j", "tasks": [{"name": "echo", "pool": "gpu"}], "output": "_echo.data"}"#;
    let refused = programs.run_reading("hub-client", &["run", "-", "--tasks-dir", "tasks"], job);
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(refused.status.code() == Some(2) && said.contains("--pool gpu"), "{said}");
    let run =
        programs.run_reading("hub-client", &["run", "-", "--tasks-dir", "tasks", "--pool", "gpu", "-o", "json"], job);
    let record: Value = serde_json::from_slice(&run.stdout).unwrap();
    assert_eq!((run.status.code(), &record["output"]), (Some(0), &json!(1)));
}
