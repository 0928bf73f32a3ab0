//! Cancels: what waits ends at once, what is out is stopped, and the job ends when nothing of it runs any more.

mod support;

use std::time::Duration;

use hub_core::action::{Action, Assignment};
use hub_core::machine::{
    Cancel, ControlError, DeadLetter, Handlers, Outcome, Posted, Published, Returned, Update, Verdict,
};
use hub_core::{JobId, JobStatus, TaskStatus};
use support::{Hub, json, told};

/// The lease of a worker, and the grace of a task.
const LEASE: Duration = Duration::from_secs(30);
const GRACE: Duration = Duration::from_secs(10);
/// Three tasks: `a` and `b` are handed out at once, `c` waits for `a`.
const JOB: &str =
    r#"{"name": "j", "tasks": [{"name": "a", "retry": 3}, {"name": "b"}, {"name": "c", "depends": ["a"]}]}"#;

/// A job whose first two tasks are with the worker `w1`, which has started the first one.
fn running() -> (Hub, JobId, Vec<Assignment>) {
    let mut hub = Hub::new();
    hub.worker("w1", &["a", "b", "c"]);
    hub.pass(Duration::from_secs(10));
    let job = hub.submit(1, JOB);
    let out = hub.handed_out();
    hub.machine.handle_started(&"w1".into(), &[out[0].issue], hub.now);
    for task in &out {
        hub.machine.handle_published(task.issue, Published::Confirmed, hub.now);
    }
    hub.actions();
    (hub, job, out)
}

fn returned(hub: &mut Hub, task: &Assignment, why: Returned) -> Verdict {
    hub.machine.handle_returned(task.issue, why, &"w1".into(), hub.now)
}

/// The worker sends a heartbeat that names these issues as held.
fn heartbeat(hub: &mut Hub, held: &[&Assignment]) {
    let mut report = hub.worker("w1", &["a", "b", "c"]);
    report.held = held.iter().map(|task| task.issue).collect();
    hub.machine.handle_heartbeat(report, hub.now);
}

fn status(hub: &Hub, job: JobId) -> JobStatus {
    hub.stored(job).state.status
}

#[test]
fn what_waits_ends_at_once_and_the_job_when_its_workers_have_stopped_the_rest() {
    let (mut hub, job, out) = running();
    hub.cancel(job);
    assert_eq!(
        told(&hub.actions()),
        [
            "c is CANCELLED",
            "keep task 2 CANCELLED",
            "stop 1 in 10 s",
            "stop 1 in 10 s",
            "keep job CANCELLING",
            "job is CANCELLING"
        ]
    );
    assert_eq!(returned(&mut hub, &out[1], Returned::Stopped), Verdict::Applied);
    assert_eq!(told(&hub.actions()), ["b is CANCELLED", "keep task 1 CANCELLED"]);
    assert_eq!(returned(&mut hub, &out[0], Returned::Stopped), Verdict::Applied);
    assert_eq!(
        told(&hub.actions()),
        ["a is CANCELLED", "keep task 0 CANCELLED", "keep job CANCELLED", "job is CANCELLED"]
    );
    assert_eq!(returned(&mut hub, &out[0], Returned::Stopped), Verdict::Unknown);
    assert_eq!(hub.machine.cancel(job, Cancel::default(), hub.now), Err(ControlError::UnknownJob));
    let stats = hub.machine.stats();
    assert_eq!((stats.in_flight, stats.ready, stats.live_tasks, stats.live_bytes), (0, 0, 0, 0));
    hub.pass(LEASE * 4);
    assert!(told(&hub.actions()).is_empty());
}

#[test]
fn a_success_before_the_stop_counts_and_every_other_end_is_cancelled() {
    let (mut hub, job, out) = running();
    hub.cancel(job);
    assert_eq!(hub.succeed(&out[1], "7"), Verdict::Applied);
    assert_eq!(hub.fail(&out[0], "was interrupted"), Verdict::Applied);
    assert!(hub.handed_out().is_empty(), "it is not tried again");
    assert_eq!(hub.statuses(job), [TaskStatus::Cancelled, TaskStatus::Success, TaskStatus::Cancelled]);
    assert_eq!(hub.stored(job).tasks[1].data, Some(json("7")));
    assert_eq!(status(&hub, job), JobStatus::Cancelled);

    let ends: [fn(&mut Hub, &Assignment); 7] = [
        |hub, task| _ = hub.result(task, Outcome::Launched { data: json("1") }),
        |hub, task| _ = returned(hub, task, Returned::Busy),
        |hub, task| _ = returned(hub, task, Returned::UnknownModule),
        |hub, task| hub.machine.handle_published(task.issue, Published::Unroutable, hub.now),
        |hub, task| hub.machine.handle_published(task.issue, Published::Rejected("too large".into()), hub.now),
        |hub, task| _ = hub.machine.handle_dead_letter(task.issue, DeadLetter::Policy, hub.now),
        |hub, task| _ = hub.machine.handle_dead_letter(task.issue, DeadLetter::DeliveryLimit, hub.now),
    ];
    for (at, end) in ends.into_iter().enumerate() {
        let (mut hub, job, out) = running();
        hub.cancel(job);
        end(&mut hub, &out[1]);
        hub.actions();
        assert_eq!(hub.statuses(job)[1], TaskStatus::Cancelled, "end {at}");
        assert_eq!(status(&hub, job), JobStatus::Cancelling);
    }
}

#[test]
fn a_result_that_is_posted_for_a_task_that_is_being_stopped_counts() {
    let (mut hub, job, out) = running();
    hub.cancel(job);
    let update = Update { status: TaskStatus::Success, data: Some(json("1")), msg: None };
    assert_eq!(hub.machine.post_result(out[0].issue.task, update.clone(), hub.now), Ok(Posted::Applied));
    let failure = Update { status: TaskStatus::Failed, ..update };
    assert_eq!(hub.machine.post_result(out[1].issue.task, failure, hub.now), Ok(Posted::Applied));
    hub.actions();
    assert_eq!(hub.statuses(job), [TaskStatus::Success, TaskStatus::Cancelled, TaskStatus::Cancelled]);
    assert_eq!(status(&hub, job), JobStatus::Cancelled);
}

#[test]
fn launched_tasks_end_at_once() {
    let (mut hub, job, out) = running();
    for task in &out {
        hub.result(task, Outcome::Launched { data: json("1") });
    }
    hub.cancel(job);
    hub.actions();
    assert_eq!(status(&hub, job), JobStatus::Cancelled);
}

#[test]
fn an_issue_without_a_report_ends_one_lease_after_the_grace() {
    let (mut hub, job, out) = running();
    hub.cancel(job);
    hub.actions();
    // The worker lives and says nothing of the second issue: it may be in a queue.
    for _ in 0..8 {
        hub.pass(Duration::from_secs(5));
        heartbeat(&mut hub, &[&out[0]]);
    }
    hub.actions();
    assert_eq!(hub.statuses(job)[..2], [TaskStatus::Running, TaskStatus::Cancelled]);
    assert_eq!(hub.succeed(&out[1], "1"), Verdict::Stale);
}

#[test]
fn a_lost_lease_ends_a_task_that_is_being_stopped() {
    let (mut hub, job, _) = running();
    hub.cancel(job);
    hub.actions();
    hub.pass(LEASE + Duration::from_secs(9));
    hub.actions();
    assert_eq!(hub.statuses(job)[0], TaskStatus::Cancelled, "and is not handed out again");
    hub.pass(Duration::from_secs(1));
    hub.actions();
    assert_eq!(status(&hub, job), JobStatus::Cancelled);
}

/// A worker of an earlier version stops a task and reports nothing; its heartbeats do not name the task any more.
#[test]
fn a_worker_that_does_not_report_stops_does_not_keep_the_job_open() {
    let (mut hub, job, out) = running();
    hub.cancel(job);
    returned(&mut hub, &out[1], Returned::Busy);
    for _ in 0..8 {
        heartbeat(&mut hub, &[]);
        hub.pass(Duration::from_secs(5));
    }
    hub.actions();
    assert_eq!(status(&hub, job), JobStatus::Cancelled);
}

#[test]
fn a_worker_that_ignores_stops_does_not_keep_the_job_open() {
    let (mut hub, job, out) = running();
    hub.cancel(job);
    let mut passed = Duration::ZERO;
    while hub.machine.is_live(job) {
        heartbeat(&mut hub, &[&out[0]]);
        hub.pass(Duration::from_secs(5));
        passed += Duration::from_secs(5);
        hub.actions();
    }
    assert_eq!(passed, GRACE + LEASE * 2);
    assert_eq!(hub.statuses(job)[0], TaskStatus::Cancelled);
    heartbeat(&mut hub, &[&out[0]]);
    assert_eq!(told(&hub.actions()), ["stop 1 in 10 s"], "it is still told to stop");
}

#[test]
fn workers_are_told_again_with_the_grace_that_is_left() {
    let (mut hub, job, out) = running();
    hub.cancel(job);
    hub.actions();
    hub.pass(Duration::from_secs(4));
    heartbeat(&mut hub, &[&out[0]]);
    assert_eq!(told(&hub.actions()), ["stop 1 in 6 s"]);
    // A worker that joins may receive the issue that no worker has reported.
    hub.worker("w2", &["b"]);
    assert_eq!(told(&hub.actions()), ["stop 1 in 6 s"]);
    hub.worker("w2", &["b"]);
    assert!(told(&hub.actions()).is_empty());
}

#[test]
fn cancelling_again_changes_nothing_and_now_ends_the_grace() {
    let (mut hub, job, out) = running();
    let by = |who: &str| Cancel { by: Some(who.into()), reason: Some("no".into()), ..Cancel::default() };
    hub.machine.cancel(job, by("first"), hub.now).unwrap();
    let at = hub.now.wall;
    hub.actions();
    hub.pass(Duration::from_secs(1));
    hub.machine.cancel(job, by("second"), hub.now).unwrap();
    assert!(told(&hub.actions()).is_empty());
    hub.machine.cancel(job, Cancel { now: true, ..Cancel::default() }, hub.now).unwrap();
    assert_eq!(told(&hub.actions()), ["stop 1 in 0 s", "stop 1 in 0 s", "keep job CANCELLING"]);
    let cancel = hub.stored(job).state.details.as_ref().unwrap().cancel.clone().unwrap();
    assert_eq!(
        (cancel.at, cancel.now, cancel.by.as_deref(), cancel.reason.as_deref()),
        (at, true, Some("first"), Some("no"))
    );
    hub.machine.cancel(job, Cancel { now: true, ..Cancel::default() }, hub.now).unwrap();
    assert!(told(&hub.actions()).is_empty());
    hub.pass(LEASE);
    hub.actions();
    assert_eq!(status(&hub, job), JobStatus::Cancelled, "without a grace, one lease is enough");
    assert_eq!(hub.succeed(&out[0], "1"), Verdict::Unknown);
}

#[test]
fn a_task_has_its_own_grace() {
    let mut hub = Hub::new();
    hub.worker("w1", &["a"]);
    let job = hub
        .submit(1, r#"{"name": "j", "tasks": [{"name": "a", "timeout": {"start_to_close": "1h", "grace": "90s"}}]}"#);
    let out = hub.handed_out();
    hub.machine.handle_started(&"w1".into(), &[out[0].issue], hub.now);
    hub.actions();
    hub.cancel(job);
    assert!(told(&hub.actions()).contains(&"stop 1 in 90 s".to_owned()));
    for _ in 0..24 {
        heartbeat(&mut hub, &[&out[0]]);
        hub.pass(Duration::from_secs(5));
    }
    assert!(hub.machine.is_live(job), "the worker has had its grace and one lease");
}

#[test]
fn a_cancel_survives_a_crash() {
    let (mut hub, job, out) = running();
    hub.cancel(job);
    hub.actions();
    hub.crash();
    let told = told(&hub.actions());
    assert!(told.iter().filter(|action| *action == "stop 1 in 10 s").count() == 2, "{told:?}");
    assert_eq!(status(&hub, job), JobStatus::Cancelling);
    hub.fail(&out[0], "was interrupted");
    returned(&mut hub, &out[1], Returned::Stopped);
    assert!(hub.handed_out().is_empty());
    assert_eq!(status(&hub, job), JobStatus::Cancelled);
}

#[test]
fn unconfirmed_issues_of_a_cancelled_job_are_not_published_again() {
    let mut hub = Hub::new();
    hub.worker("w1", &["a", "b", "c"]);
    let job = hub.submit(1, JOB);
    let out = hub.handed_out();
    hub.cancel(job);
    hub.actions();
    assert!(!hub.machine.is_on_its_way(out[0].issue));
    hub.crash();
    hub.worker("w1", &["a", "b", "c"]);
    assert!(hub.handed_out().is_empty());
    hub.pass(GRACE + LEASE * 2);
    hub.actions();
    assert_eq!(status(&hub, job), JobStatus::Cancelled);
}

#[test]
fn issues_that_no_worker_can_have_end_at_once() {
    let mut hub = Hub::new();
    hub.pass(Duration::from_secs(10));
    let job = hub.submit(1, JOB);
    assert_eq!(hub.handed_out().len(), 2);
    hub.cancel(job);
    hub.actions();
    assert_eq!(status(&hub, job), JobStatus::Cancelled);
    // Shortly after the link has come up, there may be workers whose heartbeats have not arrived.
    let mut hub = Hub::new();
    let job = hub.submit(1, JOB);
    hub.handed_out();
    hub.cancel(job);
    hub.actions();
    assert_eq!(status(&hub, job), JobStatus::Cancelling);
    hub.pass(Duration::from_secs(6));
    hub.actions();
    assert_eq!(status(&hub, job), JobStatus::Cancelled);
}

#[test]
fn stops_wait_while_the_broker_cannot_be_reached() {
    let (mut hub, job, out) = running();
    hub.cancel(job);
    hub.actions();
    hub.machine.handle_link(false, hub.now);
    hub.pass(LEASE * 10);
    assert!(told(&hub.actions()).is_empty());
    hub.machine.handle_link(true, hub.now);
    assert_eq!(hub.succeed(&out[0], "1"), Verdict::Applied);
    heartbeat(&mut hub, &[]);
    hub.pass(LEASE);
    assert!(hub.machine.is_live(job));
    hub.pass(LEASE);
    hub.actions();
    assert_eq!(status(&hub, job), JobStatus::Cancelled);
}

#[test]
fn a_second_worker_with_the_same_issue_is_waited_for() {
    let (mut hub, job, out) = running();
    let mut report = hub.worker("w2", &["a"]);
    report.held = vec![out[0].issue];
    hub.machine.handle_heartbeat(report.clone(), hub.now);
    hub.cancel(job);
    hub.actions();
    for _ in 0..7 {
        hub.pass(Duration::from_secs(5));
        hub.machine.handle_heartbeat(report.clone(), hub.now);
    }
    hub.actions();
    assert_eq!(hub.stored(job).tasks[0].worker.as_deref(), Some("w2"), "the first worker is lost");
    hub.machine.handle_returned(out[0].issue, Returned::Stopped, &"w2".into(), hub.now);
    hub.actions();
    assert_eq!(hub.statuses(job)[0], TaskStatus::Cancelled);
}

#[test]
fn a_job_that_is_failed_from_outside_does_not_wait_for_workers() {
    for cancelled in [false, true] {
        let (mut hub, job, _) = running();
        if cancelled {
            hub.cancel(job);
        }
        hub.machine.fail_job(job, "cannot be kept".into(), Handlers::Run, hub.now).unwrap();
        let actions = hub.actions();
        assert_eq!(
            actions.iter().filter(|action| matches!(action, Action::Stop { .. })).count(),
            2 + 2 * usize::from(cancelled)
        );
        assert_eq!(status(&hub, job), JobStatus::Failed);
        hub.pass(LEASE * 4);
        assert!(told(&hub.actions()).is_empty());
    }
}

#[test]
fn the_record_shows_who_cancelled_the_job() {
    let (mut hub, job, _) = running();
    let cancel = Cancel { now: true, by: Some("ops".into()), reason: Some("wrong\ninput".into()), ..Cancel::default() };
    hub.machine.cancel(job, cancel, hub.now).unwrap();
    hub.actions();
    let record = hub.machine.job(job).unwrap().record().to_value();
    let expected =
        serde_json::json!({"at": hub.now.wall.to_string(), "now": true, "by": "ops", "reason": "wrong\ninput"});
    assert_eq!((&record["status"], &record["cancel"]), (&"CANCELLING".into(), &expected));
}

/// The fuzz target `features` found that it stopped the dispatcher.
#[test]
fn a_cancel_in_finally_after_a_deadline_changes_nothing_else() {
    let mut hub = Hub::new();
    let text = r#"{"name": "j", "deadline": "1m", "tasks": [{"name": "work"}], "finally": [{"name": "clean"}]}"#;
    let id = hub.submit(1, text);
    hub.handed_out();
    // No worker serves the pool, so nothing has to be stopped.
    hub.pass(Duration::from_secs(60));
    let clean = hub.handed_out().remove(0);
    assert_eq!(&*clean.name, "clean");
    for _ in 0..2 {
        hub.cancel(id);
        hub.actions();
        assert_eq!(hub.stored(id).state.status, JobStatus::Cancelling);
    }
    hub.succeed(&clean, "1");
    hub.actions();
    assert_eq!(hub.stored(id).state.status, JobStatus::Failed);
}
