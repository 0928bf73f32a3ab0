//! Changes of the priority of a live job: tasks that are not handed out yet follow it.

mod support;

use hub_core::action::Assignment;
use hub_core::machine::{ControlError, Remark, Settings};
use hub_core::{JobId, TaskStatus};
use support::{Hub, id, told};

/// One task is on the broker at a time, so the order of the queue shows.
fn narrow() -> Hub {
    Hub::with(Settings { window_floor: 1, window_factor: 0, window_pace: 0, ..Settings::default() })
}

fn job(name: &str, tasks: u32) -> String {
    let tasks: Vec<_> = (0..tasks).map(|at| serde_json::json!({"name": format!("{name}{at}")})).collect();
    serde_json::json!({"name": name, "tasks": tasks}).to_string()
}

fn set(hub: &mut Hub, job: JobId, priority: i32) {
    let remark = Remark { by: Some("ops".into()), reason: Some("urgent".into()) };
    hub.machine.set_priority(job, priority, remark, hub.now).unwrap();
}

/// Runs everything, one task after another. Returns the names in their order.
fn order(hub: &mut Hub, mut out: Vec<Assignment>) -> Vec<String> {
    let mut names = Vec::new();
    while !out.is_empty() {
        assert_eq!(out.len(), 1);
        hub.succeed(&out[0], "1");
        names.push(out[0].name.to_string());
        out = hub.handed_out();
    }
    names
}

#[test]
fn queued_tasks_follow_the_priority_and_what_is_out_goes_on() {
    let mut hub = narrow();
    let a = hub.submit(1, &job("a", 3));
    let b = hub.submit(2, &job("b", 3));
    let out = hub.handed_out();
    set(&mut hub, b, 5);
    assert_eq!(told(&hub.actions()), ["keep job PENDING"], "one row of the job is written");
    set(&mut hub, b, 5);
    set(&mut hub, a, 0);
    assert!(told(&hub.actions()).is_empty(), "it has this priority");
    assert_eq!(order(&mut hub, out), ["a0", "b0", "b1", "b2", "a1", "a2"]);
    let change = hub.stored(b).state.details.as_ref().unwrap().priority.clone().unwrap();
    assert_eq!((change.priority, change.at, change.by.as_deref()), (5, hub.now.wall, Some("ops")));
    assert!(hub.stored(a).state.details.is_none());
}

#[test]
fn a_priority_outlasts_a_crash() {
    let mut hub = narrow();
    hub.submit(1, &job("a", 2));
    let b = hub.submit(2, &job("b", 2));
    set(&mut hub, b, -1);
    hub.actions();
    hub.crash();
    let out = hub.handed_out();
    // The broker has the issue of the earlier incarnation.
    assert_eq!(order(&mut hub, out), ["a0", "a1", "b0", "b1"]);
}

#[test]
fn tasks_with_a_priority_of_their_own_keep_it() {
    let mut hub = narrow();
    let text = r#"{"name": "j", "priority": 2, "tasks": [{"name": "first", "priority": 9}, {"name": "a"}, {"name": "own", "priority": 2}, {"name": "b"},
        {"name": "late", "depends": ["first"]}]}"#;
    let job = hub.submit(1, text);
    let out = hub.handed_out();
    set(&mut hub, job, 1);
    set(&mut hub, job, -3);
    assert_eq!(order(&mut hub, out), ["first", "own", "a", "b", "late"]);
}

#[test]
fn paused_parked_and_delayed_tasks_follow_it_when_they_go_on() {
    let mut hub = narrow();
    hub.worker("w1", &["a", "w"]);
    let other = |name: &str| format!(r#"{{"name": "{name}", "tasks": [{{"name": "{name}", "task_name": "a"}}]}}"#);
    let text = r#"{"name": "j", "tasks": [{"name": "parked", "task_name": "n"}, {"name": "paused", "task_name": "a"},
        {"name": "delayed", "task_name": "a", "delay": "1s"}, {"name": "items", "task_name": "a", "for_each": {"in": 2, "parallel": 1}}]}"#;
    let warm = hub.submit(1, r#"{"name": "w", "tasks": [{"name": "w"}]}"#);
    let mut out = hub.handed_out();
    let job = hub.submit(2, text);
    hub.actions();
    hub.machine.pause_job(job, Remark::default(), hub.now).unwrap();
    set(&mut hub, job, 7);
    hub.submit(3, &other("x"));
    hub.machine.resume_job(job, hub.now).unwrap();
    hub.worker("w2", &["a", "n", "w"]);
    hub.pass(std::time::Duration::from_secs(1));
    let mut names = Vec::new();
    while let Some(task) = out.pop() {
        hub.succeed(&task, "1");
        names.push(task.name.to_string());
        out.extend(hub.handed_out());
    }
    assert_eq!((names[0].as_str(), names.last().unwrap().as_str()), ("w", "x"), "{names:?}");
    assert_eq!(names.len(), 7);
    assert!(hub.ended.contains_key(&warm) && hub.ended.contains_key(&job));
}

#[test]
fn withdrawn_tasks_leave_the_queue_that_they_have_moved_to() {
    let mut hub = narrow();
    let a = hub.submit(1, &job("a", 4));
    let out = hub.handed_out();
    set(&mut hub, a, 3);
    let skip =
        hub_core::machine::Repair { action: hub_core::details::RepairAction::Skip, data: None, by: None, reason: None };
    hub.machine.repair(a.task(2), skip, hub.now).unwrap();
    hub.actions();
    assert_eq!(hub.machine.stats().ready, 2);
    hub.machine.pause_job(a, Remark::default(), hub.now).unwrap();
    assert_eq!(hub.machine.stats().ready, 0);
    hub.machine.resume_job(a, hub.now).unwrap();
    assert_eq!(hub.machine.stats().ready, 2);
    hub.cancel(a);
    hub.fail(&out[0], "no");
    hub.actions();
    assert_eq!(hub.machine.stats().ready, 0);
    assert_eq!(hub.statuses(a)[1], TaskStatus::Cancelled);
}

#[test]
fn only_live_jobs_have_a_priority_that_can_change() {
    let mut hub = narrow();
    let change = |hub: &mut Hub, job| hub.machine.set_priority(job, 5, Remark::default(), hub.now);
    assert_eq!(change(&mut hub, id(1)), Err(ControlError::UnknownJob));
    let a = hub.submit(1, &job("a", 1));
    let out = hub.handed_out().remove(0);
    hub.machine.handle_started(&"w1".into(), &[out.issue], hub.now);
    hub.cancel(a);
    hub.actions();
    assert_eq!(change(&mut hub, a), Err(ControlError::Cancelling));
    hub.succeed(&out, "1");
    hub.actions();
    assert_eq!(change(&mut hub, a), Err(ControlError::UnknownJob));
}

#[test]
fn records_show_the_priority_and_its_change() {
    let mut hub = narrow();
    let a = hub.submit(1, &job("a", 1));
    let record = |hub: &Hub| hub.machine.job(a).unwrap().record().to_value();
    assert!(record(&hub).get("priority").is_none());
    set(&mut hub, a, -4);
    let record = record(&hub);
    assert_eq!(record["priority"], -4);
    let at = hub.now.wall.to_string();
    let change = serde_json::json!({"priority": -4, "at": at, "by": "ops", "reason": "urgent"});
    assert_eq!(record["priority_change"], change);
}
