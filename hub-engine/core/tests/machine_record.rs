//! Status records: the keys of the manual and the further ones.

mod support;

use std::sync::Arc;
use std::time::Duration;

use hub_core::Json;
use hub_core::machine::{Handlers, Outcome, Returned, TaskResult};
use hub_core::record::{RecordParts, View};
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
fn the_users_own_keys_are_escaped() {
    let mut hub = Hub::new();
    hub.submit(1, r#"{"name": "j\"", "x-\"\\\u0001": 1, "tasks": [{"name": "a", "x-\n": 2}]}"#);
    let record = record(&live(&hub));
    assert_eq!((&record["name"], &record["x-\"\\\u{1}"]), (&json!("j\""), &json!(1)));
    assert_eq!(record["tasks"][0]["x-\n"], json!(2));
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
        r#"{{"id": "{job}", "name": "sum_product", "task_name": "", "status": "SUCCESS", "submitted_at": "1970-01-01T00:16:40.000Z", "started_at": "1970-01-01T00:16:40.000Z", "ended_at": "1970-01-01T00:16:40.000Z", "output": [6], "tasks": [{{"id": "{}", "parent_id": "{job}", "name": "add", "task_name": "add", "status": "SUCCESS", "args": [1, 2], "data": 3, "attempt": 1, "worker": "w1", "submitted_at": "1970-01-01T00:16:40.000Z", "started_at": "1970-01-01T00:16:40.000Z", "ended_at": "1970-01-01T00:16:40.000Z"}}, {{"id": "{}", "parent_id": "{job}", "name": "multiply_this", "task_name": "multiply", "status": "SUCCESS", "args": [3, 2], "depends": ["add"], "data": 6, "attempt": 1, "worker": "w1", "submitted_at": "1970-01-01T00:16:40.000Z", "started_at": "1970-01-01T00:16:40.000Z", "ended_at": "1970-01-01T00:16:40.000Z"}}]}}"#,
        job.task(0),
        job.task(1)
    );
    assert_eq!(hub.stored(job).record().get(), expected);
}

/// A record that is too large for an answer should not be written to find that out.
#[test]
fn the_size_of_a_record_is_known_from_below_without_writing_it() {
    let mut hub = Hub::new();
    let tasks: Vec<Value> = (0..50).map(|number| json!({"name": format!("t{number}"), "task_name": "add"})).collect();
    let job = hub.submit(1, &json!({"name": "j", "tasks": tasks}).to_string());
    let sizes = |job: &JobSnapshot| {
        let least = RecordParts::new(Arc::new(job.clone()), View::whole()).minimum_bytes();
        (least, job.record().get().len())
    };
    let (least, waiting) = sizes(&live(&hub));
    assert!(least <= waiting, "{least} and {waiting}");
    for task in hub.handed_out() {
        hub.succeed(&task, r#"["a result"]"#);
    }
    hub.actions();
    let (least, ended) = sizes(hub.stored(job));
    assert!(least <= ended && least * 4 > ended * 3, "{least} and {ended}");
}

#[test]
fn a_waiting_task_shows_its_arguments_as_written_and_a_reason() {
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
        type_name: Some("ValueError".into()),
        traceback: Some("Traceback …\n  \"here\"".into()),
        ..TaskError::new(ErrorKind::TaskFailed)
    };
    let result = TaskResult {
        progress: None,
        content: None,
        defaults: None,
        issue: task.issue,
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
    assert_eq!(shown["msg"], "1 of 2 tasks failed: \"a\": ValueError: bäd \"value\"; 1 task did not run");
    let behind = &shown["tasks"][1];
    assert_eq!((&behind["status"], &behind["args"]), (&json!("UPSTREAM_FAILED"), &json!(["_a.data"])));
}

#[test]
fn the_users_own_values_are_preserved() {
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
fn the_record_of_a_task_equals_its_part_of_the_jobs_record() {
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

#[test]
fn the_message_of_a_failed_job_counts_failures_and_names_the_first() {
    let mut hub = Hub::new();
    let tasks = r#"{"name": "a"}, {"name": "b"}, {"name": "c", "depends": ["a"]}, {"name": "d", "depends": ["c"]}, {"name": "e"}"#;
    let job = hub.submit(1, &format!(r#"{{"name": "j", "tasks": [{tasks}]}}"#));
    let out = hub.handed_out();
    let fail = |msg: String| Outcome::Failed { msg: msg.into(), error: None };
    hub.result(&out[1], fail(format!("two\nlines{}", "!".repeat(1000))));
    hub.actions();
    // Also while the job runs.
    let first = hub.stored(job).state.first_failure.clone().unwrap();
    assert_eq!((&*first.task, first.msg.starts_with("two\\nlines!"), first.msg.chars().count()), ("b", true, 301));
    assert_eq!(live(&hub).summary().first_failure, Some(first.clone()));
    hub.result(&out[0], fail("later".to_owned()));
    hub.succeed(&out[2], "1");
    hub.actions();
    let stored = hub.stored(job);
    let msg = format!("2 of 5 tasks failed; first: \"b\": {}; 2 tasks did not run", first.msg);
    assert_eq!(stored.state.msg.as_deref(), Some(&*msg));
    assert_eq!((stored.summary().msg.as_deref(), stored.summary().first_failure), (Some(&*msg), Some(first)));
}

#[test]
fn the_first_failure_names_the_exception_once() {
    let error = |name: &str| {
        let kind = ErrorKind::TaskFailed;
        Some(Arc::new(TaskError { type_name: Some(name.into()), ..TaskError::new(kind) }))
    };
    for (name, msg, shown) in [
        ("KeyError", "'nokey'", "KeyError: 'nokey'"),
        ("KeyError", "KeyError", "KeyError"),
        ("ValueError", "a\u{1b}[31m\nb", "ValueError: a\\u{1b}[31m\\nb"),
    ] {
        let mut hub = Hub::new();
        let job = hub.submit(1, r#"{"name": "j", "tasks": [{"name": "boom"}]}"#);
        let out = hub.handed_out();
        hub.result(&out[0], Outcome::Failed { msg: msg.into(), error: error(name) });
        hub.actions();
        let summed_up = format!("1 of 1 tasks failed: \"boom\": {shown}");
        assert_eq!(hub.stored(job).state.msg.as_deref(), Some(&*summed_up));
    }
}

#[test]
fn a_cancelled_task_keeps_its_start_time() {
    let mut hub = Hub::new();
    let job = hub.submit(1, r#"{"name": "j", "tasks": [{"name": "long"}]}"#);
    let out = hub.handed_out();
    hub.pass(Duration::from_secs(3));
    let (worker, ran) = ("w1".into(), Duration::from_secs(1));
    hub.machine.handle_running(&worker, out[0].issue, ran, hub.now);
    let began = hub.now.wall.before(ran);
    hub.pass(Duration::from_secs(4));
    hub.cancel(job);
    hub.machine.handle_returned(out[0].issue, Returned::Stopped, &worker, hub.now);
    hub.actions();
    let task = &hub.stored(job).tasks[0];
    assert_eq!((task.started_at, task.ended_at), (Some(began), Some(hub.now.wall)));
    // Not before it was handed out, for any report of a worker.
    let mut hub = Hub::new();
    let job = hub.submit(1, r#"{"name": "j", "tasks": [{"name": "long"}]}"#);
    let out = hub.handed_out();
    hub.machine.handle_running(&worker, out[0].issue, Duration::MAX, hub.now);
    hub.actions();
    let task = &hub.stored(job).tasks[0];
    assert_eq!(task.started_at, task.submitted_at);
}

#[test]
fn the_parts_of_a_record_are_small_and_form_the_record() {
    let mut hub = Hub::new();
    let tasks: Vec<Value> = (0..400).map(|at| json!({"name": format!("t{at}"), "args": ["x".repeat(1000)]})).collect();
    hub.submit(1, &json!({"name": "j", "tasks": tasks, "meta": {}}).to_string());
    let snapshot = Arc::new(live(&hub));
    let parts: Vec<String> = RecordParts::new(Arc::clone(&snapshot), View::whole()).collect();
    assert!(parts.len() > 3 && parts.iter().all(|part| part.len() < 70_000), "{}", parts.len());
    assert_eq!(parts.concat(), snapshot.record().get());
}

#[test]
fn a_view_shows_the_selected_keys() {
    let mut hub = Hub::new();
    hub.submit(1, r#"{"name": "j", "meta": {}, "tasks": [{"name": "a", "args": [1], "x-y": 2}], "output": 3}"#);
    let snapshot = Arc::new(live(&hub));
    let shown = |view: View| -> Value {
        let text: String = RecordParts::new(Arc::clone(&snapshot), view).collect();
        serde_json::from_str(&text).unwrap()
    };
    let without = shown(View::without_data());
    assert_eq!((without.get("output"), without.get("meta"), &without["status"]), (None, None, &json!("PENDING")));
    let task = &without["tasks"][0];
    assert_eq!((task.get("args"), task.get("x-y"), &task["name"]), (None, None, &json!("a")));
    let fields = shown(View::whole().with_fields("status, tasks,x-y"));
    assert_eq!(fields, json!({"status": "PENDING", "tasks": [{"status": "PENDING", "x-y": 2}]}));
    assert_eq!(shown(View::whole().with_fields("name")), json!({"name": "j"}));
    assert_eq!(shown(View::without_data().without_tasks().with_fields("name,tasks,meta")), json!({"name": "j"}));
    for nothing in ["", " , "] {
        let refused = View::whole().with_fields(nothing).check().unwrap_err().to_string();
        assert!(refused.contains("the list of fields is empty") && refused.contains("status"), "{refused}");
    }
    assert_eq!(View::whole().check(), Ok(()));
    let refused = View::whole().with_fields("name,statsu").check().unwrap_err().to_string();
    assert!(refused.contains("\"statsu\"") && refused.contains("status"), "{refused}");
    let fields = |count| View { fields: Some(vec!["x-a".to_owned(); count]), ..View::default() };
    assert_eq!(fields(100).check(), Ok(()));
    assert_eq!(fields(101).check().unwrap_err().to_string(), "at most 100 fields are allowed, not 101");
}

#[test]
fn a_part_of_a_live_job_equals_that_part_of_the_complete_view() {
    let mut hub = Hub::new();
    hub.worker("w1", &["t0", "t1"]);
    let tasks: Vec<Value> = (0..4)
        .map(|at| match at {
            0 => json!({"name": "t0"}),
            _ => json!({"name": format!("t{at}"), "args": [format!("_t{}.data", at - 1)]}),
        })
        .collect();
    let id = hub.submit(1, &json!({"name": "j", "tasks": tasks}).to_string());
    for result in ["[7]", "[8]"] {
        let task = hub.handed_out().remove(0);
        hub.succeed(&task, result);
    }
    hub.actions();
    let whole = live(&hub);
    for range in [0..2, 1..2, 1..9, 3..4, 9..12] {
        let part = hub.machine.view_part(id, range.clone()).unwrap();
        assert_eq!(part.tasks(), 4);
        let shown = part.into_snapshot().task_page(range.clone(), 9000, &View::whole()).json;
        assert_eq!(shown.to_value(), whole.task_page(range, 9000, &View::whole()).json.to_value());
    }
    let part = hub.machine.view_part(id, 1..2).unwrap().into_snapshot();
    assert_eq!(part.waiting, [], "only its own tasks are explained");
    assert_eq!(*part.tasks[3], hub_core::state::TaskState::pending());
}

#[test]
fn each_page_of_tasks_continues_the_previous_one() {
    let mut hub = Hub::new();
    let tasks: Vec<Value> = (0..5).map(|at| json!({"name": format!("t{at}"), "args": ["x".repeat(1000)]})).collect();
    hub.submit(1, &json!({"name": "j", "tasks": tasks}).to_string());
    let snapshot = live(&hub);
    let whole = record(&snapshot);
    let (mut at, mut found, mut pages) = (Some(0), Vec::new(), 0);
    while let Some(next) = at {
        // Two tasks fit.
        let page = snapshot.task_page(next..u32::MAX, 3000, &View::whole());
        let value = page.json.to_value();
        assert_eq!(value.get("next").and_then(Value::as_u64), page.next.map(u64::from));
        found.extend(value["tasks"].as_array().unwrap().clone());
        (at, pages) = (page.next, pages + 1);
    }
    assert_eq!((Value::from(found), pages), (whole["tasks"].clone(), 3));
    let names = |range, enough| snapshot.task_page(range, enough, &View::whole().with_fields("name")).json;
    assert_eq!(names(1..3, 9000).get(), r#"{"tasks": [{"name": "t1"}, {"name": "t2"}], "next": 3}"#);
    assert_eq!(names(3..9, 0).get(), r#"{"tasks": [{"name": "t3"}], "next": 4}"#, "at least one");
    assert_eq!(names(9..12, 9000).get(), r#"{"tasks": []}"#);
}

#[test]
fn fail_job_fails_the_job_with_the_reason() {
    let mut hub = Hub::new();
    let job = hub.submit(1, SUM_PRODUCT);
    hub.handed_out();
    hub.machine.fail_job(job, "cannot be kept".into(), Handlers::Run, hub.now).unwrap();
    hub.actions();
    let shown = record(hub.stored(job));
    assert_eq!((&shown["status"], &shown["msg"]), (&json!("FAILED"), &json!("cannot be kept")));
    assert_eq!(shown["tasks"][0]["status"], "CANCELLED");
    assert!(hub.machine.fail_job(job, "again".into(), Handlers::Run, hub.now).is_err());
}
