//! Tasks that wait for a time or for an approval: when they begin and end, and what of that survives a crash and a clock that is set.

mod support;

use std::time::Duration;

use hub_core::details::RepairAction;
use hub_core::machine::{Cancel, Choice, ChoiceError, PostError, Repair, RepairError, Update};
use hub_core::state::{ErrorKind, TaskState};
use hub_core::{JobId, JobStatus, Json, Now, TaskStatus, Timestamp};
use support::{Hub, json, told};

/// A job of the wait `w`, and `b` behind it.
fn job(wait: &str) -> String {
    format!(r#"{{"name": "j", "tasks": [{{"name": "w", "wait": {wait}}}, {{"name": "b", "args": ["_w.data"]}}]}}"#)
}

fn submitted(wait: &str) -> (Hub, JobId) {
    let mut hub = Hub::new();
    let id = hub.submit(1, &job(wait));
    (hub, id)
}

fn w(hub: &Hub, id: JobId) -> TaskState {
    (*hub.stored(id).tasks[0]).clone()
}

fn reason(hub: &Hub, id: JobId) -> String {
    hub.machine.job(id).unwrap().waiting[0].1.clone()
}

fn choice(choice: &str, by: Option<&str>) -> Choice {
    Choice { choice: choice.into(), input: json(r#"{"n": 1}"#), by: by.map(Into::into) }
}

/// The time at which the clock of the test will be that much later.
fn time_in(hub: &Hub, duration: Duration) -> Timestamp {
    hub.now.wall.after(duration)
}

#[test]
fn a_wait_runs_from_when_it_is_ready_and_publishes_nothing() {
    let (mut hub, id) = submitted(r#"{"until": "90s"}"#);
    assert_eq!(
        told(&hub.actions()),
        ["keep job", "job is PENDING", "keep job RUNNING", "job is RUNNING", "w is RUNNING", "keep task 0 RUNNING"]
    );
    let task = w(&hub, id);
    assert_eq!((task.status, task.started_at, task.issue), (TaskStatus::Running, Some(hub.now.wall), None));
    assert_eq!(task.details.unwrap().waits_until, Some(time_in(&hub, Duration::from_secs(90))));
    assert!(reason(&hub, id).starts_with("waits until 1970-"), "{}", reason(&hub, id));
    let stats = hub.machine.stats();
    assert_eq!((stats.ready, stats.in_flight), (0, 0));
    hub.pass(Duration::from_millis(89_999));
    assert!(hub.handed_out().is_empty());
    hub.pass(Duration::from_millis(1));
    assert_eq!(hub.handed_out()[0].args.get(), "[null]");
    assert_eq!(w(&hub, id).details.unwrap().waits_until, None);
}

#[test]
fn a_duration_goes_on_after_a_crash_and_is_not_longer_after_a_clock_that_is_set_back() {
    let (mut hub, _) = submitted(r#"{"until": "2h"}"#);
    hub.actions();
    hub.pass(Duration::from_secs(3600));
    hub.crash();
    assert_eq!(hub.next_due(), Some(Duration::from_secs(3600)));
    hub.now = Now { wall: Timestamp::from_millis(0), ..hub.now };
    hub.crash();
    assert_eq!(hub.next_due(), Some(Duration::from_secs(7200)), "at most as long again");
    hub.pass(Duration::from_secs(7200));
    assert_eq!(hub.handed_out().len(), 1);
}

#[test]
fn a_time_is_a_time_of_the_wall_clock_also_when_that_is_set() {
    let hour = Duration::from_secs(3600);
    let time = Hub::new().now.wall.after(hour);
    let wait = format!(r#"{{"until": "{time}"}}"#);
    let (mut hub, _) = submitted(&wait);
    hub.actions();
    for _ in 0..59 {
        hub.pass(Duration::from_secs(60));
        assert!(hub.handed_out().is_empty());
    }
    // Set back by ten minutes: the time is ten minutes further away.
    hub.now.wall = hub.now.wall.before(Duration::from_secs(600));
    hub.crash();
    hub.pass(Duration::from_secs(60));
    assert!(hub.handed_out().is_empty());
    // Set forward beyond the time: it is noticed within a minute.
    hub.now.wall = hub.now.wall.after(hour);
    hub.pass(hub.next_due().unwrap());
    assert_eq!(hub.handed_out().len(), 1);
    let (mut past, _) = submitted(r#"{"until": "1970-01-01T00:00:00Z"}"#);
    assert_eq!(past.handed_out().len(), 1, "a time that is over ends the wait at once");
}

#[test]
fn the_time_can_be_a_value_and_must_then_be_one() {
    for (data, due) in [("\"2m\"", Some(120)), ("1.5", Some(1)), ("0", None), ("\"1970-01-01\"", None)] {
        let mut hub = Hub::new();
        hub.submit(
            1,
            r#"{"name": "j", "tasks": [{"name": "a"}, {"name": "w", "wait": {"until": "_a.data"}},
            {"name": "b", "depends": ["w"]}]}"#,
        );
        let a = hub.handed_out().remove(0);
        hub.succeed(&a, data);
        assert_eq!(hub.handed_out().len(), usize::from(due.is_none()), "{data}");
        assert_eq!(hub.next_due().filter(|_| due.is_some()).map(|due| due.as_secs()), due, "{data}");
    }
    for (data, kind) in [
        ("\"soon\"", ErrorKind::BadArguments),
        ("null", ErrorKind::BadArguments),
        ("-1", ErrorKind::BadArguments),
        ("{}", ErrorKind::MissingValue),
    ] {
        let mut hub = Hub::new();
        let path = if kind == ErrorKind::MissingValue { "_a.data.x" } else { "_a.data" };
        let text =
            format!(r#"{{"name": "j", "tasks": [{{"name": "a"}}, {{"name": "w", "wait": {{"until": "{path}"}}}}]}}"#);
        let id = hub.submit(1, &text);
        let a = hub.handed_out().remove(0);
        hub.succeed(&a, data);
        hub.actions();
        let task = &hub.stored(id).tasks[1];
        assert_eq!((task.status, task.error.as_ref().unwrap().kind), (TaskStatus::Failed, kind), "{data}");
    }
}

#[test]
fn a_long_chain_of_waits_that_are_over_does_not_recurse() {
    let count = 30_000;
    let link = |at: usize| {
        let depends = if at == 0 { String::new() } else { format!(r#""depends": ["w{}"], "#, at - 1) };
        format!(r#"{{"name": "w{at}", {depends}"wait": {{"until": "1970-01-01"}}}}"#)
    };
    let chain: Vec<String> = (0..count).map(link).collect();
    let mut hub = Hub::new();
    let id = hub.submit(1, &format!(r#"{{"name": "j", "tasks": [{}]}}"#, chain.join(", ")));
    hub.actions();
    assert_eq!(hub.stored(id).state.status, JobStatus::Success);
    assert_eq!(hub.machine.live(), (0, 0));
}

#[test]
fn an_answer_is_the_data_of_an_approval_and_the_first_one_counts() {
    for crashes in [false, true] {
        let (mut hub, id) = submitted(r#"{"approval": {"message": "Ship it?", "choices": ["yes", "later", "no"]}}"#);
        hub.actions();
        assert_eq!(
            reason(&hub, id),
            "waits for an approval (Ship it?): answer with hub-client approve; its choices are yes, later, no"
        );
        let answer = |hub: &mut Hub, answer| hub.machine.choose(id.task(0), answer, hub.now);
        let unknown = answer(&mut hub, choice("approve", None)).unwrap_err();
        assert_eq!(unknown.to_string(), "\"approve\" is not a choice of the task; its choices are yes, later, no");
        if crashes {
            hub.crash();
        }
        answer(&mut hub, choice("yes", Some("kim"))).unwrap();
        answer(&mut hub, choice("yes", Some("someone else"))).unwrap();
        let other = answer(&mut hub, choice("no", None)).unwrap_err();
        assert_eq!(other, ChoiceError::AlreadyEnded(TaskStatus::Success));
        let at = hub.now.wall;
        let expected = format!(r#"[{{"choice":"yes","by":"kim","at":"{at}","input":{{"n": 1}}}}]"#);
        assert_eq!(hub.handed_out()[0].args.get(), expected);
        if crashes {
            hub.crash();
        }
        answer(&mut hub, choice("yes", None)).expect("the answer is kept");
        answer(&mut hub, Choice { input: Json::null(), ..choice("yes", None) }).expect_err("the input differs");
    }
}

#[test]
fn a_choice_can_fail_the_task_and_be_recovered() {
    let (mut hub, id) = submitted(r#"{"approval": {}}"#);
    hub.actions();
    hub.machine.choose(id.task(0), choice("reject", Some("kim")), hub.now).unwrap();
    assert!(hub.handed_out().is_empty());
    let ended = hub.stored(id);
    assert_eq!((ended.tasks[0].status, ended.state.status), (TaskStatus::Failed, JobStatus::Failed));
    assert_eq!(ended.tasks[0].error.as_ref().unwrap().kind, ErrorKind::Rejected);
    assert_eq!(ended.tasks[0].msg.as_deref(), Some("kim has chosen \"reject\""));
    let record: serde_json::Value = serde_json::from_str(ended.record().get()).unwrap();
    let task = &record["tasks"][0];
    assert_eq!((&task["answer"]["choice"], &task["task_name"]), (&"reject".into(), &"".into()), "{task:#}");

    let mut hub = Hub::new();
    let text = job(r#"{"approval": {}}, "recover": {"fallback": "_.failure.kind", "match": ["REJECTED"]}"#);
    let id = hub.submit(1, &text);
    hub.actions();
    hub.machine.choose(id.task(0), choice("reject", None), hub.now).unwrap();
    assert_eq!(hub.handed_out()[0].args.get(), r#"["REJECTED"]"#);
}

#[test]
fn an_approval_that_is_not_answered_in_time_ends_as_the_job_says() {
    for (on_timeout, status, data, behind) in [
        ("", TaskStatus::Failed, None, TaskStatus::UpstreamFailed),
        (r#", "on_timeout": "skip""#, TaskStatus::Skipped, None, TaskStatus::Skipped),
        (
            r#", "on_timeout": {"data": {"choice": "no"}}"#,
            TaskStatus::Success,
            Some(r#"{"choice": "no"}"#),
            TaskStatus::Submitted,
        ),
    ] {
        for crashes in [false, true] {
            let (mut hub, id) = submitted(&format!(r#"{{"approval": {{}}, "timeout": "1h"{on_timeout}}}"#));
            hub.actions();
            if crashes {
                hub.pass(Duration::from_secs(600));
                hub.crash();
            }
            hub.pass(hub.next_due().unwrap());
            hub.actions();
            let stored = hub.stored(id).clone();
            let task = &stored.tasks[0];
            assert_eq!((task.status, task.data.as_ref().map(Json::get)), (status, data), "{on_timeout}");
            assert_eq!(stored.tasks[1].status, behind, "{on_timeout}");
            assert_eq!(task.details.as_ref().and_then(|details| details.waits_until), None);
            let late = hub.machine.choose(id.task(0), choice("approve", None), hub.now);
            let expected =
                if hub.machine.is_live(id) { ChoiceError::AlreadyEnded(status) } else { ChoiceError::UnknownTask };
            assert_eq!(late, Err(expected));
            if status == TaskStatus::Failed {
                assert_eq!(task.error.as_ref().unwrap().kind, ErrorKind::WaitTimeout);
                assert_eq!(task.msg.as_deref(), Some("no answer was given within 3600s"));
            }
        }
    }
}

#[test]
fn the_question_may_refer_to_values_that_must_be_there() {
    let mut hub = Hub::new();
    let id = hub.submit(
        1,
        r#"{"name": "j", "tasks": [{"name": "a"},
            {"name": "w", "wait": {"approval": {"message": {"rows": "_a.data.rows"}}}},
            {"name": "v", "wait": {"approval": {"message": "_a.data.nowhere"}}}]}"#,
    );
    let a = hub.handed_out().remove(0);
    hub.succeed(&a, r#"{"rows": 3}"#);
    hub.actions();
    assert!(reason(&hub, id).contains(r#"({"rows": 3})"#), "{}", reason(&hub, id));
    assert_eq!(hub.stored(id).tasks[2].error.as_ref().unwrap().kind, ErrorKind::MissingValue);
}

#[test]
fn a_wait_passes_the_other_gates_first_and_cannot_be_answered_before() {
    let mut hub = Hub::new();
    let id = hub.submit(
        1,
        r#"{"name": "j", "tasks": [{"name": "a"},
            {"name": "w", "when": "_a.data", "delay": "1m", "wait": {"approval": {}}},
            {"name": "x", "wait": {"approval": {}}, "when": {"not": "_a.data"}}]}"#,
    );
    let a = hub.handed_out().remove(0);
    let early = hub.machine.choose(id.task(1), choice("approve", None), hub.now);
    assert_eq!(early, Err(ChoiceError::NotAsked));
    assert_eq!(hub.machine.choose(id.task(0), choice("approve", None), hub.now), Err(ChoiceError::NoApproval));
    hub.succeed(&a, "true");
    hub.actions();
    assert_eq!(hub.statuses(id), [TaskStatus::Success, TaskStatus::Pending, TaskStatus::Skipped]);
    hub.crash();
    assert_eq!(hub.machine.choose(id.task(1), choice("approve", None), hub.now), Err(ChoiceError::NotAsked));
    hub.pass(Duration::from_secs(60));
    hub.actions();
    hub.machine.choose(id.task(1), choice("approve", None), hub.now).unwrap();
    hub.actions();
    assert_eq!(hub.stored(id).state.status, JobStatus::Success);
}

#[test]
fn a_cancelled_job_ends_its_waits_and_they_leave_no_timers() {
    for wait in [r#"{"until": "1h"}"#, r#"{"signal": "s", "timeout": "1h"}"#, r#"{"approval": {}, "timeout": "1h"}"#] {
        let (mut hub, id) = submitted(wait);
        hub.actions();
        hub.machine.cancel(id, Cancel::default(), hub.now).unwrap();
        let told = told(&hub.actions());
        assert!(
            told.contains(&"w is CANCELLED".to_owned()) && told.contains(&"job is CANCELLED".to_owned()),
            "{told:?}"
        );
        assert_eq!(w(&hub, id).details.unwrap().waits_until, None);
        assert_eq!((hub.next_due(), hub.machine.live()), (None, (0, 0)));
    }
}

#[test]
fn operators_can_skip_and_fail_a_wait_and_no_result_can_be_posted() {
    let (mut hub, id) = submitted(r#"{"signal": "s", "timeout": "1h"}"#);
    hub.actions();
    let repair = |action, data| Repair { action, data, by: None, reason: None };
    let update = Update { status: TaskStatus::Success, data: None, msg: None };
    assert_eq!(hub.machine.post_result(id.task(0), update, hub.now), Err(PostError::Wait));
    let retry = hub.machine.repair(id.task(0), repair(RepairAction::Retry, None), hub.now);
    assert_eq!(retry, Err(RepairError::NotBetweenAttempts));
    hub.machine.repair(id.task(0), repair(RepairAction::Skip, Some(json("5"))), hub.now).unwrap();
    assert_eq!(hub.handed_out()[0].args.get(), "[5]");
    for (action, status) in [(RepairAction::Skip, TaskStatus::Skipped), (RepairAction::Fail, TaskStatus::Failed)] {
        let (mut hub, id) = submitted(r#"{"approval": {}, "timeout": "1h"}"#);
        hub.actions();
        hub.machine.repair(id.task(0), repair(action, None), hub.now).unwrap();
        hub.actions();
        assert_eq!((hub.statuses(id)[0], hub.next_due()), (status, None));
    }
}
