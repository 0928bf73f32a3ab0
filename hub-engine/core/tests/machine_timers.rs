//! The end of a timer's owner stops the timer, and a timer that fires twice has no effect.

mod support;

use std::sync::Arc;
use std::time::Duration;

use hub_core::TaskStatus;
use hub_core::action::Assignment;
use hub_core::details::RepairAction;
use hub_core::machine::{DeadLetter, Remark, Repair, Returned};
use support::Hub;

const JOB: &str = r#"{"name": "j", "tasks": [{"name": "a"}, {"name": "b", "task_name": "a"}]}"#;

/// The first task is delayed because a worker lacks its module, the second because its message was removed.
fn resting(hub: &mut Hub) -> (hub_core::JobId, Vec<Assignment>) {
    hub.worker("w2", &["a"]);
    let id = hub.submit(1, JOB);
    let tasks = hub.handed_out();
    hub.machine.handle_returned(tasks[0].issue, Returned::UnknownModule, &"w1".into(), hub.now);
    hub.machine.handle_dead_letter(tasks[1].issue, DeadLetter::Policy, hub.now);
    assert!(hub.handed_out().is_empty());
    (id, tasks)
}

#[test]
fn a_cancelled_job_leaves_no_timer() {
    let mut hub = Hub::new();
    let (id, _) = resting(&mut hub);
    assert_eq!(hub.next_due(), Some(Duration::from_millis(20)));
    hub.cancel(id);
    hub.actions();
    assert_eq!(hub.machine.poll_timeout(), None);
}

#[test]
fn a_removed_worker_leaves_no_timer() {
    let mut hub = Hub::new();
    hub.submit(1, JOB);
    let tasks = hub.handed_out();
    let mut report = hub.worker("w1", &["a"]);
    hub.machine.handle_started(&"w1".into(), &[tasks[0].issue, tasks[1].issue], hub.now);
    // The heartbeat names one of the two issues, so the other one is missing from now on.
    hub.pass(Duration::from_secs(5));
    report.held = vec![tasks[0].issue];
    hub.machine.handle_heartbeat(report.clone(), hub.now);
    assert_eq!(hub.machine.poll_expiry(), Some(hub.now.steady.after(Duration::from_secs(30))));
    hub.pass(Duration::from_secs(30));
    hub.actions();
    assert_eq!((hub.machine.stats().workers, hub.machine.poll_expiry()), (0, None));
}

#[test]
fn an_issue_that_ends_stops_its_own_timer() {
    let mut hub = Hub::new();
    hub.submit(1, JOB);
    let tasks = hub.handed_out();
    let mut report = hub.worker("w1", &["a"]);
    hub.machine.handle_started(&"w1".into(), &[tasks[0].issue, tasks[1].issue], hub.now);
    report.held = vec![tasks[0].issue];
    hub.machine.handle_heartbeat(report.clone(), hub.now);
    let missing_since = hub.now.steady;
    hub.pass(Duration::from_secs(10));
    hub.machine.handle_heartbeat(report, hub.now);
    assert_eq!(hub.machine.poll_expiry(), Some(missing_since.after(Duration::from_secs(30))));
    hub.succeed(&tasks[1], "1");
    assert_eq!(hub.machine.poll_expiry(), Some(hub.now.steady.after(Duration::from_secs(30))), "that of the worker");
}

#[test]
fn a_timer_that_is_due_twice_acts_once() {
    let mut hub = Hub::new();
    resting(&mut hub);
    hub.now = hub.now.after(Duration::from_millis(20));
    hub.machine.handle_timeout(hub.now);
    hub.machine.handle_timeout(hub.now);
    let mut issues: Vec<String> =
        hub.handed_out().iter().map(|task| format!("{}{}", task.name, task.issue.number)).collect();
    issues.sort();
    assert_eq!(issues, ["a2", "b2"]);
    hub.machine.handle_timeout(hub.now);
    assert!(hub.handed_out().is_empty());
}

/// A million tasks may wait for the same time.
#[test]
fn tasks_that_wait_for_the_same_time_share_a_state() {
    let limit = r#""timeout": {"schedule_to_start": "1h"}"#;
    for options in [r#""delay": "1h""#, r#""wait": {"until": "1h"}"#, limit] {
        let mut hub = Hub::new();
        // So that no task is handed out.
        hub.machine.pause_pool("default".into(), Remark::default(), hub.now).unwrap();
        let tasks: Vec<String> = (0..3).map(|at| format!(r#"{{"name": "t{at}", {options}}}"#)).collect();
        let id = hub.submit(1, &format!(r#"{{"name": "j", "tasks": [{}]}}"#, tasks.join(",")));
        hub.actions();
        for _ in 0..2 {
            let states = hub.machine.job(id).unwrap().tasks;
            assert!(states.iter().all(|state| Arc::ptr_eq(state, &states[0])), "{options}");
            assert!(states[0].details.is_some(), "{options}");
            hub.crash();
            hub.actions();
        }
        let second = hub.machine.job(id).unwrap().tasks[1].clone();
        let skip = Repair { action: RepairAction::Skip, data: None, by: None, reason: None };
        hub.machine.repair(id.task(0), skip, hub.now).unwrap();
        hub.actions();
        assert_eq!(hub.statuses(id)[0], TaskStatus::Skipped, "{options}");
        assert_eq!(hub.machine.job(id).unwrap().tasks[1..], [second.clone(), second], "{options}");
    }
}
