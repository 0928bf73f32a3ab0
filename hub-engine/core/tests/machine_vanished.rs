//! Issues that the broker loses are noticed and handed out again. Slow issues are not.

mod support;

use std::time::Duration;

use hub_core::action::Action;
use hub_core::machine::{Published, Verdict};
use support::Hub;

const LEASE: Duration = Duration::from_secs(30);
const JOB: &str = r#"{"name": "j", "tasks": [{"name": "a"}]}"#;

/// Whether the machine queries the depth of the pool's queue.
fn probes(hub: &mut Hub) -> bool {
    hub.actions().iter().any(|action| matches!(action, Action::Probe { pool } if &**pool == "default"))
}

/// Lets time pass in steps of a heartbeat. The broker always answers with this number of messages.
fn pass(hub: &mut Hub, duration: Duration, ready: u64, mut each: impl FnMut(&mut Hub)) -> usize {
    let mut lost = 0;
    let end = hub.now.after(duration);
    while hub.now.steady < end.steady {
        each(hub);
        hub.pass(Duration::from_secs(5));
        if probes(hub) {
            lost += hub.machine.handle_depth("default", ready, hub.now.steady);
            if lost > 0 {
                break;
            }
        }
    }
    lost
}

#[test]
fn an_unseen_issue_is_handed_out_again_if_its_queue_is_empty() {
    let mut hub = Hub::new();
    hub.worker("w1", &["a"]);
    hub.submit(1, JOB);
    let task = hub.handed_out().remove(0);
    hub.machine.handle_published(task.issue, Published::Confirmed, hub.now);
    assert_eq!(pass(&mut hub, LEASE * 3, 0, |hub| drop(hub.worker("w1", &["a"]))), 1);
    let again = hub.handed_out();
    assert_eq!((again.len(), again[0].issue.number), (1, 2));
    assert_ne!(hub.succeed(&task, "1"), Verdict::Applied, "the first one has turned up after all, too late");
    assert_eq!(hub.succeed(&again[0], "2"), Verdict::Applied);
    hub.actions();
    assert_eq!(hub.next_due().map(|due| due <= LEASE), Some(true), "only the worker's lease");
}

#[test]
fn issues_in_a_queue_are_not_lost() {
    let mut hub = Hub::new();
    hub.submit(1, JOB);
    let task = hub.handed_out().remove(0);
    hub.machine.handle_published(task.issue, Published::Confirmed, hub.now);
    assert_eq!(pass(&mut hub, LEASE * 100, 1, |_| {}), 0);
    assert_eq!(hub.succeed(&task, "1"), Verdict::Applied);
}

#[test]
fn issues_in_heartbeats_are_not_lost() {
    let mut hub = Hub::new();
    let mut report = hub.worker("w1", &["a"]);
    hub.submit(1, JOB);
    let task = hub.handed_out().remove(0);
    hub.machine.handle_published(task.issue, Published::Confirmed, hub.now);
    report.present = vec![task.issue];
    let lost = pass(&mut hub, LEASE * 100, 0, |hub| _ = hub.machine.handle_heartbeat(report.clone(), hub.now));
    assert_eq!(lost, 0);
}

#[test]
fn unconfirmed_issues_are_not_lost() {
    let mut hub = Hub::new();
    hub.submit(1, JOB);
    assert_eq!(hub.handed_out().len(), 1);
    assert_eq!(pass(&mut hub, LEASE * 100, 0, |_| {}), 0);
}

#[test]
fn the_period_starts_with_the_first_query_and_again_after_the_link_was_down() {
    let mut hub = Hub::new();
    hub.submit(1, JOB);
    let task = hub.handed_out().remove(0);
    hub.machine.handle_published(task.issue, Published::Confirmed, hub.now);
    // Empty at once, but for less than a lease.
    assert_eq!(pass(&mut hub, LEASE + LEASE / 2, 0, |_| {}), 0);
    hub.machine.handle_link(false, hub.now);
    assert_eq!(pass(&mut hub, LEASE * 100, 0, |_| {}), 0);
    assert!(hub.next_due().is_none());
    hub.machine.handle_link(true, hub.now);
    assert_eq!(pass(&mut hub, LEASE - Duration::from_secs(5), 0, |_| {}), 0);
    assert_eq!(pass(&mut hub, LEASE * 2, 0, |_| {}), 1);
}

#[test]
fn an_idle_machine_sends_no_queries() {
    let mut hub = Hub::new();
    hub.submit(1, JOB);
    let task = hub.handed_out().remove(0);
    hub.machine.handle_published(task.issue, Published::Confirmed, hub.now);
    hub.succeed(&task, "1");
    hub.actions();
    hub.pass(LEASE * 2);
    assert!(!probes(&mut hub));
    assert!(hub.next_due().is_none());
}

#[test]
fn a_second_loss_is_noticed() {
    let mut hub = Hub::new();
    hub.worker("w1", &["a"]);
    hub.submit(1, JOB);
    let mut task = hub.handed_out().remove(0);
    for number in 2..6 {
        hub.machine.handle_published(task.issue, Published::Confirmed, hub.now);
        assert_eq!(pass(&mut hub, LEASE * 4, 0, |hub| drop(hub.worker("w1", &["a"]))), 1, "issue {number}");
        task = hub.handed_out().remove(0);
        assert_eq!(task.issue.number, number);
    }
}

#[test]
fn the_period_counts_only_up_to_the_last_read_message() {
    let mut hub = Hub::new();
    let mut report = hub.worker("w1", &["a"]);
    hub.submit(1, JOB);
    let task = hub.handed_out().remove(0);
    hub.machine.handle_published(task.issue, Published::Confirmed, hub.now);
    report.present = vec![task.issue];
    // Heartbeats wait to be read while queues are looked into.
    for _ in 0..10 {
        hub.now = hub.now.after(LEASE);
        hub.machine.handle_timeout(hub.now);
        assert_eq!(hub.machine.handle_depth("default", 0, hub.now.steady), 0);
    }
    hub.machine.handle_heartbeat(report, hub.now);
    hub.machine.handle_heard(hub.now.steady, hub.now);
    assert_eq!(hub.machine.handle_depth("default", 0, hub.now.steady), 0, "w1 has it");
    assert_eq!(pass(&mut hub, LEASE * 4, 0, |hub| drop(hub.worker("w1", &["a"]))), 1, "w1 has lost it");
}
