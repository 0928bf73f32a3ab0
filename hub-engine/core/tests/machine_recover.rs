//! Tasks that fail and are recovered: what counts for the tasks behind them and for their job, also after a crash.

mod support;

use std::sync::Arc;

use hub_core::action::Assignment;
use hub_core::details::RepairAction;
use hub_core::machine::{Outcome, Repair};
use hub_core::state::{ErrorKind, TaskError};
use hub_core::{JobId, JobStatus, TaskStatus};
use support::Hub;

fn fail(hub: &mut Hub, task: &Assignment, type_name: &str) {
    let error = TaskError { type_name: Some(type_name.into()), ..TaskError::new(ErrorKind::TaskFailed) };
    hub.result(task, Outcome::Failed { msg: "no".into(), error: Some(Arc::new(error)) });
}

/// A job of the task `a` with these keys, and `b` behind it.
fn job(keys: &str) -> String {
    format!(
        r#"{{"name": "j", "tasks": [{{"name": "a", {keys}}}, {{"name": "b", "args": ["_a.data", "_a.status"]}}],
            "output": ["_a.error.type", "_b.data"]}}"#
    )
}

fn record(hub: &Hub, job: JobId) -> serde_json::Value {
    serde_json::from_str(hub.stored(job).record().get()).unwrap()
}

#[test]
fn a_recovered_task_counts_as_a_success() {
    for crashes in [false, true] {
        let mut hub = Hub::new();
        let keys = r#""recover": {"fallback": {"why": "_.failure.type", "n": 0}, "match": ["OSError"]}"#;
        let job = hub.submit(1, &job(keys));
        let a = hub.handed_out().remove(0);
        fail(&mut hub, &a, "OSError");
        let mut b = hub.handed_out().remove(0);
        assert_eq!(b.args.get(), r#"[{"why": "OSError", "n": 0}, "FAILED"]"#);
        if crashes {
            hub.crash();
            b = hub.handed_out().remove(0);
        }
        hub.succeed(&b, "1");
        hub.actions();
        let ended = hub.stored(job);
        assert_eq!(
            (ended.state.status, &ended.state.first_failure, &ended.state.msg),
            (JobStatus::Success, &None, &None)
        );
        assert_eq!(ended.state.output.as_ref().unwrap().get(), r#"["OSError", 1]"#);
        let task = &record(&hub, job)["tasks"][0];
        assert_eq!((&task["status"], &task["recovered"]), (&"FAILED".into(), &true.into()), "{task:#}");
        assert_eq!((&task["error"]["type"], &task["msg"]), (&"OSError".into(), &"no".into()), "{task:#}");
        assert_eq!(hub.machine.live(), (0, 0));
    }
}

#[test]
fn only_errors_that_match_are_recovered_and_only_after_the_last_attempt() {
    let keys = r#""retry": {"maximum_attempts": 2, "initial_interval": 1}, "recover": {"match": ["TASK_FAILED"]}"#;
    let mut hub = Hub::new();
    let id = hub.submit(1, &job(keys));
    let first = hub.handed_out().remove(0);
    fail(&mut hub, &first, "E");
    assert!(hub.handed_out().is_empty());
    assert_eq!(hub.stored(id).tasks[0].status, TaskStatus::Pending);
    hub.pass(hub.next_due().unwrap());
    let second = hub.handed_out().remove(0);
    fail(&mut hub, &second, "E");
    assert_eq!(hub.handed_out()[0].args.get(), r#"[null, "FAILED"]"#, "the fallback is null");

    let mut hub = Hub::new();
    let id = hub.submit(1, &job(r#""recover": {"match": ["ValueError"]}"#));
    let a = hub.handed_out().remove(0);
    fail(&mut hub, &a, "OSError");
    assert!(hub.handed_out().is_empty());
    assert_eq!(hub.statuses(id), [TaskStatus::Failed, TaskStatus::UpstreamFailed]);
    assert_eq!(hub.stored(id).state.status, JobStatus::Failed);
    assert!(record(&hub, id)["tasks"][0].get("recovered").is_none());
}

#[test]
fn trigger_rules_see_a_success() {
    let mut hub = Hub::new();
    let text = r#"{"name": "j", "tasks": [{"name": "a", "recover": {}},
        {"name": "failed", "depends": ["a"], "trigger_rule": "one_failed"},
        {"name": "all_failed", "depends": ["a"], "trigger_rule": "all_failed"},
        {"name": "well", "depends": ["a"], "trigger_rule": "none_failed_min_one_success"},
        {"name": "skipped", "depends": ["failed"]}]}"#;
    let job = hub.submit(1, text);
    let a = hub.handed_out().remove(0);
    fail(&mut hub, &a, "E");
    let out = hub.handed_out();
    assert_eq!(out.iter().map(|task| &*task.name).collect::<Vec<_>>(), ["well"]);
    hub.crash();
    let well = hub.handed_out().remove(0);
    hub.succeed(&well, "1");
    hub.actions();
    use TaskStatus::{Failed, Skipped, Success};
    assert_eq!(hub.statuses(job), [Failed, Skipped, Skipped, Success, Skipped]);
    assert_eq!(hub.stored(job).state.status, JobStatus::Success);
}

#[test]
fn a_failure_at_a_gate_is_recovered_and_a_fallback_that_cannot_be_filled_is_none() {
    let mut hub = Hub::new();
    let text = r#"{"name": "j", "tasks": [{"name": "a"},
        {"name": "b", "when": "_a.data.nowhere", "recover": {"fallback": "_.failure.kind"}},
        {"name": "c", "args": ["_a.data.nowhere"], "recover": {"fallback": [1], "match": ["MISSING_VALUE"]}},
        {"name": "d", "args": ["_a.data.nowhere"], "recover": {"fallback": "_.failure.type.x"}},
        {"name": "end", "args": ["_b.data", "_c.data"]}]}"#;
    let job = hub.submit(1, text);
    let a = hub.handed_out().remove(0);
    hub.succeed(&a, "1");
    let end = hub.handed_out().remove(0);
    assert_eq!((&*end.name, end.args.get()), ("end", r#"["MISSING_VALUE", [1]]"#));
    hub.succeed(&end, "1");
    hub.actions();
    let ended = hub.stored(job);
    assert_eq!(ended.state.status, JobStatus::Failed);
    let (d, first) = (&ended.tasks[3], ended.state.first_failure.as_ref().unwrap());
    assert_eq!((d.status, &d.data, &*first.task), (TaskStatus::Failed, &None, "d"));
    assert!(d.msg.as_ref().unwrap().contains("it was not recovered: its fallback cannot be filled"), "{:?}", d.msg);
}

#[test]
fn a_task_that_an_operator_fails_is_recovered_and_a_cancelled_one_is_not() {
    let keys = r#""retry": {"maximum_attempts": 1, "exhausted": "hold"}, "recover": {"fallback": 7}"#;
    let mut hub = Hub::new();
    let id = hub.submit(1, &job(keys));
    let a = hub.handed_out().remove(0);
    fail(&mut hub, &a, "E");
    assert!(hub.handed_out().is_empty(), "it is held");
    let repair = Repair { action: RepairAction::Fail, data: None, by: None, reason: None };
    hub.machine.repair(id.task(0), repair, hub.now).unwrap();
    assert_eq!(hub.handed_out()[0].args.get(), r#"[7, "FAILED"]"#);

    let mut hub = Hub::new();
    let id = hub.submit(1, &job(keys));
    let a = hub.handed_out().remove(0);
    hub.cancel(id);
    fail(&mut hub, &a, "E");
    hub.actions();
    assert_eq!(hub.statuses(id), [TaskStatus::Cancelled; 2]);
    assert_eq!(hub.stored(id).tasks[0].data, None);
}
