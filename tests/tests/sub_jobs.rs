//! Sub-jobs with the real programs: how they are listed and found, and what a killed dispatcher keeps.

use hub_tests::{Programs, eventually};
use serde_json::{Value, json};

const MODULES: [(&str, &str); 2] = [
    ("note.py", "def note(what):\n    open('ran', 'a').write(f'{what}\\n')\n    return what\n"),
    ("add.py", "def add(a, b):\n    return a + b\n"),
];

/// Each of two items asks a question in a job.
const JOB: &str = r#"{
  "name": "outer",
  "tasks": [
    { "name": "each",
      "for_each": ["x", "y"],
      "inputs": { "what": "_.item" },
      "job": {
        "name": "inner",
        "tasks": [
          { "name": "before", "task_name": "note", "args": ["_.input.what"] },
          { "name": "ask", "depends": ["before"], "wait": { "approval": { "message": "_.input.what" } } },
          { "name": "after", "task_name": "add", "args": ["_before.data", "_ask.data.choice"] } ],
        "output": "_after.data" } } ],
  "output": "_each.data"
}"#;

/// Runs a command of the client, which succeeds, and returns what it prints.
fn client(programs: &Programs, arguments: &[&str]) -> String {
    let output = programs.run("hub-client", arguments);
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn listed(programs: &Programs, more: &[&str]) -> Vec<Value> {
    let page: Value =
        serde_json::from_str(&client(programs, &[&["list", "-o", "json"], more].concat())).expect("a list is JSON");
    page["jobs"].as_array().expect("a list has jobs").clone()
}

#[test]
fn sub_jobs_survive_a_killed_dispatcher_and_are_found_but_not_taken_for_the_last_job() {
    let programs = Programs::alone();
    let store = programs.directory().join("jobs.db").to_string_lossy().into_owned();
    let (programs, hub) = programs.start_in_memory(&MODULES, &["--store", &store]);
    let id = programs.submit(JOB);
    let asking = |programs: &Programs| {
        eventually("both sub-jobs ask", || {
            let inner: Vec<Value> =
                listed(programs, &["--sub-jobs"]).into_iter().filter(|job| job["name"] == "inner").collect();
            let ask = inner.iter().filter(|job| {
                let record = programs.record(job["id"].as_str().unwrap_or_default());
                record["tasks"][1]["status"] == "RUNNING"
            });
            if ask.count() == 2 { Ok(inner) } else { Err(inner) }
        })
    };
    asking(&programs);
    // The record of a job that has not ended can show what is not committed yet. This is answered after the commit.
    client(&programs, &["priority", &id, "1"]);
    drop(hub);
    // The address of the next one is read from its log.
    std::fs::remove_file(programs.directory().join("hub-dispatcher.log")).unwrap();
    let (programs, hub) = programs.start_in_memory(&MODULES, &["--store", &store]);
    let inner = asking(&programs);

    assert_eq!(listed(&programs, &[]).len(), 1, "sub-jobs are not listed unless asked for");
    let last: Value = serde_json::from_str(&client(&programs, &["status", "last", "-o", "json"])).unwrap();
    assert_eq!(last["id"], json!(id));
    let first = inner[0]["id"].as_str().unwrap();
    let shown = client(&programs, &["status", first, "-o", "table"]);
    assert!(shown.contains(&format!("sub-job of {id}")), "{shown}");
    let digits = &first[first.len() - 8..];
    assert!(client(&programs, &["status", digits, "-o", "table"]).contains(first), "a sub-job is found by its digits");
    let refused = programs.run("hub-client", &["retry", first, "--cancel"]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(refused.status.code() == Some(5) && said.contains("is a sub-job of the job"), "{said}");

    for job in &asking(&programs) {
        client(&programs, &["approve", &format!("{}.ask", job["id"].as_str().unwrap())]);
    }
    let record = programs.ended(&id);
    assert_eq!((&record["status"], &record["output"]), (&json!("SUCCESS"), &json!(["xapprove", "yapprove"])));
    let mut ran: Vec<String> =
        std::fs::read_to_string(programs.directory().join("ran")).unwrap().lines().map(str::to_owned).collect();
    ran.sort();
    assert_eq!(ran, ["x", "y"], "nothing ran twice");
    hub.stop();
}
