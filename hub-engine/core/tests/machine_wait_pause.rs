//! Waits of paused jobs: durations stand still, times go on, and signals and answers are taken.

mod support;

use std::time::Duration;

use hub_core::machine::{Choice, Remark, Signal, Signalled};
use hub_core::{JobId, JobStatus, Json, TaskStatus, Timestamp};
use support::{Hub, json};

const MINUTE: Duration = Duration::from_secs(60);

/// A job of the wait `w`, and `b` behind it.
fn job(wait: &str) -> String {
    format!(r#"{{"name": "j", "tasks": [{{"name": "w", "wait": {wait}}}, {{"name": "b", "args": ["_w.data"]}}]}}"#)
}

/// A paused job of a wait.
fn paused(wait: &str) -> (Hub, JobId) {
    let mut hub = Hub::new();
    let id = hub.submit(1, &job(wait));
    hub.actions();
    hub.machine.pause_job(id, Remark::default(), hub.now).unwrap();
    hub.actions();
    (hub, id)
}

fn resume(hub: &mut Hub, id: JobId) {
    hub.machine.resume_job(id, hub.now).unwrap();
}

fn waits_until(hub: &Hub, id: JobId) -> Option<Timestamp> {
    let snapshot = hub.stored(id);
    snapshot.tasks[0].details.as_ref()?.end_of_wait(snapshot.state.clock())
}

#[test]
fn a_duration_stands_still_also_over_a_crash() {
    for crash in [false, true] {
        let mut hub = Hub::new();
        let id = hub.submit(1, &job(r#"{"until": "10m"}"#));
        hub.actions();
        hub.pass(MINUTE * 4);
        hub.machine.pause_job(id, Remark::default(), hub.now).unwrap();
        hub.actions();
        assert_eq!(hub.next_due(), None);
        hub.pass(MINUTE * 60);
        if crash {
            hub.crash();
        }
        assert_eq!((hub.handed_out().len(), hub.next_due()), (0, None), "crash: {crash}");
        resume(&mut hub, id);
        hub.actions();
        assert_eq!(hub.next_due(), Some(MINUTE * 6), "crash: {crash}");
        assert_eq!(waits_until(&hub, id), Some(hub.now.wall.after(MINUTE * 6)));
        hub.pass(MINUTE * 6);
        assert_eq!(hub.handed_out().len(), 1);
    }
}

#[test]
fn a_time_goes_on_and_what_follows_is_handed_out_with_the_resume() {
    let time = Hub::new().now.wall.after(MINUTE * 2);
    let (mut hub, id) = paused(&format!(r#"{{"until": "{time}"}}"#));
    for _ in 0..2 {
        hub.pass(MINUTE);
        assert!(hub.handed_out().is_empty());
    }
    assert_eq!(hub.statuses(id), [TaskStatus::Success, TaskStatus::Pending]);
    resume(&mut hub, id);
    assert_eq!(hub.handed_out().len(), 1);
}

#[test]
fn signals_and_answers_are_taken_and_their_limits_stand_still() {
    let signal = Signal { name: "s".into(), data: json("7"), key: None, by: None, broadcast: false };
    let (mut hub, id) = paused(r#"{"signal": "s", "timeout": "1m"}"#);
    hub.pass(MINUTE * 2);
    assert_eq!(hub.machine.signal(id, signal, hub.now), Ok(Signalled::Delivered));
    hub.actions();
    assert_eq!(hub.statuses(id), [TaskStatus::Success, TaskStatus::Pending]);
    resume(&mut hub, id);
    assert_eq!(hub.handed_out()[0].args.get(), "[7]");
    let (mut hub, id) = paused(r#"{"approval": {}, "timeout": "1m"}"#);
    hub.pass(MINUTE * 2);
    let choice = Choice { choice: "approve".into(), input: Json::null(), by: None };
    hub.machine.choose(id.task(0), choice, hub.now).unwrap();
    hub.actions();
    assert_eq!(hub.statuses(id), [TaskStatus::Success, TaskStatus::Pending]);
}

#[test]
fn a_wait_that_begins_during_a_pause_has_its_whole_time_afterwards() {
    let mut hub = Hub::new();
    let id = hub.submit(
        1,
        r#"{"name": "j", "tasks": [{"name": "a"}, {"name": "w", "wait": {"until": "5m"}, "depends": ["a"]}]}"#,
    );
    let a = hub.handed_out().remove(0);
    hub.machine.pause_job(id, Remark::default(), hub.now).unwrap();
    hub.pass(MINUTE);
    hub.succeed(&a, "1");
    hub.actions();
    assert_eq!(hub.statuses(id)[1], TaskStatus::Running);
    hub.pass(MINUTE * 10);
    assert_eq!(hub.next_due(), None);
    resume(&mut hub, id);
    assert_eq!(hub.next_due(), Some(MINUTE * 5));
    hub.pass(MINUTE * 5);
    hub.actions();
    assert_eq!(hub.stored(id).state.status, JobStatus::Success);
}

#[test]
fn a_job_that_starts_with_a_wait_while_it_is_paused_is_running_after_the_resume() {
    let mut hub = Hub::new();
    let start = hub.now.wall.after(MINUTE);
    let text =
        format!(r#"{{"name": "j", "start_at": "{start}", "tasks": [{{"name": "w", "wait": {{"approval": {{}}}}}}]}}"#);
    let id = hub.submit(1, &text);
    hub.actions();
    hub.machine.pause_job(id, Remark::default(), hub.now).unwrap();
    hub.pass(MINUTE);
    hub.actions();
    assert_eq!(hub.statuses(id), [TaskStatus::Running]);
    hub.crash();
    resume(&mut hub, id);
    hub.actions();
    let state = &hub.stored(id).state;
    assert_eq!((state.status, state.started_at), (JobStatus::Running, Some(start)));
}

#[test]
fn a_deadline_ends_waits_at_once() {
    let mut hub = Hub::new();
    let id = hub.submit(1, r#"{"name": "j", "deadline": "1m", "tasks": [{"name": "w", "wait": {"signal": "s"}}]}"#);
    hub.actions();
    hub.pass(MINUTE);
    hub.actions();
    assert_eq!((hub.statuses(id)[0], hub.stored(id).state.status), (TaskStatus::Cancelled, JobStatus::Failed));
    assert_eq!((hub.next_due(), hub.machine.live()), (None, (0, 0)));
}

#[test]
fn items_are_not_recovered_and_their_task_is() {
    let mut hub = Hub::new();
    let id = hub.submit(
        1,
        r#"{"name": "j", "tasks": [
            {"name": "f", "for_each": [1, 2], "args": ["_.item"], "recover": {"fallback": ["_.failure.kind"]}},
            {"name": "b", "args": ["_f.data"]}]}"#,
    );
    for (item, data) in hub.handed_out().iter().zip([Some("1"), None]) {
        match data {
            Some(data) => hub.succeed(item, data),
            None => hub.fail(item, "no"),
        };
    }
    assert_eq!(hub.handed_out()[0].args.get(), r#"[["ITEMS_FAILED"]]"#);
    let task = &hub.stored(id).tasks[0];
    assert_eq!((task.status, task.details.as_ref().unwrap().recovered), (TaskStatus::Failed, true));
}
