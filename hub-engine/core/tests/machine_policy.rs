//! A task whose message a policy of the broker has removed is handed out again after a delay. The number of issues on
//! the broker is reduced.

mod support;

use std::time::Duration;

use hub_core::TaskStatus;
use hub_core::action::Assignment;
use hub_core::machine::{DeadLetter, Published, Returned, Verdict};
use support::{Hub, told};

fn job(tasks: usize) -> String {
    let tasks: Vec<String> = (0..tasks).map(|at| format!(r#"{{"name": "t{at}", "task_name": "a"}}"#)).collect();
    format!(r#"{{"name": "j", "tasks": [{}]}}"#, tasks.join(","))
}

fn removed(hub: &mut Hub, task: &Assignment) -> Verdict {
    hub.machine.handle_dead_letter(task.issue, DeadLetter::Policy, hub.now)
}

#[test]
fn it_is_handed_out_again_after_increasing_delays_with_a_reason() {
    let mut hub = Hub::new();
    let id = hub.submit(1, &job(1));
    let mut task = hub.handed_out().remove(0);
    let mut rests = Vec::new();
    for _ in 0..10 {
        hub.machine.handle_published(task.issue, Published::Confirmed, hub.now);
        assert_eq!(removed(&mut hub, &task), Verdict::Applied);
        assert_eq!(removed(&mut hub, &task), Verdict::Stale, "once");
        assert!(hub.handed_out().is_empty());
        assert_eq!(hub.statuses(id), [TaskStatus::Pending]);
        let waiting = hub.machine.job(id).unwrap().waiting;
        assert!(waiting[0].1.starts_with("a policy of the broker (a message TTL or a maximum length)"), "{waiting:?}");
        let rest = hub.next_due().unwrap();
        rests.push(rest.as_millis());
        hub.pass(rest);
        task = hub.handed_out().remove(0);
    }
    assert_eq!(rests, [20, 40, 80, 160, 320, 640, 1280, 2560, 2560, 2560]);
    assert_eq!((hub.stored(id).tasks[0].deaths, task.issue.number), (0, 11));
    assert_eq!(hub.succeed(&task, "1"), Verdict::Applied);
    hub.actions();
    assert_eq!((hub.statuses(id), hub.next_due()), (vec![TaskStatus::Success], None));
}

#[test]
fn the_number_of_issues_is_reduced() {
    let mut hub = Hub::new();
    hub.worker("w1", &["a"]);
    hub.submit(1, &job(1000));
    let mut out = hub.handed_out();
    assert_eq!(out.len(), 64);
    let mut issues = 0;
    // Every published message expires immediately.
    for _ in 0..60 {
        for task in out.drain(..) {
            removed(&mut hub, &task);
        }
        for _ in 0..10 {
            hub.pass(Duration::from_millis(100));
            out.extend(hub.handed_out());
        }
        hub.worker("w1", &["a"]);
        issues += out.len();
    }
    assert!(issues < 64 * 60 / 2, "{issues} issues in a minute");
    // The policy is removed.
    let mut done = 0;
    for _ in 0..2000 {
        for task in std::mem::take(&mut out) {
            done += usize::from(hub.succeed(&task, "1") == Verdict::Applied);
        }
        hub.pass(Duration::from_millis(100));
        hub.worker("w1", &["a"]);
        out = hub.handed_out();
    }
    assert_eq!((done, hub.ended.len()), (1000, 1));
}

#[test]
fn an_issue_that_a_full_queue_refuses_is_handed_out_again() {
    let mut hub = Hub::new();
    let id = hub.submit(1, &job(1));
    let task = hub.handed_out().remove(0);
    hub.machine.handle_published(task.issue, Published::Refused, hub.now);
    assert!(hub.handed_out().is_empty());
    assert!(hub.machine.job(id).unwrap().waiting[0].1.contains("maximum length"));
    hub.pass(Duration::from_secs(3));
    assert_eq!(hub.handed_out().remove(0).issue.number, 2);
}

#[test]
fn running_and_cancelled_tasks_are_not_handed_out_again() {
    let mut hub = Hub::new();
    let id = hub.submit(1, &job(2));
    let tasks = hub.handed_out();
    hub.machine.handle_started(&"w1".into(), &[tasks[0].issue], hub.now);
    assert_eq!(removed(&mut hub, &tasks[0]), Verdict::Stale, "its message was duplicated");
    assert_eq!(removed(&mut hub, &tasks[1]), Verdict::Applied);
    hub.cancel(id);
    hub.machine.handle_returned(tasks[0].issue, Returned::Stopped, &"w1".into(), hub.now);
    hub.actions();
    hub.pass(Duration::from_secs(60));
    assert!(told(&hub.actions()).is_empty());
    assert_eq!((hub.machine.stats().in_flight, hub.next_due()), (0, None));
}
