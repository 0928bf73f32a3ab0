//! Launched tasks, and results that are posted from outside.

mod support;

use std::time::Duration;

use hub_core::action::Action;
use hub_core::machine::{Outcome, PostError, Posted, Update, Verdict};
use hub_core::state::ErrorKind;
use hub_core::{JobStatus, TaskStatus};
use support::{Hub, id, json, told};

#[test]
fn a_posted_result_may_arrive_before_the_report_of_the_launch() {
    let mut hub = Hub::new();
    let job = hub.submit(1, r#"{"name": "j", "tasks": [{"name": "a"}], "output": ["_a.data"]}"#);
    let launch = hub.handed_out().remove(0);
    let update = Update { status: TaskStatus::Success, data: Some(json("7")), msg: None };
    assert_eq!(hub.machine.post_result(launch.issue.task, update, hub.now), Ok(Posted::Applied));
    assert_eq!(hub.result(&launch, Outcome::Launched { data: json("\"pid 1\"") }), Verdict::Unknown);
    hub.actions();
    assert_eq!(hub.stored(job).state.output, Some(json("[7]")));
}

#[test]
fn an_asynchronous_task_runs_until_its_result_is_posted() {
    let mut hub = Hub::new();
    let job = hub.submit(1, r#"{"name": "j", "tasks": [{"name": "a"}, {"name": "b", "args": ["_a.data"]}]}"#);
    let post = |hub: &mut Hub, status, data: &str| {
        let update = Update { status, data: Some(json(data)), msg: None };
        hub.machine.post_result(job.task(0), update, hub.now)
    };
    assert_eq!(post(&mut hub, TaskStatus::Success, "1"), Err(PostError::NotStarted));
    let launch = hub.handed_out().remove(0);
    hub.result(&launch, Outcome::Launched { data: json("\"started\"") });
    hub.actions();
    assert_eq!(hub.statuses(job), [TaskStatus::Running, TaskStatus::Pending]);
    assert_eq!(hub.stored(job).tasks[0].data, Some(json("\"started\"")));
    hub.pass(Duration::from_secs(100_000));
    assert!(hub.actions().is_empty(), "a launched task has no lease that could expire");

    assert_eq!(post(&mut hub, TaskStatus::Success, "9"), Ok(Posted::Applied));
    assert_eq!(post(&mut hub, TaskStatus::Success, "9"), Ok(Posted::AlreadySame));
    assert_eq!(post(&mut hub, TaskStatus::Failed, "9"), Err(PostError::AlreadyEnded));
    let next = hub.handed_out().remove(0);
    assert_eq!(next.args, json("[9]"));
    let stranger = id(99).task(0);
    let update = Update { status: TaskStatus::Success, data: None, msg: None };
    assert_eq!(hub.machine.post_result(stranger, update, hub.now), Err(PostError::UnknownTask));
}

const FAILED: Update = Update { status: TaskStatus::Failed, data: None, msg: None };

#[test]
fn a_failure_can_be_posted_with_its_reason() {
    let mut hub = Hub::new();
    let job = hub.submit(1, r#"{"name": "j", "tasks": [{"name": "a"}, {"name": "b", "depends": ["a"]}]}"#);
    let launch = hub.handed_out().remove(0);
    hub.result(&launch, Outcome::Launched { data: json("1") });
    assert_eq!(hub.result(&launch, Outcome::Launched { data: json("2") }), Verdict::Stale, "launched once");
    let update = Update { msg: Some("on fire".into()), data: Some(json("3")), ..FAILED };
    assert_eq!(hub.machine.post_result(launch.issue.task, update, hub.now), Ok(Posted::Applied));
    assert_eq!(
        told(&hub.actions()),
        [
            "a is RUNNING",
            "keep task 0 RUNNING",
            "a is FAILED",
            "keep task 0 FAILED",
            "keep job RUNNING",
            "b is UPSTREAM_FAILED",
            "keep task 1 UPSTREAM_FAILED",
            "keep job FAILED",
            "job is FAILED",
        ]
    );
    let task = &hub.stored(job).tasks[0];
    assert_eq!((task.msg.as_deref(), &task.data, task.launched), (Some("on fire"), &None, false));
    assert_eq!(task.error.as_ref().unwrap().kind, ErrorKind::Posted);
}

#[test]
fn a_posted_result_stops_the_issue_that_still_runs() {
    let mut hub = Hub::new();
    let job = hub.submit(1, r#"{"name": "j", "tasks": [{"name": "a"}, {"name": "b"}, {"name": "c"}]}"#);
    let tasks = hub.handed_out();
    hub.machine.handle_started(&"w1".into(), &[tasks[1].issue], hub.now);
    hub.actions();
    let done = Update { status: TaskStatus::Success, ..FAILED };
    for task in &tasks[..2] {
        assert_eq!(hub.machine.post_result(task.issue.task, done.clone(), hub.now), Ok(Posted::Applied));
        let stopped = |action: &Action| matches!(action, Action::Stop { issue, .. } if issue.task == task.issue.task);
        assert!(hub.actions().iter().any(stopped));
        assert_eq!(hub.succeed(task, "1"), Verdict::Stale);
    }
    assert_eq!(hub.stored(job).tasks[0].data, Some(json("null")), "the data of a success without data is null");
    assert_eq!(hub.machine.stats().in_flight, 1);
    hub.succeed(&tasks[2], "1");
    hub.actions();
    assert_eq!(hub.stored(job).state.status, JobStatus::Success);
}

#[test]
fn a_launch_can_fail_and_a_long_launch_can_be_leased() {
    let mut hub = Hub::new();
    let job = hub.submit(1, r#"{"name": "j", "tasks": [{"name": "a"}, {"name": "b"}]}"#);
    let tasks = hub.handed_out();
    hub.fail(&tasks[0], "no rocket");
    hub.machine.handle_started(&"w1".into(), &[tasks[1].issue], hub.now);
    assert_eq!(hub.result(&tasks[1], Outcome::Launched { data: json("1") }), Verdict::Applied);
    hub.pass(Duration::from_secs(3600));
    hub.actions();
    assert_eq!(hub.statuses(job), [TaskStatus::Failed, TaskStatus::Running]);
    assert_eq!(hub.machine.post_result(tasks[0].issue.task, FAILED, hub.now), Ok(Posted::AlreadySame));
    assert_eq!(hub.machine.stats().in_flight, 0, "no worker holds a launched task");
}
