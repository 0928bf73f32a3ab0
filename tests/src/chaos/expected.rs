//! The expected results of random jobs: the evaluator with the behaviour of the chaos modules, and the comparison with a
//! record.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::evaluator::{Call, Expected, Function, Job, Outcome, Scenario, Status, Table, Task, TaskEnd, evaluate};

/// The behaviour of each module. `modules.rs` contains the same in Python.
const MODULES: [(&str, Function); 11] = [
    ("total", |args, _| {
        let sum: i64 = args.as_array().into_iter().flatten().filter_map(Value::as_i64).sum();
        returned(sum.rem_euclid(1_000_003))
    }),
    ("wrap", |args, kwargs| returned(json!({"value": args[0], "list": [args[0], [args[0]]], "more": kwargs}))),
    ("spell", |args, _| {
        let whole = format!("{}/{}", args[0].as_str().expect("a text"), number(&args[1]));
        returned(whole.chars().take(40).collect::<String>())
    }),
    ("moment", same),
    ("long", same),
    ("awaits", same),
    ("add", |args, _| returned(number(&args[0]) + number(&args[1]))),
    ("multiply", |args, _| returned(number(&args[0]) * number(&args[1]))),
    // It returns its whole request. These parts of it are known.
    ("mirror", |args, kwargs| returned(json!({"args": args, "kwargs": kwargs}))),
    ("fails", |_, _| Outcome::Failed(Some("TASK_FAILED"))),
    ("dies", |_, _| Outcome::Failed(Some("CHILD_DIED"))),
];

fn returned(data: impl Into<Value>) -> Outcome {
    Outcome::Success(data.into())
}

fn same(args: &Value, kwargs: &Value) -> Outcome {
    returned(args.get(0).unwrap_or(&kwargs["value"]).clone())
}

fn number(value: &Value) -> i64 {
    value.as_i64().expect("a number")
}

/// The modules. Two of them behave differently in each attempt.
struct Modules(Table);

impl Scenario for Modules {
    fn run(&self, call: Call<'_>) -> Outcome {
        if !matches!(&*call.task.module, "flaky" | "persistent") {
            return self.0.run(call);
        }
        let is_early = i64::from(call.attempt) <= number(&call.args[0]);
        if is_early { Outcome::Failed(Some("TASK_FAILED")) } else { Outcome::Success(call.args[1].clone()) }
    }

    fn wait(&self, task: &Task) -> Outcome {
        self.0.wait(task)
    }

    fn id(&self, task: &Task) -> String {
        self.0.id(task)
    }
}

/// The expected result of a job whose tasks have these ids, by name.
pub(super) fn expected(job: &Value, ids: BTreeMap<String, String>) -> Expected {
    evaluate(&Job::of(job), &Modules(Table::new(&MODULES).with_ids(ids)))
}

/// Compares the record of an ended job with the expected result. A job that was cancelled may have ended before.
///
/// # Errors
/// A description of the differences.
pub(super) fn compare(job: &Value, record: &Value, was_cancelled: bool) -> Result<(), String> {
    let tasks = record["tasks"].as_array().map_or(&[][..], Vec::as_slice);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let expected = expected(job, tasks.iter().map(|task| (text(&task["name"]), text(&task["id"]))).collect());
    let differs = |what: &str| Err(format!("{what} of {job} should be as in {expected:#?}, and is {record:#}"));
    // What has ended by then depends on chance.
    let is_cancelled = was_cancelled && record["status"] == "CANCELLED" && record["output"].is_null();
    if !is_cancelled && (record["status"] != expected.status.as_str() || record["output"] != expected.output) {
        return differs("status and output");
    }
    if tasks.len() != expected.tasks.len() {
        return differs("the number of tasks");
    }
    let specs = job["tasks"].as_array().into_iter().flatten();
    for ((task, spec), end) in tasks.iter().zip(specs).zip(&expected.tasks) {
        let is_stopped = is_cancelled && task["status"] == "CANCELLED";
        if task["name"] != spec["name"] || !is_stopped && !agrees(task, end) {
            return differs(&format!("task {}", spec["name"]));
        }
    }
    Ok(())
}

/// Whether a task has ended as expected.
fn agrees(task: &Value, end: &TaskEnd) -> bool {
    let has_error = end.error.is_none_or(|kind| task["error"]["kind"] == kind);
    if task["status"] != end.status.as_str() || !has_error {
        return false;
    }
    let (Status::Success, Some(data)) = (end.status, &end.data) else { return true };
    let Some((args, kwargs)) = end.arguments.as_deref() else {
        // It runs for items, or runs a job.
        return task["data"] == *data;
    };
    let was_called_so = task["args"] == *args && task.get("kwargs").is_none_or(|shown| shown == kwargs);
    let has_data = match task["task_name"].as_str() {
        Some("mirror") => ["args", "kwargs"].iter().all(|key| task["data"][key] == data[key]),
        _ => task["data"] == *data,
    };
    was_called_so && has_data
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job() -> Value {
        json!({"name": "j", "output": {"of": "_b.data"}, "tasks": [
            {"name": "b", "task_name": "wrap", "args": ["_a.data"], "kwargs": {"id": "_a.id"}},
            {"name": "a", "task_name": "add", "args": [1, 2]}]})
    }

    fn record() -> Value {
        let data = json!({"value": 3, "list": [3, [3]], "more": {"id": "A"}});
        json!({"status": "SUCCESS", "output": {"of": data}, "tasks": [
            {"name": "b", "task_name": "wrap", "id": "B", "status": "SUCCESS", "args": [3], "kwargs": {"id": "A"}, "data": data},
            {"name": "a", "task_name": "add", "id": "A", "status": "SUCCESS", "args": [1, 2], "data": 3}]})
    }

    #[test]
    fn a_record_that_differs_anywhere_is_noticed() {
        assert_eq!(compare(&job(), &record(), false), Ok(()));
        let wrong = [
            ("/status", json!("FAILED")),
            ("/output", json!(null)),
            ("/tasks/0/name", json!("a")),
            ("/tasks/0/status", json!("FAILED")),
            ("/tasks/0/args", json!([4])),
            ("/tasks/0/kwargs/id", json!("B")),
            ("/tasks/1/data", json!(4)),
            ("/tasks/1/id", json!("C")),
        ];
        for (place, value) in wrong {
            let mut record = record();
            *record.pointer_mut(place).expect("the record has it") = value;
            assert!(compare(&job(), &record, false).is_err(), "{place}");
        }
    }

    #[test]
    fn a_failure_of_another_kind_is_noticed() {
        let job = json!({"name": "j", "tasks": [{"name": "a", "task_name": "fails", "args": [1]}, {"name": "b",
            "task_name": "add", "args": ["_a.data", 1]}]});
        let record = |kind: &str, status: &str| {
            json!({"status": "FAILED", "output": null, "tasks": [
                {"name": "a", "id": "A", "status": "FAILED", "error": {"kind": kind}},
                {"name": "b", "id": "B", "status": status}]})
        };
        assert_eq!(compare(&job, &record("TASK_FAILED", "UPSTREAM_FAILED"), false), Ok(()));
        assert!(compare(&job, &record("WORKER_LOST", "UPSTREAM_FAILED"), false).is_err());
        assert!(compare(&job, &record("TASK_FAILED", "FAILED"), false).is_err());
    }
}
