//! Tasks with a cache: which results are kept, and who takes them.

mod support;

use std::time::Duration;

use hub_core::details::RepairAction;
use hub_core::machine::{Outcome, Repair, Settings, Update};
use hub_core::{JobStatus, TaskStatus};
use serde_json::json;
use support::cache::{end_as, job, out, record, serve, served, served_with, succeed, taken};
use support::json;

#[test]
fn an_equal_task_takes_the_result_and_is_not_published() {
    let mut hub = served();
    let text = job(r#""args": [1, {"x": "_.job.name", "y": 2}]"#);
    let (first, task) = out(&mut hub, 1, &text);
    assert!(task.wants_content);
    succeed(&mut hub, &task, r#"{"n": 7}"#);
    hub.actions();
    // It is written in another way, under another name.
    let same = r#"{"name": "j", "tasks": [{"name": "b", "task_name": "m", "cache": {"ttl": 60},
        "args": [1, {"y":2,"x":"j"}]}, {"name": "c", "task_name": "m", "args": ["_b.data.n"]}], "output": "_b.data"}"#;
    let second = hub.submit(2, same);
    let mut published = hub.handed_out();
    assert_eq!((published.len(), &*published[0].name, published[0].args.get()), (1, "c", "[7]"));
    succeed(&mut hub, &published.remove(0), "1");
    hub.actions();
    let record = record(&hub, second);
    assert_eq!((&record["status"], &record["output"]), (&json!("SUCCESS"), &json!({"n": 7})));
    let b = &record["tasks"][0];
    let source = json!({"job": first.to_string(), "task": first.task(0).to_string()});
    assert_eq!((&b["status"], &b["data"], &b["cached_from"]), (&json!("SUCCESS"), &json!({"n": 7}), &source));
    assert_eq!((&b["args"], b.get("attempt"), b.get("worker")), (&json!([1, {"x": "j", "y": 2}]), None, None));
    assert_eq!((&b["cache"], record["tasks"][1].get("cached_from")), (&json!({"ttl": 60}), None));
    assert_eq!(hub.machine.live(), (0, 0));
}

#[test]
fn tasks_that_differ_run() {
    let mut hub = served();
    let (_, task) = out(&mut hub, 1, &job(r#""args": [1]"#));
    succeed(&mut hub, &task, "1");
    hub.actions();
    let others = [
        job(r#""args": [1.0]"#),
        job(r#""args": [1], "kwargs": {"a": 1}"#),
        job(r#""args": []"#),
        job(r#""args": [1]"#).replace("1h\"", "1h\", \"version\": 2"),
        job(r#""args": [1]"#).replace("1h\"", "1h\", \"version\": \"2\""),
        job(r#""args": [1]"#).replace("1h\"", "1h\", \"key\": [1]"),
        job(r#""args": [1]"#).replace("1h\"", "1h\", \"refresh\": true"),
    ];
    for (number, text) in (2..).zip(&others) {
        let (_, task) = out(&mut hub, number, text);
        succeed(&mut hub, &task, "2");
        hub.actions();
    }
    assert_eq!(hub.kept_results.len(), others.len(), "the refreshed result replaces the first one");
    let record = taken(&mut hub, 20, &job(r#""args": [1]"#));
    assert_eq!(record["tasks"][0]["data"], json!(2));
}

#[test]
fn results_belong_to_the_content_that_the_worker_reports() {
    let mut hub = served();
    let (_, task) = out(&mut hub, 1, &job(r#""args": []"#));
    // The module has changed since the last heartbeat.
    end_as(&mut hub, &task, Outcome::Success { data: json("2") }, Some("2"));
    hub.actions();
    let (_, task) = out(&mut hub, 2, &job(r#""args": []"#));
    succeed(&mut hub, &task, "1");
    hub.actions();
    assert_eq!(taken(&mut hub, 3, &job(r#""args": []"#))["tasks"][0]["data"], json!(1));
    serve(&mut hub, "w1", "2");
    assert_eq!(taken(&mut hub, 4, &job(r#""args": []"#))["tasks"][0]["data"], json!(2));
    serve(&mut hub, "w1", "3");
    let (job_5, task) = out(&mut hub, 5, &job(r#""args": []"#));
    end_as(&mut hub, &task, Outcome::Success { data: json("3") }, None);
    hub.actions();
    let why = record(&hub, job_5)["tasks"][0]["not_cached"].to_string();
    assert!(why.contains("did not report the content"), "{why}");
    out(&mut hub, 6, &job(r#""args": []"#));
}

#[test]
fn a_key_stands_for_arguments_and_content_and_a_command_for_itself() {
    let mut hub = served();
    let keyed = |args: u32, module: &str| {
        format!(
            r#"{{"name": "j", "tasks": [{{"name": "a", "task_name": "{module}", "args": [{args}],
                "cache": {{"ttl": "1h", "key": ["day", "_.job.name"]}}}}]}}"#
        )
    };
    let (_, task) = out(&mut hub, 1, &keyed(1, "m"));
    assert!(!task.wants_content);
    end_as(&mut hub, &task, Outcome::Success { data: json("1") }, None);
    hub.actions();
    serve(&mut hub, "w1", "2");
    assert_eq!(taken(&mut hub, 2, &keyed(2, "m"))["tasks"][0]["data"], json!(1));
    // No worker has the module, and none is needed.
    hub.machine.handle_worker_left(&"w1".into());
    assert_eq!(taken(&mut hub, 3, &keyed(3, "m"))["status"], json!("SUCCESS"));
    let command = |key: &str, word: &str| {
        format!(
            r#"{{"name": "j", "tasks": [{{"name": "a", "command": ["echo", "{word}", "_.job.name"],
                "cache": {{"ttl": "1h" {key}}}}}]}}"#
        )
    };
    let mut number = 10;
    for key in ["", r#", "key": 1"#] {
        let (_, task) = out(&mut hub, number, &command(key, "x"));
        end_as(&mut hub, &task, Outcome::Success { data: json("\"x\"") }, None);
        hub.actions();
        assert_eq!(taken(&mut hub, number + 1, &command(key, "x"))["tasks"][0]["data"], json!("x"));
        let (_, task) = out(&mut hub, number + 2, &command(key, "y"));
        end_as(&mut hub, &task, Outcome::Success { data: json("\"y\"") }, None);
        hub.actions();
        number += 10;
    }
    let failing = command(r#", "key": "_b.data.no""#, "z")
        .replace("\"tasks\": [", r#""tasks": [{"name": "b", "command": ["b"]}, "#);
    let (job, task) = out(&mut hub, 90, &failing);
    succeed(&mut hub, &task, "1");
    hub.actions();
    let (error, msg) = (&record(&hub, job)["tasks"][1]["error"], &record(&hub, job)["tasks"][1]["msg"]);
    assert_eq!(error["kind"], "MISSING_VALUE");
    assert!(msg.as_str().unwrap().starts_with("its key of the cache (cache.key) cannot be filled"), "{msg}");
}

#[test]
fn a_result_is_taken_until_it_expires() {
    let mut hub = served();
    let text = job(r#""args": [1]"#);
    let (_, task) = out(&mut hub, 1, &text);
    succeed(&mut hub, &task, "1");
    hub.actions();
    hub.now = hub.now.after(Duration::from_secs(3599));
    assert_eq!(taken(&mut hub, 2, &text)["status"], json!("SUCCESS"));
    hub.now = hub.now.after(Duration::from_secs(1));
    serve(&mut hub, "w1", "1");
    let (_, task) = out(&mut hub, 3, &text);
    succeed(&mut hub, &task, "3");
    hub.actions();
    assert_eq!(taken(&mut hub, 4, &text)["tasks"][0]["data"], json!(3));
    hub.now = hub.now.after(Duration::from_secs(3600));
    hub.crash();
    hub.actions();
    assert!(hub.kept_results.is_empty(), "a start removes what has expired");
}

#[test]
fn items_of_for_each_share_results() {
    let mut hub = served();
    let text = |list: &str| {
        format!(
            r#"{{"name": "j", "tasks": [{{"name": "a", "task_name": "m", "for_each": {list}, "args": ["_.item"],
                "cache": {{"ttl": "1h"}}}}], "output": "_a.data"}}"#
        )
    };
    let first = hub.submit(1, &text("[1, 2, 1, 3, 2]"));
    let tasks = hub.handed_out();
    assert_eq!(tasks.iter().map(|task| task.args.get()).collect::<Vec<_>>(), ["[1]", "[2]", "[3]"]);
    hub.fail(&tasks[1], "no");
    let next = hub.handed_out();
    assert_eq!(next.iter().map(|task| (&*task.name, task.args.get())).collect::<Vec<_>>(), [("a[4]", "[2]")]);
    for (task, data) in [(&tasks[0], "10"), (&tasks[2], "30"), (&next[0], "20")] {
        succeed(&mut hub, task, data);
    }
    assert!(hub.handed_out().is_empty());
    assert_eq!(hub.stored(first).state.status, JobStatus::Failed);
    assert_eq!(hub.kept_results.len(), 3);
    let record = taken(&mut hub, 2, &text("[3, 2, 1]"));
    assert_eq!((&record["output"], &record["tasks"][0]["items"]["success"]), (&json!([30, 20, 10]), &json!(3)));
    let keyed = text("[4, 5]").replace("1h\"", "1h\", \"key\": \"_.index\"");
    hub.submit(3, &keyed);
    for task in hub.handed_out() {
        succeed(&mut hub, &task, task.args.get());
    }
    hub.actions();
    let record = taken(&mut hub, 4, &keyed.replace("[4, 5]", "[6, 7]"));
    assert_eq!(record["output"], json!([[4], [5]]));
}

#[test]
fn only_a_success_of_the_module_is_kept() {
    let hold = r#""args": [1], "retry": {"maximum_attempts": 1, "exhausted": "hold"}, "recover": {"fallback": 1}"#;
    for (action, data) in [(RepairAction::Fail, None), (RepairAction::Skip, Some("2")), (RepairAction::Skip, None)] {
        let mut hub = served();
        let (job, task) = out(&mut hub, 1, &job(hold));
        hub.fail(&task, "no");
        hub.actions();
        let repair = Repair { action, data: data.map(json), by: None, reason: None };
        hub.machine.repair(job.task(0), repair, hub.now).unwrap();
        hub.actions();
        assert_eq!((hub.stored(job).state.status, hub.kept_results.len()), (JobStatus::Success, 0), "{action:?}");
    }
    // A result that an operator posts in place of a running task.
    let mut hub = served();
    let (job, _) = out(&mut hub, 1, &job(r#""args": [1]"#));
    let update = Update { status: TaskStatus::Success, data: Some(json("1")), msg: None };
    hub.machine.post_result(job.task(0), update, hub.now).unwrap();
    hub.actions();
    assert_eq!((hub.stored(job).state.status, hub.kept_results.len()), (JobStatus::Success, 0));
}

#[test]
fn what_is_too_large_is_not_kept_and_the_limits_hold() {
    let settings = Settings { max_kept_results: 2, max_kept_bytes: 64 * 100, ..Settings::default() };
    let mut hub = served_with(settings);
    let args = |number: u32| job(&format!(r#""args": [{number}]"#));
    let (large, task) = out(&mut hub, 1, &args(0));
    succeed(&mut hub, &task, &format!("{:?}", "x".repeat(100)));
    hub.actions();
    let why = record(&hub, large)["tasks"][0]["not_cached"].clone();
    assert_eq!(why, json!("the result has 102 bytes, and at most 100 are kept"));
    for number in 1..=3 {
        let (_, task) = out(&mut hub, number.into(), &args(number).replace("\"j\"", "\"k\""));
        succeed(&mut hub, &task, "1");
        hub.actions();
        hub.now = hub.now.after(Duration::from_millis(1));
    }
    assert_eq!(hub.kept_results.len(), 2);
    assert_eq!(taken(&mut hub, 11, &args(3))["status"], json!("SUCCESS"));
    out(&mut hub, 12, &args(1));
}

#[test]
fn a_retry_of_a_job_keeps_what_was_taken() {
    let mut hub = served();
    let (first, task) = out(&mut hub, 1, &job(r#""args": [1]"#));
    succeed(&mut hub, &task, "1");
    hub.actions();
    let text = r#"{"name": "j", "tasks": [{"name": "a", "task_name": "m", "args": [1], "cache": {"ttl": "1h"}},
        {"name": "b", "task_name": "m", "args": ["_a.data"]}]}"#;
    let second = hub.submit(2, text);
    let task = hub.handed_out().remove(0);
    hub.fail(&task, "no");
    hub.actions();
    let retry = hub_core::machine::Retry::default();
    let retried = hub_core::machine::RetriedJob::new(hub.stored(second).clone(), retry, 1 << 20, hub.now.wall).unwrap();
    hub.machine.submit_retry(support::id(3), retried, hub.now).unwrap();
    let tasks = hub.handed_out();
    assert_eq!(tasks.iter().map(|task| (&*task.name, task.args.get())).collect::<Vec<_>>(), [("b", "[1]")]);
    let a = &record(&hub, support::id(3))["tasks"][0];
    assert_eq!((&a["kept_from"], &a["cached_from"]["job"]), (&json!(second.to_string()), &json!(first.to_string())));
}

#[test]
fn a_refresh_begins_a_new_time_and_a_later_attempt_is_kept() {
    let mut hub = served();
    let text = job(r#""args": [1], "retry": {"maximum_attempts": 2, "initial_interval": 1, "jitter": 0}"#);
    let (_, task) = out(&mut hub, 1, &text);
    hub.fail(&task, "no");
    hub.actions();
    hub.pass(Duration::from_secs(1));
    let again = hub.handed_out().remove(0);
    succeed(&mut hub, &again, "1");
    hub.actions();
    hub.now = hub.now.after(Duration::from_secs(3000));
    serve(&mut hub, "w1", "1");
    let (_, task) = out(&mut hub, 2, &text.replace("1h\"", "1h\", \"refresh\": true"));
    succeed(&mut hub, &task, "2");
    hub.actions();
    hub.now = hub.now.after(Duration::from_secs(3000));
    serve(&mut hub, "w1", "1");
    let kept = &taken(&mut hub, 3, &text)["tasks"][0];
    assert_eq!((&kept["data"], kept.get("attempts"), kept.get("started_at")), (&json!(2), None, None));
}
