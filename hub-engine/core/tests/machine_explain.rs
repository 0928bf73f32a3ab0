//! Explanations: the gate that holds each task, since when, and what it waits for; of what has ended, why.

mod support;

use std::time::Duration;

use hub_core::details::RepairAction;
use hub_core::explain::{Explanation, Gate, GateState, Reason, TaskGroup};
use hub_core::machine::{Cancel, Outcome, Remark, Repair, explain_ended};
use hub_core::{JobId, JobStatus, TaskStatus};
use support::{Hub, json};

const MINUTE: Duration = Duration::from_secs(60);

fn explain(hub: &Hub, job: JobId, task: Option<&str>) -> Explanation {
    hub.machine.explain(job, task).expect("the job is not live").unwrap_or_else(|error| panic!("{error}"))
}

/// The explanation of one task.
fn of(hub: &Hub, job: JobId, task: &str) -> TaskGroup {
    let mut tasks = explain(hub, job, Some(task)).tasks;
    assert_eq!((tasks.len(), tasks[0].count, &*tasks[0].names[0]), (1, 1, task));
    tasks.remove(0)
}

/// The gates of a task that are not absent.
fn gates(group: &TaskGroup) -> Vec<(Gate, GateState)> {
    let gates = group.explanation.gates.iter().map(|report| (report.gate, report.state));
    gates.filter(|(_, state)| *state != GateState::Absent).collect()
}

fn text(hub: &Hub, job: JobId, task: &str) -> String {
    of(hub, job, task).explanation.text
}

#[test]
fn a_task_passes_its_gates_in_their_order() {
    use Gate::{Broker, Delay, Pool, Retry, Start, TriggerRule, When};
    use GateState::{Holds, NotReached, Passed};
    let mut hub = Hub::new();
    let text = r#"{"name": "j", "start_at": "1m", "retry": 3, "tasks": [{"name": "a"},
        {"name": "b", "when": {"eq": ["_a.data", 1]}, "delay": "1m"}]}"#;
    let job = hub.submit(1, text);
    let begun = hub.now.wall;
    let states = |held: Gate| {
        let all = [TriggerRule, Start, When, Delay, Retry, Pool, Broker];
        all.map(|gate| match gate {
            gate if gate < held => (gate, Passed),
            gate if gate == held => (gate, Holds),
            gate => (gate, NotReached),
        })
    };
    let a = of(&hub, job, "a");
    assert_eq!((a.explanation.gate, a.explanation.since), (Some(Start), Some(begun)));
    let b = of(&hub, job, "b");
    assert_eq!((gates(&b), &*b.explanation.text), (states(TriggerRule).to_vec(), "waits for a"));
    hub.pass(MINUTE);
    let a = hub.handed_out().remove(0);
    hub.succeed(&a, "1");
    hub.actions();
    let b = of(&hub, job, "b");
    assert_eq!((gates(&b), b.explanation.since), (states(Delay).to_vec(), Some(hub.now.wall)));
    hub.crash();
    assert_eq!(of(&hub, job, "b"), b, "a restart changes nothing");
    hub.pass(MINUTE);
    hub.worker("w1", &["a"]);
    assert!(hub.handed_out().is_empty());
    let b = of(&hub, job, "b");
    assert_eq!((gates(&b), b.explanation.since), (states(Pool).to_vec(), Some(hub.now.wall)));
    let Reason::NoModule { modules, .. } = &b.explanation.reason else { panic!("{b:?}") };
    assert_eq!(modules.first.len(), 1);
    hub.worker("w2", &["b"]);
    let out = hub.handed_out().remove(0);
    let b = of(&hub, job, "b");
    assert_eq!((gates(&b), b.explanation.since), (states(Broker).to_vec(), Some(hub.now.wall)));
    assert_eq!(
        b.explanation.text,
        "is being sent to the queue of the pool \"default\" on the broker; 2 workers with 4 slots serve it"
    );
    hub.machine.handle_started(&"w2".into(), &[out.issue], hub.now);
    let b = of(&hub, job, "b");
    assert_eq!((b.explanation.gate, &*b.explanation.text), (None, "runs on the worker w2"));
    hub.fail(&out, "no");
    hub.actions();
    let b = of(&hub, job, "b");
    assert_eq!((gates(&b), b.explanation.since), (states(Retry).to_vec(), Some(hub.now.wall)));
    let Reason::Retry { failures: 1, error: Some(error), .. } = &b.explanation.reason else { panic!("{b:?}") };
    assert_eq!(&*error.msg, "no");
    assert_eq!(b.explanation.commands[1], format!("hub-client skip {job}.b"));
}

#[test]
fn a_delay_that_is_over_is_no_reason() {
    let mut hub = Hub::new();
    let job = hub.submit(1, r#"{"name": "j", "tasks": [{"name": "a", "delay": "1m"}]}"#);
    hub.actions();
    assert!(text(&hub, job, "a").ends_with("since it has a delay"));
    hub.pass(MINUTE);
    hub.worker("w1", &["other"]);
    hub.actions();
    let why = "no worker of the pool \"default\" has a task module \"a\": they have other";
    assert_eq!(text(&hub, job, "a"), why);
    assert_eq!(hub.machine.job(job).unwrap().waiting, [(0, why.to_owned())], "records give the same reason");
}

#[test]
fn the_upstream_tasks_are_counted_by_status() {
    let mut hub = Hub::new();
    let text = r#"{"name": "j", "tasks": [{"name": "a"}, {"name": "b"}, {"name": "c", "depends": ["a"]},
        {"name": "d", "depends": ["a", "b", "c"], "trigger_rule": "all_done"}]}"#;
    let job = hub.submit(1, text);
    let out = hub.handed_out();
    hub.succeed(&out[1], "1");
    let Reason::Upstream { rule, open, counts, ended } = of(&hub, job, "d").explanation.reason else { panic!() };
    assert_eq!((rule, ended), ("all_done", 1));
    let open: Vec<_> = open.first.iter().map(|task| (&*task.name, task.status)).collect();
    assert_eq!(open, [("a", TaskStatus::Submitted), ("c", TaskStatus::Pending)]);
    assert_eq!(counts.iter().collect::<Vec<_>>(), [(TaskStatus::Pending, 1), (TaskStatus::Submitted, 1)]);
}

#[test]
fn waits_name_the_command_that_ends_them() {
    let mut hub = Hub::new();
    let text = r#"{"name": "j", "tasks": [{"name": "a", "wait": {"signal": "go on", "count": 2}},
        {"name": "b b", "wait": {"approval": {"message": "Now?"}, "timeout": "1h"}},
        {"name": "c", "wait": {"until": "1h"}}]}"#;
    let job = hub.submit(1, text);
    hub.actions();
    let [a, b, c] = ["a", "b b", "c"].map(|name| of(&hub, job, name).explanation);
    assert_eq!(a.commands, [format!("hub-client signal {job} 'go on' --data JSON")]);
    let answers = ["approve", "reject"];
    assert_eq!(b.commands, answers.map(|choice| format!("hub-client approve '{job}.b b' --choice={choice}")));
    let end = hub.now.wall.after(MINUTE * 60);
    assert_eq!(c.reason, Reason::Time { until: Some(end) });
    for explanation in [a, b, c] {
        assert_eq!((explanation.gate, explanation.since), (Some(Gate::Wait), Some(hub.now.wall)));
    }
}

#[test]
fn a_held_task_names_what_an_operator_can_do() {
    let mut hub = Hub::new();
    let text = r#"{"name": "j", "tasks": [{"name": "a", "retry": {"maximum_attempts": 1, "exhausted": "hold"}}]}"#;
    let job = hub.submit(1, text);
    let a = hub.handed_out().remove(0);
    hub.fail(&a, "no");
    hub.actions();
    hub.crash();
    let a = of(&hub, job, "a").explanation;
    let Reason::Held { until, failures: 1, error: Some(error) } = &a.reason else { panic!("{a:?}") };
    assert_eq!((&*error.msg, *until), ("no", hub.now.wall.after(MINUTE * 60 * 24 * 7)));
    assert_eq!((a.gate, a.since), (Some(Gate::Retry), Some(hub.now.wall)));
    assert_eq!(a.commands, ["retry", "skip", "fail"].map(|what| format!("hub-client {what} {job}.a")));
}

#[test]
fn pauses_and_pools_are_named() {
    let mut hub = Hub::new();
    let job = hub.submit(1, r#"{"name": "j", "tasks": [{"name": "a"}, {"name": "b", "pool": "gpu"}]}"#);
    assert_eq!(text(&hub, job, "b"), "no worker serves the pool \"gpu\"");
    let remark = || Remark { by: Some("ops".into()), reason: Some("maintenance".into()) };
    hub.machine.pause_pool("gpu".into(), remark(), hub.now).unwrap();
    let since = format!("{} by ops (maintenance)", hub.now.wall);
    assert_eq!(text(&hub, job, "b"), format!("the pool \"gpu\" is paused since {since}: hub-client resume --pool gpu"));
    hub.machine.pause_job(job, remark(), hub.now).unwrap();
    let paused = explain(&hub, job, None);
    let why = format!("the job is paused since {since}: hub-client resume {job}");
    assert_eq!((paused.status, &paused.text), (JobStatus::Paused, &why));
    assert_eq!(paused.commands, [format!("hub-client resume {job}")]);
    assert_eq!((paused.tasks.len(), paused.tasks[0].count, &paused.tasks[0].explanation.text), (1, 2, &why));
}

#[test]
fn a_job_that_is_being_cancelled_names_the_tasks_that_it_waits_for() {
    let mut hub = Hub::new();
    hub.worker("w1", &["a", "b"]);
    let job =
        hub.submit(1, r#"{"name": "j", "tasks": [{"name": "a"}, {"name": "b"}, {"name": "c", "depends": ["a"]}]}"#);
    let out = hub.handed_out();
    hub.machine.handle_started(&"w1".into(), &[out[0].issue], hub.now);
    hub.succeed(&out[1], "1");
    let cancel = Cancel { by: Some("ops".into()), ..Cancel::default() };
    hub.machine.cancel(job, cancel, hub.now).unwrap();
    hub.actions();
    let cancelling = explain(&hub, job, None);
    let why = format!("the job is being cancelled since {} by ops: it waits for the end of a", hub.now.wall);
    assert_eq!((cancelling.text, cancelling.commands), (why, vec![format!("hub-client cancel {job} --now")]));
    assert_eq!(cancelling.tasks.len(), 1);
    assert_eq!(cancelling.tasks[0].explanation.text, "is being stopped on the worker w1");
    let c = of(&hub, job, "c").explanation;
    assert!(c.text.ends_with(&format!("because the job was cancelled {} by ops", hub.now.wall)), "{}", c.text);
}

#[test]
fn items_that_wait_are_counted() {
    let mut hub = Hub::new();
    let job = hub.submit(1, r#"{"name": "j", "tasks": [{"name": "a", "for_each": {"in": 5, "parallel": 2}}]}"#);
    let out = hub.handed_out();
    hub.succeed(&out[0], "1");
    hub.actions();
    let a = of(&hub, job, "a").explanation;
    assert_eq!(a.text, "1 of 5 items have ended; 2 are active, 2 wait, because parallel is 2");
    assert_eq!((a.status, a.gate), (TaskStatus::Running, None));
    let waiting = of(&hub, job, "a[4]");
    assert_eq!(gates(&waiting)[0], (Gate::ForEach, GateState::Holds));
    assert!(waiting.explanation.text.contains("2 are active, and parallel is 2"));
    let all = explain(&hub, job, None);
    assert_eq!(all.tasks.iter().map(|group| group.count).collect::<Vec<_>>(), [1, 2]);
    let unknown = hub.machine.explain(job, Some("a[5]")).unwrap().unwrap_err();
    assert_eq!(unknown.to_string(), format!("the job {job} has no task named \"a[5]\""));
}

#[test]
fn a_launched_task_and_time_limits() {
    let mut hub = Hub::new();
    let text = r#"{"name": "j", "timeout": {"start_to_close": "10m", "schedule_to_close": "1h", "heartbeat": "1m"}, "tasks": [{"name": "a"}]}"#;
    let job = hub.submit(1, text);
    let out = hub.handed_out().remove(0);
    hub.machine.handle_started(&"w1".into(), &[out.issue], hub.now);
    let begun = hub.now.wall;
    let limits = || [Some(begun.after(MINUTE * 10)), None, Some(begun.after(MINUTE * 60))];
    let until = |hub: &Hub| of(hub, job, "a").explanation.limits.iter().map(|limit| limit.until).collect::<Vec<_>>();
    assert_eq!(until(&hub), limits());
    hub.result(&out, Outcome::Launched { data: json("1") });
    hub.actions();
    let a = of(&hub, job, "a").explanation;
    assert_eq!((a.gate, a.reason), (None, Reason::Launched));
    assert_eq!(a.commands[0], format!("hub-client result {job}.a --data JSON"));
}

#[test]
fn many_tasks_with_one_reason_are_one_group() {
    let mut hub = Hub::new();
    let tasks = (0..5000).map(|at| serde_json::json!({"name": format!("t{at}"), "depends": ["a"]}));
    let tasks: Vec<_> = std::iter::once(serde_json::json!({"name": "a", "pool": "gpu"})).chain(tasks).collect();
    let job = hub.submit(1, &serde_json::json!({"name": "j", "tasks": tasks}).to_string());
    let all = explain(&hub, job, None);
    assert_eq!(all.tasks.iter().map(|group| group.count).collect::<Vec<_>>(), [1, 999]);
    assert_eq!((all.tasks[1].names.len(), all.more), (20, 4001));
    assert_eq!(all.counts.iter().collect::<Vec<_>>(), [(TaskStatus::Pending, 5001)]);
}

#[test]
fn tasks_that_did_not_run_name_the_root_cause() {
    let mut hub = Hub::new();
    let text = r#"{"name": "j", "tasks": [{"name": "a"}, {"name": "b", "depends": ["a"]}, {"name": "c", "depends": ["b"]},
        {"name": "d", "depends": ["c"]}, {"name": "s", "when": false}, {"name": "t", "depends": ["s"]},
        {"name": "u", "depends": ["t"]}, {"name": "f"}]}"#;
    let job = hub.submit(1, text);
    let out = hub.handed_out();
    hub.fail(&out[0], "no data");
    hub.actions();
    let live = of(&hub, job, "d").explanation;
    hub.succeed(&out[1], "1");
    hub.actions();
    assert!(hub.machine.explain(job, None).is_none(), "the job is not live");
    let ended = hub.stored(job);
    let behind = "did not run, because the task \"s\" was skipped";
    assert_eq!([5, 6].map(|at: usize| ended.tasks[at].msg.as_deref()), [Some(behind); 2], "t has no condition");
    let explained = |name: &str| explain_ended(ended, Some(name)).unwrap().tasks.remove(0).explanation;
    assert_eq!(explained("d"), live, "the stored state gives the same explanation");
    assert_eq!(live.text, "did not run, because the task \"a\" failed: no data (through c, b)");
    assert_eq!(explained("b").text, "did not run, because the task \"a\" failed: no data");
    let skipped = "did not run, because the task \"s\" was skipped, because its condition (when) is false";
    assert_eq!((explained("u").text, explained("t").text), (format!("{skipped} (through t)"), skipped.to_owned()));
    assert_eq!(explained("s").text, "was skipped, because its condition (when) is false");
    let now = hub.now.wall;
    assert_eq!(explained("a").text, format!("failed at {now} on the worker w1: no data"));
    assert_eq!(explained("f").text, format!("succeeded at {now} on the worker w1"));
    let whole = explain_ended(ended, None).unwrap();
    assert!(whole.text.starts_with(&format!("the job failed at {now}: ")), "{}", whole.text);
    let groups: Vec<_> = whole.tasks.iter().map(|group| (&*group.names[0], group.count)).collect();
    assert_eq!(groups, [("a", 1), ("b", 3), ("s", 1), ("t", 2)]);
    assert!(explain_ended(ended, Some("x")).is_err());
}

#[test]
fn a_task_that_an_operator_has_skipped_is_its_own_cause() {
    let mut hub = Hub::new();
    let job = hub.submit(
        1,
        r#"{"name": "j", "tasks": [{"name": "s", "when": false}, {"name": "x", "wait": {"until": "1h"}},
        {"name": "a", "depends": ["x", "s"], "trigger_rule": "none_failed"}, {"name": "b"}]}"#,
    );
    hub.handed_out();
    let skip = Repair { action: RepairAction::Skip, data: None, by: Some("kim".into()), reason: None };
    hub.machine.repair(job.task(2), skip, hub.now).unwrap();
    hub.actions();
    assert_eq!(text(&hub, job, "a"), "was skipped by an operator (kim)");
}
