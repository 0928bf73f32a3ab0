//! The time limits of tasks that the dispatcher enforces, and progress.

mod support;

use std::sync::Arc;
use std::time::Duration;

use hub_core::action::{Action, Assignment};
use hub_core::details::RepairAction;
use hub_core::job::Timeout;
use hub_core::machine::{Outcome, Repair, TaskResult, Verdict};
use hub_core::state::{ErrorKind, TaskError, TaskState};
use hub_core::{JobId, JobStatus, TaskStatus};
use support::{Hub, json};

/// The lease of a worker, as in the default settings.
const LEASE: Duration = Duration::from_secs(30);

/// A job with one task that has this timeout and these further keys.
fn job(timeout: &str, more: &str) -> String {
    format!(r#"{{"name": "j", "tasks": [{{"name": "a", "timeout": {timeout}{more}}}]}}"#)
}

fn state(hub: &Hub, job: JobId) -> Arc<TaskState> {
    Arc::clone(&hub.stored(job).tasks[0])
}

/// The task has failed because of this limit.
fn assert_timed_out(hub: &Hub, job: JobId, which: Timeout) {
    let task = state(hub, job);
    assert_eq!(task.status, TaskStatus::Failed, "{:?}", task.msg);
    let error = task.error.as_ref().unwrap();
    assert_eq!((error.kind, error.which), (ErrorKind::TimedOut, Some(which)));
    let msg = task.msg.as_deref().unwrap();
    assert!(msg.contains(which.as_str()), "{msg}");
}

/// The issues that the workers are told to stop.
fn stopped(hub: &mut Hub) -> usize {
    hub.actions().iter().filter(|action| matches!(action, Action::Stop { .. })).count()
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn start(hub: &mut Hub, task: &Assignment) {
    hub.machine.handle_started(&"w1".into(), &[task.issue], hub.now);
    hub.actions();
}

fn error(type_name: &str) -> Outcome {
    let error = TaskError { type_name: Some(type_name.into()), ..TaskError::new(ErrorKind::TaskFailed) };
    Outcome::Failed { msg: "no".into(), error: Some(error.into()) }
}

/// Lets time pass while the worker renews its lease.
fn pass_with_worker(hub: &mut Hub, task: &Assignment, mut time: Duration) {
    while time > Duration::ZERO {
        let step = time.min(seconds(5));
        let mut report = hub.worker("w1", &["a"]);
        report.held = vec![task.issue];
        hub.machine.handle_heartbeat(report, hub.now);
        hub.pass(step);
        time -= step;
    }
}

#[test]
fn the_worker_gets_the_limits_of_the_attempt() {
    let mut hub = Hub::new();
    hub.submit(1, r#"{"name": "j", "timeout": "1m", "tasks": [{"name": "a"}, {"name": "b", "timeout": {"heartbeat": 2, "grace": "3s"}},
        {"name": "c", "timeout": {"schedule_to_close": "1h"}}]}"#);
    let out = hub.handed_out();
    let limits = |index: usize| out[index].limits.map(|it| (it.start_to_close, it.heartbeat, it.grace));
    assert_eq!(limits(0), Some((Some(seconds(60)), None, seconds(10))));
    assert_eq!(limits(1), Some((None, Some(seconds(2)), seconds(3))));
    assert_eq!(
        limits(2),
        Some((None, None, seconds(10))),
        "its own limits stand in place of those of the job and of its module"
    );
}

#[test]
fn a_task_that_nothing_starts_in_time_fails_and_is_not_tried_again() {
    let mut hub = Hub::new();
    let id = hub.submit(1, &job(r#"{"schedule_to_start": "1m"}"#, r#", "retry": 3, "pool": "gpu""#));
    assert!(hub.handed_out().is_empty(), "no worker serves the pool");
    hub.pass(seconds(59));
    assert!(hub.machine.is_live(id));
    hub.pass(seconds(1));
    hub.actions();
    assert_timed_out(&hub, id, Timeout::ScheduleToStart);
    assert_eq!(hub.stored(id).state.status, JobStatus::Failed);
    assert_eq!(hub.next_due(), None, "no timer is left");
}

#[test]
fn a_task_that_is_named_for_retry_gets_another_attempt_without_that_limit() {
    let mut hub = Hub::new();
    let retry = r#", "retry": {"retry_on": ["TIMED_OUT"], "jitter": 0}, "pool": "gpu""#;
    let id = hub.submit(1, &job(r#"{"schedule_to_start": "1m"}"#, retry));
    hub.pass(seconds(60));
    hub.actions();
    assert_eq!(state(&hub, id).status, TaskStatus::Pending);
    hub.pass(seconds(3600));
    hub.actions();
    assert_eq!(state(&hub, id).details.as_ref().unwrap().failures, 1);
}

#[test]
fn a_task_on_the_broker_has_a_lease_to_say_that_it_was_started() {
    for is_late in [false, true] {
        let mut hub = Hub::new();
        let id = hub.submit(1, &job(r#"{"schedule_to_start": "1m"}"#, ""));
        let task = hub.handed_out().remove(0);
        hub.pass(seconds(60));
        assert_eq!((stopped(&mut hub), state(&hub, id).status), (0, TaskStatus::Submitted));
        hub.pass(LEASE - seconds(1));
        if !is_late {
            start(&mut hub, &task);
            pass_with_worker(&mut hub, &task, seconds(3600));
            assert_eq!(state(&hub, id).status, TaskStatus::Running, "it goes on");
            continue;
        }
        hub.pass(seconds(1));
        assert_eq!(stopped(&mut hub), 1);
        assert_timed_out(&hub, id, Timeout::ScheduleToStart);
        assert_eq!(hub.succeed(&task, "1"), Verdict::Unknown, "a late result is stale");
    }
}

#[test]
fn all_attempts_together_have_a_limit() {
    let mut hub = Hub::new();
    let retry =
        r#", "retry": {"maximum_attempts": 100, "initial_interval": "20s", "backoff_coefficient": 1, "jitter": 0}"#;
    let id = hub.submit(1, &job(r#"{"schedule_to_close": "1m"}"#, retry));
    for failure in 1..=2 {
        let task = hub.handed_out().remove(0);
        hub.result(&task, error(&format!("E{failure}")));
        hub.pass(seconds(20));
    }
    let third = hub.handed_out().remove(0);
    start(&mut hub, &third);
    pass_with_worker(&mut hub, &third, seconds(20));
    assert_eq!(stopped(&mut hub), 1);
    assert_timed_out(&hub, id, Timeout::ScheduleToClose);
    let task = state(&hub, id);
    let cause = task.error.as_ref().unwrap().cause.as_ref().unwrap();
    assert_eq!((cause.kind, cause.type_name.as_deref(), &*cause.msg), (ErrorKind::TaskFailed, Some("E2"), "no"));
    let details = task.details.as_ref().unwrap();
    assert_eq!(details.attempts.iter().map(|attempt| attempt.number).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!((hub.machine.stats().in_flight, hub.machine.stats().live_jobs), (0, 0));
}

#[test]
fn a_task_that_waits_for_its_next_attempt_fails_at_the_limit() {
    let mut hub = Hub::new();
    let retry = r#", "retry": {"maximum_attempts": 3, "initial_interval": "1h"}"#;
    let id = hub.submit(1, &job(r#"{"schedule_to_close": "1m"}"#, retry));
    let task = hub.handed_out().remove(0);
    hub.result(&task, error("E1"));
    hub.pass(seconds(60));
    assert_eq!(stopped(&mut hub), 0);
    assert_timed_out(&hub, id, Timeout::ScheduleToClose);
    let task = state(&hub, id);
    assert_eq!(task.details.as_ref().unwrap().retry_at, None);
    assert!(task.msg.as_deref().unwrap().contains("1 attempt"), "{:?}", task.msg);
    assert_eq!(hub.next_due(), None, "no timer is left");
}

#[test]
fn the_limit_of_all_attempts_stands_still_while_the_task_is_held() {
    let mut hub = Hub::new();
    let retry = r#", "retry": {"maximum_attempts": 1, "exhausted": "hold"}"#;
    let id = hub.submit(1, &job(r#"{"schedule_to_close": "1m"}"#, retry));
    let task = hub.handed_out().remove(0);
    hub.pass(seconds(50));
    hub.result(&task, error("E1"));
    hub.actions();
    for crash in [false, true] {
        if crash {
            hub.crash();
        }
        hub.pass(seconds(3600));
        hub.actions();
        assert_eq!(state(&hub, id).status, TaskStatus::Pending);
    }
    let repair = Repair { action: RepairAction::Retry, data: None, by: None, reason: None };
    hub.machine.repair(id.task(0), repair, hub.now).unwrap();
    let again = hub.handed_out().remove(0);
    start(&mut hub, &again);
    pass_with_worker(&mut hub, &again, seconds(9));
    hub.actions();
    assert_eq!(state(&hub, id).status, TaskStatus::Running);
    pass_with_worker(&mut hub, &again, seconds(1));
    hub.actions();
    assert_timed_out(&hub, id, Timeout::ScheduleToClose);
}

#[test]
fn an_attempt_whose_worker_does_not_report_fails_and_is_tried_again() {
    let mut hub = Hub::new();
    let retry = r#", "retry": {"initial_interval": "1s", "jitter": 0}"#;
    let id = hub.submit(1, &job(r#"{"start_to_close": "10s", "grace": "5s"}"#, retry));
    let task = hub.handed_out().remove(0);
    start(&mut hub, &task);
    let allowed = seconds(15) + LEASE;
    pass_with_worker(&mut hub, &task, allowed - seconds(1));
    assert_eq!((stopped(&mut hub), state(&hub, id).status), (0, TaskStatus::Running));
    pass_with_worker(&mut hub, &task, seconds(1));
    assert_eq!(stopped(&mut hub), 1);
    let waiting = state(&hub, id);
    assert_eq!(waiting.status, TaskStatus::Pending);
    assert_eq!(waiting.error.as_ref().unwrap().which, Some(Timeout::StartToClose));
    hub.pass(seconds(1));
    let second = hub.handed_out().remove(0);
    assert_eq!(second.attempt, 2);
    hub.succeed(&second, "1");
    hub.actions();
    assert_eq!(hub.stored(id).state.status, JobStatus::Success);
    assert_eq!(hub.machine.poll_timeout(), None, "no timer of the task is left");
}

#[test]
fn a_launched_task_has_the_limits_of_its_attempt() {
    for (timeout, which) in
        [(r#""1m""#, Timeout::StartToClose), (r#"{"start_to_close": "2m", "heartbeat": "1m"}"#, Timeout::Heartbeat)]
    {
        for crash in [false, true] {
            let mut hub = Hub::new();
            let id = hub.submit(1, &job(timeout, ""));
            let task = hub.handed_out().remove(0);
            hub.result(&task, Outcome::Launched { data: json("1") });
            hub.actions();
            hub.pass(seconds(30));
            if crash {
                hub.crash();
            }
            hub.pass(seconds(29));
            assert!(hub.machine.is_live(id));
            hub.pass(seconds(1));
            hub.actions();
            assert_timed_out(&hub, id, which);
        }
    }
}

#[test]
fn limits_go_on_after_a_restart_and_a_clock_that_was_set_back_does_not_lengthen_them() {
    for back in [0, 7200] {
        let mut hub = Hub::new();
        let id = hub.submit(1, &job(r#"{"schedule_to_close": "1m"}"#, r#", "pool": "gpu""#));
        hub.actions();
        hub.pass(seconds(40));
        hub.now.wall = hub.now.wall.before(seconds(back));
        hub.crash();
        hub.pass(seconds(if back == 0 { 19 } else { 59 }));
        assert!(hub.machine.is_live(id));
        hub.pass(seconds(1));
        hub.actions();
        assert_timed_out(&hub, id, Timeout::ScheduleToClose);
    }
}

#[test]
fn a_delay_does_not_count_and_is_not_repeated() {
    let mut hub = Hub::new();
    let id = hub.submit(1, &job(r#"{"schedule_to_start": "1m"}"#, r#", "delay": "1h""#));
    hub.pass(seconds(3600));
    let task = hub.handed_out().remove(0);
    hub.machine.handle_returned(task.issue, hub_core::machine::Returned::Draining, &"w1".into(), hub.now);
    hub.machine.hold_back(true);
    hub.actions();
    assert_eq!(state(&hub, id).status, TaskStatus::Pending);
    hub.crash();
    assert_eq!(hub.handed_out().len(), 1, "a task that was handed out has its delay behind it");
}

#[test]
fn a_cancelled_job_leaves_no_timer() {
    let mut hub = Hub::new();
    let id =
        hub.submit(1, &job(r#"{"schedule_to_start": "1m", "schedule_to_close": "1h", "start_to_close": "1m"}"#, ""));
    hub.actions();
    hub.cancel(id);
    hub.actions();
    hub.pass(seconds(200));
    hub.actions();
    assert_eq!(hub.next_due(), None);
}

#[test]
fn progress_is_shown_at_once_and_given_to_the_next_attempt() {
    let mut hub = Hub::new();
    let id = hub.submit(1, &job(r#"{"heartbeat": "1m"}"#, r#", "retry": {"initial_interval": "1s", "jitter": 0}"#));
    let task = hub.handed_out().remove(0);
    assert_eq!(task.last_progress, None);
    start(&mut hub, &task);
    let report = |hub: &mut Hub, worker: &str, value: &str| {
        let mut report = hub.worker(worker, &["a"]);
        (report.held, report.progress) = (vec![task.issue], vec![(task.issue, json(value))]);
        hub.machine.handle_heartbeat(report, hub.now);
    };
    let shown = |hub: &Hub| {
        let record: serde_json::Value = serde_json::from_str(hub.machine.job(id).unwrap().record().get()).unwrap();
        record["tasks"][0].get("progress").cloned()
    };
    report(&mut hub, "w1", r#"{"row": 5}"#);
    assert_eq!(shown(&hub), Some(serde_json::json!({"row": 5})));
    report(&mut hub, "w2", "6");
    assert_eq!(shown(&hub), Some(serde_json::json!({"row": 5})), "the task is another worker's");
    report(&mut hub, "w1", &format!("\"{}\"", "x".repeat(5000)));
    assert_eq!(shown(&hub), Some(serde_json::json!({"row": 5})), "a progress has at most 4 KiB");
    let result = TaskResult {
        progress: Some(json("7")),
        content: None,
        defaults: None,
        issue: task.issue,
        outcome: error("E"),
        log: None,
        worker: "w1".into(),
        took: Duration::ZERO,
    };
    hub.machine.handle_result(result, hub.now);
    hub.actions();
    hub.crash();
    hub.pass(seconds(1));
    let second = hub.handed_out().remove(0);
    assert_eq!(second.last_progress.unwrap().get(), "7");
}
