//! The example jobs of `etc/jobs`, and their expected outputs.

use serde_json::{Value, json};

use crate::{Programs, eventually, root};

/// The examples without asynchronous tasks.
pub const UNATTENDED: [&str; 10] = [
    "branches.json",
    "commands.json",
    "etl.json",
    "fan_out.json",
    "flaky.json",
    "map.json",
    "polyglot.json",
    "provision.json",
    "sub_job.json",
    "sum_product.json",
];
/// The example with an asynchronous task.
pub const ASYNCHRONOUS: &str = "asynchronous.json";

/// The example with waits.
pub const WAITING: &str = "approval.json";

/// The text of an example.
///
/// # Panics
/// If there is no example with this name.
#[must_use]
pub fn example(name: &str) -> String {
    std::fs::read_to_string(root().join("etc/jobs").join(name)).expect("the example exists")
}

/// Runs every example on a Hub that serves `etc/tasks`.
///
/// # Panics
/// If an example does not end as expected.
pub fn run_examples(programs: &Programs) {
    for name in UNATTENDED {
        check_example(name, &programs.ended(&programs.submit(&example(name))));
    }
    run_asynchronous(programs);
    run_waiting(programs);
}

/// Compares the record of an ended example with the expected one.
///
/// # Panics
/// If it differs.
pub fn check_example(name: &str, record: &Value) {
    assert_eq!(record["status"], "SUCCESS", "{record:#}");
    let task = |name: &str| {
        let found = record["tasks"].as_array().and_then(|tasks| tasks.iter().find(|task| task["name"] == name));
        found.unwrap_or_else(|| panic!("no task {name} in {record:#}"))
    };
    match name {
        "sum_product.json" => check_manual_record(record),
        "sub_job.json" => {
            assert_eq!(record["output"], json!({"days": [10, 40, 90], "sum": 140}));
            assert_eq!(task("load")["items"]["success"], 3);
        }
        "branches.json" => {
            assert_eq!(record["output"], json!({"large": "SKIPPED", "small": 43}));
            assert_eq!(task("large")["msg"], "was skipped, because its condition (when) is false");
        }
        "commands.json" => {
            assert_eq!(record["output"], json!({"sum": 15, "text": "the sum is 15"}));
            assert_eq!(task("greet")["command"], json!(["echo", "the sum is", 15]));
            assert_eq!(task("sum")["env"]["NUMBERS"], "1\n2\n3\n4\n5");
        }
        "etl.json" => {
            assert_eq!(record["output"], json!({"rows": 55, "price": 110, "warn": "SKIPPED"}));
            assert_eq!(task("connect")["attempts"].as_array().map(Vec::len), Some(2));
            assert_eq!((&task("rate")["status"], &task("rate")["recovered"]), (&json!("FAILED"), &json!(true)));
            assert_eq!(
                (&task("disconnect")["data"], &task("disconnect")["handler"]),
                (&json!("bye"), &json!("finally"))
            );
            assert_eq!((&task("alarm")["status"], &record["verdict"]), (&json!("SKIPPED"), &json!("SUCCESS")));
        }
        "flaky.json" => {
            assert_eq!(record["output"], json!("succeeded at attempt 3"));
            let attempts = task("fetch")["attempts"].as_array().expect("two attempts have failed");
            let types: Vec<&Value> = attempts.iter().map(|attempt| &attempt["error"]["type"]).collect();
            assert_eq!((types, &task("fetch")["attempt"]), (vec![&json!("ConnectionError"); 2], &json!(3)));
        }
        "fan_out.json" => assert_eq!(record["output"], json!({"sum_of_squares": 91})),
        "map.json" => {
            assert_eq!(record["output"], json!({"squares": [1, 4, 9, 16, 25, 36], "sum": 91}));
            assert_eq!(
                (&task("square")["items"]["success"], &task("square")["items"]["total"]),
                (&json!(6), &json!(6))
            );
        }
        "polyglot.json" => {
            assert_eq!(record["output"], json!(["hello, world", 2, 4]));
            assert_eq!(task("greet")["log"], "greeting world\n");
        }
        "provision.json" => {
            assert_eq!(record["tasks"].as_array().map(Vec::len), Some(12));
            assert_eq!(task("create_tftp")["args"][1], task("power_on")["id"]);
            assert_eq!(task("create_tftp")["data"]["notify"], task("power_on")["id"]);
            // Objects are passed between tasks completely.
            assert_eq!(task("create_lvm")["args"][0], task("create_host")["data"]);
            assert_eq!(task("delete_vm")["data"]["deleted"], task("get_uuid")["data"]);
            assert_eq!(record["output"], json!({"host": task("create_host")["data"], "state": "on"}));
        }
        other => panic!("there is no expected result for {other}"),
    }
}

/// Compares a record of the manual's job with the one that the manual shows: the manual's keys with the
/// manual's values, whatever Hub tells beside them.
///
/// # Panics
/// If it differs.
pub fn check_manual_record(record: &Value) {
    let id = &record["id"];
    let mut own = record.clone();
    for task in own["tasks"].as_array_mut().expect("tasks are a list") {
        let task = task.as_object_mut().expect("a task is an object");
        assert!(task["id"].is_string() && task["id"] != *id, "a task has an id of its own: {task:?}");
        let shown = ["status", "name", "args", "parent_id", "depends", "task_name", "data"];
        task.retain(|key, _| shown.contains(&key.as_str()));
    }
    let shown = ["status", "tasks", "name", "task_name", "output", "id"];
    own.as_object_mut().expect("a record is an object").retain(|key, _| shown.contains(&key.as_str()));
    let manual = json!({
        "status": "SUCCESS", "name": "sum_product", "task_name": "", "output": [6], "id": id,
        "tasks": [
            {"status": "SUCCESS", "name": "add", "args": [1, 2], "parent_id": id, "task_name": "add", "data": 3},
            {"status": "SUCCESS", "name": "multiply_this", "args": [3, 2], "parent_id": id, "depends": ["add"],
             "task_name": "multiply", "data": 6}]});
    assert_eq!(own, manual);
}

/// The example with waits: its question is answered, and its signal comes early.
fn run_waiting(programs: &Programs) {
    let id = programs.submit(&example(WAITING));
    let run = |arguments: &[&str]| {
        let done = programs.run("hub-client", arguments);
        assert!(done.status.success(), "{arguments:?}: {done:?}");
    };
    run(&["signal", &id, "delivered", "--data", r#"{"parcels": 3}"#, "--key", "once"]);
    eventually("the question is asked", || {
        let record = programs.record(&id);
        if record["tasks"][1]["status"] == "RUNNING" { Ok(()) } else { Err(record) }
    });
    run(&["approve", &format!("{id}.ask"), "--by", "kim"]);
    let record = programs.ended(&id);
    assert_eq!((&record["status"], &record["output"]), (&json!("SUCCESS"), &json!({"by": "kim", "parcels": 3})));
    assert!(record["tasks"][1].get("worker").is_none(), "{record:#}");
}

/// The asynchronous example: its task is launched, stays `RUNNING`, and ends by a result from outside.
fn run_asynchronous(programs: &Programs) {
    let id = programs.submit(&example(ASYNCHRONOUS));
    let stamp = eventually("the stamp is ordered", || {
        let record = programs.record(&id);
        let task = record["tasks"][0].clone();
        if task["status"] == "RUNNING" && task["data"].is_object() { Ok(task) } else { Err(record) }
    });
    assert_eq!(stamp["data"], json!({"ordered": "a stamp", "deliver_to": stamp["id"]}));
    let update = json!({"id": stamp["id"], "status": "SUCCESS", "data": "a blue stamp"}).to_string();
    assert!(programs.run_reading("hub-client", &["-U"], &update).status.success());
    let record = programs.ended(&id);
    assert_eq!((&record["status"], &record["output"]), (&json!("SUCCESS"), &json!("a letter with a blue stamp")));
    assert_eq!(record["tasks"][0]["data"], "a blue stamp");
}
