//! Status records: what the manual shows, and what is beside it.

mod support;

use std::sync::Arc;

use hub_core::Json;
use hub_core::machine::{Outcome, TaskResult};
use hub_core::state::{ErrorKind, JobSnapshot, TaskError};
use serde_json::{Value, json};
use support::{Hub, SUM_PRODUCT};

fn record(job: &JobSnapshot) -> Value {
    serde_json::from_str(job.record().get()).unwrap()
}

fn live(hub: &Hub) -> JobSnapshot {
    hub.machine.job(support::id(1)).unwrap()
}

#[test]
fn the_manuals_job_has_the_manuals_record() {
    let mut hub = Hub::new();
    let job = hub.submit(1, SUM_PRODUCT);
    for data in ["3", "6"] {
        let task = hub.handed_out().remove(0);
        hub.succeed(&task, data);
    }
    hub.actions();
    let expected = format!(
        r#"{{"id": "{job}", "name": "sum_product", "task_name": "", "status": "SUCCESS", "submitted_at": "1970-01-01T00:16:40.000Z", "started_at": "1970-01-01T00:16:40.000Z", "ended_at": "1970-01-01T00:16:40.000Z", "output": [6], "tasks": [{{"id": "{}", "parent_id": "{job}", "name": "add", "task_name": "", "status": "SUCCESS", "args": [1, 2], "data": 3, "attempt": 1, "worker": "w1", "submitted_at": "1970-01-01T00:16:40.000Z", "started_at": "1970-01-01T00:16:40.000Z", "ended_at": "1970-01-01T00:16:40.000Z"}}, {{"id": "{}", "parent_id": "{job}", "name": "multiply_this", "task_name": "multiply", "status": "SUCCESS", "args": [3, 2], "depends": ["add"], "data": 6, "attempt": 1, "worker": "w1", "submitted_at": "1970-01-01T00:16:40.000Z", "started_at": "1970-01-01T00:16:40.000Z", "ended_at": "1970-01-01T00:16:40.000Z"}}]}}"#,
        job.task(0),
        job.task(1)
    );
    assert_eq!(hub.stored(job).record().get(), expected);
}

#[test]
fn what_waits_shows_its_arguments_as_written_and_why_it_waits() {
    let mut hub = Hub::new();
    hub.submit(1, r#"{"name": "j", "tasks": [{"name": "b", "args": ["_a.data", "__x"], "kwargs": {"k": "_a.id"}}, {"name": "a"}]}"#);
    hub.handed_out();
    let shown = record(&live(&hub));
    let (waiting, out) = (&shown["tasks"][0], &shown["tasks"][1]);
    assert_eq!(waiting["args"], json!(["_a.data", "__x"]));
    assert_eq!(waiting["kwargs"], json!({"k": "_a.id"}));
    assert_eq!(waiting["waiting_reason"], "waits for a");
    for absent in ["data", "depends", "attempt", "worker", "msg", "error", "log", "pool", "submitted_at"] {
        assert_eq!(waiting.get(absent), None, "{absent}");
    }
    assert_eq!((&out["args"], out.get("kwargs")), (&json!([]), None));
    assert_eq!((&shown["status"], &shown["output"], shown.get("ended_at")), (&json!("RUNNING"), &Value::Null, None));
}

#[test]
fn a_failure_shows_its_reason_and_no_data() {
    let mut hub = Hub::new();
    let job = hub.submit(1, r#"{"name": "j", "tasks": [{"name": "a"}, {"name": "b", "args": ["_a.data"]}]}"#);
    let task = hub.handed_out().remove(0);
    let error = TaskError {
        kind: ErrorKind::TaskFailed,
        type_name: Some("ValueError".into()),
        traceback: Some("Traceback …\n  \"here\"".into()),
    };
    let result = TaskResult {
        task: task.task,
        attempt: task.attempt,
        outcome: Outcome::Failed { msg: "bäd \"value\"".into(), error: Some(Arc::new(error)) },
        log: Some("said\n\u{1}".into()),
        worker: "w1".into(),
        took: std::time::Duration::ZERO,
    };
    hub.machine.handle_result(result, hub.now);
    hub.actions();
    let shown = record(hub.stored(job));
    let failed = &shown["tasks"][0];
    assert_eq!((&failed["status"], &failed["msg"]), (&json!("FAILED"), &json!("bäd \"value\"")));
    assert_eq!(
        failed["error"],
        json!({"kind": "TASK_FAILED", "type": "ValueError", "traceback": "Traceback …\n  \"here\""})
    );
    assert_eq!((&failed["log"], failed.get("data")), (&json!("said\n\u{1}"), None));
    let behind = &shown["tasks"][1];
    assert_eq!((&behind["status"], &behind["args"]), (&json!("UPSTREAM_FAILED"), &json!(["_a.data"])));
}

#[test]
fn what_is_the_users_comes_back_as_it_was_written() {
    let mut hub = Hub::new();
    let job = hub.submit(
        1,
        r#"{"name": "jöb", "key": "k-1", "priority": -3, "meta": {"b": 1.0, "a": 123456789012345678901234567890}, "x-y": "\u00e9",
            "tasks": [{"name": "a", "args": [1e2, "_b.id", "_b.name"], "pool": "gpu", "priority": 7, "meta": { }, "x-z": null},
                      {"name": "b", "depends": [], "kwargs": {"of": ["_a.data.0", "_a.status", "_a.error"]}}]}"#,
    );
    let mut gpu = hub.worker("w1", &["a", "b"]);
    gpu.pools.push("gpu".into());
    hub.machine.handle_heartbeat(gpu, hub.now);
    for data in ["[12345678901234567890.50]", "2"] {
        let task = hub.handed_out().remove(0);
        hub.succeed(&task, data);
    }
    hub.actions();
    let text = hub.stored(job).record();
    for part in [
        r#""name": "jöb""#,
        r#""key": "k-1", "priority": -3, "meta": {"b": 1.0, "a": 123456789012345678901234567890}, "x-y": "\u00e9""#,
        r#""pool": "gpu", "priority": 7, "meta": { }, "x-z": null"#,
        &format!(r#""args": [1e2, "{}", "b"]"#, job.task(1)),
        r#""kwargs": {"of": [12345678901234567890.50, "SUCCESS", null]}"#,
        r#""depends": []"#,
        r#""output": null"#,
    ] {
        assert!(text.get().contains(part), "{part} is not in {text}");
    }
}

#[test]
fn a_tasks_own_record_is_the_one_in_its_jobs() {
    let mut hub = Hub::new();
    hub.submit(1, SUM_PRODUCT);
    let task = hub.handed_out().remove(0);
    hub.result(&task, Outcome::Launched { data: support::json("\"soon\"") });
    let snapshot = live(&hub);
    let shown = record(&snapshot);
    assert_eq!((&shown["tasks"][0]["status"], &shown["tasks"][0]["data"]), (&json!("RUNNING"), &json!("soon")));
    for index in 0..2 {
        assert_eq!(
            snapshot.task_record(index).map(|task| task.to_value()).as_ref(),
            Some(&shown["tasks"][index as usize])
        );
    }
    assert_eq!(snapshot.task_record(2), None::<Json>);
}
