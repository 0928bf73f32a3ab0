//! Pauses of jobs and pools: nothing further is issued, what is out goes on, and durations stand still.

mod support;

use std::time::Duration;

use hub_core::action::Assignment;
use hub_core::details::RepairAction;
use hub_core::job_details::PauseCause;
use hub_core::machine::{ControlError, DeadLetter, Remark, Repair, Returned, Verdict};
use hub_core::state::ErrorKind;
use hub_core::{JobId, JobStatus, TaskStatus, Timestamp};
use support::{Hub, told};

const MINUTE: Duration = Duration::from_secs(60);
const JOB: &str = r#"{"name": "j", "tasks": [{"name": "a"}, {"name": "b", "depends": ["a"]}]}"#;

fn pause(hub: &mut Hub, job: JobId) {
    let remark = Remark { by: Some("ops".into()), reason: Some("the database is down".into()) };
    hub.machine.pause_job(job, remark, hub.now).unwrap();
}

fn resume(hub: &mut Hub, job: JobId) {
    hub.machine.resume_job(job, hub.now).unwrap();
}

fn status(hub: &Hub, job: JobId) -> JobStatus {
    hub.stored(job).state.status
}

fn names(tasks: &[Assignment]) -> Vec<&str> {
    tasks.iter().map(|task| &*task.name).collect()
}

/// The reason why the task waits.
fn reason(hub: &Hub, job: JobId, index: u32) -> String {
    let waiting = hub.machine.job(job).unwrap().waiting;
    waiting.into_iter().find(|(at, _)| *at == index).map(|(_, why)| why).unwrap_or_default()
}

#[test]
fn a_paused_job_issues_nothing_and_what_is_out_goes_on() {
    let mut hub = Hub::new();
    let job = hub.submit(1, JOB);
    let a = hub.handed_out().remove(0);
    pause(&mut hub, job);
    assert_eq!(told(&hub.actions()), ["keep job PAUSED", "job is PAUSED"]);
    pause(&mut hub, job);
    assert!(told(&hub.actions()).is_empty());
    assert_eq!(hub.succeed(&a, "1"), Verdict::Applied);
    assert!(hub.handed_out().is_empty());
    assert_eq!(hub.statuses(job), [TaskStatus::Success, TaskStatus::Pending]);
    let why = reason(&hub, job, 1);
    let since =
        format!("the job is paused since {} by ops (the database is down): hub-client resume {job}", hub.now.wall);
    assert_eq!(why, since);
    resume(&mut hub, job);
    assert_eq!(told(&hub.actions())[..2], ["keep job RUNNING", "job is RUNNING"], "one row of the job is written");
    assert_eq!(hub.statuses_now(job)[1], TaskStatus::Submitted);
    resume(&mut hub, job);
    assert!(told(&hub.actions()).is_empty());
}

#[test]
fn a_job_is_paused_before_its_first_task() {
    let mut hub = Hub::new();
    let job = hub.submit(1, JOB);
    pause(&mut hub, job);
    assert!(hub.handed_out().is_empty());
    assert_eq!(hub.machine.stats().ready, 0);
    hub.crash();
    assert!(hub.handed_out().is_empty(), "also after a crash");
    assert_eq!(status(&hub, job), JobStatus::Paused);
    resume(&mut hub, job);
    assert_eq!(told(&hub.actions())[..2], ["keep job PENDING", "job is PENDING"]);
    assert_eq!(status(&hub, job), JobStatus::Running);
}

#[test]
fn a_job_ends_while_it_is_paused_if_nothing_is_left_to_issue() {
    let mut hub = Hub::new();
    let text = r#"{"name": "j", "tasks": [{"name": "a"}, {"name": "b", "depends": ["a"]}, {"name": "c", "when": {"eq": ["_a.data", 1]}}]}"#;
    for (end, expected) in [(true, None), (false, Some(JobStatus::Failed))] {
        let job = hub.submit(1 + u128::from(end), text);
        let a = hub.handed_out().remove(0);
        pause(&mut hub, job);
        if end {
            hub.succeed(&a, "2");
        } else {
            hub.fail(&a, "no");
        }
        assert!(hub.handed_out().is_empty());
        match expected {
            Some(status) => assert_eq!(hub.stored(job).state.status, status),
            None => assert_eq!(hub.statuses(job)[1..], [TaskStatus::Pending, TaskStatus::Skipped]),
        }
    }
}

#[test]
fn other_jobs_go_on_and_tasks_in_every_place_wait() {
    let mut hub = Hub::with(hub_core::machine::Settings { window_floor: 2, window_factor: 0, ..Default::default() });
    hub.worker("w1", &["a"]);
    hub.worker("w2", &["a"]);
    let tasks: Vec<String> = (0..6).map(|at| format!(r#"{{"name": "t{at}", "task_name": "a"}}"#)).collect();
    let text = format!(r#"{{"name": "j", "tasks": [{}, {{"name": "x", "task_name": "nobodys"}}]}}"#, tasks.join(", "));
    let job = hub.submit(1, &text);
    let out = hub.handed_out();
    assert_eq!(out.len(), 2);
    pause(&mut hub, job);
    let other = hub.submit(2, r#"{"name": "other", "tasks": [{"name": "a"}]}"#);
    hub.machine.handle_returned(out[0].issue, Returned::UnknownModule, &"w1".into(), hub.now);
    hub.machine.handle_dead_letter(out[1].issue, DeadLetter::Policy, hub.now);
    hub.worker("w3", &["nobodys"]);
    for _ in 0..5 {
        hub.pass(Duration::from_secs(5));
        assert!(hub.handed_out().iter().all(|task| task.job == other));
    }
    resume(&mut hub, job);
    let mut ran = 0;
    for _ in 0..20 {
        for task in hub.handed_out() {
            ran += usize::from(task.job == job);
            hub.succeed(&task, "1");
        }
    }
    hub.actions();
    assert_eq!((ran, status(&hub, job)), (7, JobStatus::Success));
}

#[test]
fn delays_retries_and_holds_stand_still() {
    let text = r#"{"name": "j", "tasks": [
        {"name": "delayed", "delay": "10m"},
        {"name": "retried", "retry": {"maximum_attempts": 2, "initial_interval": "10m", "jitter": 0}},
        {"name": "held", "retry": {"maximum_attempts": 1, "exhausted": "hold", "hold_for": "10m"}}]}"#;
    // The clock is set forward or back during the pause, or not at all, and the dispatcher is killed in it, or not.
    for (shift, crashes) in [(0_i64, false), (0, true), (3_600_000, true), (-500_000, true), (3_600_000, false)] {
        let mut hub = Hub::new();
        let job = hub.submit(1, text);
        let out = hub.handed_out();
        hub.fail(&out[0], "no");
        hub.fail(&out[1], "no");
        hub.actions();
        hub.pass(MINUTE * 4);
        pause(&mut hub, job);
        hub.actions();
        assert_eq!(hub.next_due(), None);
        hub.pass(MINUTE * 60);
        let wall = hub.now.wall.as_millis().checked_add_signed(shift).unwrap();
        hub.set_clock(Timestamp::from_millis(wall));
        if crashes {
            hub.crash();
        }
        assert!(hub.handed_out().is_empty());
        assert_eq!(hub.next_due(), None, "a paused job has no timers");
        hub.pass(MINUTE * 60);
        resume(&mut hub, job);
        hub.actions();
        assert_eq!(hub.next_due(), Some(MINUTE * 6), "{shift} {crashes}");
        let record = hub.machine.job(job).unwrap().record().to_value();
        let due = hub.now.wall.after(MINUTE * 6).to_string();
        for (index, key) in [(0, "delayed_until"), (1, "retry_at"), (2, "held_until")] {
            assert_eq!(record["tasks"][index][key], due.as_str(), "the record has the time of the wall clock");
        }
        assert!(reason(&hub, job, 1).contains(&due), "{}", reason(&hub, job, 1));
        // A second pause.
        hub.pass(MINUTE * 2);
        pause(&mut hub, job);
        hub.pass(MINUTE);
        resume(&mut hub, job);
        hub.actions();
        hub.crash();
        assert_eq!(hub.next_due(), Some(MINUTE * 4));
        hub.pass(MINUTE * 4);
        assert_eq!(names(&hub.handed_out()), ["delayed", "retried"]);
        assert_eq!(hub.statuses(job)[2], TaskStatus::Failed, "its hold is over");
    }
}

#[test]
fn a_wait_that_begins_during_a_pause_begins_with_the_resume() {
    let mut hub = Hub::new();
    let job = hub.submit(
        1,
        r#"{"name": "j", "tasks": [{"name": "a", "retry": {"initial_interval": "10m", "jitter": 0}}, {"name": "b"},
            {"name": "c", "depends": ["b"], "delay": "10m"}]}"#,
    );
    let out = hub.handed_out();
    pause(&mut hub, job);
    hub.pass(MINUTE * 30);
    hub.fail(&out[0], "no");
    hub.succeed(&out[1], "1");
    hub.actions();
    hub.pass(MINUTE * 30);
    hub.crash();
    resume(&mut hub, job);
    hub.actions();
    assert_eq!(hub.next_due(), Some(MINUTE * 10));
    hub.pass(MINUTE * 10);
    assert_eq!(names(&hub.handed_out()), ["a", "c"]);
}

#[test]
fn schedule_limits_stand_still_and_running_attempts_do_not() {
    let mut hub = Hub::new();
    let text = r#"{"name": "j", "tasks": [
        {"name": "a", "pool": "gpu", "timeout": {"schedule_to_start": "10m"}},
        {"name": "b", "timeout": {"schedule_to_close": "10m"}},
        {"name": "c", "timeout": {"start_to_close": "10m", "grace": "10s"}}]}"#;
    let job = hub.submit(1, text);
    let out = hub.handed_out();
    assert_eq!(names(&out), ["b", "c"]);
    for task in &out {
        hub.machine.handle_started(&"w1".into(), &[task.issue], hub.now);
    }
    let mut report = hub.worker("w1", &["b", "c"]);
    report.held = out.iter().map(|task| task.issue).collect();
    let pass = |hub: &mut Hub, minutes: u32| {
        for _ in 0..minutes * 6 {
            hub.machine.handle_heartbeat(report.clone(), hub.now);
            hub.pass(Duration::from_secs(10));
            hub.actions();
        }
    };
    pass(&mut hub, 4);
    pause(&mut hub, job);
    pass(&mut hub, 30);
    let now = hub.statuses_now(job);
    assert_eq!(now, [TaskStatus::Pending, TaskStatus::Running, TaskStatus::Failed], "the attempt took too long");
    resume(&mut hub, job);
    pass(&mut hub, 5);
    assert_eq!(hub.statuses_now(job)[..2], [TaskStatus::Pending, TaskStatus::Running]);
    pass(&mut hub, 1);
    hub.pass(Duration::from_secs(1));
    hub.actions();
    let tasks = &hub.stored(job).tasks;
    for task in &tasks[..2] {
        assert_eq!(task.error.as_ref().unwrap().kind, ErrorKind::TimedOut);
    }
}

#[test]
fn repairs_and_results_are_taken_while_a_job_is_paused() {
    let mut hub = Hub::new();
    let job = hub.submit(1, r#"{"name": "j", "tasks": [{"name": "a", "delay": "1h"}, {"name": "b", "delay": "1h"}]}"#);
    hub.actions();
    pause(&mut hub, job);
    let repair = |action| Repair { action, data: None, by: None, reason: None };
    hub.machine.repair(job.task(0), repair(RepairAction::Skip), hub.now).unwrap();
    hub.machine.repair(job.task(1), repair(RepairAction::Retry), hub.now).unwrap();
    assert!(hub.handed_out().is_empty(), "it is not issued before the job is resumed");
    assert_eq!(hub.statuses(job), [TaskStatus::Skipped, TaskStatus::Pending]);
    resume(&mut hub, job);
    assert_eq!(names(&hub.handed_out()), ["b"]);
}

#[test]
fn a_paused_job_can_be_cancelled_and_a_cancelled_one_cannot_be_paused() {
    let mut hub = Hub::new();
    hub.worker("w1", &["a", "b"]);
    let job = hub.submit(1, JOB);
    let a = hub.handed_out().remove(0);
    pause(&mut hub, job);
    hub.cancel(job);
    hub.actions();
    let state = &hub.stored(job).state;
    assert_eq!(state.status, JobStatus::Cancelling);
    let details = state.details.as_ref().unwrap();
    assert!(details.pauses.is_empty() && details.clock.paused_since.is_none(), "a cancel removes all causes");
    assert_eq!(hub.machine.pause_job(job, Remark::default(), hub.now), Err(ControlError::Cancelling));
    resume(&mut hub, job);
    assert!(told(&hub.actions()).is_empty());
    hub.machine.handle_returned(a.issue, Returned::Stopped, &"w1".into(), hub.now);
    hub.actions();
    assert_eq!(status(&hub, job), JobStatus::Cancelled);
    assert_eq!(hub.machine.pause_job(job, Remark::default(), hub.now), Err(ControlError::UnknownJob));
    assert_eq!(hub.machine.resume_job(job, hub.now), Err(ControlError::UnknownJob));
}

#[test]
fn unconfirmed_issues_of_a_paused_job_are_published_again() {
    let mut hub = Hub::new();
    let job = hub.submit(1, JOB);
    let a = hub.handed_out().remove(0);
    pause(&mut hub, job);
    hub.actions();
    hub.crash();
    let again = hub.handed_out();
    assert_eq!(again.iter().map(|task| task.issue).collect::<Vec<_>>(), [a.issue], "it is out");
    hub.succeed(&a, "1");
    assert!(hub.handed_out().is_empty());
}

#[test]
fn the_record_shows_the_pause() {
    let mut hub = Hub::new();
    let job = hub.submit(1, JOB);
    pause(&mut hub, job);
    hub.actions();
    let record = hub.machine.job(job).unwrap().record().to_value();
    let expected =
        serde_json::json!({"self": {"at": hub.now.wall.to_string(), "by": "ops", "reason": "the database is down"}});
    assert_eq!((&record["status"], &record["pauses"]), (&"PAUSED".into(), &expected));
    assert!(hub.stored(job).state.details.as_ref().unwrap().pauses.contains_key(&PauseCause::Own));
    resume(&mut hub, job);
    assert!(hub.machine.job(job).unwrap().record().to_value()["pauses"].is_null());
}

#[test]
fn a_large_job_is_paused_and_resumed() {
    let mut hub = Hub::new();
    let tasks: Vec<String> = (0..30_000).map(|at| format!(r#"{{"name": "t{at}"}}"#)).collect();
    let job = hub.submit(1, &format!(r#"{{"name": "j", "tasks": [{}]}}"#, tasks.join(",")));
    let out = hub.handed_out().len() as u64;
    pause(&mut hub, job);
    assert_eq!(hub.machine.stats().ready, 0);
    resume(&mut hub, job);
    assert_eq!(hub.machine.stats().ready, 30_000 - out);
}

#[test]
fn a_paused_pool_issues_nothing_and_other_pools_go_on() {
    let mut hub = Hub::new();
    let mut report = hub.worker("w1", &["a", "b"]);
    report.pools = vec!["gpu".into(), "default".into()];
    hub.machine.handle_heartbeat(report, hub.now);
    let remark = Remark { by: Some("ops".into()), reason: None };
    hub.machine.pause_pool("gpu".into(), remark, hub.now).unwrap();
    hub.machine.pause_pool("gpu".into(), Remark::default(), hub.now).unwrap();
    assert_eq!(told(&hub.actions()), ["keep pool gpu true"]);
    let since = hub.now.wall;
    let job = hub.submit(1, r#"{"name": "j", "tasks": [{"name": "a", "pool": "gpu"}, {"name": "b"}]}"#);
    assert_eq!(names(&hub.handed_out()), ["b"]);
    let why = format!("the pool \"gpu\" is paused since {since} by ops: hub-client resume --pool gpu");
    assert_eq!(reason(&hub, job, 0), why);
    hub.crash();
    hub.worker("w1", &["b"]);
    let mut report = hub.worker("w2", &["a"]);
    report.pools = vec!["gpu".into()];
    hub.machine.handle_heartbeat(report, hub.now);
    assert!(names(&hub.handed_out()).iter().all(|name| *name == "b"), "it is paused also after a crash");
    assert_eq!(hub.machine.paused_pools().map(|(name, _)| &**name).collect::<Vec<_>>(), ["gpu"]);
    hub.machine.resume_pool(&"gpu".into(), hub.now);
    hub.machine.resume_pool(&"gpu".into(), hub.now);
    let actions = hub.actions();
    assert_eq!(told(&actions)[0], "keep pool gpu false");
    assert_eq!(hub.statuses_now(job)[0], TaskStatus::Submitted);
}

#[test]
fn a_paused_pool_stops_the_schedule_limits_of_tasks_that_wait_for_it() {
    for crashes in [false, true] {
        let mut hub = Hub::new();
        let text = r#"{"name": "j", "tasks": [{"name": "a", "pool": "gpu", "timeout": {"schedule_to_start": "10m"}},
            {"name": "b", "pool": "cpu", "timeout": {"schedule_to_start": "10m"}}]}"#;
        let job = hub.submit(1, text);
        hub.actions();
        hub.pass(MINUTE * 4);
        hub.machine.pause_pool("gpu".into(), Remark::default(), hub.now).unwrap();
        hub.actions();
        hub.pass(MINUTE * 5);
        if crashes {
            hub.crash();
        }
        hub.pass(MINUTE * 5);
        hub.actions();
        assert_eq!(hub.statuses_now(job), [TaskStatus::Pending, TaskStatus::Failed]);
        hub.machine.resume_pool(&"gpu".into(), hub.now);
        hub.actions();
        assert_eq!(hub.next_due(), Some(MINUTE * 6));
        hub.pass(MINUTE * 6);
        hub.actions();
        assert_eq!(hub.statuses(job)[0], TaskStatus::Failed);
    }
}

#[test]
fn the_number_of_paused_pools_is_limited() {
    let mut hub = Hub::new();
    let names = (0..1000).map(|at| format!("p{at}"));
    names.for_each(|name| hub.machine.pause_pool(name.as_str().into(), Remark::default(), hub.now).unwrap());
    let one_more = hub.machine.pause_pool("more".into(), Remark::default(), hub.now);
    assert_eq!(one_more, Err(ControlError::TooManyPools));
    hub.machine.pause_pool("p7".into(), Remark::default(), hub.now).unwrap();
}
