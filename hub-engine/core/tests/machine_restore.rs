//! A machine that is restored from the stored state continues where the previous one stopped.

mod support;

use std::time::Duration;

use hub_core::action::Action;
use hub_core::machine::{Outcome, Posted, Published, Settings, Update, Verdict};
use hub_core::{JobStatus, TaskStatus};
use support::{Hub, SUM_PRODUCT, json, told};

#[test]
fn after_a_restart_only_unconfirmed_issues_are_published_again() {
    let mut hub = Hub::new();
    let job = hub.submit(
        1,
        r#"{"name": "j", "tasks": [{"name": "a"}, {"name": "b"}, {"name": "c"}, {"name": "d", "depends": ["a"]}]}"#,
    );
    let tasks = hub.handed_out();
    hub.machine.handle_published(tasks[0].issue, Published::Confirmed, hub.now);
    hub.result(&tasks[2], Outcome::Launched { data: json("0") });
    hub.actions();
    let snapshot = hub.stored(job).clone();

    let mut again = Hub::with(Settings { incarnation: 2, ..Settings::default() });
    again.machine.restore(snapshot, again.now);
    let published = {
        let mut actions = Vec::new();
        again.machine.poll_actions(again.now, &mut actions);
        told(&actions)
    };
    assert_eq!(published, ["publish b []1"]);
    assert_eq!(again.succeed(&tasks[0], "1"), Verdict::Applied, "an issue of the previous incarnation");
    let mut actions = Vec::new();
    again.machine.poll_actions(again.now, &mut actions);
    let incarnation = actions.iter().find_map(|action| match action {
        Action::Publish(task) => Some(task.issue.incarnation),
        _ => None,
    });
    assert_eq!(incarnation, Some(2));
}

#[test]
fn a_job_continues_wherever_the_dispatcher_was_killed() {
    for killed_at in 0..4 {
        let mut hub = Hub::new();
        let job = hub.submit(1, SUM_PRODUCT);
        let mut step = 0;
        let mut crash_at = |hub: &mut Hub, here: u32| {
            if killed_at == here {
                hub.crash();
            }
            step += 1;
        };
        hub.actions();
        crash_at(&mut hub, 0);
        hub.actions();
        let add = support::first_issue(&hub, job, 0);
        hub.machine.handle_published(add.issue, Published::Confirmed, hub.now);
        hub.actions();
        crash_at(&mut hub, 1);
        assert_eq!(hub.succeed(&add, "3"), Verdict::Applied);
        hub.actions();
        crash_at(&mut hub, 2);
        assert_eq!(hub.succeed(&add, "4"), Verdict::Stale, "the result was delivered again");
        hub.actions();
        let multiply = support::first_issue(&hub, job, 1);
        assert_eq!(hub.succeed(&multiply, "6"), Verdict::Applied);
        // Killed before the effect was stored: the result was not acknowledged, and is delivered again.
        crash_at(&mut hub, 3);
        if killed_at == 3 {
            assert_eq!(hub.succeed(&multiply, "6"), Verdict::Applied);
        }
        hub.actions();
        assert_eq!(hub.stored(job).state.output, Some(json("[6]")), "killed at {killed_at}");
        assert_eq!(hub.stored(job).tasks[1].issue.unwrap().number, 1, "killed at {killed_at}");
    }
}

#[test]
fn running_tasks_stay_current_and_launched_tasks_accept_results() {
    let mut hub = Hub::new();
    let job = hub.submit(1, r#"{"name": "j", "tasks": [{"name": "a"}, {"name": "b"}, {"name": "c"}]}"#);
    let tasks = hub.handed_out();
    for task in &tasks[..2] {
        hub.machine.handle_started(&"w1".into(), &[task.issue], hub.now);
    }
    hub.result(&tasks[2], Outcome::Launched { data: json("0") });
    hub.actions();
    hub.crash();
    assert!(told(&hub.actions()).is_empty(), "nothing is published again");
    assert_eq!(hub.succeed(&tasks[0], "1"), Verdict::Applied);
    let done = Update { status: TaskStatus::Success, data: Some(json("2")), msg: None };
    assert_eq!(hub.machine.post_result(tasks[2].issue.task, done, hub.now), Ok(Posted::Applied));
    hub.pass(Duration::from_secs(60));
    let again = hub.handed_out().remove(0);
    assert_eq!((again.issue.task, again.issue.number, again.issue.incarnation), (tasks[1].issue.task, 2, 2));
    assert_eq!(hub.succeed(&tasks[1], "9"), Verdict::Stale, "its issue is no longer current");
    hub.succeed(&again, "3");
    hub.actions();
    assert_eq!(hub.stored(job).state.status, JobStatus::Success);
}

#[test]
fn a_job_is_restored_once_and_not_after_its_end() {
    let mut hub = Hub::new();
    let job = hub.submit(1, r#"{"name": "j", "tasks": [{"name": "a"}]}"#);
    let task = hub.handed_out().remove(0);
    let snapshot = hub.stored(job).clone();
    hub.machine.restore(snapshot, hub.now);
    assert!(told(&hub.actions()).is_empty());
    hub.succeed(&task, "1");
    hub.actions();
    let ended = hub.stored(job).clone();
    hub.machine.restore(ended, hub.now);
    assert!(told(&hub.actions()).is_empty() && !hub.machine.is_live(job));
}

#[test]
fn parked_and_queued_tasks_wait_again() {
    let mut hub = Hub::with(Settings { window_floor: 1, window_factor: 0, ..Settings::default() });
    hub.worker("w1", &["a"]);
    let job =
        hub.submit(1, r#"{"name": "j", "tasks": [{"name": "a"}, {"name": "b"}, {"name": "c", "task_name": "a"}]}"#);
    let out = hub.handed_out();
    assert_eq!(out.len(), 1);
    hub.crash();
    assert_eq!(hub.handed_out(), out, "the same issue: it was not confirmed");
    hub.worker("w2", &["a", "b"]);
    hub.succeed(&out[0], "1");
    let mut done = 1;
    while let Some(task) = hub.handed_out().pop() {
        hub.succeed(&task, "1");
        done += 1;
    }
    assert_eq!((done, hub.stored(job).state.status), (3, JobStatus::Success));
}
