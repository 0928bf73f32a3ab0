//! When a job starts, and its deadline: what a pause, a crash and a clock that is set change.

mod support;

use std::time::Duration;

use hub_core::machine::{Remark, RetriedJob, Retry, RetryError, Returned};
use hub_core::{JobId, JobStatus, TaskStatus, Timestamp};
use support::{Hub, told};

const MINUTE: Duration = Duration::from_secs(60);

/// A job of two tasks with these keys.
fn job(keys: &str) -> String {
    format!(r#"{{"name": "j", {keys}, "tasks": [{{"name": "a"}}, {{"name": "b", "depends": ["a"]}}]}}"#)
}

/// The time this long after now, as it stands in a job.
fn in_future(hub: &Hub, wait: Duration) -> String {
    hub.now.wall.after(wait).to_string()
}

fn status(hub: &Hub, job: JobId) -> JobStatus {
    hub.stored(job).state.status
}

/// Passes in steps of half a minute.
fn pass(hub: &mut Hub, time: Duration) {
    for _ in 0..time.as_secs() / 30 {
        hub.pass(Duration::from_secs(30));
        hub.actions();
    }
}

#[test]
fn a_job_starts_at_its_time() {
    for crashes in [false, true] {
        for absolute in [false, true] {
            let mut hub = Hub::new();
            let start = if absolute { in_future(&hub, MINUTE * 10) } else { "10m".to_owned() };
            let id = hub.submit(1, &job(&format!(r#""start_at": "{start}""#)));
            assert_eq!(told(&hub.actions()), ["keep job", "job is PENDING"], "nothing of it is on the broker");
            let waiting = hub.machine.job(id).unwrap().waiting;
            assert_eq!(waiting[0].1, format!("the job starts at {}", in_future(&hub, MINUTE * 10)));
            hub.pass(MINUTE * 5);
            if crashes {
                hub.crash();
            }
            hub.pass(MINUTE * 4);
            assert!(hub.handed_out().is_empty());
            let record = hub.machine.job(id).unwrap().record().to_value();
            assert_eq!(record["starts_at"], in_future(&hub, MINUTE).as_str());
            hub.pass(MINUTE);
            assert_eq!(hub.handed_out().len(), 1, "{crashes} {absolute}");
            hub.crash();
            hub.machine.handle_returned(support::first_issue(&hub, id, 0).issue, Returned::Busy, &"w".into(), hub.now);
            assert_eq!(hub.handed_out().len(), 1, "it has started");
        }
    }
}

#[test]
fn a_start_in_the_past_is_at_once() {
    let mut hub = Hub::new();
    hub.submit(1, &job(r#""start_at": "1970-01-01T00:00:01Z""#));
    assert_eq!(hub.handed_out().len(), 1);
}

#[test]
fn a_start_follows_the_wall_clock_when_that_is_set() {
    let mut hub = Hub::new();
    let start = in_future(&hub, MINUTE * 60);
    hub.submit(1, &job(&format!(r#""start_at": "{start}""#)));
    hub.pass(MINUTE);
    hub.set_clock(hub.now.wall.after(MINUTE * 60));
    hub.pass(MINUTE);
    assert_eq!(hub.handed_out().len(), 1, "within a minute");
}

#[test]
fn nothing_starts_before_its_job() {
    let mut hub = Hub::new();
    let text = r#"{"name": "j", "start_at": "1h", "tasks": [{"name": "a", "delay": "1s"}, {"name": "b", "trigger_rule": "all_done", "depends": ["a"]}, {"name": "c", "when": false}]}"#;
    let id = hub.submit(1, text);
    let skip =
        hub_core::machine::Repair { action: hub_core::details::RepairAction::Skip, data: None, by: None, reason: None };
    hub.machine.repair(id.task(0), skip, hub.now).unwrap();
    assert!(hub.handed_out().is_empty());
    assert_eq!(hub.statuses(id), [TaskStatus::Skipped, TaskStatus::Pending, TaskStatus::Pending]);
    hub.crash();
    assert!(hub.handed_out().is_empty());
    hub.pass(MINUTE * 60);
    assert_eq!(hub.handed_out().len(), 1);
    assert_eq!(hub.statuses(id)[2], TaskStatus::Skipped);
}

#[test]
fn a_job_can_be_cancelled_and_paused_before_it_starts() {
    let mut hub = Hub::new();
    let first = hub.submit(1, &job(r#""start_at": "1h""#));
    hub.cancel(first);
    hub.actions();
    assert_eq!((status(&hub, first), hub.next_due()), (JobStatus::Cancelled, None));
    // A start as a duration stands still, a start as a time does not, and neither issues anything while the job is paused.
    let start = in_future(&hub, MINUTE * 10);
    let after = hub.submit(2, &job(r#""start_at": "10m", "deadline": "10m""#));
    let at = hub.submit(3, &job(&format!(r#""start_at": "{start}", "deadline": "10m""#)));
    for id in [after, at] {
        hub.machine.pause_job(id, Remark::default(), hub.now).unwrap();
    }
    pass(&mut hub, MINUTE * 20);
    for id in [after, at] {
        assert_eq!(status(&hub, id), JobStatus::Paused);
        hub.machine.resume_job(id, hub.now).unwrap();
    }
    assert!(hub.handed_out().iter().all(|task| task.job == at));
    let deadline = |id| hub.machine.job(id).unwrap().record().to_value()["deadline_at"].as_str().unwrap().to_owned();
    assert_eq!((deadline(after), deadline(at)), (in_future(&hub, MINUTE * 20), in_future(&hub, MINUTE * 10)));
    pass(&mut hub, MINUTE * 10);
    assert_eq!(hub.statuses_now(after)[0], TaskStatus::Submitted);
}

#[test]
fn a_deadline_stops_what_runs_and_fails_the_job() {
    for absolute in [false, true] {
        let mut hub = Hub::new();
        hub.worker("w1", &["a", "b"]);
        let deadline = if absolute { in_future(&hub, MINUTE * 10) } else { "10m".to_owned() };
        let id = hub.submit(1, &job(&format!(r#""deadline": "{deadline}""#)));
        let a = hub.handed_out().remove(0);
        let at = in_future(&hub, MINUTE * 10);
        assert_eq!(hub.machine.job(id).unwrap().record().to_value()["deadline_at"], at.as_str());
        let mut report = hub.worker("w1", &["a", "b"]);
        report.held = vec![a.issue];
        for _ in 0..20 {
            hub.machine.handle_heartbeat(report.clone(), hub.now);
            hub.pass(Duration::from_secs(30) - Duration::from_millis(1));
        }
        hub.machine.handle_heartbeat(report, hub.now);
        hub.actions();
        assert_eq!(status(&hub, id), JobStatus::Running);
        hub.pass(Duration::from_millis(20));
        let told = told(&hub.actions());
        assert!(told.contains(&"stop 1 in 10 s".to_owned()) && told.contains(&"b is CANCELLED".to_owned()), "{told:?}");
        assert_eq!(status(&hub, id), JobStatus::Cancelling);
        hub.crash();
        hub.machine.handle_returned(a.issue, Returned::Stopped, &"w1".into(), hub.now);
        hub.actions();
        let ended = hub.stored(id);
        assert_eq!(ended.state.status, JobStatus::Failed);
        let msg = format!("DEADLINE: the job did not end by {at}, its deadline");
        assert_eq!(ended.state.msg.as_deref(), Some(msg.as_str()));
        assert_eq!(hub.statuses(id), [TaskStatus::Cancelled, TaskStatus::Cancelled]);
        hub.pass(MINUTE * 10);
        assert!(told_nothing(&mut hub));
    }
}

fn told_nothing(hub: &mut Hub) -> bool {
    told(&hub.actions()).is_empty() && hub.next_due().is_none()
}

#[test]
fn a_job_that_ends_in_time_leaves_no_timer() {
    let mut hub = Hub::new();
    let id = hub.submit(1, r#"{"name": "j", "deadline": 90, "tasks": [{"name": "a"}]}"#);
    let a = hub.handed_out().remove(0);
    hub.succeed(&a, "1");
    hub.actions();
    assert_eq!(status(&hub, id), JobStatus::Success);
    hub.pass(MINUTE * 2);
    assert!(told_nothing(&mut hub));
}

/// A pause that is longer than what is left to the deadline, with a crash in it: the deadline moves by the pause, and the
/// running attempt goes on.
#[test]
fn a_pause_moves_the_deadline_by_its_length() {
    for (crashes, shift) in [(false, 0_i64), (true, 0), (true, 7_200_000), (true, -900_000)] {
        let mut hub = Hub::new();
        let id = hub.submit(1, &job(r#""deadline": "10m""#));
        let a = hub.handed_out().remove(0);
        hub.machine.handle_started(&"w1".into(), &[a.issue], hub.now);
        hub.actions();
        let mut report = hub.worker("w1", &["a"]);
        report.held = vec![a.issue];
        let beat = |hub: &mut Hub, time: Duration| {
            for _ in 0..time.as_secs() / 10 {
                hub.machine.handle_heartbeat(report.clone(), hub.now);
                hub.pass(Duration::from_secs(10));
                hub.actions();
            }
        };
        beat(&mut hub, MINUTE * 7);
        hub.machine.pause_job(id, Remark::default(), hub.now).unwrap();
        hub.actions();
        beat(&mut hub, MINUTE * 20);
        if crashes {
            hub.crash();
        }
        let wall = hub.now.wall.as_millis().checked_add_signed(shift).unwrap();
        hub.set_clock(Timestamp::from_millis(wall));
        beat(&mut hub, MINUTE * 20);
        assert_eq!(hub.statuses_now(id), [TaskStatus::Running, TaskStatus::Pending]);
        hub.machine.resume_job(id, hub.now).unwrap();
        hub.actions();
        let record = hub.machine.job(id).unwrap().record().to_value();
        assert_eq!(record["deadline_at"], in_future(&hub, MINUTE * 3).as_str(), "{crashes} {shift}");
        beat(&mut hub, MINUTE * 2);
        assert_eq!(hub.stored(id).tasks[0].issue.unwrap(), a.issue.issue(), "the attempt was not touched");
        beat(&mut hub, MINUTE);
        assert_eq!(status(&hub, id), JobStatus::Cancelling);
        assert_eq!(hub.succeed(&a, "1"), hub_core::machine::Verdict::Applied);
        hub.actions();
        assert_eq!(status(&hub, id), JobStatus::Failed);
    }
}

#[test]
fn a_deadline_that_is_a_time_goes_on_while_the_job_is_paused() {
    let mut hub = Hub::new();
    hub.pass(MINUTE);
    let deadline = in_future(&hub, MINUTE * 10);
    let id = hub.submit(1, &job(&format!(r#""deadline": "{deadline}""#)));
    hub.handed_out();
    hub.machine.pause_job(id, Remark::default(), hub.now).unwrap();
    pass(&mut hub, MINUTE * 11);
    assert_eq!(status(&hub, id), JobStatus::Failed, "no worker serves the pool, so nothing runs");
}

#[test]
fn cancelling_a_job_after_its_deadline_only_ends_the_grace() {
    let mut hub = Hub::new();
    hub.worker("w1", &["a", "b"]);
    let id = hub.submit(1, &job(r#""deadline": "1s""#));
    let a = hub.handed_out().remove(0);
    hub.pass(Duration::from_secs(1));
    hub.actions();
    hub.cancel(id);
    assert!(told(&hub.actions()).is_empty());
    let now = hub_core::machine::Cancel { now: true, ..Default::default() };
    hub.machine.cancel(id, now, hub.now).unwrap();
    assert_eq!(told(&hub.actions())[0], "stop 1 in 0 s");
    hub.machine.handle_returned(a.issue, Returned::Stopped, &"w1".into(), hub.now);
    hub.actions();
    assert_eq!(status(&hub, id), JobStatus::Failed, "the verdict was known before the cancel");
}

#[test]
fn a_deadline_that_has_passed_has_its_place_in_the_text() {
    let text = "{\"name\": \"j\",\n \"deadline\": \"2020-01-01\", \"tasks\": [{\"name\": \"a\"}]}";
    let job = support::parse(text);
    let now: Timestamp = "2026-11-27T00:00:00Z".parse().unwrap();
    let problem = job.passed_deadline(now).unwrap();
    assert_eq!((problem.line, problem.column, problem.path.as_str()), (Some(2), Some(14), "$.deadline"));
    assert!(job.passed_deadline("2019-12-31".parse().unwrap()).is_none());
    assert!(
        support::parse(r#"{"name": "j", "deadline": "1s", "tasks": [{"name": "a"}]}"#).passed_deadline(now).is_none()
    );
}

#[test]
fn durations_do_not_follow_a_clock_that_is_set_back() {
    let mut hub = Hub::new();
    let first = hub.submit(1, &job(r#""start_at": "10m""#));
    let second = hub.submit(2, &job(r#""deadline": "10m""#));
    assert!(hub.handed_out().iter().all(|task| task.job == second));
    hub.set_clock(Timestamp::from_millis(0));
    hub.pass(MINUTE * 10);
    assert!(hub.handed_out().iter().all(|task| task.job == first));
    assert_eq!(hub.statuses_now(first)[0], TaskStatus::Submitted);
    assert_eq!(status(&hub, second), JobStatus::Failed);
}

/// A retry of a job that has ended.
fn retried(hub: &Hub, ended: JobId) -> Result<RetriedJob, RetryError> {
    RetriedJob::new(hub.stored(ended).clone(), Retry::default(), 1000, hub.now.wall)
}

/// A job whose only task fails.
fn failed(hub: &mut Hub, text: &str) -> JobId {
    let id = hub.submit(1, text);
    let task = hub.handed_out().remove(0);
    hub.fail(&task, "no");
    hub.actions();
    hub.pass(MINUTE * 60);
    id
}

#[test]
fn a_job_whose_deadline_is_a_time_that_has_passed_is_not_retried() {
    let mut hub = Hub::new();
    let first = failed(&mut hub, r#"{"name": "j", "deadline": "1970-01-01T01:00:00Z", "tasks": [{"name": "a"}]}"#);
    let refused = retried(&hub, first).unwrap_err();
    assert!(matches!(&refused, RetryError::DeadlinePassed(why) if why.starts_with("the deadline ")), "{refused}");
}

#[test]
fn a_job_that_is_retried_ends_at_its_deadline() {
    let mut hub = Hub::new();
    let first = failed(&mut hub, r#"{"name": "j", "deadline": "1m", "tasks": [{"name": "a"}]}"#);
    let retry = retried(&hub, first).unwrap();
    hub.machine.submit_retry(support::id(2), retry, hub.now).unwrap();
    assert_eq!(hub.handed_out().len(), 1);
    hub.pass(MINUTE);
    hub.actions();
    assert_eq!(status(&hub, support::id(2)), JobStatus::Failed, "a minute from the retry on");
}
