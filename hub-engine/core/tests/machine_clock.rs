//! Durations follow the monotonic clock, and the wall clock may be set to any time. A lease expires only after all
//! messages of its worker have been read.

mod support;

use std::time::Duration;

use hub_core::machine::{Heard, Returned};
use hub_core::{JobStatus, Timestamp};
use support::Hub;

const LEASE: Duration = Duration::from_secs(30);
const JOB: &str = r#"{"name": "j", "tasks": [{"name": "a"}]}"#;
const STEP: u64 = 2 * 3600 * 1000;

/// Sets the wall clock.
fn set_wall(hub: &mut Hub, millis: u64) {
    hub.now.wall = Timestamp::from_millis(millis);
}

#[test]
fn setting_the_wall_clock_changes_no_lease_and_no_delay() {
    for step in [STEP * 10 + STEP, STEP * 10 - STEP, 0] {
        let mut hub = Hub::new();
        set_wall(&mut hub, STEP * 10);
        let job = hub.submit(1, r#"{"name": "j", "tasks": [{"name": "a"}, {"name": "b"}]}"#);
        let tasks = hub.handed_out();
        hub.worker("w1", &["a"]);
        hub.worker("w2", &["a", "b"]);
        hub.machine.handle_started(&"w1".into(), &[tasks[0].issue], hub.now);
        hub.machine.handle_returned(tasks[1].issue, Returned::UnknownModule, &"w1".into(), hub.now);
        hub.pass(LEASE / 2);
        assert_eq!(hub.handed_out().len(), 1, "the delay of b is over");
        set_wall(&mut hub, step);
        hub.pass(LEASE / 2 - Duration::from_millis(1));
        assert!(hub.handed_out().is_empty());
        assert!(hub.next_due().is_some_and(|due| due == Duration::from_millis(1)), "{:?}", hub.next_due());
        hub.pass(Duration::from_millis(1));
        assert_eq!(hub.handed_out().remove(0).issue.task, job.task(0), "w1 sent no heartbeat for one lease period");
    }
}

#[test]
fn times_of_a_record_stay_in_order_when_the_clock_is_set_back() {
    let mut hub = Hub::new();
    set_wall(&mut hub, STEP * 10);
    let job = hub.submit(1, JOB);
    let task = hub.handed_out().remove(0);
    set_wall(&mut hub, STEP * 9);
    hub.machine.handle_started(&"w1".into(), &[task.issue], hub.now);
    set_wall(&mut hub, STEP * 8);
    hub.succeed(&task, "1");
    hub.actions();
    let stored = hub.stored(job);
    assert_eq!(stored.state.status, JobStatus::Success);
    let (task, job) = (&stored.tasks[0], &stored.state);
    for times in
        [[task.submitted_at, task.started_at, task.ended_at], [Some(job.submitted_at), job.started_at, job.ended_at]]
    {
        assert!(times.is_sorted() && times[0].is_some(), "{times:?}");
    }
}

#[test]
fn no_lease_expires_before_waiting_messages_are_read() {
    let mut hub = Hub::new();
    let mut report = hub.worker("w1", &["a"]);
    hub.submit(1, JOB);
    let task = hub.handed_out().remove(0);
    report.held = vec![task.issue];
    hub.machine.handle_heartbeat(report.clone(), hub.now);
    // The dispatcher is stopped for a long time.
    let before = hub.now;
    hub.now = hub.now.after(LEASE * 10);
    hub.machine.handle_timeout(hub.now);
    assert!(hub.handed_out().is_empty());
    assert!(hub.machine.poll_expiry().is_some_and(|due| due <= hub.now.steady));
    // Messages sent shortly after the last heartbeat do not prove that the worker was silent.
    hub.machine.handle_heard(before.after(LEASE / 2).steady, hub.now);
    assert!(hub.handed_out().is_empty());
    assert_eq!(hub.machine.handle_heartbeat(report, hub.now), Heard::Taken);
    hub.machine.handle_heard(hub.now.steady, hub.now);
    assert!(hub.handed_out().is_empty());
    hub.pass(LEASE);
    assert_eq!(hub.handed_out().remove(0).issue.number, 2, "the lease period is counted from there");
}

#[test]
fn a_listing_shows_the_last_heartbeat_without_the_grace_period() {
    let mut hub = Hub::new();
    hub.worker("w1", &["a"]);
    let heard_at = hub.now.wall;
    hub.pass(Duration::from_secs(1));
    hub.machine.handle_link(false, hub.now);
    hub.machine.handle_link(true, hub.now);
    assert_eq!(hub.machine.workers().map(|(_, at)| at).collect::<Vec<_>>(), [heard_at]);
}
