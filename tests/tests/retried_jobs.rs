//! Retries of jobs with the real programs: what has succeeded does not run again, also if the dispatcher is killed.

use std::collections::BTreeMap;

use hub_tests::{Programs, eventually};
use serde_json::{Value, json};

/// Notes its number, and fails as long as its number is in the list of broken ones.
const STEP: &str = "\
import pathlib

def step(number):
    with open('ran', 'a') as ran:
        ran.write(f'{number}\\n')
    if number in (37, 38) and not pathlib.Path('repaired').exists():
        raise ValueError('broken')
    return number
";

/// A hundred tasks, of which the last ten depend on number 37.
fn job() -> String {
    let tasks: Vec<Value> = (0..100)
        .map(|number| {
            let depends = if number < 90 { json!([]) } else { json!(["t37"]) };
            json!({"name": format!("t{number}"), "task_name": "step", "args": [number], "depends": depends})
        })
        .collect();
    json!({"name": "hundred", "key": "once", "tasks": tasks, "output": ["_t0.data", "_t99.data"]}).to_string()
}

/// How often each task has run since the last call.
fn take_runs(programs: &Programs) -> BTreeMap<u32, u32> {
    let file = programs.directory().join("ran");
    let mut runs = BTreeMap::new();
    for line in std::fs::read_to_string(&file).unwrap_or_default().lines() {
        *runs.entry(line.parse().unwrap()).or_default() += 1;
    }
    let _ = std::fs::remove_file(file);
    runs
}

/// Runs a command of the client, which succeeds, and returns what it prints.
fn client(programs: &Programs, arguments: &[&str]) -> String {
    let output = programs.run("hub-client", arguments);
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

#[test]
fn a_retry_runs_what_had_not_succeeded_and_a_killed_dispatcher_goes_on_with_it() {
    let programs = Programs::alone();
    let store = programs.directory().join("jobs.db").to_string_lossy().into_owned();
    let arguments = ["--store", &store, "--slots", "8"];
    let (programs, hub) = programs.start_in_memory(&[("step.py", STEP)], &arguments);
    let first = programs.submit(&job());
    let failed = programs.ended(&first);
    assert_eq!(failed["status"], "FAILED", "{failed:#}");
    assert_eq!(take_runs(&programs), (0..90).map(|number| (number, 1)).collect());
    std::fs::write(programs.directory().join("repaired"), "").unwrap();

    // Nothing runs before the dispatcher is killed.
    client(&programs, &["pause", "--pool", "default"]);
    let second = client(&programs, &["retry", &first, "-q", "--reason", "repaired", "--by", "tests"]);
    drop(hub);
    // The address of the next one is read from its log.
    std::fs::remove_file(programs.directory().join("hub-dispatcher.log")).unwrap();
    let (programs, hub) = programs.start_in_memory(&[("step.py", STEP)], &arguments);
    assert_eq!(programs.record(&second)["tasks"][0]["kept_from"], json!(first));
    client(&programs, &["resume", "--pool", "default"]);
    let record = programs.ended(&second);
    assert_eq!((&record["status"], &record["output"]), (&json!("SUCCESS"), &json!([0, 99])), "{record:#}");
    let expected: Vec<u32> = [37, 38].into_iter().chain(90..100).collect();
    assert_eq!(take_runs(&programs), expected.iter().map(|number| (*number, 1)).collect());
    let origin = json!({"job": first, "root": first, "try": 2, "by": "tests", "reason": "repaired"});
    assert_eq!((&record["origin"], record.get("key")), (&origin, None));
    for (number, task) in (0..).zip(record["tasks"].as_array().unwrap()) {
        let kept = if expected.contains(&number) { Value::Null } else { json!(first) };
        assert_eq!(task["kept_from"], kept, "{task:#}");
    }
    assert_eq!(programs.record(&first), failed, "the job that ended does not change");
    assert_eq!(programs.submit(&job()), first, "the key belongs to the first job");
    hub.stop();
}

/// Takes long.
const LONG: &str = "import time\n\ndef long(): time.sleep(600)\n";

#[test]
fn a_job_that_runs_is_cancelled_for_its_retry() {
    let (programs, hub) = Programs::in_memory(&[("step.py", STEP), ("long.py", LONG)], &[]);
    let text = r#"{"name": "j", "tasks": [{"name": "a", "task_name": "step", "args": [1]},
        {"name": "long", "depends": ["a"]}]}"#;
    let first = programs.submit(text);
    eventually("the long task runs", || {
        let record = programs.record(&first);
        if record["tasks"][1]["status"] == "RUNNING" { Ok(()) } else { Err(record) }
    });
    let refused = programs.run("hub-client", &["retry", &first]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(refused.status.code() == Some(5) && said.contains("it has not ended (RUNNING)"), "{said}");
    let wrong = programs.run("hub-client", &["retry", &first, "--cancel", "--from", "aa"]);
    assert_eq!(wrong.status.code(), Some(2), "{wrong:?}");
    assert_eq!(programs.record(&first)["status"], "RUNNING", "a wrong request cancels nothing");
    let second = client(&programs, &["retry", &first, "--cancel", "-q", "--override", "long=7"]);
    assert_eq!(programs.record(&first)["status"], "CANCELLED");
    let record = programs.ended(&second);
    assert_eq!((&record["status"], &record["tasks"][0]["kept_from"]), (&json!("SUCCESS"), &json!(first)), "{record:#}");
    assert_eq!(take_runs(&programs), [(1, 1)].into());
    hub.stop();
}

#[test]
fn the_command_line_says_what_runs_again() {
    let (programs, hub) = Programs::in_memory(&[("step.py", STEP)], &[]);
    let text = r#"{"name": "j", "tasks": [{"name": "a", "task_name": "step", "args": [1]},
        {"name": "each", "task_name": "step", "for_each": [38, 39], "args": ["_.item"], "depends": ["a"]},
        {"name": "b", "task_name": "step", "args": ["_a.data"]}], "output": ["_a.data", "_each.data", "_b.data"]}"#;
    let first = programs.submit(text);
    assert_eq!(programs.ended(&first)["status"], "FAILED");
    assert_eq!(take_runs(&programs), [(1, 2), (38, 1), (39, 1)].into());
    std::fs::write(programs.directory().join("repaired"), "").unwrap();

    let waited = client(&programs, &["retry", &first, "--wait", "-q", "-o", "json"]);
    let record: Value = serde_json::from_str(&waited).unwrap();
    assert_eq!(record["output"], json!([1, [38, 39], 1]), "{record:#}");
    assert_eq!(take_runs(&programs), [(38, 1)].into(), "the item that had succeeded is kept");
    let items: Value = serde_json::from_str(&client(&programs, &["items", "last.each", "-o", "json"])).unwrap();
    assert_eq!((&items["tasks"][0].get("kept_from"), &items["tasks"][1]["kept_from"]), (&None, &json!(first)));
    let shown = client(&programs, &["status", "last", "-o", "table"]);
    assert!(
        shown.contains(&format!("retry of {first}, try 2")) && shown.contains("\n2 of 3 tasks did not run again"),
        "{shown}"
    );

    let second = record["id"].as_str().unwrap().to_owned();
    let id = "693eb630-e77d-11f1-b11f-02fc00000001";
    for _ in 0..2 {
        let third = client(&programs, &["retry", &second, "-q", "--from", "b", "--override", "each=[7]", "--id", id]);
        assert_eq!(third, id);
    }
    let record = programs.ended(id);
    assert_eq!(record["output"], json!([1, [7], 1]), "{record:#}");
    assert_eq!(take_runs(&programs), [(1, 1)].into());
    assert_eq!((&record["origin"]["root"], &record["origin"]["try"]), (&json!(first), &json!(3)));

    for (arguments, code, message) in [
        (&["retry", id][..], 5, "all its tasks succeeded"),
        (&["retry", id, "--from", "bb"], 2, "it has no task named \"bb\""),
        (&["retry", id, "--override", "a=x"], 2, "the data is not valid JSON"),
        (&["retry", &format!("{id}.a"), "--from", "start"], 2, "for the retry of a job"),
        (&["retry", "00000000-0000-0000-0000-000000000001"], 3, "no task has the id"),
    ] {
        let output = programs.run("hub-client", arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(said.contains(message), "{arguments:?}: {said}");
    }
    hub.stop();
}
