//! Trigger rules, conditions and delays: when a task runs, what it is skipped for, and what of that survives a crash.

mod support;

use std::time::Duration;

use hub_core::job::TriggerRule;
use hub_core::state::ErrorKind;
use hub_core::{JobId, JobStatus, TaskStatus};
use support::{Hub, told};

/// How an upstream task ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Success,
    Failed,
    Skipped,
    UpstreamFailed,
}

const ENDS: [End; 4] = [End::Success, End::Failed, End::Skipped, End::UpstreamFailed];

/// A job with one upstream task `u0`, `u1`, … for each end, and `t` behind them. `f` fails, and `s` is skipped.
fn text(rule: TriggerRule, ends: &[End]) -> String {
    let task = |(at, end): (usize, &End)| match end {
        End::Success | End::Failed => format!(r#"{{"name": "u{at}"}}"#),
        End::Skipped => {
            format!(r#"{{"name": "u{at}", "depends": ["gate{at}"], "when": false}}, {{"name": "gate{at}"}}"#)
        }
        End::UpstreamFailed => format!(r#"{{"name": "u{at}", "depends": ["gate{at}"]}}, {{"name": "gate{at}"}}"#),
    };
    let tasks: Vec<String> = ends.iter().enumerate().map(task).collect();
    let names: Vec<String> = (0..ends.len()).map(|at| format!(r#""u{at}""#)).collect();
    format!(
        r#"{{"name": "j", "tasks": [{{"name": "t", "trigger_rule": "{}", "depends": [{}]}}, {}]}}"#,
        rule.as_str(),
        names.join(", "),
        tasks.join(", ")
    )
}

/// How `t` ends, or that it runs, by the table of the documentation.
fn expected(rule: TriggerRule, ends: &[End]) -> Option<TaskStatus> {
    let count = |wanted: &[End]| ends.iter().filter(|end| wanted.contains(end)).count();
    let (n, s, k) = (ends.len(), count(&[End::Success]), count(&[End::Skipped]));
    let f = count(&[End::Failed, End::UpstreamFailed]);
    let e = if f > 0 { TaskStatus::UpstreamFailed } else { TaskStatus::Skipped };
    let (runs, otherwise) = match rule {
        TriggerRule::AllSuccess => (s == n, e),
        TriggerRule::AllDone | TriggerRule::Always => (true, e),
        TriggerRule::AllDoneMinOneSuccess | TriggerRule::OneSuccess => (s >= 1, e),
        TriggerRule::NoneFailed => (f == 0, e),
        TriggerRule::NoneFailedMinOneSuccess => (f == 0 && s >= 1, e),
        TriggerRule::AllFailed => (f == n, TaskStatus::Skipped),
        TriggerRule::AllSkipped => (k == n, TaskStatus::Skipped),
        TriggerRule::NoneSkipped => (k == 0, TaskStatus::Skipped),
        TriggerRule::OneFailed => (f >= 1, TaskStatus::Skipped),
        TriggerRule::OneDone => (s + f >= 1, TaskStatus::Skipped),
    };
    (!runs).then_some(otherwise)
}

/// All orders of the numbers below `count`.
fn orders(count: usize) -> Vec<Vec<usize>> {
    if count == 0 {
        return vec![Vec::new()];
    }
    let longer = |order: Vec<usize>| {
        (0..=order.len()).map(move |at| [&order[..at], &[count - 1], &order[at..]].concat()).collect::<Vec<_>>()
    };
    orders(count - 1).into_iter().flat_map(longer).collect()
}

/// Every multiset of up to `most` ends.
fn multisets(most: usize) -> Vec<Vec<End>> {
    let mut all = vec![Vec::new()];
    let mut longest = all.clone();
    for _ in 0..most {
        longest = longest
            .into_iter()
            .flat_map(|ends: Vec<End>| {
                let from = ends.last().map_or(0, |last| ENDS.iter().position(|end| end == last).unwrap());
                ENDS[from..].iter().map(move |end| [ends.as_slice(), &[*end]].concat()).collect::<Vec<_>>()
            })
            .collect();
        all.extend(longest.clone());
    }
    all
}

/// Has the upstream tasks end in this order, and returns how `t` stands after all of them have. `t` succeeds when it runs.
fn run(rule: TriggerRule, ends: &[End], order: &[usize], crashes: bool) -> TaskStatus {
    let mut hub = Hub::new();
    let job = hub.submit(1, &text(rule, ends));
    let mut out = hub.handed_out();
    let mut t = None;
    let mut take_t = |out: &mut Vec<hub_core::action::Assignment>| {
        if let Some(at) = out.iter().position(|task| &*task.name == "t") {
            assert!(t.replace(out.remove(at)).is_none(), "t runs twice: {rule:?} {ends:?} {order:?}");
        }
    };
    take_t(&mut out);
    for at in order {
        let name = match ends[*at] {
            End::Success | End::Failed => format!("u{at}"),
            End::Skipped | End::UpstreamFailed => format!("gate{at}"),
        };
        let task = out.iter().find(|task| *task.name == *name).expect("it was handed out");
        if matches!(ends[*at], End::Success | End::Skipped) {
            hub.succeed(task, "1");
        } else {
            hub.fail(task, "no");
        }
        let mut more = hub.handed_out();
        take_t(&mut more);
        assert!(more.is_empty(), "{more:?}");
        if crashes {
            hub.crash();
            // What the broker had not confirmed goes out again.
            out = hub.handed_out().into_iter().filter(|task| &*task.name != "t").collect();
        }
    }
    if let Some(t) = t {
        assert_eq!(hub.statuses_now(job)[0], TaskStatus::Submitted);
        hub.succeed(&t, "1");
    }
    hub.actions();
    hub.statuses(job)[0]
}

#[test]
fn every_rule_decides_by_the_ends_in_every_order_and_after_restarts() {
    let mut count = 0;
    for (rule, ends) in TriggerRule::ALL.into_iter().flat_map(|rule| multisets(4).into_iter().map(move |it| (rule, it)))
    {
        if ends.is_empty() {
            continue;
        }
        let expected = expected(rule, &ends).unwrap_or(TaskStatus::Success);
        for order in orders(ends.len()) {
            for crashes in [false, true] {
                count += 1;
                assert_eq!(run(rule, &ends, &order, crashes), expected, "{rule:?} {ends:?} {order:?} {crashes}");
            }
        }
    }
    assert!(count > 20_000, "{count}");
}

#[test]
fn a_rule_that_does_not_wait_runs_its_task_once_and_early() {
    let mut hub = Hub::new();
    let job = hub.submit(1, &text(TriggerRule::OneFailed, &[End::Failed, End::Failed, End::Success]));
    let out = hub.handed_out();
    hub.fail(&out[0], "no");
    let t = hub.handed_out();
    assert_eq!(t.iter().map(|task| &*task.name).collect::<Vec<_>>(), ["t"]);
    hub.fail(&out[1], "no");
    hub.succeed(&t[0], "1");
    hub.succeed(&out[2], "1");
    assert!(hub.handed_out().is_empty());
    assert_eq!(hub.stored(job).state.status, JobStatus::Failed, "a task of the job has failed");
}

#[test]
fn many_upstream_tasks_that_fail_at_once_run_a_task_once() {
    let mut hub = Hub::new();
    let before: Vec<String> = (0..3000).map(|at| format!(r#"{{"name": "u{at}", "depends": ["a"]}}"#)).collect();
    let names: Vec<String> = (0..3000).map(|at| format!(r#""u{at}""#)).collect();
    let tasks = format!(
        r#"{{"name": "t", "trigger_rule": "one_failed", "depends": [{}]}}, {{"name": "a"}}, {}"#,
        names.join(", "),
        before.join(", ")
    );
    hub.submit(1, &format!(r#"{{"name": "j", "tasks": [{tasks}]}}"#));
    let a = hub.handed_out().remove(0);
    hub.fail(&a, "no");
    let out = hub.handed_out();
    assert_eq!(out.iter().map(|task| &*task.name).collect::<Vec<_>>(), ["t"]);
}

/// A job whose task `t` has these keys and follows `a`, which returns `data`; how `t` stands then.
fn behind(keys: &str, data: &str) -> (Hub, JobId) {
    let mut hub = Hub::new();
    let job = hub.submit(1, &format!(r#"{{"name": "j", "tasks": [{{"name": "a"}}, {{"name": "t", {keys}}}]}}"#));
    let a = hub.handed_out().remove(0);
    assert_eq!(&*a.name, "a");
    hub.succeed(&a, data);
    (hub, job)
}

#[test]
fn a_condition_that_does_not_hold_skips_the_task_and_those_behind_it() {
    let mut hub = Hub::new();
    let job = hub.submit(
        1,
        r#"{"name": "j", "tasks": [{"name": "a"}, {"name": "t", "when": {"gt": ["_a.data.n", 1]}},
            {"name": "after", "depends": ["t"]}, {"name": "end", "depends": ["after"], "trigger_rule": "none_failed"}],
            "output": ["_t.status", "_t.data"]}"#,
    );
    let a = hub.handed_out().remove(0);
    hub.succeed(&a, r#"{"n": 1}"#);
    let end = hub.handed_out().remove(0);
    assert_eq!(&*end.name, "end");
    hub.succeed(&end, "1");
    hub.actions();
    let ended = hub.stored(job);
    let statuses = [TaskStatus::Success, TaskStatus::Skipped, TaskStatus::Skipped, TaskStatus::Success];
    assert_eq!((hub.statuses(job), ended.state.status), (statuses.to_vec(), JobStatus::Success));
    assert_eq!(ended.tasks[1].msg.as_deref(), Some("was skipped, because its condition (when) is false"));
    assert_eq!(ended.state.output.as_ref().unwrap().get(), r#"["SKIPPED", null]"#);
}

#[test]
fn conditions_compare_values_and_coerce_nothing() {
    let data = r#"{"n": 2, "big": 9007199254740993, "s": "añb", "list": [1, {"k": null}], "empty": [], "yes": true, "none": null}"#;
    let holds = [
        r#""_a.data.yes""#,
        r#"{"eq": ["_a.data.n", 2.0]}"#,
        r#"{"gt": ["_a.data.big", 9007199254740992]}"#,
        r#"{"ne": ["_a.data.n", "2"]}"#,
        r#"{"all": [{"le": ["_a.data.n", 2]}, {"ge": ["_a.data.n", 2]}, {"lt": ["a", "_a.data.s"]}]}"#,
        r#"{"any": [false, {"in": [{"k": null}, "_a.data.list"]}, "_a.data.nowhere"]}"#,
        r#"{"contains": ["_a.data.s", "ñ"]}"#,
        r#"{"in": ["n", "_a.data"]}"#,
        r#"{"starts_with": ["_a.data.s", "a"]}"#,
        r#"{"not": {"ends_with": ["_a.data.s", "a"]}}"#,
        r#"{"exists": "_a.data.none"}"#,
        r#"{"not": {"exists": "_a.data.nowhere"}}"#,
        r#"{"all": [{"empty": "_a.data.empty"}, {"empty": "_a.data.none"}, {"not": {"empty": "_a.data.list"}}]}"#,
        r#"{"eq": ["_a.status", "SUCCESS"]}"#,
        r#"{"eq": ["__x", "__x"]}"#,
    ];
    for condition in holds {
        let (mut hub, _) = behind(&format!(r#""when": {condition}, "depends": ["a"]"#), data);
        assert_eq!(hub.handed_out().len(), 1, "{condition}");
    }
    for (condition, kind, says) in [
        (r#""_a.data.n""#, ErrorKind::BadCondition, "is a number, not true or false"),
        (r#"{"lt": ["_a.data.n", "3"]}"#, ErrorKind::BadCondition, "cannot compare a number with a string"),
        (r#"{"lt": ["_a.data.yes", true]}"#, ErrorKind::BadCondition, "\"lt\" cannot compare"),
        (r#"{"in": [1, "_a.data.n"]}"#, ErrorKind::BadCondition, "\"in\" cannot compare"),
        (r#"{"empty": "_a.data.n"}"#, ErrorKind::BadCondition, "\"empty\" cannot judge a number"),
        (r#"{"eq": ["_a.data.nowhere", 1]}"#, ErrorKind::MissingValue, "nowhere"),
        (r#"{"any": ["_a.data.nowhere", true]}"#, ErrorKind::MissingValue, "nowhere"),
    ] {
        let (mut hub, job) = behind(&format!(r#""when": {condition}, "retry": {{"maximum_attempts": 3}}"#), data);
        assert!(hub.handed_out().is_empty(), "{condition}");
        let ended = hub.stored(job);
        let task = &ended.tasks[1];
        assert_eq!((task.status, task.error.as_ref().unwrap().kind), (TaskStatus::Failed, kind), "{condition}");
        assert!(task.msg.as_ref().unwrap().contains(says), "{:?}", task.msg);
        assert!(ended.state.msg.as_ref().unwrap().contains("1 of 2 tasks failed"), "{:?}", ended.state.msg);
    }
}

#[test]
fn a_long_chain_of_tasks_that_end_at_their_gates_does_not_recurse() {
    let count = 20_000;
    let link = |at: usize| {
        format!(r#", {{"name": "t{}", "trigger_rule": "all_done", "when": {{"eq": ["_t{at}.data.x", 1]}}}}"#, at + 1)
    };
    let chain: String = (0..count).map(link).collect();
    let mut hub = Hub::new();
    let job = hub.submit(1, &format!(r#"{{"name": "j", "tasks": [{{"name": "t0"}}{chain}]}}"#));
    let first = hub.handed_out().remove(0);
    hub.succeed(&first, "1");
    hub.actions();
    let statuses = hub.statuses(job);
    assert!(
        statuses[1..].iter().all(|status| *status == TaskStatus::Failed),
        "each misses the value of the one before"
    );
}

#[test]
fn a_delay_begins_when_the_task_could_run_and_goes_on_after_a_crash() {
    let (mut hub, job) = behind(r#""depends": ["a"], "delay": "90s""#, "1");
    assert!(hub.handed_out().is_empty());
    assert_eq!(hub.next_due(), Some(Duration::from_secs(90)));
    hub.pass(Duration::from_secs(30));
    hub.crash();
    assert_eq!(hub.next_due(), Some(Duration::from_secs(60)));
    let waiting = hub.machine.job(job).unwrap().waiting;
    assert!(waiting[0].1.contains("waits until"), "{waiting:?}");
    hub.pass(Duration::from_secs(60));
    let out = hub.handed_out();
    assert_eq!(out.len(), 1);
    assert_eq!(hub.stored(job).tasks[1].details.as_ref().unwrap().delayed_until, None);
    hub.succeed(&out[0], "1");
    hub.actions();
    assert_eq!(hub.stored(job).state.status, JobStatus::Success);
}

#[test]
fn a_delay_can_be_a_value_and_must_then_be_a_duration() {
    for (data, due) in [("1.5", 1500), ("\"2m\"", 120_000), ("0", 0)] {
        let (mut hub, _) = behind(r#""delay": "_a.data""#, data);
        let out = hub.handed_out();
        assert_eq!(out.len(), usize::from(due == 0), "{data}");
        assert_eq!(hub.next_due().filter(|_| due > 0), (due > 0).then(|| Duration::from_millis(due)), "{data}");
    }
    for data in ["-1", "\"soon\"", "null", "[1]", "1e99"] {
        let (mut hub, job) = behind(r#""delay": "_a.data""#, data);
        assert!(hub.handed_out().is_empty());
        let task = &hub.stored(job).tasks[1];
        assert_eq!(task.error.as_ref().unwrap().kind, ErrorKind::BadArguments, "{data}");
    }
}

#[test]
fn a_task_without_upstream_tasks_can_be_skipped_or_delayed() {
    let mut hub = Hub::new();
    let job = hub.submit(1, r#"{"name": "j", "tasks": [{"name": "a", "when": false}]}"#);
    let told = told(&hub.actions());
    assert!(told.contains(&"a is SKIPPED".to_owned()) && told.contains(&"job is SUCCESS".to_owned()), "{told:?}");
    assert_eq!(hub.stored(job).state.status, JobStatus::Success);
    hub.submit(2, r#"{"name": "j", "tasks": [{"name": "a", "delay": 5}]}"#);
    assert!(hub.handed_out().is_empty());
    hub.pass(Duration::from_secs(5));
    assert_eq!(hub.handed_out().len(), 1);
}
