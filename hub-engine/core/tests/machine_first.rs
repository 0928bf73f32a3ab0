//! `_.first`: the upstream task whose end has decided that a task runs.

mod support;

use std::time::Duration;

use hub_core::action::Action;
use hub_core::job::{Job, Limits};
use hub_core::state::ErrorKind;
use hub_core::{JobId, TaskStatus};
use support::{Hub, parse};

/// A job whose task `t` has this rule and these keys, and is behind `a`, `b` and `c`.
fn text(rule: &str, keys: &str) -> String {
    format!(
        r#"{{"name": "j", "tasks": [{{"name": "a"}}, {{"name": "b"}}, {{"name": "c"}},
            {{"name": "t", "depends": ["c", "b", "a"], "trigger_rule": "{rule}", {keys}}}]}}"#
    )
}

const SEEN: &str = r#""args": ["_.first.name", "_.first.status", "_.first.data", "_.first.data.n", "_.first.error"]"#;

/// The record of the task at `index`.
fn record(hub: &Hub, job: JobId, index: usize) -> serde_json::Value {
    hub.stored(job).record().to_value()["tasks"][index].clone()
}

#[test]
fn the_first_task_is_the_one_that_has_decided() {
    let mut hub = Hub::new();
    let job = hub.submit(1, &text("one_success", SEEN));
    let out = hub.handed_out();
    hub.fail(&out[2], "no");
    assert!(hub.handed_out().is_empty());
    hub.succeed(&out[1], r#"{"n": 7}"#);
    let t = hub.handed_out().remove(0);
    assert_eq!(t.args.get(), r#"["b", "SUCCESS", {"n": 7}, 7, null]"#);
    hub.succeed(&out[0], r#"{"n": 8}"#);
    hub.succeed(&t, "1");
    hub.actions();
    let shown = record(&hub, job, 3);
    assert_eq!((&shown["first"], &shown["args"][3]), (&"b".into(), &7.into()));
    assert_eq!(record(&hub, job, 0).get("first"), None);
}

#[test]
fn it_stays_the_same_after_a_crash_however_the_others_end() {
    for early in ["name", "status", "error"] {
        let mut hub = Hub::new();
        let keys = format!(r#""args": ["_.first.name", "_.first.{early}"], "delay": "1m""#);
        let job = hub.submit(1, &text("one_failed", &keys));
        let out = hub.handed_out();
        hub.fail(&out[2], "no");
        hub.actions();
        hub.crash();
        let out = hub.handed_out();
        out.iter().for_each(|task| _ = hub.fail(task, "no"));
        hub.actions();
        hub.crash();
        hub.pass(Duration::from_secs(61));
        let t = hub.handed_out().remove(0);
        assert!(t.args.get().starts_with(r#"["c", "#), "{}", t.args.get());
        assert_eq!(hub.statuses_now(job)[3], TaskStatus::Submitted);
    }
}

#[test]
fn of_tasks_that_ended_at_the_same_time_the_first_in_the_job_counts() {
    let mut hub = Hub::new();
    hub.submit(
        1,
        r#"{"name": "j", "tasks": [{"name": "x"}, {"name": "b", "depends": ["x"]}, {"name": "a", "depends": ["x"]},
            {"name": "t", "depends": ["a", "b"], "trigger_rule": "one_done", "kwargs": {"k": "_.first.name"}}]}"#,
    );
    let x = hub.handed_out().remove(0);
    hub.fail(&x, "no");
    assert_eq!(hub.handed_out().remove(0).kwargs.get(), r#"{"k": "b"}"#);
}

#[test]
fn conditions_delays_items_and_fallbacks_can_read_it() {
    let mut hub = Hub::new();
    let job = hub.submit(1, &text("one_done", r#""when": {"eq": ["_.first.status", "FAILED"]}"#));
    let out = hub.handed_out();
    hub.succeed(&out[0], "1");
    hub.actions();
    assert_eq!(hub.statuses_now(job)[3], TaskStatus::Skipped);

    let keys = r#""for_each": "_.first.data", "args": ["_.item", "_.first.name"], "delay": "_.first.data.0",
        "recover": {"fallback": "_.first.id"}"#;
    let job = hub.submit(2, &text("one_success", keys));
    let out = hub.handed_out();
    hub.succeed(&out[2], "[30, 40]");
    assert!(hub.handed_out().is_empty());
    hub.pass(Duration::from_secs(31));
    let items = hub.handed_out();
    let args: Vec<&str> = items.iter().map(|item| item.args.get()).collect();
    assert_eq!(args, [r#"[30, "c"]"#, r#"[40, "c"]"#]);
    hub.crash();
    let items = hub.handed_out();
    items.iter().filter(|item| item.name.starts_with('t')).for_each(|item| {
        assert!(item.args.get().ends_with(r#""c"]"#), "{}", item.args.get());
        hub.fail(item, "no");
    });
    hub.actions();
    assert_eq!(record(&hub, job, 3)["data"], record(&hub, job, 2)["id"]);
}

#[test]
fn a_path_without_a_value_fails_the_task() {
    let mut hub = Hub::new();
    let job = hub.submit(1, &text("one_success", r#""args": ["_.first.data.nowhere"]"#));
    let out = hub.handed_out();
    hub.succeed(&out[0], "{}");
    assert!(hub.handed_out().is_empty());
    let task = &hub.stored(job).tasks[3];
    assert_eq!(task.error.as_ref().unwrap().kind, ErrorKind::MissingValue);
    assert!(task.msg.as_ref().unwrap().contains("_.first.data"), "{:?}", task.msg);
}

#[test]
fn a_large_value_is_read_once_for_all_tasks_whose_first_task_it_is_of() {
    let mut hub = Hub::new();
    let task = |at: usize| {
        format!(
            r#"{{"name": "t{at}", "depends": ["big"], "trigger_rule": "one_done", "args": ["_.first.data.{}"]}}"#,
            at % 2
        )
    };
    let tasks: Vec<String> = (0..40).map(task).collect();
    hub.submit(1, &format!(r#"{{"name": "j", "tasks": [{{"name": "big"}}, {}]}}"#, tasks.join(", ")));
    let big = hub.handed_out().remove(0);
    hub.succeed(&big, &format!(r#"[1, 2, "{}"]"#, "x".repeat(1 << 20)));
    let (mut turns, mut args) = (0, Vec::new());
    while turns == 0 || hub.machine.wants_turn() {
        turns += 1;
        let out = hub.turn().into_iter().filter_map(|action| match action {
            Action::Publish(task) => Some(task.args.to_string()),
            _ => None,
        });
        args.extend(out);
    }
    assert!(args.len() == 40 && args.iter().filter(|args| *args == "[1]").count() == 20, "{args:?}");
    assert!(turns < 5, "{turns} turns");
}

#[test]
fn it_stands_only_where_a_rule_has_a_first_task() {
    let refused = |text: &str| Job::parse(text, &Limits::default()).unwrap_err().to_string();
    for rule in ["all_done", "always", "all_success"] {
        let why = refused(&text(rule, r#""args": ["_.first.data"]"#));
        assert!(why.contains("one_success, one_failed or one_done"), "{why}");
    }
    let why = refused(&text("one_done", r#""args": ["_.first.dta"]"#));
    assert!(why.contains("did you mean") && why.contains("_.first.data"), "{why}");
    let why = refused(&text("one_done", r#""args": ["_a.data"]"#));
    assert!(why.contains("_.first.data"), "{why}");
    let why = refused(&text("one_done", r#""args": ["_.first.name.x"]"#));
    assert!(why.contains("first.name is a string"), "{why}");
    // The output belongs to no task.
    let job = text("one_done", r#""args": ["_.first.data"]"#);
    let why = refused(&format!(r#"{}, "output": "_.first.data"}}"#, job.strip_suffix('}').unwrap()));
    assert!(why.contains("output"), "{why}");
    parse(&job);
}
