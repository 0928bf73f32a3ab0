//! The machine and its workers: their modules, their leases, and how they are lost.

mod support;

use std::time::Duration;

use hub_core::action::Action;
use hub_core::machine::{Returned, Settings, Verdict};
use hub_core::state::ErrorKind;
use hub_core::{JobStatus, TaskStatus};
use support::{Hub, told};

#[test]
fn a_task_waits_for_a_worker_with_its_module() {
    let mut hub = Hub::new();
    let mut report = hub.worker("w1", &["multiply"]);
    let job = hub.submit(1, r#"{"name": "j", "tasks": [{"name": "multipy"}]}"#);
    assert!(hub.handed_out().is_empty());
    let reason = &hub.machine.job(job).unwrap().waiting[0].1;
    assert!(reason.contains("\"multipy\"") && reason.contains("did you mean \"multiply\""), "{reason}");
    report.tasks.insert("multipy".into(), None);
    hub.machine.handle_heartbeat(report, hub.now);
    assert_eq!(hub.handed_out().len(), 1);
}

#[test]
fn a_task_returned_as_unknown_is_parked_until_a_worker_has_its_module() {
    let mut hub = Hub::new();
    let job = hub.submit(1, r#"{"name": "j", "tasks": [{"name": "a"}]}"#);
    let task = hub.handed_out().remove(0);
    let back = |hub: &mut Hub| hub.machine.handle_returned(task.issue, Returned::UnknownModule, &"w1".into(), hub.now);
    assert_eq!(back(&mut hub), Verdict::Applied);
    assert_eq!(back(&mut hub), Verdict::Stale);
    assert!(hub.handed_out().is_empty(), "it is not sent around in circles");
    assert_eq!(hub.machine.job(job).unwrap().waiting.len(), 1);
    hub.worker("w2", &["a"]);
    let again = hub.handed_out().remove(0);
    assert_eq!(again.issue.number, 2);
    hub.succeed(&again, "1");
    hub.actions();
    assert_eq!(hub.stored(job).state.status, JobStatus::Success);
}

#[test]
fn a_task_fails_after_too_many_dead_workers() {
    let mut hub = Hub::with(Settings { crash_limit: 3, ..Settings::default() });
    let job = hub.submit(1, r#"{"name": "j", "tasks": [{"name": "a"}]}"#);
    for count in 1..=3 {
        let task = hub.handed_out().remove(0);
        assert_eq!(task.issue.number, count);
        let worker = format!("w{count}");
        hub.worker(&worker, &["a"]);
        hub.machine.handle_started(&worker.as_str().into(), &[task.issue], hub.now);
        hub.pass(Duration::from_secs(29));
        assert!(hub.handed_out().is_empty(), "the lease lasts thirty seconds");
        hub.pass(Duration::from_secs(1));
        assert_ne!(hub.succeed(&task, "1"), Verdict::Applied, "what it reports now is stale");
    }
    hub.actions();
    let stored = hub.stored(job);
    assert_eq!(stored.tasks[0].status, TaskStatus::Failed);
    assert_eq!(stored.tasks[0].error.as_ref().unwrap().kind, ErrorKind::WorkerLost);
}

#[test]
fn leases_are_renewed_by_heartbeats_and_suspended_without_the_broker() {
    let mut hub = Hub::new();
    hub.submit(1, r#"{"name": "j", "tasks": [{"name": "a"}]}"#);
    let task = hub.handed_out().remove(0);
    let mut report = hub.worker("w1", &["a"]);
    report.held = vec![task.issue];
    for _ in 0..100 {
        hub.machine.handle_heartbeat(report.clone(), hub.now);
        hub.pass(Duration::from_secs(20));
    }
    assert!(hub.handed_out().is_empty());
    hub.machine.handle_link(false, hub.now);
    hub.pass(Duration::from_secs(3600));
    hub.machine.handle_link(true, hub.now);
    hub.pass(Duration::from_secs(35));
    assert!(hub.handed_out().is_empty(), "a full lease and the grace after the broker is back");
    hub.pass(Duration::from_secs(10));
    assert_eq!(hub.handed_out().len(), 1);
}

#[test]
fn a_live_worker_that_does_not_name_an_issue_loses_it() {
    let mut hub = Hub::new();
    hub.submit(1, r#"{"name": "j", "tasks": [{"name": "a"}]}"#);
    let task = hub.handed_out().remove(0);
    let mut report = hub.worker("w1", &["a"]);
    report.held = vec![task.issue];
    hub.machine.handle_heartbeat(report.clone(), hub.now);
    report.held.clear();
    for _ in 0..4 {
        hub.machine.handle_heartbeat(report.clone(), hub.now);
        hub.pass(Duration::from_secs(10));
    }
    assert_eq!(hub.handed_out().len(), 1);
}

#[test]
fn a_worker_that_leaves_keeps_its_leases_until_they_expire() {
    let mut hub = Hub::new();
    let job = hub.submit(1, r#"{"name": "j", "tasks": [{"name": "a"}]}"#);
    let task = hub.handed_out().remove(0);
    hub.worker("w1", &["a"]);
    hub.machine.handle_started(&"w1".into(), &[task.issue], hub.now);
    hub.machine.handle_worker_left(&"w1".into());
    assert_eq!(hub.machine.stats().workers, 0);
    assert_eq!(hub.succeed(&task, "1"), Verdict::Applied, "its last result still counts");
    hub.actions();
    assert_eq!(hub.stored(job).state.status, JobStatus::Success);
}

#[test]
fn a_task_that_is_returned_repeatedly_is_delayed_longer_each_time() {
    let mut hub = Hub::new();
    hub.worker("w1", &[]);
    hub.worker("w2", &["a"]);
    hub.submit(1, r#"{"name": "j", "tasks": [{"name": "a"}]}"#);
    for rest in [20, 40, 80] {
        let task = hub.handed_out().remove(0);
        hub.machine.handle_returned(task.issue, Returned::UnknownModule, &"w1".into(), hub.now);
        hub.pass(Duration::from_millis(rest - 1));
        assert!(hub.handed_out().is_empty(), "before {rest} ms");
        hub.pass(Duration::from_millis(1));
    }
    let task = hub.handed_out().remove(0);
    hub.machine.handle_returned(task.issue, Returned::Draining, &"w1".into(), hub.now);
    assert_eq!(hub.handed_out().len(), 1, "a worker that stops is no reason to wait");
}

#[test]
fn an_issue_in_a_heartbeat_without_a_waiting_task_is_stopped() {
    let mut hub = Hub::new();
    let job = hub.submit(1, r#"{"name": "j", "tasks": [{"name": "a"}, {"name": "b"}]}"#);
    let tasks = hub.handed_out();
    let mut report = hub.worker("w1", &["a", "b"]);
    report.held = tasks.iter().map(|task| task.issue).collect();
    hub.machine.handle_heartbeat(report.clone(), hub.now);
    assert_eq!(hub.statuses_now(job), [TaskStatus::Running, TaskStatus::Running]);
    hub.actions();
    hub.cancel(job);
    hub.actions();
    hub.machine.handle_heartbeat(report, hub.now);
    let stop = |action| match action {
        Action::Stop { issue, .. } => issue,
        other => panic!("{other:?}"),
    };
    let stopped: Vec<_> = hub.actions().into_iter().map(stop).collect();
    assert_eq!(stopped, tasks.iter().map(|task| task.issue).collect::<Vec<_>>());
}

#[test]
fn a_second_worker_with_the_same_issue_takes_it_over() {
    let mut hub = Hub::new();
    let job = hub.submit(1, r#"{"name": "j", "tasks": [{"name": "a"}]}"#);
    let task = hub.handed_out().remove(0);
    let held = [task.issue];
    hub.machine.handle_started(&"w1".into(), &held, hub.now);
    // The connection of w1 broke before it had acknowledged the task, so the broker gave it to w2 too.
    hub.machine.handle_started(&"w2".into(), &held, hub.now);
    let mut report = hub.worker("w2", &["a"]);
    report.held = held.to_vec();
    for _ in 0..10 {
        hub.machine.handle_heartbeat(report.clone(), hub.now);
        hub.pass(Duration::from_secs(10));
    }
    assert!(hub.handed_out().is_empty(), "w1 is lost, but the issue is not");
    assert_eq!(hub.stored(job).tasks[0].worker.as_deref(), Some("w2"));
    assert_eq!(hub.stored(job).tasks[0].deaths, 1);
    hub.pass(Duration::from_secs(30));
    assert_eq!(hub.handed_out().len(), 1, "now no worker runs it");
}

#[test]
fn a_heartbeat_renews_only_the_issue_that_it_names() {
    let mut hub = Hub::new();
    hub.submit(1, r#"{"name": "j", "tasks": [{"name": "a"}]}"#);
    let first = hub.handed_out().remove(0);
    let mut report = hub.worker("w1", &["a"]);
    report.held = vec![first.issue];
    hub.machine.handle_heartbeat(report.clone(), hub.now);
    hub.pass(Duration::from_secs(60));
    let second = hub.handed_out().remove(0);
    hub.machine.handle_started(&"w1".into(), &[second.issue], hub.now);
    for _ in 0..4 {
        hub.machine.handle_heartbeat(report.clone(), hub.now);
        hub.pass(Duration::from_secs(10));
    }
    assert_eq!(hub.handed_out().remove(0).issue.number, 3, "w1 never named the second issue");
}

#[test]
fn a_heartbeat_that_arrives_after_its_worker_has_left_is_ignored() {
    let mut hub = Hub::new();
    let report = hub.worker("w1", &["a"]);
    hub.machine.handle_worker_left(&"w1".into());
    hub.machine.handle_heartbeat(report, hub.now);
    assert_eq!(hub.machine.workers().count(), 0);
    hub.pass(Duration::from_secs(30));
    assert_eq!(hub.next_due(), None, "and then it is forgotten");
}

#[test]
fn no_lease_expires_before_the_broker_is_connected() {
    let mut hub = Hub::new();
    let job = hub.submit(1, r#"{"name": "j", "tasks": [{"name": "a"}]}"#);
    let task = hub.handed_out().remove(0);
    hub.machine.handle_started(&"w1".into(), &[task.issue], hub.now);
    hub.actions();
    hub.crash_without_link();
    assert_eq!(hub.next_due(), None);
    hub.pass(Duration::from_secs(3600));
    hub.machine.handle_link(true, hub.now);
    hub.pass(Duration::from_secs(39));
    assert!(hub.handed_out().is_empty());
    assert_eq!(hub.statuses(job), [TaskStatus::Running]);
    hub.pass(Duration::from_secs(1));
    assert_eq!(hub.handed_out().remove(0).issue.incarnation, 2);
}

#[test]
fn a_task_on_the_broker_has_a_reason_if_no_worker_can_take_it() {
    let mut hub = Hub::new();
    let job = hub.submit(1, r#"{"name": "j", "tasks": [{"name": "a"}, {"name": "b", "depends": ["a"]}]}"#);
    assert_eq!(hub.handed_out().len(), 1);
    let waiting = |hub: &Hub| hub.machine.job(job).unwrap().waiting;
    assert_eq!(waiting(&hub), [(0, "no worker serves the pool \"default\"".to_owned()), (1, "waits for a".to_owned())]);
    hub.worker("w1", &["c"]);
    assert!(waiting(&hub)[0].1.contains("has a task module \"a\": they have c"), "{:?}", waiting(&hub));
    hub.worker("w2", &["a"]);
    assert_eq!(waiting(&hub).len(), 1, "it may start any moment");
    assert!(told(&hub.actions()).is_empty());
}

#[test]
fn leaving_in_order_does_not_count_as_a_death() {
    let mut hub = Hub::with(Settings { crash_limit: 1, ..Settings::default() });
    let job = hub.submit(1, r#"{"name": "j", "tasks": [{"name": "a"}]}"#);
    let task = hub.handed_out().remove(0);
    hub.worker("w1", &["a"]);
    hub.machine.handle_started(&"w1".into(), &[task.issue], hub.now);
    hub.machine.handle_worker_left(&"w1".into());
    hub.pass(Duration::from_secs(30));
    let waiting = &hub.machine.job(job).unwrap().tasks[0];
    assert_eq!((waiting.status, waiting.deaths), (TaskStatus::Pending, 0));
    assert_eq!((&waiting.worker, waiting.started_at), (&None, None), "no worker runs it");
    assert_eq!(hub.handed_out().len(), 1);
}

#[test]
fn a_lost_connection_resets_missing_issues() {
    let mut hub = Hub::new();
    hub.submit(1, r#"{"name": "j", "tasks": [{"name": "a"}]}"#);
    let task = hub.handed_out().remove(0);
    let mut report = hub.worker("w1", &["a"]);
    hub.machine.handle_started(&"w1".into(), &[task.issue], hub.now);
    hub.machine.handle_heartbeat(report.clone(), hub.now);
    hub.pass(Duration::from_secs(29));
    hub.machine.handle_heartbeat(report.clone(), hub.now);
    hub.machine.handle_link(false, hub.now);
    hub.machine.handle_link(true, hub.now);
    hub.pass(Duration::from_secs(2));
    assert!(hub.handed_out().is_empty(), "a whole lease has begun");
    report.held = vec![task.issue];
    for _ in 0..3 {
        hub.machine.handle_heartbeat(report.clone(), hub.now);
        hub.pass(Duration::from_secs(25));
    }
    assert!(hub.handed_out().is_empty());
}
