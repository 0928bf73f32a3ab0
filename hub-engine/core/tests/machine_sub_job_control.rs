//! What is passed to sub-jobs: cancels, deadlines, pauses, priorities.

mod support;

use std::time::Duration;

use hub_core::machine::{Cancel, Handlers, Remark};
use hub_core::state::{ErrorKind, JobState};
use hub_core::{JobId, JobStatus, TaskStatus};
use serde_json::{Value, json};
use support::sub_jobs::{begun, child, kind, names, nested, status};
use support::{Hub, told};

#[test]
fn a_sub_job_that_is_cancelled_by_itself_fails_its_task_for_good() {
    let mut hub = Hub::new();
    let (job, child, out) = begun(&mut hub, &nested(&json!({"retry": 5})));
    hub.cancel(child);
    hub.actions();
    hub.fail(&out[0], "stopped");
    hub.actions();
    assert_eq!((status(&hub, child), status(&hub, job)), (JobStatus::Cancelled, JobStatus::Failed));
    assert_eq!(kind(&hub, job, 0), ErrorKind::JobCancelled);
}

#[test]
fn a_cancelled_job_waits_for_its_sub_jobs_also_after_a_restart() {
    let mut hub = Hub::new();
    let inner = json!({"name": "inner", "tasks": [{"name": "deep"}]});
    let text = json!({"name": "outer", "tasks": [{"name": "x", "job":
        {"name": "middle", "tasks": [{"name": "y", "job": inner}, {"name": "z", "depends": ["y"]}]}}]});
    let (job, middle, out) = begun(&mut hub, &text.to_string());
    let inner = child(&hub, middle, 0);
    let cancel = Cancel { reason: Some("wrong day".into()), by: Some("ops".into()), ..Cancel::default() };
    hub.machine.cancel(job, cancel, hub.now).unwrap();
    let actions = told(&hub.actions());
    assert!(actions.contains(&"stop 1 in 10 s".to_owned()), "{actions:?}");
    for job in [job, middle, inner] {
        assert_eq!(status(&hub, job), JobStatus::Cancelling);
        let cancel = hub.stored(job).state.details.as_ref().unwrap().cancel.clone().unwrap();
        assert_eq!((cancel.by.as_deref(), cancel.reason.as_deref()), (Some("ops"), Some("wrong day")));
    }
    hub.crash();
    hub.actions();
    hub.fail(&out[0], "was stopped");
    hub.actions();
    assert_eq!([job, middle, inner].map(|job| status(&hub, job)), [JobStatus::Cancelled; 3]);
    assert_eq!(hub.statuses(middle), [TaskStatus::Cancelled; 2]);
}

#[test]
fn a_cancel_that_was_not_passed_on_before_a_crash_is_passed_on_afterwards() {
    let mut hub = Hub::new();
    let (job, child, out) = begun(&mut hub, &nested(&json!({})));
    hub.cancel(job);
    hub.actions();
    // As if only the change of the parent had been committed.
    let state = JobState { details: None, status: JobStatus::Running, ..hub.stored(child).state.clone() };
    let details = hub.stored(child).state.details.clone().map(|details| {
        let mut details = (*details).clone();
        details.cancel = None;
        std::sync::Arc::new(details)
    });
    hub.restore_state(child, JobState { details, ..state });
    hub.crash();
    hub.actions();
    assert_eq!(status(&hub, child), JobStatus::Cancelling);
    hub.succeed(&out[0], "1");
    hub.actions();
    assert_eq!((hub.statuses(child)[0], status(&hub, child)), (TaskStatus::Success, JobStatus::Cancelled));
    assert_eq!((hub.statuses(job)[0], status(&hub, job)), (TaskStatus::Cancelled, JobStatus::Cancelled));
}

#[test]
fn a_second_cancel_ends_the_grace_of_sub_jobs() {
    let mut hub = Hub::new();
    let (job, child, _) = begun(&mut hub, &nested(&json!({})));
    hub.cancel(job);
    hub.actions();
    hub.machine.cancel(job, Cancel { now: true, ..Cancel::default() }, hub.now).unwrap();
    assert!(told(&hub.actions()).contains(&"stop 1 in 0 s".to_owned()));
    assert!(hub.stored(child).state.details.as_ref().unwrap().cancel.as_ref().unwrap().now);
}

#[test]
fn a_deadline_stops_sub_jobs() {
    let mut hub = Hub::new();
    let mut text: Value = serde_json::from_str(&nested(&json!({}))).unwrap();
    text["deadline"] = "10s".into();
    let (job, child, out) = begun(&mut hub, &text.to_string());
    hub.worker("w1", &["a"]);
    hub.pass(Duration::from_secs(10));
    hub.actions();
    assert_eq!(status(&hub, child), JobStatus::Cancelling);
    hub.fail(&out[0], "was stopped");
    hub.actions();
    assert_eq!((status(&hub, child), status(&hub, job)), (JobStatus::Cancelled, JobStatus::Failed));
    assert!(hub.stored(job).state.msg.as_deref().unwrap().starts_with("DEADLINE"));
}

#[test]
fn a_pause_is_passed_on_and_a_resume_wakes_only_what_it_paused() {
    let mut hub = Hub::new();
    let text = json!({"name": "parent", "tasks": [
        {"name": "one", "job": {"name": "c1", "tasks": [{"name": "a"}, {"name": "b", "depends": ["a"]}]}},
        {"name": "two", "job": {"name": "c2", "tasks": [{"name": "c"}, {"name": "d", "depends": ["c"]}]}},
        {"name": "three", "depends": ["one"], "job": {"name": "c3", "tasks": [{"name": "e"}]}}]});
    let (job, one, out) = begun(&mut hub, &text.to_string());
    let two = child(&hub, job, 1);
    hub.machine.pause_job(two, Remark::default(), hub.now).unwrap();
    hub.machine.pause_job(job, Remark { by: Some("ops".into()), reason: None }, hub.now).unwrap();
    hub.actions();
    assert_eq!([job, one, two].map(|job| status(&hub, job)), [JobStatus::Paused; 3]);
    hub.crash();
    for task in &out {
        hub.succeed(task, "1");
    }
    assert!(hub.handed_out().is_empty(), "nothing further is issued");
    hub.machine.resume_job(one, hub.now).unwrap();
    hub.actions();
    assert_eq!(status(&hub, one), JobStatus::Paused, "its parent has paused it");
    hub.machine.resume_job(job, hub.now).unwrap();
    let out = hub.handed_out();
    assert_eq!(names(&out), ["b"]);
    assert_eq!(
        [job, one, two].map(|job| status(&hub, job)),
        [JobStatus::Running, JobStatus::Running, JobStatus::Paused]
    );
    hub.machine.pause_job(job, Remark::default(), hub.now).unwrap();
    hub.succeed(&out[0], "1");
    assert!(hub.handed_out().is_empty());
    assert_eq!(hub.statuses(job)[2], TaskStatus::Pending, "no sub-job begins while its job is paused");
    hub.crash();
    hub.actions();
    hub.machine.resume_job(job, hub.now).unwrap();
    hub.machine.resume_job(two, hub.now).unwrap();
    let mut out = hub.handed_out();
    out.sort_by(|one, other| one.name.cmp(&other.name));
    assert_eq!(names(&out), ["d", "e"]);
}

#[test]
fn items_that_are_given_up_stop_their_sub_jobs() {
    let mut hub = Hub::new();
    let text = json!({"name": "parent", "tasks": [{"name": "each", "for_each": {"in": 3, "fail_fast": true},
        "job": {"name": "child", "tasks": [{"name": "a"}]}}]});
    let job = hub.submit(1, &text.to_string());
    let out = hub.handed_out();
    hub.fail(&out[0], "no");
    hub.actions();
    assert_eq!(status(&hub, job), JobStatus::Failed);
    assert_eq!(status(&hub, out[1].job), JobStatus::Cancelling);
    hub.fail(&out[1], "was stopped");
    hub.fail(&out[2], "was stopped");
    hub.actions();
    assert_eq!(hub.machine.live(), (0, 0));
}

#[test]
fn a_sub_job_has_the_priority_of_its_task_and_changes_with_it() {
    let mut hub = Hub::new();
    let text = json!({"name": "parent", "priority": 5, "tasks": [
        {"name": "one", "job": {"name": "c", "tasks": [{"name": "a"}, {"name": "b", "depends": ["a"]}]}},
        {"name": "two", "priority": 9, "job": {"name": "c", "tasks": [{"name": "a"}]}},
        {"name": "three", "job": {"name": "c", "priority": 1, "tasks": [{"name": "a"}]}}]});
    let job = hub.submit(1, &text.to_string());
    let inherited = |hub: &Hub, index| {
        hub.stored(child(hub, job, index)).state.details.as_ref().unwrap().parent.as_ref().unwrap().priority
    };
    let order: Vec<JobId> = hub.handed_out().iter().map(|task| task.job).collect();
    assert_eq!(order, [1, 0, 2].map(|index| child(&hub, job, index)));
    hub.machine.set_priority(job, 7, Remark::default(), hub.now).unwrap();
    hub.actions();
    assert_eq!([0, 1].map(|index| inherited(&hub, index)), [7, 9]);
}

#[test]
fn a_sub_job_that_takes_too_long_is_stopped() {
    let mut hub = Hub::new();
    let (job, child, out) = begun(&mut hub, &nested(&json!({"timeout": {"start_to_close": "10s"}})));
    hub.crash();
    hub.worker("w1", &["a"]);
    hub.actions();
    hub.pass(Duration::from_secs(10));
    hub.actions();
    assert_eq!((status(&hub, job), kind(&hub, job, 0)), (JobStatus::Failed, ErrorKind::TimedOut));
    assert_eq!(status(&hub, child), JobStatus::Cancelling);
    hub.succeed(&out[0], "1");
    hub.actions();
    assert_eq!((status(&hub, child), status(&hub, job)), (JobStatus::Cancelled, JobStatus::Failed));
}

#[test]
fn a_job_that_fails_from_outside_ends_with_its_sub_jobs() {
    let mut hub = Hub::new();
    let (job, child, out) = begun(&mut hub, &nested(&json!({})));
    hub.machine.fail_job(job, "it cannot be stored".into(), Handlers::Run, hub.now).unwrap();
    hub.actions();
    hub.fail(&out[0], "was stopped");
    hub.actions();
    assert_eq!((status(&hub, job), status(&hub, child)), (JobStatus::Failed, JobStatus::Cancelled));
}

/// The handlers of a sub-job run, also after a cancel of its parent, and a handler can run a job.
#[test]
fn handlers_and_sub_jobs() {
    let mut hub = Hub::new();
    let text = json!({"name": "parent",
        "tasks": [{"name": "load", "job": {"name": "child", "tasks": [{"name": "a"}], "finally": [{"name": "clean"}]}}],
        "finally": [{"name": "report", "inputs": {"how": "_.failure.status"},
            "job": {"name": "reporting", "tasks": [{"name": "send", "args": ["_.input.how"]}]}}]});
    let (job, child, out) = begun(&mut hub, &text.to_string());
    hub.cancel(job);
    hub.actions();
    hub.fail(&out[0], "was stopped");
    let out = hub.handed_out();
    assert_eq!(names(&out), ["clean"]);
    hub.succeed(&out[0], "1");
    let out = hub.handed_out();
    assert_eq!((names(&out), out[0].args.get()), (vec!["send"], r#"["CANCELLED"]"#));
    assert_eq!(status(&hub, child), JobStatus::Cancelled);
    hub.succeed(&out[0], "1");
    hub.actions();
    assert_eq!(status(&hub, job), JobStatus::Cancelled);
    assert!(hub.stored(job).tasks[1].status == TaskStatus::Success);
}

#[test]
fn another_attempt_waits_for_the_end_of_the_sub_job_before_and_continues_it() {
    let mut hub = Hub::new();
    let text = json!({"name": "parent", "tasks": [{"name": "load", "timeout": {"start_to_close": "10s"},
        "retry": {"maximum_attempts": 2, "initial_interval": "1s", "jitter": 0},
        "job": {"name": "child", "tasks": [{"name": "a"}, {"name": "b", "depends": ["a"]}], "output": "_b.data"}}]});
    let (job, before, out) = begun(&mut hub, &text.to_string());
    hub.succeed(&out[0], "1");
    let b = hub.handed_out().remove(0);
    hub.worker("w1", &["a", "b"]);
    hub.pass(Duration::from_secs(10));
    hub.actions();
    assert_eq!(status(&hub, before), JobStatus::Cancelling);
    for crashes in [false, true] {
        hub.pass(Duration::from_secs(2));
        assert!(hub.handed_out().iter().all(|task| task.issue.task == b.issue.task), "the one before has not ended");
        assert_eq!(child(&hub, job, 0), before);
        if crashes {
            hub.crash();
            hub.pass(Duration::from_secs(1));
            hub.actions();
        }
    }
    hub.fail(&b, "was stopped");
    let again = hub.handed_out();
    assert_eq!((status(&hub, before), names(&again)), (JobStatus::Cancelled, vec!["b"]), "a is kept");
    assert_ne!(child(&hub, job, 0), before);
    hub.succeed(&again[0], "2");
    hub.actions();
    assert_eq!(status(&hub, job), JobStatus::Success);
}

#[test]
fn a_cancelled_job_begins_no_further_sub_jobs() {
    let mut hub = Hub::new();
    let text = json!({"name": "parent", "tasks": [{"name": "each", "for_each": 30_000,
        "job": {"name": "child", "tasks": [{"name": "a"}]}, "detached": true}]});
    let job = hub.submit(1, &text.to_string());
    while hub.machine.stats().live_jobs == 1 {
        hub.turn();
    }
    let begun = hub.machine.stats().live_jobs - 1;
    assert!(begun < 30_000, "{begun}");
    hub.cancel(job);
    hub.actions();
    assert_eq!(hub.machine.stats().live_jobs, begun, "those that had begun go on by themselves");
    assert_eq!(status(&hub, job), JobStatus::Cancelled);
}

#[test]
fn a_paused_pool_does_not_stop_the_clock_of_a_task_with_a_sub_job() {
    let mut hub = Hub::new();
    hub.machine.pause_pool("default".into(), Remark::default(), hub.now).unwrap();
    let (job, child, _) = begun(&mut hub, &nested(&json!({"timeout": {"schedule_to_close": "10s"}})));
    hub.machine.resume_pool(&"default".into(), hub.now);
    assert_eq!(names(&hub.handed_out()), ["a"]);
    hub.pass(Duration::from_secs(10));
    hub.actions();
    assert_eq!((status(&hub, job), kind(&hub, job, 0)), (JobStatus::Failed, ErrorKind::TimedOut));
    assert_eq!(status(&hub, child), JobStatus::Cancelled);
}
