//! The size of values with replaced references is checked before they take memory. Values beyond the limit fail their
//! task or job with a clear message, also after a restart of the dispatcher.

mod support;

use hub_core::machine::{Outcome, Settings, Update};
use hub_core::state::ErrorKind;
use hub_core::{JobId, JobStatus, Json, TaskStatus};
use serde_json::{Value, json};
use support::{Hub, id, parse};

const LIMIT: usize = 10_000;

fn hub() -> Hub {
    Hub::with(Settings { max_value_bytes: LIMIT, ..Settings::default() })
}

/// A JSON string of this number of bytes, including the quotes.
fn text_of(bytes: usize) -> String {
    format!("\"{}\"", "x".repeat(bytes - 2))
}

fn kind(hub: &Hub, job: JobId, index: usize) -> Option<ErrorKind> {
    hub.stored(job).tasks[index].error.as_ref().map(|error| error.kind)
}

/// Runs a job whose first task returns `data`. Returns the arguments of the tasks that are handed out then.
fn after_first(hub: &mut Hub, job: &Value, data: &str) -> (JobId, Vec<Json>) {
    let id = hub.submit(1, &job.to_string());
    let first = hub.handed_out().remove(0);
    hub.succeed(&first, data);
    (id, hub.handed_out().into_iter().map(|task| task.args).collect())
}

fn nested(depth: usize) -> String {
    format!("{}{}", "[".repeat(depth), "]".repeat(depth))
}

#[test]
fn arguments_may_have_exactly_the_size_of_the_limit() {
    // ["…"] has 4 bytes around the text, and {"k": "…"} has 7 + 1.
    let args = json!({"name": "j", "tasks": [{"name": "a"}, {"name": "b", "args": ["_a.data"]}]});
    let both = r#"{"name": "j", "tasks": [{"name": "a"},
        {"name": "b", "args": [1], "kwargs": {"k": "_a.data"}}]}"#;
    for (job, around) in [(args, 2), (serde_json::from_str(both).unwrap(), r#"[1]{"k":}"#.len())] {
        let fits = after_first(&mut hub(), &job, &text_of(LIMIT - around));
        assert_eq!(fits.1.len(), 1, "{job}");
        let mut hub = hub();
        let (id, out) = after_first(&mut hub, &job, &text_of(LIMIT - around + 1));
        assert_eq!((out.len(), kind(&hub, id, 1)), (0, Some(ErrorKind::ArgumentsTooLarge)), "{job}");
        let msg = hub.stored(id).tasks[1].msg.as_deref().unwrap();
        assert!(msg.contains("10001 bytes") && msg.contains("max_value_bytes is 10000"), "{msg}");
    }
}

#[test]
fn repeated_values_are_counted_without_being_copied() {
    let mut hub = hub();
    let many = vec!["_a.data"; 2000];
    let job =
        json!({"name": "j", "tasks": [{"name": "a"}, {"name": "b", "args": many}, {"name": "c", "depends": ["b"]}]});
    let (id, out) = after_first(&mut hub, &job, &text_of(9_000));
    assert_eq!(out, []);
    assert_eq!(hub.statuses(id), [TaskStatus::Success, TaskStatus::Failed, TaskStatus::UpstreamFailed]);
    assert!(hub.stored(id).tasks[1].msg.as_deref().unwrap().contains("18002001 bytes"));
    let record: Value = serde_json::from_str(hub.stored(id).record().get()).unwrap();
    assert_eq!(record["tasks"][1]["args"], json!(many), "arguments that were not handed out are shown as written");
}

#[test]
fn arguments_without_references_are_limited_too() {
    let mut hub = hub();
    let text = "x".repeat(LIMIT);
    let id = hub.submit(1, &json!({"name": "j", "tasks": [{"name": "a", "args": [text]}, {"name": "b"}]}).to_string());
    assert_eq!(hub.handed_out().len(), 1);
    assert_eq!(kind(&hub, id, 0), Some(ErrorKind::ArgumentsTooLarge));
}

#[test]
fn an_output_beyond_the_limit_fails_the_job_with_a_message() {
    for times in [1, 2] {
        let mut hub = hub();
        let output = vec!["_a.data"; times];
        let (id, _) =
            after_first(&mut hub, &json!({"name": "j", "tasks": [{"name": "a"}], "output": output}), &text_of(9_000));
        let state = &hub.stored(id).state;
        if times == 1 {
            assert_eq!((state.status, state.output.is_some()), (JobStatus::Success, true));
        } else {
            assert_eq!((state.status, state.output.is_some()), (JobStatus::Failed, false));
            let msg = state.msg.as_deref().unwrap();
            assert_eq!(
                msg,
                "the output would have 18003 bytes once the references are replaced, the limit max_value_bytes is 10000"
            );
        }
    }
}

#[test]
fn values_nested_too_deeply_fail() {
    let job =
        json!({"name": "j", "tasks": [{"name": "a"}, {"name": "b", "args": ["_a.data"]}], "output": {"o": "_a.data"}});
    let fits = after_first(&mut hub(), &job, &nested(Json::MAX_DEPTH - 1));
    assert_eq!(fits.1.len(), 1);
    let mut deep = hub();
    let (id, out) = after_first(&mut deep, &job, &nested(Json::MAX_DEPTH));
    assert_eq!((out.len(), kind(&deep, id, 1)), (0, Some(ErrorKind::ValueTooDeep)));
    let job = json!({"name": "j", "tasks": [{"name": "a"}], "output": {"o": "_a.data"}});
    let mut deep = hub();
    let (id, _) = after_first(&mut deep, &job, &nested(Json::MAX_DEPTH));
    assert_eq!(deep.stored(id).state.status, JobStatus::Failed);
    assert!(deep.stored(id).state.msg.as_deref().unwrap().contains("500 levels"));
}

#[test]
fn a_result_beyond_a_limit_fails_its_task() {
    let rows = [
        (text_of(LIMIT), None),
        (text_of(LIMIT + 1), Some(ErrorKind::ResultTooLarge)),
        (nested(Json::MAX_DEPTH), None),
        (nested(Json::MAX_DEPTH + 1), Some(ErrorKind::ValueTooDeep)),
    ];
    for (data, expected) in rows {
        for outcome in
            [Outcome::Success { data: support::json(&data) }, Outcome::Launched { data: support::json(&data) }]
        {
            let mut hub = hub();
            let id = hub.submit(1, r#"{"name": "j", "tasks": [{"name": "a"}, {"name": "b"}]}"#);
            let a = hub.handed_out().remove(0);
            hub.result(&a, outcome.clone());
            hub.actions();
            assert_eq!(kind(&hub, id, 0), expected, "{outcome:?}");
            let (is_failed, has_data) =
                (hub.statuses(id)[0] == TaskStatus::Failed, hub.stored(id).tasks[0].data.is_some());
            assert_eq!((is_failed, has_data), (expected.is_some(), expected.is_none()));
        }
    }
}

#[test]
fn a_posted_result_beyond_a_limit_is_refused_and_the_task_continues() {
    let mut hub = hub();
    let id = hub.submit(1, r#"{"name": "j", "tasks": [{"name": "a"}]}"#);
    let a = hub.handed_out().remove(0);
    hub.result(&a, Outcome::Launched { data: Json::null() });
    let mut post = |data: String| {
        let update = Update { status: TaskStatus::Success, data: Some(support::json(&data)), msg: None };
        hub.machine.post_result(id.task(0), update, hub.now).map_err(|error| error.to_string())
    };
    assert!(post(text_of(LIMIT + 1)).unwrap_err().contains("10001 bytes"));
    assert!(post(nested(Json::MAX_DEPTH + 1)).unwrap_err().contains("500 levels"));
    assert!(post(text_of(LIMIT)).is_ok());
}

#[test]
fn the_limits_apply_after_a_restart() {
    let large = vec!["_a.data"; 2000];
    let job = json!({"name": "j", "output": large,
        "tasks": [{"name": "a"}, {"name": "b", "args": large, "pool": "p"}, {"name": "c"}]});
    let mut hub = hub();
    let id = hub.submit(1, &job.to_string());
    let out = hub.handed_out();
    hub.succeed(&out[0], &text_of(9_000));
    hub.actions();
    hub.crash();
    let mut worker = hub.worker("w1", &["b"]);
    worker.pools = vec!["p".into()];
    hub.machine.handle_heartbeat(worker, hub.now);
    assert!(hub.handed_out().iter().all(|task| &*task.name == "c"));
    assert_eq!(kind(&hub, id, 1), Some(ErrorKind::ArgumentsTooLarge));
}

#[test]
fn an_unconfirmed_issue_beyond_a_new_limit_fails() {
    let twice = ["_a.data", "_a.data"];
    let tasks = json!([{"name": "a"}, {"name": "b", "args": twice}, {"name": "c"}]);
    let mut hub = Hub::new();
    let id = hub.submit(1, &json!({"name": "j", "tasks": tasks}).to_string());
    let output =
        hub.submit(2, &json!({"name": "j", "tasks": [{"name": "a"}, {"name": "b"}], "output": twice}).to_string());
    let out = hub.handed_out();
    for task in out.iter().filter(|task| &*task.name == "a") {
        hub.succeed(task, &text_of(9_000));
    }
    assert_eq!(hub.handed_out().len(), 1, "the issue is handed out and not confirmed");
    hub.crash_with(Settings { max_value_bytes: LIMIT, ..Settings::default() });
    assert!(hub.handed_out().iter().all(|task| &*task.name != "b" || task.job == output));
    assert_eq!(kind(&hub, id, 1), Some(ErrorKind::ArgumentsTooLarge));
    let last = support::first_issue(&hub, output, 1);
    hub.succeed(&last, "1");
    hub.actions();
    assert_eq!(hub.stored(output).state.status, JobStatus::Failed);
}

#[test]
fn references_to_parts_of_a_large_value_have_constant_cost() {
    let count = 3_000;
    let list = format!("[{}]", vec![text_of(2_000); count].join(", "));
    let tasks = (0..count).map(|at| json!({"name": format!("t{at}"), "args": [format!("_a.data.{at}")]}));
    let tasks: Vec<Value> = std::iter::once(json!({"name": "a"})).chain(tasks).collect();
    let mut hub = Hub::new();
    let text = json!({"name": "j", "tasks": tasks}).to_string();
    hub.machine.submit(id(1), parse(&text), hub.now).unwrap();
    let a = hub.handed_out().remove(0);
    hub.succeed(&a, &list);
    let mut done = 0;
    loop {
        let out = hub.handed_out();
        if out.is_empty() {
            break;
        }
        for task in out {
            assert_eq!(task.args.get().len(), 2_002);
            hub.succeed(&task, "1");
            done += 1;
        }
    }
    assert_eq!((done, hub.stored(id(1)).state.status), (count, JobStatus::Success));
    let record = hub.stored(id(1)).record();
    assert!(record.get().len() > count * 4_000, "the parts and the whole");
}
